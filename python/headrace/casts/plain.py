"""Columns without their wrapping: dictionary, run-end encoded, extension types and views as the values they stand for.

The core reads these itself (:mod:`headrace.casts.layouts`). A load takes rows out of its batches, which Arrow cannot
do with every wrapping, so there they come off first: one copy of the values, none for extension types.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts.base import null_mask
from headrace.ndarrays import list_column

__all__ = ["is_bool8", "is_list_view", "is_permuted", "listed", "plain", "plain_type"]


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of :func:`plain`'s result; itself where there is nothing to take off, or nothing may be."""
    if is_bool8(kind):
        return pa.bool_()
    if is_permuted(kind):
        return kind
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_utf8()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    return pa.large_list(plain_type(kind.value_type)) if is_list_view(kind) else kind


def plain(array: pa.Array) -> pa.Array:
    """The same rows as values of :func:`plain_type`."""
    kind = array.type
    if is_bool8(kind):
        return pc.not_equal(array.storage, 0)
    if is_permuted(kind):
        return array
    if isinstance(kind, pa.BaseExtensionType):
        return plain(array.storage)
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary).take(array.indices)
    if pa.types.is_run_end_encoded(kind):
        return plain(array.values).take(pa.array(_runs(array)))
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return _from_view(array, plain_type(kind))
    return _from_list_view(array) if is_list_view(kind) else array


def is_bool8(kind: pa.DataType) -> bool:
    """Whether it is Arrow's canonical extension of bools in bytes."""
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.bool8"


def is_permuted(kind: pa.DataType) -> bool:
    """Whether it holds tensors whose elements lie in another order than the tensor's own: storage alone is not them."""
    if not isinstance(kind, pa.BaseExtensionType) or kind.extension_name != "arrow.fixed_shape_tensor":
        return False
    order = kind.permutation
    return order is not None and list(order) != sorted(order)


def is_list_view(kind: pa.DataType) -> bool:
    """Whether it is a list whose rows lie anywhere in their values."""
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _runs(array: pa.Array) -> np.ndarray:
    """The position in ``array.values`` of each row. Run ends count from the start of the unsliced array."""
    ends = array.run_ends.to_numpy().astype(np.int64)
    rows = np.arange(array.offset, array.offset + len(array), dtype=np.int64)
    return np.searchsorted(ends, rows, side="right")


def _from_view(array: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return pc.cast(array, target)
    except pa.ArrowNotImplementedError:
        # pyarrow 16 and 17 know views, but no cast from them.
        return pa.array(array.to_pylist(), target)


def _from_list_view(array: pa.Array) -> pa.Array:
    # Not by pc.cast: that of pyarrow 26 leaves the offsets one short.
    sizes = array.sizes.to_numpy().astype(np.int64)
    starts = array.offsets.to_numpy().astype(np.int64)
    nulls = null_mask(array)
    if nulls is not None:
        sizes = np.where(nulls, 0, sizes)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    # Arrow takes nothing out of runs or views of text.
    values = plain(array.values)
    if np.array_equal(starts[1:], (starts + sizes)[:-1]):
        values = values.slice(int(starts[0]) if len(starts) else 0, int(offsets[-1]))
    else:
        positions = np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])
        values = values.take(pa.array(positions))
    return list_column(sizes, values, nulls)


def listed(column: pa.FixedSizeListArray) -> pa.Array:
    """The same rows as lists, of which a null has no items: pyarrow 21 and older write no other nulls to Parquet."""
    nulls = null_mask(column)
    size = column.type.list_size
    lengths = np.full(len(column), size, np.int64) if nulls is None else np.where(nulls, 0, size)
    return list_column(lengths, column.flatten(), nulls, small=True)
