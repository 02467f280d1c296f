"""Values that pyarrow alone would read as others: refused by row, or read right."""

from __future__ import annotations

from datetime import date, datetime, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headrace.columns import to_array
from headrace.errors import CellError, SchemaError

NAIVE = datetime(2020, 1, 1)
AWARE = datetime(2020, 1, 1, tzinfo=timezone.utc)


class Producer:
    """Has nothing but ``__array__``."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return self._values


# Times


@pytest.mark.parametrize(
    ("dtype", "unit"), [("M8[2s]", "s"), ("M8[10us]", "us"), (">M8[3ms]", "ms"), ("m8[5ns]", "ns")]
)
def test_units_with_a_multiplier_become_whole_units(dtype, unit):
    values = np.array([5, -7, "NaT"], dtype)
    expected = pa.array(values.astype(f"{values.dtype.kind}8[{unit}]"))
    assert to_array(values).equals(expected)
    assert to_array(list(values)).equals(expected)


def test_units_that_overflow_are_refused():
    values = np.array([0, 2**62], "M8[10s]")
    with pytest.raises(SchemaError, match="times that 64 bits of s do not hold"):
        to_array(values, name="c")
    with pytest.raises(CellError, match=r"row 1, field 'c': .*times that 64 bits of s do not hold"):
        to_array(list(values), name="c")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([None, NAIVE, AWARE], "a time without a zone, as before"),
        ([AWARE, pd.NaT, NAIVE], "a time with a zone, as before"),
        ([date(2020, 1, 1), None, NAIVE], "a date, as before"),
        ([NAIVE, NAIVE, np.datetime64(1, "ns")], "a time without a zone, as before"),
        ([pd.NaT, pd.Timestamp(1000), pd.Timestamp(1001)], "a time in whole microseconds"),
    ],
)
def test_times_that_would_change_are_refused_by_row(cells, expected):
    with pytest.raises(CellError) as caught:
        to_array(cells, name="c")
    assert (caught.value.row, caught.value.field, caught.value.expected) == (2, "c", expected)


def test_times_of_one_kind_are_read():
    assert to_array([AWARE, pd.NaT, None, pd.Timestamp(AWARE)]).to_pylist() == [AWARE, None, None, AWARE]
    assert to_array([NAIVE, pd.Timestamp(NAIVE)]).to_pylist() == [NAIVE, NAIVE]


# Text


@pytest.mark.parametrize("texts", [["a\0b", "c"], ["\0b"], ["a", "b\0\0c"]])
@pytest.mark.parametrize("order", ["<", ">"])
def test_text_after_a_nul_is_kept(texts, order):
    values = np.array(texts)
    assert to_array(values.astype(values.dtype.newbyteorder(order))).to_pylist() == texts
    raw = [text.encode() for text in texts]
    assert to_array(np.array(raw)).to_pylist() == raw
    assert to_array(np.array([texts])).to_pylist() == [texts]
    assert to_array([np.array(texts)]).to_pylist() == [texts]


def test_padding_of_text_is_no_nul():
    assert to_array(np.array(["abc", "", "d"])).type == pa.string()
    assert to_array(np.array(["abc", "", "d"])).to_pylist() == ["abc", "", "d"]


# Masks and byte orders


def test_masked_elements_of_rows_are_null():
    row = np.ma.array([1, 2], mask=[0, 1], dtype=np.float32)
    column = to_array([row, np.array([3, 4], np.float32), Producer(row), np.ma.array([5, 6], dtype=np.float32)])
    assert column.type == pa.list_(pa.float32())
    assert column.to_pylist() == [[1, None], [3, 4], [1, None], [5, 6]]
    assert to_array([1, np.ma.masked, np.array(3)]).to_pylist() == [1, None, 3]


def test_masks_of_producers_are_kept():
    assert to_array(Producer(np.ma.array([1, 2], mask=[0, 1]))).to_pylist() == [1, None]


def test_byte_swapped_rows_are_read():
    assert to_array([np.array([1, 2], ">f4"), np.array([3, 4], "<f4")]).to_pylist() == [[1, 2], [3, 4]]
