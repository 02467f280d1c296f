"""Columns that a server sent, as Arrow columns, and back to the batch that a packed request holds.

The core finds and decodes them; here they get their types. Numbers of fixed width and dense vectors are views of the
message's own bytes where those lie aligned, and one copy of them where not; no value becomes a Python object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
from google.protobuf.message import Message

from headrace import _core
from headrace._proto import milvus_pb2, schema_pb2
from headrace.arrow_types import SCALARS, row_bytes
from headrace.errors import TransportError, explain
from headrace.protocol import parse
from headrace.schema import ELEMENT_TYPES, DataType
from headrace.texts import text_of_micros

if TYPE_CHECKING:
    from headrace._core import _DecodedColumn as DecodedColumn
    from headrace._core import _DecodedValues as DecodedValues

__all__ = ["TYPE_KEY", "Columns", "data_type_of", "decode_ids", "decode_request", "encode_ids", "split_columns"]

M = TypeVar("M", bound=Message)

#: Key of the Arrow field metadata that holds the name of the column's :class:`DataType`.
TYPE_KEY = b"milvus.data_type"

_SPARSE_PAIR = [pa.field("index", pa.uint32(), False), pa.field("value", pa.float32(), False)]

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


@dataclass(frozen=True)
class Columns:
    """The columns of one message.

    Attributes:
        raw: The message's bytes, which columns may be views of.
        found: The columns as the core found them.
    """

    raw: bytes
    found: Sequence[DecodedColumn]

    @property
    def names(self) -> list[str]:
        """Their names, in the order given."""
        return [name for name, *_ in self.found]

    def batch(self, num_rows: int | None = None) -> pa.RecordBatch:
        """The columns as one RecordBatch, in the order given.

        Layouts: scalars as themselves, JSON as utf8 (binary where a server sends other bytes), arrays as lists,
        geometries as WKT and times as ISO 8601 text, float vectors as FixedSizeList<float32>[dim], float16 as
        FixedSizeList<halffloat>[dim], int8 as FixedSizeList<int8>[dim], bfloat16 and binary vectors as FixedSizeBinary
        of their bytes, sparse vectors as List<Struct<index: uint32, value: float32>>. Each Arrow field carries the
        Milvus type's name in its metadata (:data:`TYPE_KEY`).

        Args:
            num_rows: How many rows they must have; None for as many as the longest has.

        Raises:
            TransportError: If a column's length or layout contradicts itself.
        """
        decoded = [self._decode(column) for column in self.found]
        masks = [column[4] for column in self.found]
        if num_rows is None:
            num_rows = max(
                (len(mask) or len(values) for (_, values), mask in zip(decoded, masks, strict=True)), default=0
            )
        columns, fields = [], []
        for name, (dtype, values), mask in zip(self.names, decoded, masks, strict=True):
            column = _with_nulls(values, mask, num_rows, name)
            if len(column) != num_rows:
                raise _malformed(name, f"{num_rows} rows", f"{len(column)} values")
            metadata: dict[bytes | str, bytes | str] = {TYPE_KEY: dtype.name.encode()}
            columns.append(column)
            fields.append(pa.field(name, column.type, bool(mask), metadata))
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))

    def _decode(self, column: DecodedColumn) -> tuple[DataType, pa.Array]:
        name, number, _, dim, _, values = column
        if values is None:
            raise _malformed(name, "a column of a known type", f"none (type {number})")
        slot, buffers, elements = values
        memory = [self._buffer(buffer) for buffer in buffers]
        dtype = _SLOT_TYPES[slot]
        if slot in _VECTORS:
            return dtype, _VECTORS[slot](name, memory, dim)
        if number and number in list(DataType):
            dtype = DataType(number)
        try:
            if elements is not None:
                return dtype, self._arrays(memory[0], *elements)
            return dtype, _scalars(slot, memory, _ARROW_TYPES.get(dtype))
        except pa.ArrowInvalid as error:
            raise _malformed(name, f"values of type {dtype.name}", str(error)) from error

    def _arrays(self, offsets: pa.Buffer, number: int, items: DecodedValues | None) -> pa.Array:
        if items is None:
            flat = pa.array(
                [], _ARROW_TYPES.get(DataType(number), pa.null()) if number in list(DataType) else pa.null()
            )
        else:
            slot, buffers, _ = items
            dtype = DataType(number) if number in list(_ARROW_TYPES) else _SLOT_TYPES[slot]
            flat = _scalars(slot, [self._buffer(buffer) for buffer in buffers], _ARROW_TYPES.get(dtype))
        return pa.ListArray.from_arrays(_numbers(offsets, pa.int32()), flat)

    def _buffer(self, memory: bytes | tuple[int, int]) -> pa.Buffer:
        if isinstance(memory, bytes):
            return pa.py_buffer(memory)
        start, length = memory
        buffer = pa.py_buffer(self.raw).slice(start, length)
        # Arrow's consumers may insist on memory that is aligned for the largest number.
        return buffer if buffer.address % 8 == 0 else pa.py_buffer(self.raw[start : start + length])


def split_columns(message_class: type[M], raw: bytes, path: Sequence[int], *, method: str) -> tuple[M, Columns]:
    """A message without its columns, and the columns.

    Args:
        message_class: The message.
        raw: Its bytes.
        path: The field numbers that lead to its FieldData.
        method: The RPC's name, for errors.

    Raises:
        TransportError: If the bytes are no such message.
    """
    found, rest = _core.decode_columns(raw, list(path))
    return parse(message_class, rest, method=method), Columns(raw, found)


def decode_request(raw: bytes) -> pa.RecordBatch:
    """The conformed batch inside a packed InsertRequest or UpsertRequest (their fields 1 to 8 are the same).

    Raises:
        TransportError: If the bytes are no such request.
    """
    request, columns = split_columns(milvus_pb2.InsertRequest, raw, [5], method="Insert")
    return columns.batch(request.num_rows)


def decode_ids(ids: schema_pb2.IDs) -> list[int] | list[str]:
    """Keys as a list, in the server's order."""
    return list(ids.str_id.data) if ids.WhichOneof("id_field") == "str_id" else list(ids.int_id.data)


