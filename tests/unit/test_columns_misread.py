"""Values that pyarrow alone would read as others: refused by row, or read right."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse

from headrace.columns import to_array, to_batch
from headrace.errors import CellError, SchemaError
from headrace.schema import DataType, FieldSchema

JSON = FieldSchema("j", DataType.JSON)
SPARSE = FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR)

NAIVE = datetime(2020, 1, 1)  # noqa: DTZ001 - a time without a zone is what is tested
AWARE = datetime(2020, 1, 1, tzinfo=UTC)


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


def test_a_byte_swapped_series_is_read():
    assert to_array(pd.Series(np.array([1, 2], ">i8"))).to_pylist() == [1, 2]


@pytest.mark.parametrize("values", [[1, "a"], ["\ud800"], [2**70]])
def test_a_series_that_is_no_column_is_refused(values):
    with pytest.raises(SchemaError, match="column 'c': expected a column of one type, found Series of dtype object"):
        to_array(pd.Series(values, dtype=object), name="c")


def test_a_series_of_naive_and_aware_times_is_refused_by_row():
    with pytest.raises(CellError, match="row 1, field 'c': expected a time without a zone, as before"):
        to_array(pd.Series([NAIVE, AWARE], dtype=object), name="c")


# JSON


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ({1: "a", "1": "b"}, "a dict with the key 1, which is no text"),
        ({"a": [{None: 1}]}, "a dict with the key None, which is no text"),
        (np.array([{True: 1}]), "a dict with the key True, which is no text"),
        (nested(5000), "a value nested too deep for Python"),
    ],
)
def test_documents_that_would_change_are_refused_by_row(cell, found):
    with pytest.raises(CellError) as caught:
        to_array([{}, cell], JSON)
    assert (caught.value.row, caught.value.found) == (1, found)


@pytest.mark.parametrize("cells", [["{}", {"a": "\ud800"}], [b"{}", "\ud800"]])
def test_documents_with_a_lone_surrogate_are_refused_by_row(cells):
    with pytest.raises(CellError, match=r"row 1, field 'j': expected a value with a JSON form, found .*surrogates"):
        to_array(cells, JSON)


# Sparse matrices


def csr(indptr, indices, data, shape):
    return SimpleNamespace(indptr=np.array(indptr), indices=indices, data=data, shape=shape)


def test_an_index_beyond_the_matrix_is_refused_by_row():
    matrix = csr([0, 1, 1, 3], np.array([2, 1, 3]), np.ones(3, np.float32), (3, 3))
    with pytest.raises(CellError) as caught:
        to_array(matrix, name="s")
    assert (caught.value.row, caught.value.field, caught.value.found) == (2, "s", "3")
    assert caught.value.expected == "indices below 3, the matrix's width"


def test_masked_entries_of_a_matrix_are_refused():
    masked = np.ma.array([1, 2], mask=[0, 1], dtype=np.float32)
    with pytest.raises(SchemaError, match="column 's': expected parts without masked entries, found 1 masked"):
        to_array(csr([0, 2], np.array([0, 1]), masked, (1, 3)), name="s")


def test_a_sparse_array_of_one_dimension_is_one_row():
    array = scipy.sparse.coo_array(np.array([0, 2.0, 0], np.float32))
    assert to_batch({"id": [1], "s": array}).num_rows == 1


@pytest.mark.parametrize(
    ("cell", "expected", "found"),
    [
        ({"indices": np.array([2**64 - 1], np.uint64), "values": [1.0]}, "indices below 4294967295", str(2**64 - 1)),
        (csr([0, 1], np.array([2**63], np.uint64), np.ones(1), (1, 2**64)), "indices below 4294967295", str(2**63)),
        ({"indices": [1, 2], "values": np.ma.array([1.0, 2.0], mask=[0, 1])}, "numbers as values", "a masked one"),
        ({"indices": np.ma.array([1, 2], mask=[0, 1]), "values": [1.0, 2.0]}, "integer indices", "a masked one"),
        ({3: 1.0, 5: 1e-60}, "values that float32 tells from 0", "1e-60"),
        (csr([0, 1], np.array([3]), np.ones(1, np.float32), (1, 3)), "indices below 3, the matrix's width", "3"),
    ],
)
def test_sparse_cells_that_would_change_are_refused_by_row(cell, expected, found):
    with pytest.raises(CellError) as caught:
        to_array([{1: 0.5}, None, cell], SPARSE)
    assert (caught.value.row, caught.value.expected, caught.value.found) == (2, expected, found)


# float64


@pytest.mark.parametrize("dtype", ["<f8", ">f8"])
def test_float64_rows_are_no_more_rounded_than_a_float64_matrix(dtype):
    field = FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)
    assert to_array([np.array([0.1, 2], dtype)], field).type == pa.list_(pa.float64())
    assert to_array([[0.1, 2.0], np.array([1, 2], np.float32)], field).type == pa.list_(pa.float32(), 2)
    assert to_array([[np.float64(0.1), 2.0]], field).type == pa.list_(pa.float32(), 2)


@pytest.mark.parametrize(("dtype", "value"), [(np.float64, pa.float64()), (np.float32, pa.float32())])
def test_float64_matrices_in_a_list_stay_float64(dtype, value):
    matrix = scipy.sparse.csr_matrix(np.array([[0, 0.5]], dtype))
    assert to_array([matrix], SPARSE).type.value_type.field(1).type == value
