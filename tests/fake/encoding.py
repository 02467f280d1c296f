"""Arrow columns to FieldData, slowly and plainly: the fake's answers, and the tests' requests."""

from __future__ import annotations

import struct

import pyarrow as pa

from headrace._proto import milvus_pb2, schema_pb2
from headrace.schema import DataType

_SLOTS = {
    DataType.BOOL: "bool_data",
    DataType.INT8: "int_data",
    DataType.INT16: "int_data",
    DataType.INT32: "int_data",
    DataType.INT64: "long_data",
    DataType.FLOAT: "float_data",
    DataType.DOUBLE: "double_data",
    DataType.VARCHAR: "string_data",
    DataType.GEOMETRY: "geometry_wkt_data",
    DataType.TEXT: "string_data",
    DataType.TIMESTAMPTZ: "string_data",
    DataType.JSON: "json_data",
}
_RAW_VECTORS = {
    DataType.BINARY_VECTOR: "binary_vector",
    DataType.FLOAT16_VECTOR: "float16_vector",
    DataType.BFLOAT16_VECTOR: "bfloat16_vector",
    DataType.INT8_VECTOR: "int8_vector",
}


def encode_column(name, dtype, column, *, dim=0, element_type=0, is_dynamic=False, padded=False, nullable=False):
    """One FieldData. Nulls are compact as in a request, or padded as in an answer."""
    message = schema_pb2.FieldData(type=dtype, field_name=name, is_dynamic=is_dynamic)
    values = column.to_pylist()
    if column.null_count or nullable:
        message.valid_data.extend(value is not None for value in values)
        if padded and not dtype.is_vector:
            values = [_zero(dtype) if value is None else value for value in values]
        else:
            values = [value for value in values if value is not None]
    if dtype.is_vector:
        _fill_vector(message.vectors, dtype, values, dim)
    else:
        _fill_scalar(message.scalars, dtype, values, element_type)
    return message


def encode_batch(batch, schema, *, padded=False):
    """The FieldData of a batch's columns, by the types of a CollectionSchema."""
    columns = []
    for name in batch.schema.names:
        field = next((item for item in (*schema.fields, *schema.sent_fields) if item.name == name), None)
        if field is None:
            raise KeyError(name)
        columns.append(
            encode_column(
                name,
                field.dtype,
                batch.column(name),
                dim=field.dim or 0,
                element_type=field.element_type or 0,
                is_dynamic=field.is_dynamic,
                padded=padded,
                nullable=field.nullable,
            )
        )
    return columns


def encode_insert(batch, schema, collection_name, **fields):
    """A whole InsertRequest as bytes, without the packer under test."""
    return milvus_pb2.InsertRequest(
        collection_name=collection_name, fields_data=encode_batch(batch, schema), num_rows=batch.num_rows, **fields
    ).SerializeToString()


def _zero(dtype):
    if dtype is DataType.ARRAY:
        return []
    return {"string_data": "", "geometry_wkt_data": "", "json_data": "", "bool_data": False}.get(_SLOTS[dtype], 0)


def _fill_scalar(body, dtype, values, element_type):
    if dtype is DataType.ARRAY:
        body.array_data.element_type = element_type
        for row in values:
            _fill_scalar(body.array_data.data.add(), DataType(element_type), row, 0)
        return
    slot = getattr(body, _SLOTS[dtype])
    slot.SetInParent()
    if dtype is DataType.JSON:
        values = [value.encode() if isinstance(value, str) else value for value in values]
    slot.data.extend(values)


def _fill_vector(body, dtype, values, dim):
    if dtype is DataType.SPARSE_FLOAT_VECTOR:
        body.sparse_float_vector.SetInParent()
        for row in values:
            pairs = sorted((item["index"], item["value"]) for item in row)
            body.sparse_float_vector.contents.append(b"".join(struct.pack("<If", *pair) for pair in pairs))
            body.sparse_float_vector.dim = max([body.sparse_float_vector.dim, *(index + 1 for index, _ in pairs)])
        return
    body.dim = dim
    if dtype is DataType.FLOAT_VECTOR:
        body.float_vector.data.extend(value for row in values for value in row)
        return
    kind = {DataType.FLOAT16_VECTOR: pa.float16(), DataType.INT8_VECTOR: pa.int8()}.get(dtype, pa.uint8())
    flat = pa.array([value for row in values for value in row], kind)
    setattr(body, _RAW_VECTORS[dtype], flat.to_numpy(zero_copy_only=False).tobytes())
