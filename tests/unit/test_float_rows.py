"""Lists of Python numbers as float32: the quick way and the careful one give the same column."""

from __future__ import annotations

import gc

import numpy as np
import pyarrow as pa
import pytest

from headrace import _core
from headrace.columns import to_array
from headrace.errors import CellError, SchemaError
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


def vectors(numbers):
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), numbers.shape[1])


def test_vectors_become_lists_of_the_same_numbers():
    numbers = np.array([[0.1, -0.0, np.inf], [1e-40, 3.4e38, 7]], "f4")
    found = _core.float_lists(vectors(numbers))
    assert found == numbers.tolist()
    assert {type(row) for row in found} | {type(number) for row in found for number in row} == {list, float}
    assert np.isnan(_core.float_lists(vectors(np.full((1, 1), np.nan, "f4")))).all()


def test_lists_of_a_slice_are_those_of_its_rows():
    numbers = np.arange(30, dtype="f4").reshape(10, 3)
    assert _core.float_lists(vectors(numbers).slice(4, 3)) == numbers[4:7].tolist()
    assert _core.float_lists(vectors(numbers).slice(10)) == []


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_left_as_it_was(collects):
    before = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        _core.float_lists(vectors(np.zeros((2, 2), "f4")))
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.parametrize("column", [pa.array([1.0]), pa.array([[1, 2]], pa.list_(pa.float64(), 2))])
def test_other_columns_are_no_vectors_of_float32(column):
    with pytest.raises(TypeError, match="expected float32 vectors"):
        _core.float_lists(column)
    with pytest.raises(SchemaError, match="expected an Arrow array"):
        _core.float_lists([1.0])
