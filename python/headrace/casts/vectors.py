"""Which lists are dense vectors of a new collection."""

from __future__ import annotations

import pyarrow as pa

from headrace.schema import DataType

__all__ = ["is_fixed_vector", "is_float_list", "is_integer_list", "is_quantised", "vector_type"]

#: Elements of lists that are vectors. int8 and uint8 may be anything: such columns have to be named.
_VECTOR_TYPES = {
    pa.float16(): DataType.FLOAT16_VECTOR,
    pa.float32(): DataType.FLOAT_VECTOR,
    pa.float64(): DataType.FLOAT_VECTOR,
    # What bfloat16 of numpy becomes; Arrow itself has none.
    pa.binary(2): DataType.BFLOAT16_VECTOR,
}


def vector_type(kind: pa.DataType) -> DataType:
    """The type of vector that lists of this type become."""
    # Whole numbers of no small type are what JSON and CSV make of 1.0.
    small = DataType.INT8_VECTOR if pa.types.is_int8(kind.value_type) else DataType.FLOAT_VECTOR
    return _VECTOR_TYPES.get(kind.value_type, small)


def is_fixed_vector(kind: pa.DataType) -> bool:
    """Whether rows are vectors without being named: floats, all of one length."""
    return bool(pa.types.is_fixed_size_list(kind)) and kind.value_type in _VECTOR_TYPES


def is_quantised(kind: pa.DataType) -> bool:
    """Whether rows may be vectors of int8, all of one length."""
    return bool(pa.types.is_fixed_size_list(kind) and pa.types.is_int8(kind.value_type))


def is_float_list(kind: pa.DataType) -> bool:
    """Whether rows are floats that may be vectors, of any lengths."""
    is_variable = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_variable) and kind.value_type in _VECTOR_TYPES


def is_integer_list(kind: pa.DataType) -> bool:
    """Whether rows are whole numbers, of any lengths: what JSON makes of vectors like ``[1, 0, 2]``."""
    is_variable = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_variable and pa.types.is_integer(kind.value_type))
