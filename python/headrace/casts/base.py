"""What all casts share: a cast, a refused cell, the canonical layouts, and views of a column's memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.arrow_types import SCALARS, row_bytes
from headrace.errors import SchemaError, explain
from headrace.ndarrays import numpy_dtype
from headrace.schema import DataType, FieldSchema

__all__ = [
    "Cast",
    "Refusal",
    "Run",
    "buffer_values",
    "canonical_type",
    "element_of",
    "misfit",
    "null_mask",
    "type_text",
    "validity",
]

#: Dense vectors, by their dim.
_VECTORS: dict[DataType, Callable[[int], pa.DataType]] = {
    DataType.FLOAT_VECTOR: lambda dim: pa.list_(pa.float32(), dim),
    DataType.FLOAT16_VECTOR: lambda dim: pa.list_(pa.float16(), dim),
    DataType.BFLOAT16_VECTOR: lambda dim: pa.binary(row_bytes(DataType.BFLOAT16_VECTOR, dim)),
    DataType.INT8_VECTOR: lambda dim: pa.list_(pa.int8(), dim),
    DataType.BINARY_VECTOR: lambda dim: pa.binary(row_bytes(DataType.BINARY_VECTOR, dim)),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One cell that cannot be stored: its row in the batch, its field, and why."""

    row: int
    field: str
    expected: str
    found: str
    remedy: str


#: A column in, the same number of rows out, and the refused ones (whose output is arbitrary). Null rows stay null.
Run = Callable[[pa.Array], tuple[pa.Array, list[Refusal]]]


@dataclass(frozen=True, slots=True)
class Cast:
    """How a column of one Arrow type becomes a field.

    Attributes:
        run: The work; None where the column passes as it is, without a copy.
        note: What a person should know about it, or empty.
        lossless: Whether every value of the source type survives unchanged.
    """

    run: Run | None = None
    note: str = ""
    lossless: bool = True


def canonical_type(field: FieldSchema) -> pa.DataType:
    """The Arrow type that a column of ``field`` has where nothing else is given.

    Raises:
        SchemaError: If this version cannot write the field's type.
    """
    if field.dtype in SCALARS:
        return SCALARS[field.dtype]
    if field.dtype is DataType.ARRAY and field.element_type is not None:
        return pa.list_(SCALARS[field.element_type])
    if field.dtype in _VECTORS:
        return _VECTORS[field.dtype](field.dim or 0)
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))
    raise SchemaError(
        explain(
            f"field {field.name!r}",
            "a type that this version of headrace writes",
            field.dtype.name,
            "leave the field out if it is nullable, or load it with pymilvus",
        ),
        field=field.name,
    )


def element_of(field: FieldSchema) -> FieldSchema:
    """What one element of an array is, as a field of the same name."""
    return FieldSchema(field.name, field.element_type or DataType.NONE, max_length=field.max_length)


def type_text(field: FieldSchema) -> str:
    """A field's type for people: ``FLOAT_VECTOR(384)``, ``VARCHAR(65535)``, ``ARRAY<INT64>(4096)``."""
    if field.dtype is DataType.ARRAY and field.element_type is not None:
        return f"ARRAY<{field.element_type.name}>({field.max_capacity})"
    size = field.dim if field.dim is not None else field.max_length
    return field.dtype.name if size is None else f"{field.dtype.name}({size})"


def misfit(field: FieldSchema, expected: str, found: pa.DataType, remedy: str) -> SchemaError:
    """The error for a column whose type no safe cast leads to ``field``."""
    return SchemaError(explain(f"field {field.name!r}", expected, f"a column of {found}", remedy), field=field.name)


def buffer_values(array: pa.Array) -> np.ndarray:
    """The values of a primitive array as a numpy view, without a copy; what lies under nulls is arbitrary."""
    dtype = numpy_dtype(array.type)
    buffer = array.buffers()[1]
    if buffer is None or len(array) == 0:
        return np.zeros(len(array), dtype)
    return np.frombuffer(buffer, dtype, count=len(array), offset=array.offset * dtype.itemsize)


def null_mask(array: pa.Array) -> np.ndarray | None:
    """Which rows are null, as bools; None where none is."""
    if array.null_count == 0:
        return None
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False))


def validity(array: pa.Array) -> pa.Buffer | None:
    """The bitmap of an array's own rows, from bit 0; None where none is null."""
    nulls = null_mask(array)
    return None if nulls is None else pa.array(~nulls).buffers()[1]
