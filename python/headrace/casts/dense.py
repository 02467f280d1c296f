"""Casts of list and bytes columns to dense vector fields.

A row is a list of the vector's elements, or the bytes that are sent:

.. code-block:: text

    FLOAT_VECTOR      numbers (rounded to float32 where they are wider); bfloat16, widened; text: headrace.casts.written
    FLOAT16_VECTOR    float16; 2 * dim bytes
    BFLOAT16_VECTOR   uint16 (bit patterns) or fixed_size_binary[2]; 2 * dim bytes
    INT8_VECTOR       integers, each from -128 to 127; dim bytes
    BINARY_VECTOR     dim bools, the first the highest bit; dim / 8 bytes

Bytes are binary of any kind or a list of uint8 (for BINARY_VECTOR of any integers). Where every row has the vector's
length and no value changes, the result lies on the same buffer without a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.arrow_types import row_bytes
from headrace.casts.base import (
    Cast,
    Refusal,
    buffer_values,
    canonical_type,
    misfit,
    null_mask,
    type_text,
    validity,
)
from headrace.casts.layouts import is_bytes, is_list
from headrace.casts.lists import bad_numbers, locate, open_list
from headrace.casts.numeric import always_fits, convert_numbers, is_number, number_note
from headrace.errors import SchemaError
from headrace.ndarrays import numpy_dtype, widened
from headrace.schema import DataType, FieldSchema

__all__ = ["DenseLayout", "dense_cast", "dense_layout"]

#: Items to items of another type, and the positions of those that do not fit.
_Convert = Callable[[pa.Array], tuple[pa.Array, "np.ndarray | None"]]


@dataclass(frozen=True, slots=True)
class DenseLayout:
    """How a column holds vectors.

    Attributes:
        width: How many items a row has.
        noun: What they are called: numbers, bytes, bools.
        convert: Makes items of the type that the field's bytes are viewed as.
        item: That type.
        note: What a person should know about it, or empty.
        lossless: Whether every value survives unchanged.
    """

    width: int
    noun: str
    convert: _Convert
    item: pa.DataType
    note: str = ""
    lossless: bool = True


def dense_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    """The cast of a column of lists or bytes to a dense vector field.

    Raises:
        SchemaError: If its rows cannot be such vectors, or are of another fixed size.
    """
    layout = dense_layout(source, field)
    if source == canonical_type(field):
        return Cast()
    return Cast(lambda array: _to_dense(array, layout, field), layout.note, layout.lossless)


def dense_layout(source: pa.DataType, field: FieldSchema) -> DenseLayout:
    """How a column of ``source`` is read for a dense vector field.

    Raises:
        SchemaError: If it cannot be, or its rows are of another fixed size.
    """
    width = row_bytes(field.dtype, field.dim or 0)
    if field.dtype is not DataType.FLOAT_VECTOR and (is_bytes(source) or pa.types.is_fixed_size_binary(source)):
        layout: DenseLayout | None = DenseLayout(width, "bytes", _same, pa.uint8())
    elif is_list(source):
        layout = _of_items(source.value_type, field)
    else:
        layout = None
    if layout is None:
        expected, remedy = _WANTED[field.dtype]
        if field.dtype in _HALVES and not (is_list(source) and source.value_type in _EXACT_IN_HALVES):
            remedy += ": it rounds"
        raise misfit(field, f"{expected} for {type_text(field)}", source, remedy)
    size = _fixed_size(source)
    if size is not None and size != layout.width:
        raise _wrong_dim(source, layout, field)
    return layout


_HALVES = frozenset({DataType.FLOAT16_VECTOR, DataType.BFLOAT16_VECTOR})
#: Items whose every value both 16-bit floats have.
_EXACT_IN_HALVES = frozenset({pa.bool_(), pa.int8()})
_WANTED = {
    DataType.FLOAT_VECTOR: ("lists of numbers", "choose another column or cast it"),
    DataType.FLOAT16_VECTOR: (
        "lists of float16, or their bytes,",
        "convert the vectors first, with .astype(numpy.float16)",
    ),
    DataType.BFLOAT16_VECTOR: (
        "lists of bfloat16, or their bytes,",
        "convert the vectors first, with .astype(ml_dtypes.bfloat16)",
    ),
    DataType.INT8_VECTOR: ("lists of integers, or their bytes,", "quantise the vectors to int8 first"),
    DataType.BINARY_VECTOR: ("lists of bools, or packed bytes,", "pack the bits first, with numpy.packbits"),
}


def _of_items(item: pa.DataType, field: FieldSchema) -> DenseLayout | None:
    """How lists of ``item`` are read; None where they cannot be."""
    dim, dtype = field.dim or 0, field.dtype
    width = row_bytes(dtype, dim)
    if dtype is DataType.BINARY_VECTOR:
        if pa.types.is_boolean(item):
            return DenseLayout(dim, "bools", _bits, pa.bool_())
        return _of_numbers(width, "bytes", item, pa.uint8()) if _is_integer(item) else None
    if dtype is DataType.FLOAT_VECTOR:
        if item == pa.binary(2):
            return DenseLayout(dim, "numbers", _widened, pa.float32(), "bfloat16 is widened to float")
        return _of_numbers(dim, "numbers", item, pa.float32()) if is_number(item) or _is_null(item) else None
    if dtype is DataType.INT8_VECTOR:
        return _of_numbers(dim, "numbers", item, pa.int8()) if _is_integer(item) else None
    if item == pa.uint8():
        return DenseLayout(width, "bytes", _same, pa.uint8(), "taken as the bytes of the vectors")
    if dtype is DataType.FLOAT16_VECTOR:
        return _of_numbers(dim, "numbers", item, pa.float16()) if item == pa.float16() or _is_null(item) else None
    if item == pa.binary(2):
        return DenseLayout(dim, "numbers", _as_uint16, pa.uint16())
    if item == pa.uint16() or _is_null(item):
        note = "taken as the bit patterns of bfloat16"
        return DenseLayout(dim, "numbers", _to(pa.uint16()), pa.uint16(), note)
    return None


def _of_numbers(width: int, noun: str, item: pa.DataType, target: pa.DataType) -> DenseLayout:
    if _is_null(item):
        return DenseLayout(width, noun, _to(target), target)
    note = number_note(item, target)
    if not note and pa.types.is_floating(target) and pa.types.is_integer(item):
        note = f"{item} is widened to {target}"
    return DenseLayout(width, noun, _to(target), target, note, always_fits(item, target))


def _is_null(kind: pa.DataType) -> bool:
    return bool(pa.types.is_null(kind))


def _is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind)) or _is_null(kind)


def _fixed_size(source: pa.DataType) -> int | None:
    if pa.types.is_fixed_size_binary(source):
        return int(source.byte_width)
    return int(source.list_size) if pa.types.is_fixed_size_list(source) else None


# Items


def _same(items: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    return items, None


def _to(target: pa.DataType) -> _Convert:
    def convert(items: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
        return (pa.nulls(len(items), target), None) if _is_null(items.type) else convert_numbers(items, target)

    return convert


def _bits(items: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """Bools as bytes of 0 and 1."""
    values = items.fill_null(False).to_numpy(zero_copy_only=False)
    return pa.array(values.view(np.uint8), mask=null_mask(items)), None


def _as_uint16(items: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """Two bytes each as one number, on the same buffers."""
    return pa.Array.from_buffers(pa.uint16(), len(items), items.buffers(), items.null_count, items.offset), None


def _widened(items: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """Two bytes of bfloat16 each as float32."""
    patterns, _ = _as_uint16(items)
    return pa.array(widened(buffer_values(patterns)), mask=null_mask(items)), None


# Rows


def _open(array: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Offsets and items of the rows, as :func:`~headrace.casts.lists.open_list`; of bytes the items are uint8."""
    kind = array.type
    if is_list(kind):
        return open_list(array)
    if pa.types.is_fixed_size_binary(kind):
        width, size = kind.byte_width, len(array) * kind.byte_width
        items = _of_buffer(pa.uint8(), size, array.buffers()[1], array.offset * width)
        return np.arange(len(array) + 1, dtype=np.int64) * width, items
    _, bounds, data = array.buffers()
    if len(array) == 0:
        return np.zeros(1, np.int64), _of_buffer(pa.uint8(), 0, None, 0)
    dtype = np.dtype(np.int64 if pa.types.is_large_binary(kind) else np.int32)
    offsets = np.frombuffer(bounds, dtype, count=len(array) + 1, offset=array.offset * dtype.itemsize).astype(np.int64)
    first = int(offsets[0])
    return offsets - first, _of_buffer(pa.uint8(), int(offsets[-1]) - first, data, first)


