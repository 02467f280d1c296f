"""Milvus columns to Arrow: what a query answers, and what a packed request holds.

Floats and vectors never become Python objects one by one: the submessage is serialised again and its packed payload
viewed by numpy, because protobuf's Python containers have no buffer to borrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf.message import Message

from headrace._proto import milvus_pb2, schema_pb2
from headrace.arrow_types import SCALARS, row_bytes
from headrace.errors import TransportError, explain
from headrace.protocol import parse
from headrace.schema import ELEMENT_TYPES, DataType
from headrace.texts import text_of_micros

__all__ = ["TYPE_KEY", "data_type_of", "decode_fields", "decode_ids", "decode_request"]

#: Key of the Arrow field metadata that holds the name of the column's :class:`DataType`.
TYPE_KEY = b"milvus.data_type"

_SPARSE_PAIR = np.dtype([("index", "<u4"), ("value", "<f4")])
_SPARSE_TYPE = pa.list_(pa.struct([pa.field("index", pa.uint32(), False), pa.field("value", pa.float32(), False)]))

#: Arrow type of a scalar, by its Milvus type. JSON, text and what comes as text are made apart.
_ARROW_TYPES = {dtype: SCALARS[dtype] for dtype in ELEMENT_TYPES}
#: What a slot holds where the server leaves ``FieldData.type`` empty.
_SLOT_TYPES = {
    "bool_data": DataType.BOOL,
    "int_data": DataType.INT32,
    "long_data": DataType.INT64,
    "float_data": DataType.FLOAT,
    "double_data": DataType.DOUBLE,
    "string_data": DataType.VARCHAR,
    "json_data": DataType.JSON,
    "array_data": DataType.ARRAY,
    "geometry_wkt_data": DataType.GEOMETRY,
    "timestamptz_data": DataType.TIMESTAMPTZ,
    "float_vector": DataType.FLOAT_VECTOR,
    "binary_vector": DataType.BINARY_VECTOR,
    "float16_vector": DataType.FLOAT16_VECTOR,
    "bfloat16_vector": DataType.BFLOAT16_VECTOR,
    "sparse_float_vector": DataType.SPARSE_FLOAT_VECTOR,
    "int8_vector": DataType.INT8_VECTOR,
}


def decode_fields(fields_data: Iterable[schema_pb2.FieldData], num_rows: int | None = None) -> pa.RecordBatch:
    """Columns of an answer or a request as one RecordBatch, in the order given.

    Layouts: scalars as themselves, JSON as utf8 (binary where a server sends other bytes), arrays as lists, geometries
    as WKT and times as ISO 8601 text, float vectors as FixedSizeList<float32>[dim], float16 as
    FixedSizeList<halffloat>[dim], int8 as FixedSizeList<int8>[dim], bfloat16 and binary vectors as FixedSizeBinary of
    their bytes, sparse vectors as List<Struct<index: uint32, value: float32>>. Each Arrow field carries the Milvus
    type's name in its metadata (:data:`TYPE_KEY`). Values are copied out of the messages.

    Args:
        fields_data: The columns.
        num_rows: How many rows they must have; None for as many as the longest has.

    :raises TransportError: if a column's length or layout contradicts itself.
    """
    messages = list(fields_data)
    decoded = [_decode(message) for message in messages]
    validities = [_validity(message) for message in messages]
    if num_rows is None:
        lengths = (len(validity) or len(values) for (_, values), validity in zip(decoded, validities, strict=True))
        num_rows = max(lengths, default=0)
    columns, fields = [], []
    for message, (dtype, values), validity in zip(messages, decoded, validities, strict=True):
        column = _with_nulls(values, validity, num_rows, message.field_name)
        if len(column) != num_rows:
            raise _malformed(message.field_name, f"{num_rows} rows", f"{len(column)} values")
        metadata: dict[bytes | str, bytes | str] = {TYPE_KEY: dtype.name.encode()}
        columns.append(column)
        fields.append(pa.field(message.field_name, column.type, bool(validity), metadata))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def decode_request(raw: bytes) -> pa.RecordBatch:
    """The conformed batch inside a packed InsertRequest or UpsertRequest (their fields 1 to 8 are the same).

    :raises TransportError: if the bytes are no such request.
    """
    request = parse(milvus_pb2.InsertRequest, raw, method="Insert")
    return decode_fields(request.fields_data, request.num_rows)


def decode_ids(ids: schema_pb2.IDs) -> list[int] | list[str]:
    """Keys as a list, in the server's order."""
    return list(ids.str_id.data) if ids.WhichOneof("id_field") == "str_id" else list(ids.int_id.data)


