from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace._proto import milvus_pb2, schema_pb2
from headrace.casts import canonical_type
from headrace.decoding import data_type_of, decode_ids, decode_request, split_columns
from headrace.errors import TransportError
from headrace.ndarrays import vector_bytes
from headrace.rows import rows_of
from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.arrow_versions import arrow_array
from tests.fake.encoding import encode_batch, encode_column, encode_insert

SPARSE = pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))


def decode_fields(messages, num_rows=None):
    """The columns of an answer."""
    raw = milvus_pb2.QueryResults(collection_name="docs", fields_data=messages).SerializeToString()
    rest, columns = split_columns(milvus_pb2.QueryResults, raw, [2], method="Query")
    assert rest == milvus_pb2.QueryResults(collection_name="docs")
    return columns.batch(num_rows)


def field_data(text):
    return schema_pb2.FieldData.FromString(bytes.fromhex(text.replace(" ", "")))


@pytest.mark.parametrize(
    ("text", "dtype", "arrow", "values"),
    [
        ("0805 12026964 1a0f 1a0d 0a0b 01 ffffffffffffffffff01", DataType.INT64, pa.int64(), [1, -1]),
        ("0802 120169 1a0f 120d 0a0b ffffffffffffffffff01 05", DataType.INT8, pa.int8(), [-1, 5]),
        ("0801 120166 1a06 0a04 0a02 0100", DataType.BOOL, pa.bool_(), [True, False]),
        (
            "0865 120176 2216 0802 1212 0a10 0000803f 00000040 00004040 00008040",
            DataType.FLOAT_VECTOR,
            pa.list_(pa.float32(), 2),
            [[1, 2], [3, 4]],
        ),
        (
            "0868 12027370 221a 0808 3216 0a10 01000000 0000003f 07000000 0000803e 0a00 1008",
            DataType.SPARSE_FLOAT_VECTOR,
            None,
            [[{"index": 1, "value": 0.5}, {"index": 7, "value": 0.25}], []],
        ),
        ("0815 120174 1a05 3203 0a0161 3a02 0100", DataType.VARCHAR, pa.utf8(), ["a", None]),
        ("0815 120174 1a02 3200 3a02 0000", DataType.VARCHAR, pa.utf8(), [None, None]),
        ("0819 120174 1a05 3203 0a0161 3a02 0100", DataType.TEXT, pa.utf8(), ["a", None]),
        (
            "0817 1205246d657461 1a0f 4a0d 0a027b7d 0a077b226b223a317d 3001",
            DataType.JSON,
            pa.utf8(),
            ["{}", '{"k":1}'],
        ),
        (
            "0816 120161 1a10 420e 0a06 1a04 0a020102 0a02 1a00 1005",
            DataType.ARRAY,
            pa.list_(pa.int64()),
            [[1, 2], []],
        ),
        ("0864 120162 2208 0810 1a04 01020304", DataType.BINARY_VECTOR, pa.binary(2), [b"\x01\x02", b"\x03\x04"]),
    ],
)
def test_golden_bytes_become_their_values(text, dtype, arrow, values):
    """Bytes: made with the official protobuf runtime and milvus-proto (master, August 2026)."""
    batch = decode_fields([field_data(text)], 2)
    assert batch.column(0).to_pylist() == values
    assert data_type_of(batch.schema.field(0)) is dtype
    if arrow is not None:
        assert batch.schema.field(0).type.equals(arrow)


def test_type_is_taken_from_the_slot_where_the_server_sends_none():
    message = schema_pb2.FieldData(field_name="n")
    message.scalars.long_data.data.extend([1, 2])
    assert data_type_of(decode_fields([message], 2).schema.field(0)) is DataType.INT64


@pytest.mark.parametrize("padded", [True, False])
def test_nulls_are_found_in_compact_and_in_padded_values(padded):
    column = pa.array([None, "b", None, "d", None])
    message = encode_column("t", DataType.VARCHAR, column, padded=padded)
    assert len(message.scalars.string_data.data) == (5 if padded else 2)
    assert decode_fields([message], 5).column(0).equals(column)