def encode_ids(keys: Sequence[int | str]) -> schema_pb2.IDs:
    """Keys as a message; all are of the first one's kind."""
    if keys and isinstance(keys[0], str):
        return schema_pb2.IDs(str_id=schema_pb2.StringArray(data=[str(key) for key in keys]))
    return schema_pb2.IDs(int_id=schema_pb2.LongArray(data=[int(key) for key in keys]))


def data_type_of(field: pa.Field) -> DataType:
    """The Milvus type of a column made by :class:`Columns`; UNKNOWN where it says none."""
    name = (field.metadata or {}).get(TYPE_KEY, b"UNKNOWN").decode()
    return DataType[name] if name in DataType.__members__ else DataType.UNKNOWN


def _malformed(name: str, expected: str, found: str) -> TransportError:
    return TransportError(
        explain(f"field {name!r} of the message", expected, found, "report it with the server's version")
    )


def _with_nulls(values: pa.Array, mask: bytes, num_rows: int, name: str) -> pa.Array:
    """Put nulls in. Requests hold only the valid values, answers are padded to all rows: the length tells."""
    if not mask:
        return values
    valid = np.frombuffer(mask, np.bool_)
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


def _numbers(buffer: pa.Buffer, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(buffer) * 8 // kind.bit_width, [None, buffer])


def _scalars(slot: str, memory: Sequence[pa.Buffer], arrow: pa.DataType | None) -> pa.Array:
    """Values of one scalar slot; integers are narrowed to ``arrow`` where the Milvus type is narrower."""
    if slot == "bool_data":
        return pa.array(np.frombuffer(memory[0], np.bool_))
    if slot == "timestamptz_data":
        return _instants(np.frombuffer(memory[0], np.int64).tolist())
    if slot in _NUMBERS:
        values = _numbers(memory[0], _NUMBERS[slot])
        return values.cast(arrow) if arrow is not None and pa.types.is_integer(arrow) else values
    offsets, content = memory
    kind = pa.binary() if slot == "json_data" else pa.utf8()
    texts = pa.Array.from_buffers(kind, len(offsets) // 4 - 1, [None, offsets, content])
    return _documents(texts) if slot == "json_data" else texts


_NUMBERS = {
    "int_data": pa.int32(),
    "long_data": pa.int64(),
    "float_data": pa.float32(),
    "double_data": pa.float64(),
}


def _instants(micros: Iterable[int]) -> pa.Array:
    """Microseconds since 1970 as the text that servers send instead."""
    try:
        return pa.array([text_of_micros(value) for value in micros], pa.utf8())
    except OverflowError as error:
        raise pa.ArrowInvalid("a time outside the years 1 to 9999") from error


def _documents(binary: pa.Array) -> pa.Array:
    try:
        return binary.cast(pa.utf8())
    except pa.ArrowInvalid:
        return binary


def _vectors_of(kind: pa.DataType) -> Callable[[str, Sequence[pa.Buffer], int], pa.Array]:
    def decode(name: str, memory: Sequence[pa.Buffer], dim: int) -> pa.Array:
        values = _numbers(memory[0], kind)
        if dim < 1 or len(values) % dim:
            raise _malformed(name, f"vectors of dim {dim}", f"{len(values)} elements")
        return pa.FixedSizeListArray.from_arrays(values, dim)

    return decode


def _bytes_of(width_of: Callable[[int], int]) -> Callable[[str, Sequence[pa.Buffer], int], pa.Array]:
    def decode(name: str, memory: Sequence[pa.Buffer], dim: int) -> pa.Array:
        width, size = width_of(dim), len(memory[0])
        if width < 1 or size % width:
            raise _malformed(name, f"vectors of dim {dim}", f"{size} bytes")
        return pa.Array.from_buffers(pa.binary(width), size // width, [None, memory[0]])

    return decode


def _sparse(_name: str, memory: Sequence[pa.Buffer], _dim: int) -> pa.Array:
    offsets, indices, values = memory
    pairs = pa.StructArray.from_arrays(
        [_numbers(indices, pa.uint32()), _numbers(values, pa.float32())], fields=_SPARSE_PAIR
    )
    return pa.ListArray.from_arrays(_numbers(offsets, pa.int32()), pairs)


_VECTORS: dict[str, Callable[[str, Sequence[pa.Buffer], int], pa.Array]] = {
    "float_vector": _vectors_of(pa.float32()),
    "float16_vector": _vectors_of(pa.float16()),
    "int8_vector": _vectors_of(pa.int8()),
    "bfloat16_vector": _bytes_of(lambda dim: row_bytes(DataType.BFLOAT16_VECTOR, dim)),
    "binary_vector": _bytes_of(lambda dim: row_bytes(DataType.BINARY_VECTOR, dim)),
    "sparse_float_vector": _sparse,
}