def _of_buffer(kind: pa.DataType, length: int, data: pa.Buffer | None, offset: int) -> pa.Array:
    return pa.Array.from_buffers(kind, length, [None, pa.py_buffer(b"") if data is None else data], 0, offset)


def _to_dense(array: pa.Array, layout: DenseLayout, field: FieldSchema) -> tuple[pa.Array, list[Refusal]]:
    offsets, items = _open(array)
    nulls = null_mask(array)
    wrong = np.diff(offsets) != layout.width
    if nulls is not None:
        wrong &= ~nulls
    hidden = wrong if nulls is None else wrong | nulls
    refused = {int(row): _wrong_length(int(row), offsets, layout, field) for row in np.flatnonzero(wrong)}
    values, bad = layout.convert(items)
    if bad is not None:
        for cell in bad_numbers(field, bad, items, offsets, hidden, target=layout.item):
            refused[cell.row] = cell
    target = canonical_type(field)
    if values.null_count and not pa.types.is_fixed_size_list(target):
        # A list can hold a null for the packer to refuse, bytes cannot.
        for cell in _inner_nulls(values, offsets, hidden, field):
            refused.setdefault(cell.row, cell)
    if len(values) != len(array) * layout.width or hidden.any():
        values = _padded(values, offsets, ~hidden, layout.width)
    return _vectors(values, array, layout, target), [refused[row] for row in sorted(refused)]