def test_null_vectors_are_compact():
    column = pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2))
    message = encode_column("v", DataType.FLOAT_VECTOR, column, dim=2, padded=True)
    assert decode_fields([message], 3).column(0).to_pylist() == column.to_pylist()


def test_inner_validity_wins_over_the_legacy_one():
    message = encode_column("n", DataType.INT32, pa.array([1, 2]))
    message.valid_data.extend([True, True])
    message.scalars.valid_data.extend([True, False])
    assert decode_fields([message], 2).column(0).to_pylist() == [1, None]


def test_json_that_is_not_utf8_stays_binary():
    message = schema_pb2.FieldData(field_name="j", type=DataType.JSON)
    message.scalars.json_data.data.extend([b"{}", b"\xff"])
    assert decode_fields([message], 2).column(0).to_pylist() == [b"{}", b"\xff"]


def test_float_vectors_are_bit_identical_and_their_buffer_is_aligned():
    values = np.frombuffer(np.random.default_rng(3).bytes(4 * 96), dtype="<u4").view("<f4").reshape(12, 8)
    values = np.where(np.isnan(values), np.float32(1), values)
    message = schema_pb2.FieldData(field_name="v", type=DataType.FLOAT_VECTOR)
    message.vectors.dim = 8
    message.vectors.float_vector.data.extend(values.ravel().tolist())
    column = decode_fields([message], 12).column(0)
    assert column.flatten().to_numpy().tobytes() == values.tobytes()
    assert column.flatten().buffers()[1].address % 4 == 0


@pytest.mark.parametrize(
    ("dtype", "arrow", "dim"),
    [
        (DataType.FLOAT16_VECTOR, pa.list_(pa.float16(), 4), 4),
        (DataType.BFLOAT16_VECTOR, pa.binary(8), 4),
        (DataType.BINARY_VECTOR, pa.binary(2), 16),
        (DataType.INT8_VECTOR, pa.list_(pa.int8(), 4), 4),
    ],
)
def test_other_vectors_keep_their_bytes(dtype, arrow, dim):
    width = {4: 8, 16: 2}[dim] if pa.types.is_fixed_size_binary(arrow) else 4 * arrow.value_type.bit_width // 8
    content = np.random.default_rng(1).bytes(3 * width)
    if pa.types.is_fixed_size_binary(arrow):
        column = pa.array([content[row * width : (row + 1) * width] for row in range(3)], arrow)
    else:
        items = pa.Array.from_buffers(arrow.value_type, 3 * arrow.list_size, [None, pa.py_buffer(content)])
        column = pa.FixedSizeListArray.from_arrays(items, arrow.list_size)
    found = decode_fields([encode_column("v", dtype, column, dim=dim)], 3).column(0)
    assert found.type.equals(arrow)
    assert vector_bytes(found).tobytes() == content


@pytest.mark.parametrize("dtype", [DataType.FLOAT16_VECTOR, DataType.BFLOAT16_VECTOR, DataType.INT8_VECTOR])
def test_nullable_vectors_are_compact_in_every_type(dtype):
    field = FieldSchema("v", dtype, dim=2, nullable=True)
    kind = canonical_type(field)
    column = arrow_array([None, b"abcd", None] if pa.types.is_fixed_size_binary(kind) else [None, [1, 2], None], kind)
    found = decode_fields([encode_column("v", dtype, column, dim=2, padded=True)], 3).column(0)
    assert found.equals(column)
    nothing = pa.nulls(2, kind)
    assert decode_fields([encode_column("v", dtype, nothing, dim=2)], 2).column(0).equals(nothing)


