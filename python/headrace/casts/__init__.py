"""Safe casts from an Arrow column to the canonical layout of one Milvus field, refusals row by row.

A cast never changes a value silently: what does not fit is a :class:`Refusal` of that row, what loses precision
(float64 to FLOAT) says so in its note. The canonical layouts: BOOL bool; INT8/16/32/64 integers of that width; FLOAT
float32; DOUBLE float64; VARCHAR utf8 or large_utf8; JSON utf8, large_utf8, binary or large_binary; ARRAY a list of
those; FLOAT_VECTOR ``fixed_size_list<float32>[dim]``; SPARSE_FLOAT_VECTOR as in :mod:`headrace.casts.sparse`.

Wrapped columns (dictionary, run-end, extension types such as ``arrow.fixed_shape_tensor``) are unwrapped first.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts.lists import array_cast, dense_cast, is_list
from headrace.casts.scalars import Cast, Refusal, canonical_type, misfit, scalar_cast, type_text
from headrace.casts.sparse import sparse_cast
from headrace.schema import DataType, FieldSchema

__all__ = ["Cast", "Refusal", "canonical_type", "find_cast", "type_text", "unwrapped"]


def unwrapped(kind: pa.DataType) -> pa.DataType:
    """The type of the values inside dictionary, run-end and extension types."""
    if isinstance(kind, pa.BaseExtensionType):
        return unwrapped(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return unwrapped(kind.value_type)
    return kind


def find_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    """The safe cast of a column of ``source`` to ``field``.

    Raises:
        SchemaError: If there is none, or this version cannot write the field.
    """
    if isinstance(source, pa.BaseExtensionType):
        return _after(lambda array: array.storage, find_cast(source.storage_type, field))
    if pa.types.is_dictionary(source):
        return _after(lambda array: array.dictionary_decode(), find_cast(source.value_type, field))
    if pa.types.is_run_end_encoded(source):
        return _after(pc.run_end_decode, find_cast(source.value_type, field))
    target = canonical_type(field)
    if pa.types.is_null(source):
        return Cast(lambda array: (pa.nulls(len(array), target), []))
    if field.dtype is DataType.ARRAY:
        return _array(source, field)
    if field.dtype is DataType.FLOAT_VECTOR:
        return dense_cast(source, field)
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return sparse_cast(source, field)
    return scalar_cast(source, field)


def _after(unwrap: Callable[[pa.Array], pa.Array], inner: Cast) -> Cast:
    run = inner.run

    def unwrapped_run(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        values = unwrap(array)
        return (values, []) if run is None else run(values)

    return Cast(unwrapped_run, inner.note, inner.lossless)


def _array(source: pa.DataType, field: FieldSchema) -> Cast:
    if not is_list(source):
        raise misfit(field, f"a list column for {type_text(field)}", source, "choose another column or cast it")
    element = FieldSchema(field.name, field.element_type or DataType.NONE, max_length=field.max_length)
    return array_cast(field, find_cast(source.value_type, element))