def _vectors(values: pa.Array, array: pa.Array, layout: DenseLayout, target: pa.DataType) -> pa.Array:
    """``values``, ``layout.width`` a row, as vectors of type ``target`` with the nulls of ``array``."""
    valid = validity(array)
    if pa.types.is_fixed_size_list(target):
        if values.type != target.value_type:
            values = _of_buffer(target.value_type, len(array) * target.list_size, _memory(values, target), 0)
        return pa.Array.from_buffers(target, len(array), [valid], array.null_count, 0, [values])
    if pa.types.is_boolean(layout.item):
        rows = buffer_values(values).reshape(len(array), layout.width)
        data = pa.py_buffer(np.packbits(rows, axis=1))
    else:
        data = _memory(values, target)
    return pa.Array.from_buffers(target, len(array), [valid, data], array.null_count, 0)


def _memory(values: pa.Array, target: pa.DataType) -> pa.Buffer:
    """The bytes of the values, aligned for ``target``'s elements: a copy only where they are not."""
    raw = buffer_values(values).view(np.uint8)
    if pa.types.is_fixed_size_list(target) and raw.ctypes.data % numpy_dtype(target.value_type).itemsize:
        raw = raw.copy()
    return pa.py_buffer(raw)


def _padded(values: pa.Array, offsets: np.ndarray, good: np.ndarray, width: int) -> pa.Array:
    """The values of the ``good`` rows at ``row * width``, zeros or nulls elsewhere: one copy."""
    if values.null_count:
        places = offsets[:-1, None] + np.arange(width)
        hidden = np.repeat(~good, width)
        return values.take(pa.array(np.where(hidden, 0, places.ravel()), mask=hidden))
    items = buffer_values(values)
    padded = np.zeros((len(good), width), items.dtype)
    taken = np.repeat(good, np.diff(offsets))
    padded[good] = items[taken].reshape(-1, width)
    return pa.array(padded.ravel())


# Refusals


def _wrong_dim(source: pa.DataType, layout: DenseLayout, field: FieldSchema) -> SchemaError:
    return misfit(
        field,
        f"vectors of {layout.width} {layout.noun}",
        source,
        "load into a collection whose dim fits, or make the vectors with the model that the collection was made for",
    )


def _wrong_length(row: int, offsets: np.ndarray, layout: DenseLayout, field: FieldSchema) -> Refusal:
    length = int(offsets[row + 1] - offsets[row])
    found = f"1 {layout.noun[:-1]}" if length == 1 else f"{length} {layout.noun}"
    expected = f"a vector of {layout.width} {layout.noun}"
    return Refusal(row, field.name, expected, found, "correct the row or leave it out")


def _inner_nulls(values: pa.Array, offsets: np.ndarray, ignored: np.ndarray, field: FieldSchema) -> list[Refusal]:
    positions = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
    rows, positions = locate(positions, offsets, ignored)
    return [
        Refusal(row, field.name, "a vector without nulls", f"null at element {position - int(offsets[row])}", _FILL)
        for row, position in zip(rows.tolist(), positions.tolist(), strict=True)
    ]


_FILL = "fill the value in or leave the row out"
