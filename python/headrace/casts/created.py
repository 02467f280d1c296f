"""What a column becomes in a new collection as far as its type alone says, and what to do where that says nothing."""

from __future__ import annotations

import shlex

import pyarrow as pa

from headrace.casts.jsontext import has_json_form
from headrace.casts.layouts import is_list, is_text
from headrace.casts.plain import plain_type
from headrace.casts.texts import is_uuid
from headrace.casts.vectors import is_fixed_integers
from headrace.schema import MAX_VARCHAR_BYTES, DataType

__all__ = ["advice", "element_type", "is_document", "scalar_type", "text_length"]

_SCALARS: dict[pa.DataType, DataType] = {
    pa.bool_(): DataType.BOOL,
    pa.int8(): DataType.INT8,
    pa.int16(): DataType.INT16,
    pa.int32(): DataType.INT32,
    pa.int64(): DataType.INT64,
    pa.uint8(): DataType.INT16,
    pa.uint16(): DataType.INT32,
    pa.uint32(): DataType.INT64,
    # Values that fit no int64 are refused, row by row.
    pa.uint64(): DataType.INT64,
    pa.float16(): DataType.FLOAT,
    pa.float32(): DataType.FLOAT,
    pa.float64(): DataType.DOUBLE,
}
_UUID_TEXT = 36
#: A decimal of 256 bits has 76 digits, a sign, a point, and perhaps an exponent.
_MOST_DIGITS = 96


def scalar_type(kind: pa.DataType) -> DataType | None:
    """The type of the field for booleans and numbers; None for other columns."""
    return _SCALARS.get(kind)


def text_length(kind: pa.DataType) -> int:
    """Bytes of the longest text that a value of this type has."""
    if is_text(kind):
        return MAX_VARCHAR_BYTES
    return _UUID_TEXT if is_uuid(kind) else _MOST_DIGITS


def element_type(kind: pa.DataType) -> DataType | None:
    """The element type of an ARRAY for this list, or None where it is no list of plain values."""
    if not is_list(kind):
        return None
    value = plain_type(kind.value_type)
    if pa.types.is_fixed_size_list(kind) and value in (pa.int8(), pa.uint8()):
        # Quantised or packed vectors: an array of numbers would be a surprise.
        return None
    return DataType.VARCHAR if is_text(value) else scalar_type(value)


def is_document(kind: pa.DataType) -> bool:
    """Whether the values are JSON: nested ones, and lists whose elements nothing is known of."""
    if is_list(kind) and not pa.types.is_nested(kind.value_type):
        # Whatever a later row has in such a list, JSON can say it; other lists of plain values have no rule.
        return bool(pa.types.is_null(kind.value_type))
    nested = pa.types.is_struct(kind) or pa.types.is_map(kind) or is_list(kind)
    return bool(nested and has_json_form(kind))


def advice(name: str, kind: pa.DataType) -> str:
    """What to do with a column without a rule, in options that can be copied."""
    column = shlex.quote(name)
    drop = f"leave it out with --drop {column}"
    if pa.types.is_null(kind):
        return f"{drop}, or give it a type with --cast {shlex.quote(f'{name}:varchar')}: its first rows have no values"
    if pa.types.is_duration(kind):
        return f"take it for a number with --cast {shlex.quote(f'{name}:int64')}, or {drop}"
    if is_fixed_integers(kind) and pa.types.is_int8(kind.value_type):
        cast = f"--cast {shlex.quote(f'{name}:float')}"
        vector = f"name it with --vector {column} if it holds int8 vectors"
        return f"{vector}, make float vectors of them with {cast}, or {drop}"
    if is_fixed_integers(kind):
        return (
            f"name it with --vector {column} if each number is an element of a vector (of floats, then), "
            "or say with --schema what it holds: a BINARY_VECTOR of packed bits, or an ARRAY"
        )
    if kind == pa.binary(16):
        return f"take its bytes for UUIDs with --cast {shlex.quote(f'{name}:uuid')}, or {drop}"
    return f"cast it with --cast, {drop}, or create the collection first"
