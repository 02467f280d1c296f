"""Cell-by-cell comparison of sent and read-back rows, layout by layout."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.compare import Difference, SparseRows, differences, shorten
from headrace.schema import DataType, FieldSchema
from tests.arrow_versions import arrow_array

KEY = FieldSchema("id", DataType.INT64, is_primary=True)
PAIRS = pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))
LISTS = pa.struct([("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float32()))])
LARGE_LISTS = pa.struct([("indices", pa.large_list(pa.int64())), ("values", pa.large_list(pa.float32()))])
MAP = pa.map_(pa.int32(), pa.float32())
SPARSE = FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR)


def batch(name: str, values: list[object] | pa.Array, kind: pa.DataType | None = None) -> pa.RecordBatch:
    column = values if isinstance(values, pa.Array) else pa.array(values, kind)
    return pa.RecordBatch.from_arrays([column], names=[name])


def compare(sent: pa.RecordBatch, stored: pa.RecordBatch, field: FieldSchema) -> list[Difference]:
    return differences(sent, stored, [field])


def rows_that_differ(sent: pa.RecordBatch, stored: pa.RecordBatch, field: FieldSchema) -> list[int]:
    return [d.row for d in compare(sent, stored, field)]


@pytest.mark.parametrize(
    ("dtype", "kind", "values", "row", "other"),
    [
        (DataType.BOOL, pa.bool_(), [True, False, None], 1, True),
        (DataType.INT8, pa.int8(), [-128, 127, None], 0, -127),
        (DataType.INT16, pa.int16(), [-32768, 32767, None], 1, 0),
        (DataType.INT32, pa.int32(), [-(2**31), 2**31 - 1, None], 1, 5),
        (DataType.INT64, pa.int64(), [-(2**63), 2**63 - 1, None], 0, -(2**63) + 1),
        (DataType.FLOAT, pa.float32(), [0.5, -0.0, None], 1, 0.0),
        (DataType.DOUBLE, pa.float64(), [0.1, -0.0, None], 0, 0.1 + 1e-17 + 1.4e-17),
    ],
)
def test_finds_the_one_scalar_that_differs(
    dtype: DataType, kind: pa.DataType, values: list[object], row: int, other: object
) -> None:
    field = FieldSchema("f", dtype, nullable=True)
    sent = batch("f", values, kind)
    changed = [other if i == row else v for i, v in enumerate(values)]
    assert compare(sent, batch("f", list(values), kind), field) == []
    assert rows_that_differ(sent, batch("f", changed, kind), field) == [row]


def test_two_null_lists_are_a_null_sparse_vector() -> None:
    both = {"indices": None, "values": None}
    sent = batch("s", [both, {"indices": None, "values": []}, None, both, {"indices": [], "values": []}], LISTS)
    stored = batch("s", [None, None, None, [], []], PAIRS)
    assert compare(sent, stored, SPARSE) == [Difference(3, "s", "null", "[]")]
    assert compare(stored, sent, SPARSE) == [Difference(3, "s", "[]", "null")]


def test_null_against_a_value_differs_in_both_directions() -> None:
    field = FieldSchema("f", DataType.INT64, nullable=True)
    sent, stored = batch("f", [None, 0], pa.int64()), batch("f", [0, None], pa.int64())
    assert compare(sent, stored, field) == [Difference(0, "f", "null", "0"), Difference(1, "f", "0", "null")]


def test_a_null_that_was_sent_is_the_default_that_the_server_stored() -> None:
    field = FieldSchema("f", DataType.INT64, nullable=True, default_value=7)
    assert compare(batch("f", [None, 1], pa.int64()), batch("f", [7, 1], pa.int64()), field) == []


def test_slices_are_compared_by_their_own_rows() -> None:
    field = FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)
    whole = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(8, dtype=np.float32)), 2)
    sent = batch("v", whole.slice(2, 2))
    stored = batch("v", pa.FixedSizeListArray.from_arrays(pa.array(np.arange(4, 8, dtype=np.float32)), 2))
    assert compare(sent, stored, field) == []
    assert rows_that_differ(sent, batch("v", whole.slice(1, 2)), field) == [0, 1]


def test_a_vector_that_differs_in_one_bit_is_shown_by_that_element() -> None:
    field = FieldSchema("v", DataType.FLOAT_VECTOR, dim=3)
    near = struct.unpack("<f", struct.pack("<I", struct.unpack("<I", struct.pack("<f", 0.5))[0] + 1))[0]
    sent = batch("v", [[1.0, 2.0, 3.0], [0.0, 0.5, 1.0]], pa.list_(pa.float32(), 3))
    stored = batch("v", [[1.0, 2.0, 3.0], [0.0, near, 1.0]], pa.list_(pa.float32(), 3))
    assert compare(sent, stored, field) == [
        Difference(1, "v", "element 1 of 3 is 0.5 (0x3f000000)", "element 1 of 3 is 0.50000006 (0x3f000001)")
    ]


def test_vectors_of_another_dim_all_differ() -> None:
    field = FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)
    sent = batch("v", [[1.0, 2.0]], pa.list_(pa.float32(), 2))
    stored = batch("v", [[1.0, 2.0, 3.0]], pa.list_(pa.float32(), 3))
    assert compare(sent, stored, field) == [
        Difference(0, "v", "element 2 of 2 is nothing", "element 2 of 3 is 3.0 (0x40400000)")
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("field", [FieldSchema("t", DataType.VARCHAR, max_length=99), FieldSchema("t", DataType.TEXT)])
def test_texts_compare_whatever_their_offset_width(kind: pa.DataType, field: FieldSchema) -> None:
    stored = batch("t", ['a"\\', "", "é"], pa.string())
    assert compare(batch("t", ['a"\\', "", "é"], kind), stored, field) == []
    assert compare(batch("t", ['a"\\', "", "e"], kind), stored, field) == [Difference(2, "t", "'e'", "'é'")]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_json_compares_by_value(kind: pa.DataType) -> None:
    field = FieldSchema("j", DataType.JSON, nullable=True)
    sent = [b'{"a":1,"b":[1.50,null]}', b"true", b'"x"', None]
    documents = batch("j", pa.array(sent, pa.binary()).cast(kind))
    stored = batch("j", ['{"b": [1.5, null], "a": 1}', "1", '"x"', None], pa.string())
    assert rows_that_differ(documents, stored, field) == [1]


def test_a_document_that_comes_back_broken_differs() -> None:
    field = FieldSchema("j", DataType.JSON)
    assert rows_that_differ(batch("j", ["{}"]), batch("j", ["{"]), field) == [0]


def test_geometries_compare_by_value():
    field = FieldSchema("g", DataType.GEOMETRY, nullable=True)
    sent = batch("g", ["POINT(1 2)", "POINT (1 2)", None, "point (1.50 2)"])
    stored = batch("g", ["POINT (1 2)", "POINT (1 3)", None, "POINT (1.5 2)"])
    assert compare(sent, stored, field) == [Difference(1, "g", "'POINT (1 2)'", "'POINT (1 3)'")]


def test_times_compare_as_instants():
    field = FieldSchema("t", DataType.TIMESTAMPTZ, nullable=True)
    texts = ["2025-05-01T23:59:59+08:00", "2025-05-01T15:59:59Z", None, "2025-05-01 15:59:59", "no time"]
    stored = ["2025-05-01T15:59:59Z", "2025-05-01T15:59:58Z", None, "2025-05-01T15:59:59Z", "no time at all"]
    assert rows_that_differ(batch("t", texts), batch("t", stored), field) == [1, 4]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
def test_arrow_timestamps_compare_with_the_text_that_comes_back(unit: str, zone: str | None) -> None:
    field = FieldSchema("t", DataType.TIMESTAMPTZ, nullable=True)
    sent = batch("t", pa.array([1_746_143_999, None, -1], pa.timestamp("s")).cast(pa.timestamp(unit)))
    if zone is not None:
        sent = batch("t", sent.column(0).cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit, zone)))
    stored = batch("t", ["2025-05-02T07:59:59+08:00", None, "1969-12-31T23:59:58Z"])
    assert rows_that_differ(sent, stored, field) == [2]


def test_times_without_offset_are_in_the_collections_zone():
    field = FieldSchema("t", DataType.TIMESTAMPTZ)
    stored = batch("t", ["2025-05-01T16:00:00Z"])
    for sent in (batch("t", ["2025-05-02T00:00:00"]), batch("t", pa.array([1_746_144_000], pa.timestamp("s")))):
        assert differences(sent, stored, [field], timezone="Asia/Shanghai") == []
        assert len(differences(sent, stored, [field])) == 1
        assert len(differences(sent, stored, [field], timezone="no such zone")) == 1


def test_a_null_time_is_the_default_that_the_server_stored():
    field = FieldSchema("t", DataType.TIMESTAMPTZ, default_value="2025-05-01T00:00:00Z")
    stored = batch("t", ["2025-05-01T00:00:00Z"])
    for kind in (pa.string(), pa.timestamp("us", "UTC"), pa.timestamp("ns")):
        assert compare(batch("t", [None], kind), stored, field) == []


@pytest.mark.parametrize(
    ("dtype", "kind", "one", "other", "texts"),
    [
        (
            DataType.FLOAT16_VECTOR,
            pa.list_(pa.float16(), 2),
            [0.0, 1.5],
            [-0.0, 1.5],
            ("0.0 (0x0000)", "-0.0 (0x8000)"),
        ),
        (DataType.BFLOAT16_VECTOR, pa.binary(4), b"\x80?\0\0", b"\x81?\0\0", ("1.0 (0x3f80)", "1.0078125 (0x3f81)")),
        (DataType.INT8_VECTOR, pa.list_(pa.int8(), 2), [-128, 0], [127, 0], ("-128", "127")),
    ],
)
def test_vectors_of_every_type_compare_bit_for_bit(
    dtype: DataType, kind: pa.DataType, one: object, other: object, texts: tuple[str, str]
) -> None:
    field = FieldSchema("v", dtype, dim=2, nullable=True)
    sent = batch("v", arrow_array([other, one, None, one], kind).slice(1))
    stored = batch("v", arrow_array([one, None, other], kind))
    assert compare(sent, stored, field) == [Difference(2, "v", *(f"element 0 of 2 is {text}" for text in texts))]


def test_binary_vectors_compare_by_the_byte():
    field = FieldSchema("v", DataType.BINARY_VECTOR, dim=16)
    sent, stored = batch("v", [b"ab", b"cd"], pa.binary(2)), batch("v", [b"ab", b"c\x65"], pa.binary(2))
    assert compare(sent, stored, field) == [Difference(1, "v", "element 1 of 2 is 100", "element 1 of 2 is 101")]


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.large_list(pa.int64())])
def test_arrays_differ_by_length_and_by_element(kind: pa.DataType) -> None:
    field = FieldSchema("a", DataType.ARRAY, element_type=DataType.INT64, max_capacity=9, nullable=True)
    sent = batch("a", [[9], [1, 2], [], [3], None, [4, 5]], kind).slice(1)
    stored = batch("a", [[1, 2], [], [3, 3], None, [4, 6]], pa.list_(pa.int64()))
    assert compare(sent, stored, field) == [
        Difference(2, "a", "[3]", "[3, 3]"),
        Difference(4, "a", "[4, 5]", "[4, 6]"),
    ]


def test_fixed_size_lists_are_arrays_too() -> None:
    field = FieldSchema("a", DataType.ARRAY, element_type=DataType.VARCHAR, max_length=9, max_capacity=9)
    sent = batch("a", [["z", "z"], ["a", "b"], ["c", "d"]], pa.list_(pa.large_string(), 2)).slice(1)
    stored = batch("a", [["a", "b"], ["c", "e"]], pa.list_(pa.string()))
    assert rows_that_differ(sent, stored, field) == [1]


def sparse(rows: list[dict[int, float]], kind: pa.DataType) -> pa.Array:
    if kind == MAP:
        return pa.array([list(r.items()) for r in rows], kind)
    if pa.types.is_struct(kind):
        return pa.array([{"indices": list(r), "values": list(r.values())} for r in rows], kind)
    return pa.array([[{"index": i, "value": v} for i, v in r.items()] for r in rows], kind)


@pytest.mark.parametrize("kind", [PAIRS, LISTS, LARGE_LISTS, MAP], ids=["pairs", "lists", "large lists", "map"])
def test_sparse_layouts_compare_with_the_stored_one(kind: pa.DataType) -> None:
    rows = [{1: 1.0}, {7: 0.25, 1: 0.5}, {}, {3: 1.0}]
    stored = sparse([{1: 0.5, 7: 0.25}, {}, {3: 1.0}], PAIRS)
    sent = batch("s", sparse(rows, kind)).slice(1)
    assert compare(sent, batch("s", stored), SPARSE) == []
    changed = batch("s", sparse([{1: 0.5, 7: 0.25}, {2: 1.0}, {4: 1.0}], PAIRS))
    assert compare(sent, changed, SPARSE) == [
        Difference(1, "s", "entry 0 of 0 is nothing", "entry 0 of 1 is 2: 1.0 (0x3f800000)"),
        Difference(2, "s", "entry 0 of 1 is 3: 1.0 (0x3f800000)", "entry 0 of 1 is 4: 1.0 (0x3f800000)"),
    ]


def test_explicit_zeros_of_sparse_rows_make_no_difference() -> None:
    sent = batch("s", sparse([{1: 0.0, 2: 0.5, 9: 0.0}, {4: 0.0}, {5: 1.0}, {6: 0.0, 7: 1.0}], PAIRS))
    stored = batch("s", sparse([{2: 0.5}, {}, {5: 1.0}, {6: 1.0, 7: 1.0}], PAIRS))
    assert rows_that_differ(sent, stored, SPARSE) == [3]


@pytest.mark.parametrize("kind", [PAIRS, LISTS, MAP], ids=["pairs", "lists", "map"])
def test_sparse_rows_of_null_cells_are_empty(kind: pa.DataType) -> None:
    column = pa.concat_arrays([sparse([{1: 0.5}], kind), pa.nulls(1, kind), sparse([{2: 1.5}], kind)])
    rows = SparseRows.of(column)
    assert rows.lengths.tolist() == [1, 0, 1]
    assert rows.indices.tolist() == [1, 2]
    indices, values = rows.row(2)
    assert (indices.tolist(), values.tolist()) == ([2], [1.5])


def test_a_column_that_did_not_come_back_differs_in_every_row() -> None:
    sent = batch("id", [1, 2], pa.int64())
    assert compare(sent, batch("other", [1, 2]), KEY) == [
        Difference(0, "id", "1", "no such column"),
        Difference(1, "id", "2", "no such column"),
    ]


def test_fields_that_were_not_sent_are_not_compared() -> None:
    assert compare(batch("id", [1]), batch("id", [1]), FieldSchema("other", DataType.INT64)) == []


def test_no_rows_have_no_differences() -> None:
    fields = [KEY, SPARSE, FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]
    columns = [pa.array([], pa.int64()), pa.array([], PAIRS), pa.array([], pa.list_(pa.float32(), 2))]
    empty = pa.RecordBatch.from_arrays(columns, names=["id", "s", "v"])
    assert differences(empty, empty, fields) == []


def test_long_values_are_cut_in_the_middle() -> None:
    assert shorten("a" * 200, 20) == "aaaaaaa ... aaaaaaa"
    assert shorten("short") == "short"


@given(st.lists(st.dictionaries(st.integers(0, 2**32 - 2), st.floats(0, 2.0**100, width=32), max_size=6), max_size=8))
def test_sparse_rows_sort_to_what_a_dictionary_sorts_to(rows: list[dict[int, float]]) -> None:
    read = SparseRows.of(sparse(rows, PAIRS))
    for number, row in enumerate(rows):
        indices, values = read.row(number)
        assert list(zip(indices.tolist(), values.tolist(), strict=True)) == sorted(row.items())