def test_geometries_and_times_are_text():
    wkt = encode_column("g", DataType.GEOMETRY, pa.array(["POINT (1 2)", None]), padded=True)
    times = encode_column("t", DataType.TIMESTAMPTZ, pa.array(["2025-05-01T23:59:59Z", None]), padded=True)
    batch = decode_fields([wkt, times], 2)
    assert batch.to_pydict() == {"g": ["POINT (1 2)", None], "t": ["2025-05-01T23:59:59Z", None]}
    assert [data_type_of(field) for field in batch.schema] == [DataType.GEOMETRY, DataType.TIMESTAMPTZ]


def test_instants_become_the_text_that_servers_send():
    message = schema_pb2.FieldData(field_name="t", type=DataType.TIMESTAMPTZ)
    message.scalars.timestamptz_data.data.extend([0, -1, 1_746_143_999_500_000])
    assert decode_fields([message], 3).column(0).to_pylist() == [
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "2025-05-01T23:59:59.500000Z",
    ]
    message.scalars.timestamptz_data.data[0] = 2**62
    with pytest.raises(TransportError, match="a time outside the years 1 to 9999"):
        decode_fields([message], 3)


def test_rows_of_vectors_are_what_a_search_takes():
    columns = [
        encode_column("h", DataType.FLOAT16_VECTOR, arrow_array([[1.5, -2.0], None], pa.list_(pa.float16(), 2)), dim=2),
        encode_column("b", DataType.BFLOAT16_VECTOR, pa.array([b"abcd", None], pa.binary(4)), dim=2),
        encode_column("x", DataType.BINARY_VECTOR, pa.array([b"\x81", None], pa.binary(1)), dim=8),
        encode_column("i", DataType.INT8_VECTOR, pa.array([[-128, 127], None], pa.list_(pa.int8(), 2)), dim=2),
    ]
    first, second = rows_of(decode_fields(columns, 2))
    assert (first["h"], first["b"], first["x"]) == (np.array([1.5, -2], "<f2").tobytes(), b"abcd", b"\x81")
    assert first["i"] == b"\x80\x7f"
    assert second == {"h": None, "b": None, "x": None, "i": None}


def _broken(change):
    message = schema_pb2.FieldData(field_name="x", type=DataType.FLOAT_VECTOR)
    message.vectors.dim = 2
    message.vectors.float_vector.data.extend([1, 2, 3, 4])
    change(message)
    return message


def _narrow(message):
    message.type = DataType.INT8
    message.scalars.int_data.data.extend([1, 300])


def _ragged_sparse(message):
    message.vectors.sparse_float_vector.contents.extend([b"12345678", b"123"])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda message: message.ClearField("vectors"), "expected a column of a known type, found none (type 101)"),
        (lambda message: setattr(message.vectors, "dim", 3), "expected vectors of dim 3, found 4 elements"),
        (lambda message: setattr(message.vectors, "dim", 0), "expected vectors of dim 0, found 4 elements"),
        (lambda message: setattr(message.vectors, "dim", 4), "expected 2 rows, found 1 values"),
        (lambda message: message.valid_data.append(True), "expected valid_data of 2 rows, found 1"),
        (
            lambda message: (
                message.vectors.float_vector.data.extend([5, 6]) or message.valid_data.extend([True, False])
            ),
            "expected 1 or 2 values, found 3",
        ),
        (_narrow, "expected values of type INT8, found Integer value 300 not in range: -128 to 127"),
        (_ragged_sparse, "expected sparse rows of 8 bytes a pair, found 3 bytes"),
    ],
)
def test_column_that_contradicts_itself_is_refused(change, text):
    with pytest.raises(TransportError) as raised:
        decode_fields([_broken(change)], 2)
    assert str(raised.value) == f"field 'x' of the message: {text}; report it with the server's version"


