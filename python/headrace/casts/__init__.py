"""Safe casts from an Arrow column to the canonical layout of one Milvus field, refusals row by row.

A cast never changes a value silently: what does not fit is a :class:`Refusal` of that row, what loses precision
(float64 to FLOAT) says so in its note. The canonical layouts:

.. code-block:: text

    BOOL, INT8 .. INT64, FLOAT, DOUBLE   bool, int8 .. int64, float32, float64
    VARCHAR, TEXT, GEOMETRY              utf8 or large_utf8
    TIMESTAMPTZ                          utf8, large_utf8 or timestamp
    JSON                                 utf8, large_utf8, binary or large_binary
    ARRAY                                a list of those
    FLOAT_VECTOR                         fixed_size_list<float32>[dim]
    FLOAT16_VECTOR                       fixed_size_list<float16>[dim]
    INT8_VECTOR                          fixed_size_list<int8>[dim]
    BFLOAT16_VECTOR                      fixed_size_binary[2 * dim]
    BINARY_VECTOR                        fixed_size_binary[dim / 8]
    SPARSE_FLOAT_VECTOR                  as in headrace.casts.sparse

Wrapped columns (dictionary, run-end, views, extension types such as ``arrow.fixed_shape_tensor``) become plain first.
"""

from __future__ import annotations

import pyarrow as pa

from headrace.casts.base import Cast, Refusal, canonical_type, element_of, misfit, type_text
from headrace.casts.dense import dense_cast
from headrace.casts.layouts import is_list, is_text, packs_as_is
from headrace.casts.lists import array_cast
from headrace.casts.plain import is_permuted, listed, plain, plain_type
from headrace.casts.scalars import scalar_cast
from headrace.casts.sparse import sparse_cast
from headrace.casts.texts import is_uuid, text_cast
from headrace.casts.written import written_cast
from headrace.schema import DataType, FieldSchema

__all__ = [
    "Cast",
    "Refusal",
    "canonical_type",
    "find_cast",
    "listed",
    "packs_as_is",
    "plain",
    "plain_type",
    "type_text",
]


def find_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    """The safe cast of a column of ``source`` to ``field``.

    Raises:
        SchemaError: If there is none, or this version cannot write the field.
    """
    kind = plain_type(source)
    if is_uuid(source) and field.dtype is DataType.VARCHAR:
        return text_cast(source)
    if kind == source:
        return _plain_cast(source, field)
    inner = _plain_cast(kind, field)
    run = inner.run

    def unwrapped(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        values = plain(array)
        return (values, []) if run is None else run(values)

    return Cast(unwrapped, inner.note, inner.lossless)


def _plain_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    target = canonical_type(field)
    if is_permuted(source):
        remedy = "lay the tensors out in order first (numpy.ascontiguousarray of to_numpy_ndarray)"
        raise misfit(field, "tensors in row-major order", source, remedy)
    if pa.types.is_null(source):
        return Cast(lambda array: (pa.nulls(len(array), target), []))
    if field.dtype is DataType.ARRAY:
        return _array(source, field)
    if field.dtype is DataType.FLOAT_VECTOR and is_text(source):
        return written_cast(field)
    if field.dtype.is_dense_vector:
        return dense_cast(source, field)
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return sparse_cast(source, field)
    return scalar_cast(source, field)


def _array(source: pa.DataType, field: FieldSchema) -> Cast:
    if not is_list(source):
        raise misfit(field, f"a list column for {type_text(field)}", source, "choose another column or cast it")
    return array_cast(field, find_cast(source.value_type, element_of(field)))
