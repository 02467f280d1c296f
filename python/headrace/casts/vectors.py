"""Which lists are dense vectors of a new collection."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from headrace.schema import DataType

__all__ = [
    "is_fixed_integers",
    "is_fixed_vector",
    "is_float_list",
    "is_integer_list",
    "lengths_text",
    "prevailing_length",
    "vector_type",
]

_MOST_SHOWN = 5
#: Elements of lists that are vectors. Whole numbers may be anything: such columns have to be named.
_VECTOR_TYPES = {
    pa.float16(): DataType.FLOAT16_VECTOR,
    pa.float32(): DataType.FLOAT_VECTOR,
    pa.float64(): DataType.FLOAT_VECTOR,
    # What bfloat16 of numpy becomes; Arrow itself has none.
    pa.binary(2): DataType.BFLOAT16_VECTOR,
}


def vector_type(kind: pa.DataType) -> DataType:
    """The type of vector that lists of this type become."""
    # Whole numbers of other types are what JSON and CSV make of 1.0, and what .u8bin and .ibin hold.
    small = DataType.INT8_VECTOR if pa.types.is_int8(kind.value_type) else DataType.FLOAT_VECTOR
    return _VECTOR_TYPES.get(kind.value_type, small)


def is_fixed_vector(kind: pa.DataType) -> bool:
    """Whether rows are vectors without being named: floats, all of one length."""
    return bool(pa.types.is_fixed_size_list(kind)) and kind.value_type in _VECTOR_TYPES


def is_fixed_integers(kind: pa.DataType) -> bool:
    """Whether rows are whole numbers, all of one length: vectors where they are named."""
    return bool(pa.types.is_fixed_size_list(kind) and pa.types.is_integer(kind.value_type))


def is_float_list(kind: pa.DataType) -> bool:
    """Whether rows are floats that may be vectors, of any lengths."""
    is_variable = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_variable) and kind.value_type in _VECTOR_TYPES


def is_integer_list(kind: pa.DataType) -> bool:
    """Whether rows are whole numbers, of any lengths: what JSON makes of vectors like ``[1, 0, 2]``."""
    is_variable = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_variable and pa.types.is_integer(kind.value_type))


def prevailing_length(lengths: Mapping[int, int]) -> int | None:
    """The length of more than half of the rows, given how many have each; None where there is none, or it is 0 or 1."""
    length = max(lengths, key=lengths.__getitem__, default=0)
    return length if length > 1 and lengths[length] * 2 > sum(lengths.values()) else None


def lengths_text(lengths: Mapping[int, int]) -> str:
    """How many rows have which length, in words, the commonest first: ``49 rows of 8, 1 of 4``."""
    common = sorted(lengths.items(), key=lambda item: -item[1])
    (length, rows), *others = common[:_MOST_SHOWN]
    shown = [f"{rows:,} {'row' if rows == 1 else 'rows'} of {length}"]
    shown += [f"{rows:,} of {length}" for length, rows in others]
    return ", ".join(shown) + (", ..." if len(common) > _MOST_SHOWN else "")