def data_type_of(field: pa.Field) -> DataType:
    """The Milvus type of a column made by :func:`decode_fields`; UNKNOWN where it says none."""
    name = (field.metadata or {}).get(TYPE_KEY, b"UNKNOWN").decode()
    return DataType[name] if name in DataType.__members__ else DataType.UNKNOWN


def _malformed(name: str, expected: str, found: str) -> TransportError:
    return TransportError(
        explain(f"field {name!r} of the message", expected, found, "report it with the server's version")
    )


def _validity(message: schema_pb2.FieldData) -> Sequence[bool]:
    # Servers newer than 3.0 put it inside and call the outer one legacy: the inner one wins where it is set.
    branch = message.WhichOneof("field")
    inner: Sequence[bool] = getattr(message, branch).valid_data if branch else ()
    return inner or message.valid_data


def _with_nulls(values: pa.Array, validity: Sequence[bool], num_rows: int, name: str) -> pa.Array:
    """Put nulls in. Requests hold only the valid values, answers are padded to all rows: the length tells."""
    if not validity:
        return values
    valid = np.fromiter(validity, dtype=bool, count=len(validity))
    if len(valid) != num_rows:
        raise _malformed(name, f"valid_data of {num_rows} rows", f"{len(valid)}")
    if valid.all():
        return values
    if len(values) == num_rows:
        positions = np.arange(num_rows, dtype=np.int64)
    elif len(values) == int(valid.sum()):
        positions = np.maximum(np.cumsum(valid) - 1, 0)
    else:
        raise _malformed(name, f"{int(valid.sum())} or {num_rows} values", f"{len(values)}")
    return values.take(pa.array(positions, mask=~valid))


def _decode(message: schema_pb2.FieldData) -> tuple[DataType, pa.Array]:
    branch = message.WhichOneof("field")
    if branch is None:
        raise _malformed(message.field_name, "a column of data", "none")
    body = getattr(message, branch)
    slot = body.WhichOneof("data")
    if slot not in _SLOT_TYPES:
        raise _malformed(message.field_name, "a column of a known type", f"type {message.type} in slot {slot}")
    slot_type = _SLOT_TYPES[slot]
    dtype = slot_type
    if message.type in list(DataType) and message.type:
        dtype = DataType(message.type)
    if branch == "vectors":
        return slot_type, _decode_vector(message.field_name, slot, body)
    try:
        return dtype, _decode_scalar(slot, body, _ARROW_TYPES.get(dtype))
    except pa.ArrowInvalid as error:
        raise _malformed(message.field_name, f"values of type {dtype.name}", str(error)) from error


