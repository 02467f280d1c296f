"""Lists of Python numbers as float32: the quick way and the careful one give the same column."""

from __future__ import annotations

import numpy as np
import pytest

from headrace import _core
from headrace.columns import to_array
from headrace.errors import CellError
from headrace.schema import DataType, FieldSchema

FIELD = FieldSchema("v", DataType.FLOAT_VECTOR, dim=3)


def test_numbers_are_rounded_to_the_nearest_float32():
    rows = [[0.1, -1e-40, 3.4e38], [1, -2, 16_777_216], [0.1 + 2**-30, 1e-60, -0.0]]
    assert _core.float_rows(rows, 3) == np.array(rows, "<f4").tobytes()
    assert to_array(rows, FIELD).to_pylist() == np.array(rows, "f4").tolist()


def test_nan_and_infinity_pass_for_the_packer_to_refuse():
    packed = _core.float_rows([[float("nan"), float("inf"), -float("inf")]], 3)
    assert np.array_equal(np.frombuffer(packed, "<f4"), [np.nan, np.inf, -np.inf], equal_nan=True)


@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 2.0]],
        [[1.0, 2.0, 3.0, 4.0]],
        [(1.0, 2.0, 3.0)],
        [np.zeros(3)],
        [None],
        [[1.0, 2.0, None]],
        [[1.0, 2.0, True]],
        [[1.0, 2.0, "3"]],
        [[1.0, 2.0, np.float64(3)]],
        [[1.0, 2.0, 3.5e38]],
        [[1.0, 2.0, 16_777_217]],
        [[1.0, 2.0, 10**400]],
    ],
)
def test_whatever_else_is_left_to_the_careful_way(rows):
    assert _core.float_rows([[0.0, 0.0, 0.0], *rows], 3) is None


def test_no_rows_are_no_bytes():
    assert _core.float_rows([], 3) == b""
    assert _core.float_rows([[]], 0) == b""


def test_a_number_that_float32_does_not_hold_is_refused_by_its_row():
    with pytest.raises(CellError) as raised:
        to_array([[0.0] * 3, [1.0, 2.0, 1e39]], FIELD, strict=True)
    assert (raised.value.row, raised.value.field) == (1, "v")