def test_request_gives_back_its_batch():
    schema = CollectionSchema(
        [
            FieldSchema("id", DataType.VARCHAR, is_primary=True, max_length=10),
            FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
            FieldSchema("sp", DataType.SPARSE_FLOAT_VECTOR),
            FieldSchema("n", DataType.INT16, nullable=True),
            FieldSchema("f", DataType.FLOAT),
            FieldSchema("d", DataType.DOUBLE),
            FieldSchema("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=3, max_length=4),
        ],
        enable_dynamic_field=True,
    )
    batch = pa.record_batch(
        {
            "id": pa.array(["a", "b"]),
            "v": pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2)),
            "sp": pa.array([[{"index": 3, "value": 0.5}], []], SPARSE),
            "n": pa.array([None, -7], pa.int16()),
            "f": pa.array([0.1, -0.0], pa.float32()),
            "d": pa.array([0.1, 1e300]),
            "tags": pa.array([["x", "é"], []]),
            "$meta": pa.array(["{}", '{"k": 1}']),
        }
    )
    found = decode_request(encode_insert(batch, schema, "docs", schema_timestamp=5))
    assert found.to_pylist() == batch.to_pylist()
    for name in ("id", "v", "n", "f", "d", "tags", "$meta"):
        assert found.schema.field(name).type.equals(batch.schema.field(name).type), name


def test_upsert_request_is_read_alike():
    column = encode_column("n", DataType.INT64, pa.array([4]))
    raw = milvus_pb2.UpsertRequest(fields_data=[column], num_rows=1, partial_update=True).SerializeToString()
    assert decode_request(raw).to_pylist() == [{"n": 4}]


def test_junk_is_no_request():
    with pytest.raises(TransportError, match="expected columns of data, found bytes that are none"):
        decode_request(b"\xff\xff\xff")


def test_no_columns_make_an_empty_batch():
    batch = decode_fields([])
    assert (batch.num_rows, batch.num_columns) == (0, 0)


def test_ids_of_both_kinds():
    assert decode_ids(schema_pb2.IDs(int_id=schema_pb2.LongArray(data=[3]))) == [3]
    assert decode_ids(schema_pb2.IDs(str_id=schema_pb2.StringArray(data=["k"]))) == ["k"]


def test_rows_for_people_parse_json_and_spread_the_dynamic_field():
    schema = CollectionSchema(
        [
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("j", DataType.JSON, nullable=True),
            FieldSchema("sp", DataType.SPARSE_FLOAT_VECTOR),
        ],
        enable_dynamic_field=True,
    )
    batch = pa.record_batch(
        {
            "id": pa.array([1, 2]),
            "j": pa.array(['{"a": [1]}', None]),
            "sp": pa.array([[{"index": 3, "value": 0.5}], []], SPARSE),
            "$meta": pa.array(['{"colour": "red"}', "not json"]),
        }
    )
    rows = rows_of(decode_fields(encode_batch(batch, schema), 2))
    assert rows == [
        {"id": 1, "j": {"a": [1]}, "sp": {3: 0.5}, "colour": "red"},
        {"id": 2, "j": None, "sp": {}, "$meta": "not json"},
    ]


SCALARS = {
    DataType.BOOL: (pa.bool_(), st.booleans()),
    DataType.INT8: (pa.int8(), st.integers(-128, 127)),
    DataType.INT16: (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    DataType.INT32: (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    DataType.INT64: (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    DataType.FLOAT: (pa.float32(), st.floats(width=32, allow_nan=False)),
    DataType.DOUBLE: (pa.float64(), st.floats(allow_nan=False)),
    DataType.VARCHAR: (pa.utf8(), st.text()),
    DataType.TEXT: (pa.utf8(), st.text()),
    DataType.JSON: (pa.utf8(), st.text()),
}


@given(st.data(), st.sampled_from(sorted(SCALARS)), st.booleans())
def test_any_column_of_scalars_comes_back_as_it_was(data, dtype, padded):
    arrow, values = SCALARS[dtype]
    column = pa.array(data.draw(st.lists(st.none() | values, max_size=30)), arrow)
    message = encode_column("x", dtype, column, padded=padded)
    parsed = schema_pb2.FieldData.FromString(message.SerializeToString())
    assert decode_fields([parsed], len(column)).column(0).equals(column)