def _packed(message: Message, dtype: str) -> np.ndarray[Any, Any]:
    """A view of field 1, a packed fixed-width repeated field, of a message that is serialised for it."""
    raw = message.SerializeToString()
    if not raw:
        return np.empty(0, dtype=dtype)
    length = shift = 0
    position = 1
    while True:
        byte = raw[position]
        position += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    values = np.frombuffer(raw, dtype=dtype, count=length // np.dtype(dtype).itemsize, offset=position)
    # The payload starts behind its tag and length; Arrow's consumers may insist on aligned buffers.
    return values if values.flags.aligned else values.copy()


def _decode_scalar(slot: str, body: schema_pb2.ScalarField, arrow: pa.DataType | None) -> pa.Array:
    """Values of one scalar slot; integers are narrowed to ``arrow`` where the Milvus type is narrower."""
    if slot == "array_data":
        return _decode_array(body.array_data)
    items = getattr(body, slot)
    if slot == "float_data":
        return pa.array(_packed(items, "<f4"))
    if slot == "double_data":
        return pa.array(_packed(items, "<f8"))
    if slot in _INTEGERS:
        values = pa.array(np.fromiter(items.data, dtype=_INTEGERS[slot], count=len(items.data)))
        return values.cast(arrow) if arrow is not None and pa.types.is_integer(arrow) else values
    if slot == "json_data":
        return _decode_json(items.data)
    if slot == "timestamptz_data":
        return _decode_instants(items.data)
    return pa.array(list(items.data), pa.utf8())


_INTEGERS: dict[str, type[Any]] = {
    "bool_data": np.bool_,
    "int_data": np.int32,
    "long_data": np.int64,
}


def _decode_instants(micros: Iterable[int]) -> pa.Array:
    """Microseconds since 1970 as the text that servers send instead."""
    try:
        return pa.array([text_of_micros(value) for value in micros], pa.utf8())
    except OverflowError as error:
        raise pa.ArrowInvalid("a time outside the years 1 to 9999") from error


def _decode_json(documents: Iterable[bytes]) -> pa.Array:
    binary = pa.array(list(documents), pa.binary())
    try:
        return binary.cast(pa.utf8())
    except pa.ArrowInvalid:
        return binary


def _decode_array(body: schema_pb2.ArrayArray) -> pa.Array:
    element = DataType(body.element_type) if body.element_type in _ARROW_TYPES else DataType.NONE
    slots = {row.WhichOneof("data") for row in body.data} - {None}
    if element is DataType.NONE and len(slots) == 1:
        element = _SLOT_TYPES.get(slots.pop(), DataType.NONE)
    arrow = _ARROW_TYPES.get(element, pa.null())
    rows = [getattr(row, row.WhichOneof("data")).data if row.WhichOneof("data") else () for row in body.data]
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    flat: list[Any] = [value for row in rows for value in row]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat, arrow))


def _decode_vector(name: str, slot: str, body: schema_pb2.VectorField) -> pa.Array:
    if slot == "sparse_float_vector":
        return _decode_sparse(name, body.sparse_float_vector.contents)
    if slot in _OF_BYTES:
        return _decode_bytes(name, getattr(body, slot), body.dim, _OF_BYTES[slot](body.dim))
    content = getattr(body, slot)
    values = _packed(content, "<f4") if slot == "float_vector" else np.frombuffer(content, _OF_NUMBERS[slot])
    if body.dim < 1 or len(values) % body.dim:
        raise _malformed(name, f"vectors of dim {body.dim}", f"{len(values)} elements")
    return pa.FixedSizeListArray.from_arrays(pa.array(values), body.dim)


def _decode_bytes(name: str, content: bytes, dim: int, width: int) -> pa.Array:
    if width < 1 or len(content) % width:
        raise _malformed(name, f"vectors of dim {dim}", f"{len(content)} bytes")
    return pa.Array.from_buffers(pa.binary(width), len(content) // width, [None, pa.py_buffer(content)])


#: Dense slots whose elements Arrow has, and how many bytes a vector of a dim has in the others.
_OF_NUMBERS = {"float16_vector": "<f2", "int8_vector": "i1"}
_OF_BYTES: dict[str, Callable[[int], int]] = {
    "bfloat16_vector": lambda dim: row_bytes(DataType.BFLOAT16_VECTOR, dim),
    "binary_vector": lambda dim: row_bytes(DataType.BINARY_VECTOR, dim),
}


def _decode_sparse(name: str, contents: Sequence[bytes]) -> pa.Array:
    lengths = np.fromiter(map(len, contents), dtype=np.int64, count=len(contents))
    broken = lengths[lengths % _SPARSE_PAIR.itemsize != 0]
    if len(broken):
        raise _malformed(name, "sparse rows of 8 bytes a pair", f"{broken[0]} bytes")
    offsets = np.zeros(len(contents) + 1, dtype=np.int32)
    np.cumsum(lengths // _SPARSE_PAIR.itemsize, out=offsets[1:])
    pairs = np.frombuffer(b"".join(contents), dtype=_SPARSE_PAIR)
    struct = pa.StructArray.from_arrays(
        [pa.array(np.ascontiguousarray(pairs["index"])), pa.array(np.ascontiguousarray(pairs["value"]))],
        fields=list(_SPARSE_TYPE.value_type),
    )
    return pa.ListArray.from_arrays(pa.array(offsets), struct)
