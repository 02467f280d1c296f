"""Any column packs to bytes that protobuf parses back to the same values."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import LAYOUTS
from packing_columns import Column, columns

from headrace._proto import milvus_pb2, schema_pb2
from headrace.packing import make_packer, pack_field
from headrace.schema import CollectionSchema, DataType, FieldSchema

TYPES = list(LAYOUTS)
SLOTS = {
    DataType.BOOL: "bool_data",
    DataType.INT8: "int_data",
    DataType.INT16: "int_data",
    DataType.INT32: "int_data",
    DataType.INT64: "long_data",
    DataType.FLOAT: "float_data",
    DataType.DOUBLE: "double_data",
    DataType.VARCHAR: "string_data",
    DataType.JSON: "json_data",
    DataType.GEOMETRY: "geometry_wkt_data",
    DataType.TEXT: "string_data",
    DataType.TIMESTAMPTZ: "string_data",
}
VECTORS = {
    DataType.FLOAT16_VECTOR: "float16_vector",
    DataType.BFLOAT16_VECTOR: "bfloat16_vector",
    DataType.INT8_VECTOR: "int8_vector",
    DataType.BINARY_VECTOR: "binary_vector",
}


def bits(values: list[float], dtype: DataType) -> bytes:
    """Floats as their bits: 0.0 and -0.0 are different values."""
    return struct.pack(f"<{len(values)}{'d' if dtype is DataType.DOUBLE else 'f'}", *values)


def parse(field: FieldSchema, data: schema_pb2.FieldData) -> Any:
    """The values of the rows that are not null, in the form that :func:`expected` gives."""
    if field.dtype.is_dense_vector:
        assert data.vectors.dim == field.dim
    if field.dtype in VECTORS:
        assert data.vectors.WhichOneof("data") == VECTORS[field.dtype]
        return getattr(data.vectors, VECTORS[field.dtype])
    if field.dtype is DataType.FLOAT_VECTOR:
        return bits(data.vectors.float_vector.data, DataType.FLOAT)
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return list(data.vectors.sparse_float_vector.contents)
    if field.dtype is DataType.ARRAY:
        arrays = data.scalars.array_data
        assert arrays.element_type == field.element_type
        slot = SLOTS[field.element_type]
        assert all(row.WhichOneof("data") == slot for row in arrays.data)
        return [_scalars(list(getattr(row, slot).data), field.element_type) for row in arrays.data]
    slot = SLOTS[field.dtype]
    assert data.scalars.WhichOneof("data") == slot
    return _scalars(list(getattr(data.scalars, slot).data), field.dtype)


def expected(column: Column) -> Any:
    values = [value for value in column.values if value is not None]
    dtype = column.field.dtype
    if dtype in VECTORS:
        return b"".join(values)
    if dtype is DataType.FLOAT_VECTOR:
        return bits([x for value in values for x in value], DataType.FLOAT)
    if dtype is DataType.SPARSE_FLOAT_VECTOR:
        return [b"".join(struct.pack("<If", *pair) for pair in sorted(value.items())) for value in values]
    if dtype is DataType.ARRAY:
        return [_scalars(value, column.field.element_type) for value in values]
    if dtype is DataType.JSON:
        return [value.encode() for value in values]
    return _scalars(values, dtype)


def _scalars(values: list[Any], dtype: DataType | None) -> Any:
    return bits(values, dtype) if dtype in (DataType.FLOAT, DataType.DOUBLE) else values


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.name.lower())
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_column_comes_back(dtype, data):
    column = data.draw(columns(dtype))
    packed = pack_field(column.field, column.array)
    message = schema_pb2.FieldData.FromString(packed)
    assert (message.type, message.field_name) == (dtype, column.field.name)
    assert parse(column.field, message) == expected(column)
    mask = [value is not None for value in column.values]
    has_mask = column.field.nullable or column.field.default_value is not None
    assert list(message.valid_data) == (mask if has_mask else [])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rows=st.integers(1, 8), timestamp=st.integers(0, 2**64 - 1))
def test_a_request_holds_each_column_and_is_as_long_as_predicted(data, rows, timestamp):
    types = data.draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=4))
    drawn = [data.draw(columns(dtype, f"f{at}", rows=rows)) for at, dtype in enumerate(types)]
    key = FieldSchema("_key", DataType.INT64, is_primary=True, auto_id=True)
    schema = CollectionSchema([key, *(column.field for column in drawn)])
    packer = make_packer(schema, collection_name="c", db_name=data.draw(st.text(max_size=3)))
    batch = _batch(drawn)
    assert packer.encoded_len(batch) == len(packer.pack_insert(batch))
    assert packer.check(batch) == []
    request = milvus_pb2.InsertRequest.FromString(packer.pack_insert(batch, schema_timestamp=timestamp))
    assert (request.num_rows, request.schema_timestamp) == (rows, timestamp)
    assert [message.SerializeToString() for message in request.fields_data] == [
        schema_pb2.FieldData.FromString(pack_field(column.field, column.array)).SerializeToString() for column in drawn
    ]


def _batch(drawn: list[Column]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([column.array for column in drawn], [column.field.name for column in drawn])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rows=st.integers(2, 8), start=st.integers(0, 8), length=st.integers(0, 8))
def test_a_slice_of_a_batch_packs_as_its_rows(data, rows, start, length):
    drawn = [
        data.draw(columns(dtype, dtype.name, rows=rows)) for dtype in (DataType.ARRAY, DataType.VARCHAR, DataType.BOOL)
    ]
    batch = _batch(drawn).slice(min(start, rows), length)
    for column in drawn:
        values = column.values[min(start, rows) :][:length]
        message = schema_pb2.FieldData.FromString(pack_field(column.field, batch[column.field.name]))
        assert parse(column.field, message) == expected(replace(column, values=values))
