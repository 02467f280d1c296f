"""Python values, one a row, become Arrow columns; what fits nothing is refused with its row."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from headrace.columns import to_array, to_batch
from headrace.errors import CellError, SchemaError
from headrace.schema import CollectionSchema, DataType, FieldSchema

SPARSE = FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR)
VECTOR = FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)
JSON = FieldSchema("j", DataType.JSON)


def pairs(column: pa.Array) -> list[dict[int, float] | None]:
    return [None if row is None else {p["index"]: p["value"] for p in row} for row in column.to_pylist()]


def one_row(values: dict[int, float], dim: int = 10) -> scipy.sparse.csr_matrix:
    dense = np.zeros((1, dim), np.float32)
    for index, value in values.items():
        dense[0, index] = value
    return scipy.sparse.csr_matrix(dense)


# Rows


def test_a_key_that_some_rows_lack_is_null():
    rows = [{"id": 1, "a": "x"}, {"id": 2, "b": 1.5}]
    batch = to_batch(rows)
    assert batch.to_pylist() == [{"id": 1, "a": "x", "b": None}, {"id": 2, "a": None, "b": 1.5}]
    assert rows == [{"id": 1, "a": "x"}, {"id": 2, "b": 1.5}]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1}, 5], "row 1: expected a dict of column names and values, found int; give one dict a row"),
        (
            [{1: 1}],
            "row 0: expected a dict of column names and values, found a dict with keys that are no text; "
            "give one dict a row",
        ),
    ],
)
def test_refuses_rows_that_are_no_dicts(rows, message):
    with pytest.raises(SchemaError) as caught:
        to_batch(rows)
    assert str(caught.value) == message


def test_rows_are_guided_by_the_collection():
    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), VECTOR, SPARSE, JSON])
    batch = to_batch([{"id": 1, "v": [1, 2], "s": {3: 0.5}, "j": {"k": [1]}}, {"id": 2, "v": (3, 4)}], schema)
    assert batch.schema.types[:2] == [pa.int64(), pa.list_(pa.float32(), 2)]
    assert pairs(batch.column(2)) == [{3: 0.5}, None]
    assert batch.column(3).to_pylist() == ['{"k":[1]}', None]


# Dense


@pytest.mark.parametrize(
    "cells",
    [[[1, 2], [3, 4]], [(1.0, 2.0), (3.0, 4.0)], [np.array([1, 2], np.float32), np.array([3, 4], np.float32)]],
)
def test_vectors_of_one_length_become_the_field(cells):
    column = to_array(cells, VECTOR)
    assert column.type == pa.list_(pa.float32(), 2)
    assert column.to_pylist() == [[1, 2], [3, 4]]


def test_object_array_of_vectors_is_read_as_rows():
    cells = np.empty(2, object)
    cells[:] = [np.array([1, 2], np.float32), np.array([3, 4], np.float32)]
    assert to_array(cells, VECTOR).to_pylist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("cells", [[[1.0, 2.0], [3.0]], [[1e300, 2.0]]])
def test_vectors_that_do_not_fit_stay_for_conform_to_refuse_by_row(cells):
    assert to_array(cells, VECTOR).type == pa.list_(pa.float64())


def test_numbers_out_of_range_stay_for_conform_to_refuse_by_row():
    assert to_array([1, 300], FieldSchema("i", DataType.INT8)).type == pa.int64()
    assert to_array([1, 100], FieldSchema("i", DataType.INT8)).type == pa.int8()


def test_fractions_are_never_cut_to_integers():
    assert to_array([1.5, 2.0], FieldSchema("i", DataType.INT64)).to_pylist() == [1.5, 2.0]


# Sparse


@pytest.mark.parametrize("field", [SPARSE, None], ids=["guided", "by itself"])
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([{3: 0.5, 1: 2}, {}, None], [{3: 0.5, 1: 2.0}, {}, None]),
        ([{}, {np.int64(7): np.float32(0.25)}], [{}, {7: 0.25}]),
        ([one_row({1: 0.5}), None, one_row({})], [{1: 0.5}, None, {}]),
        ([one_row({1: 0.5}), {2: 0.25}], [{1: 0.5}, {2: 0.25}]),
        ([None, {4294967294: 1.0}], [None, {4294967294: 1.0}]),
    ],
)
def test_sparse_cells(cells, expected, field):
    assert pairs(to_array(cells, field)) == expected


@pytest.mark.parametrize(
    "cell",
    [
        {"indices": [1, 5], "values": [0.5, 0.25]},
        {"values": np.array([0.5, 0.25]), "indices": np.array([1, 5])},
        [(1, 0.5), (5, 0.25)],
        {"1": 0.5, "5": 0.25},
    ],
)
def test_sparse_spellings_that_need_the_field(cell):
    assert pairs(to_array([cell], SPARSE)) == [{1: 0.5, 5: 0.25}]


def test_a_row_cut_from_a_matrix_is_one_cell():
    matrix = scipy.sparse.csr_matrix(np.array([[0, 1, 0], [2, 0, 3]], np.float32))
    assert pairs(to_array([matrix[1], matrix[0]])) == [{0: 2.0, 2: 3.0}, {1: 1.0}]


def test_values_beyond_float32_stay_in_float64():
    assert to_array([{1: 1e300}], SPARSE).type.value_type.field(1).type == pa.float64()
    assert to_array([{1: 0.1}], SPARSE).type.value_type.field(1).type == pa.float32()


@pytest.mark.parametrize(
    ("cell", "expected", "found"),
    [
        ({1.5: 0.5}, "integer indices", "1.5"),
        ({"a": 0.5}, "integer indices", "'a'"),
        ({1: None}, "numbers as values", "None"),
        ({1: "x"}, "numbers as values", "'x'"),
        ({2**70: 1.0}, "indices below 4294967295", str(2**70)),
        ({"indices": [1], "values": [1, 2]}, "as many indices as values", "1 and 2"),
        (scipy.sparse.csr_matrix((2, 5), dtype=np.float32), "a matrix of one row", "shape (2, 5)"),
        (5, "a sparse vector", "int"),
        ([1, 2], "a sparse vector", "list"),
    ],
)
def test_refuses_sparse_cells_with_their_row(cell, expected, found):
    with pytest.raises(CellError) as caught:
        to_array([{1: 0.5}, cell], SPARSE)
    assert (caught.value.row, caught.value.field) == (1, "s")
    assert (caught.value.expected, caught.value.found) == (expected, found)


@given(st.lists(st.dictionaries(st.integers(0, 2**32 - 2), st.floats(width=32, allow_nan=False)), min_size=1))
def test_any_sparse_rows_read_back_equal(cells):
    assert pairs(to_array(cells, SPARSE)) == cells


# JSON


def test_json_cells_are_documents():
    cells = [{"a": 1, "b": None}, [1, 2.5], "already text", 5, True, None, np.float32(0.5), {"v": np.array([1, 2])}]
    texts = to_array(cells, JSON).to_pylist()
    assert texts[2] == "already text"
    assert texts[5] is None
    assert [json.loads(texts[i]) for i in (0, 1, 3, 4, 6, 7)] == [
        {"a": 1, "b": None},
        [1, 2.5],
        5,
        True,
        0.5,
        {"v": [1, 2]},
    ]


def test_json_keeps_keys_that_other_rows_lack_out():
    assert to_array([{"a": 1}, {"b": 2}], JSON).to_pylist() == ['{"a":1}', '{"b":2}']


def test_json_bytes_pass_as_documents():
    assert to_array([b"{}", "[]", {"a": "é"}], JSON).to_pylist() == [b"{}", b"[]", '{"a":"é"}'.encode()]


@pytest.mark.parametrize("cell", [float("nan"), {"a": float("inf")}, {"a": object()}, {"a": {1, 2}}])
def test_refuses_json_cells_without_a_form(cell):
    with pytest.raises(CellError) as caught:
        to_array([{}, cell], JSON)
    assert (caught.value.row, caught.value.expected) == (1, "a value with a JSON form")


# Mixed


@pytest.mark.parametrize(
    ("cells", "row"),
    [
        ([1, 2, "a", 3], 2),
        (["a"] * 100 + [5] + ["a"] * 50, 100),
        ([[1.0], "x"], 1),
        (["a", "\ud800"], 1),
    ],
)
def test_the_first_cell_that_goes_with_no_other_is_named(cells, row):
    with pytest.raises(CellError) as caught:
        to_array(cells, name="c")
    assert caught.value.row == row
    assert caught.value.field == "c"
    assert "expected a value of one type in every row" in str(caught.value)


def test_a_number_that_64_bits_do_not_hold_is_named():
    with pytest.raises(CellError, match="row 1, field 'c': expected a whole number of 64 bits, found 11805916"):
        to_array([1, 2**70], name="c")


# Strict


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ([1, 300], FieldSchema("i", DataType.INT8)),
        ([1, 1.5], FieldSchema("i", DataType.INT64)),
        ([[1.0, 2.0], [1.0]], VECTOR),
        ([None, [1e300, 2.0]], VECTOR),
        ([[1, 2], [1, 300]], FieldSchema("v", DataType.INT8_VECTOR, dim=2)),
        ([[1], [1, 300], [400]], FieldSchema("a", DataType.ARRAY, element_type=DataType.INT8, max_capacity=9)),
    ],
)
def test_strict_names_the_first_row_that_does_not_fit(cells, field):
    with pytest.raises(CellError) as caught:
        to_array(cells, field, strict=True)
    assert (caught.value.row, caught.value.field) == (1, field.name)
    assert all((caught.value.expected, caught.value.found, caught.value.remedy))
    key = FieldSchema("id", DataType.INT64, is_primary=True)
    with pytest.raises(CellError, match="row 1, field"):
        to_batch({field.name: cells}, CollectionSchema([key, field, VECTOR][: 2 + (field.name != "v")]), strict=True)


def test_strict_takes_what_fits():
    assert to_array([1, 100], FieldSchema("i", DataType.INT8), strict=True).type == pa.int8()
    assert to_array(np.array([1, 300]), FieldSchema("i", DataType.INT8), strict=True).type == pa.int64()
