"""Which Arrow columns the core packs as they are: the table of :mod:`headrace.packing`, as a question."""

from __future__ import annotations

import pyarrow as pa

from headrace.arrow_types import row_bytes
from headrace.casts.base import canonical_type, element_of
from headrace.casts.plain import is_bool8, is_list_view, is_permuted
from headrace.schema import DataType, FieldSchema

__all__ = ["INDEX_TYPES", "is_bytes", "is_list", "is_text", "packs_as_is"]

#: Arrow types of the indices of sparse vectors.
INDEX_TYPES = frozenset({pa.int32(), pa.uint32(), pa.int64(), pa.uint64()})
#: What the items of a list may be that is a dense vector.
_ITEMS: dict[DataType, frozenset[pa.DataType]] = {
    DataType.FLOAT_VECTOR: frozenset({pa.float32()}),
    DataType.FLOAT16_VECTOR: frozenset({pa.float16()}),
    DataType.BFLOAT16_VECTOR: frozenset({pa.uint16(), pa.binary(2)}),
    DataType.INT8_VECTOR: frozenset({pa.int8()}),
    DataType.BINARY_VECTOR: frozenset({pa.uint8()}),
}


def is_list(kind: pa.DataType) -> bool:
    """Whether the type is a list with offsets or of fixed size (maps and list views are not)."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether the values are UTF-8 text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether the values are bytes, each of its own length."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def packs_as_is(kind: pa.DataType, field: FieldSchema) -> bool:
    """Whether the core packs a column of this type for ``field``, refusing cells rather than the column."""
    if isinstance(kind, pa.BaseExtensionType):
        return not (is_bool8(kind) or is_permuted(kind)) and packs_as_is(kind.storage_type, field)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return packs_as_is(kind.value_type, field)
    dtype = field.dtype
    if dtype in (DataType.VARCHAR, DataType.TEXT, DataType.GEOMETRY):
        return is_text(kind)
    if dtype is DataType.TIMESTAMPTZ:
        return is_text(kind) or bool(pa.types.is_timestamp(kind))
    if dtype is DataType.JSON:
        return is_text(kind) or is_bytes(kind)
    if dtype is DataType.ARRAY:
        return _is_any_list(kind) and packs_as_is(kind.value_type, element_of(field))
    if dtype is DataType.SPARSE_FLOAT_VECTOR:
        return _is_sparse(kind)
    if dtype in _ITEMS:
        return _is_dense(kind, dtype, field.dim or 0)
    return bool(kind == canonical_type(field))


def _is_any_list(kind: pa.DataType) -> bool:
    return is_list(kind) or is_list_view(kind)


def _is_dense(kind: pa.DataType, dtype: DataType, dim: int) -> bool:
    if dtype is not DataType.FLOAT_VECTOR:
        # Rows may also be the bytes that are sent.
        if is_bytes(kind):
            return True
        if pa.types.is_fixed_size_binary(kind):
            return bool(kind.byte_width == row_bytes(dtype, dim))
    if not _is_any_list(kind) or kind.value_type not in _ITEMS[dtype]:
        return False
    items = row_bytes(dtype, dim) if dtype is DataType.BINARY_VECTOR else dim
    return not pa.types.is_fixed_size_list(kind) or bool(kind.list_size == items)


def _is_sparse(kind: pa.DataType) -> bool:
    if pa.types.is_map(kind):
        return kind.key_type in INDEX_TYPES and bool(kind.item_type == pa.float32())
    if pa.types.is_struct(kind) and kind.num_fields == 2:
        halves = [kind.field(i).type for i in range(2)]
        return all(map(_is_lists_of_rows, halves)) and _is_pair([half.value_type for half in halves])
    if _is_lists_of_rows(kind) and pa.types.is_struct(kind.value_type) and kind.value_type.num_fields == 2:
        return _is_pair([kind.value_type.field(i).type for i in range(2)])
    return False


def _is_lists_of_rows(kind: pa.DataType) -> bool:
    return _is_any_list(kind) and not pa.types.is_fixed_size_list(kind)


def _is_pair(kinds: list[pa.DataType]) -> bool:
    return kinds[0] in INDEX_TYPES and bool(kinds[1] == pa.float32())
