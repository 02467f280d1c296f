"""Casts of list columns to ARRAY and dense vector fields.

Where every row has the vector's length, the values become a ``fixed_size_list`` on the same buffer without a copy.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.casts.scalars import (
    Cast,
    Refusal,
    always_fits,
    buffer_values,
    convert_numbers,
    is_number,
    misfit,
    null_mask,
    number_note,
    number_rule,
    type_text,
)
from headrace.errors import SchemaError
from headrace.schema import FieldSchema

__all__ = ["array_cast", "bad_numbers", "dense_cast", "is_list", "locate", "open_list", "rebuild_list"]


def is_list(kind: pa.DataType) -> bool:
    """Whether the type is a list with offsets or of fixed size (maps and list views are not)."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def open_list(array: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """The offsets of a list or map array, int64 from 0, and the child values that they span, without a copy of those.

    Row ``i`` is ``child[offsets[i]:offsets[i + 1]]``, also for slices and for null rows (whose range may be anything).
    """
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        # .values ignores the slice, .flatten() drops what lies under null rows.
        child = array.values.slice(array.offset * size, len(array) * size)
        return np.arange(len(array) + 1, dtype=np.int64) * size, child
    if len(array) == 0:
        return np.zeros(1, np.int64), array.values.slice(0, 0)
    offsets = buffer_values(array.offsets).astype(np.int64)
    first = int(offsets[0])
    return offsets - first, array.values.slice(first, int(offsets[-1]) - first)


def rebuild_list(array: pa.Array, offsets: np.ndarray, child: pa.Array) -> pa.Array:
    """A list array with the nulls of ``array`` and another child; ``offsets`` as :func:`open_list` gives them."""
    large = pa.types.is_large_list(array.type)
    kind = pa.large_list(child.type) if large else pa.list_(child.type)
    width = np.int64 if large else np.int32
    buffers = [_validity(array), pa.py_buffer(np.ascontiguousarray(offsets, dtype=width))]
    return pa.Array.from_buffers(kind, len(array), buffers, array.null_count, 0, [child])


def _validity(array: pa.Array) -> pa.Buffer | None:
    nulls = null_mask(array)
    return None if nulls is None else pa.array(~nulls).buffers()[1]


def locate(positions: np.ndarray, offsets: np.ndarray, nulls: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The rows in which child ``positions`` lie and their places in them; one position a row, the first, none null."""
    rows = np.searchsorted(offsets, positions, side="right") - 1
    if nulls is not None:
        seen = ~nulls[rows]
        rows, positions = rows[seen], positions[seen]
    rows, first = np.unique(rows, return_index=True)
    return rows, positions[first]


def array_cast(field: FieldSchema, element: Cast) -> Cast:
    """The cast of a list column to an ARRAY field, given that of its elements."""
    run_element = element.run
    if run_element is None:
        return Cast(note=element.note)

    def run(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        offsets, child = open_list(array)
        values, bad = run_element(child)
        refused: list[Refusal] = []
        if bad:
            by_position = {cell.row: cell for cell in bad}
            rows, positions = locate(np.array(sorted(by_position), np.int64), offsets, null_mask(array))
            for row, position in zip(rows.tolist(), positions.tolist(), strict=True):
                cell = by_position[position]
                found = f"{cell.found} at element {position - int(offsets[row])}"
                refused.append(Refusal(row, field.name, cell.expected, found, cell.remedy))
        return rebuild_list(array, offsets, values), refused

    return Cast(run, element.note, element.lossless)


def dense_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    """The cast of a list column to a FLOAT_VECTOR field.

    Raises:
        SchemaError: If the column is no list of numbers, or of another fixed size.
    """
    if not is_list(source) or not (is_number(source.value_type) or pa.types.is_null(source.value_type)):
        raise misfit(field, f"lists of numbers for {type_text(field)}", source, "choose another column or cast it")
    if pa.types.is_fixed_size_list(source):
        if source.list_size != field.dim:
            raise _wrong_dim(source, field)
        if source.value_type == pa.float32():
            return Cast()
    value_type = source.value_type
    note = "" if pa.types.is_null(value_type) else number_note(value_type, pa.float32())
    lossless = pa.types.is_null(value_type) or always_fits(value_type, pa.float32())
    return Cast(lambda array: _to_dense(array, field), note, lossless)


def _wrong_dim(source: pa.DataType, field: FieldSchema) -> SchemaError:
    return misfit(
        field,
        f"vectors of {field.dim} numbers",
        source,
        "load into a collection whose dim fits, or make the vectors with the model that the collection was made for",
    )


def _to_dense(array: pa.Array, field: FieldSchema) -> tuple[pa.Array, list[Refusal]]:
    dim = field.dim or 0
    offsets, child = open_list(array)
    nulls = null_mask(array)
    wrong = np.diff(offsets) != dim
    if nulls is not None:
        wrong &= ~nulls
    refused = [_wrong_length(int(row), offsets, field) for row in np.flatnonzero(wrong)]
    source = child.type
    if pa.types.is_null(source):
        values, bad = pa.nulls(len(child), pa.float32()), None
    else:
        values, bad = convert_numbers(child, pa.float32())
    if bad is not None:
        refused += bad_numbers(field, bad, child, offsets, wrong if nulls is None else wrong | nulls)
        refused.sort(key=lambda cell: cell.row)
    if len(values) != len(array) * dim or wrong.any() or nulls is not None:
        values = _padded(values, offsets, ~wrong if nulls is None else ~(wrong | nulls), dim)
    kind = pa.list_(pa.float32(), dim)
    buffers = [_validity(array)]
    return pa.Array.from_buffers(kind, len(array), buffers, array.null_count, 0, [values]), refused


def _wrong_length(row: int, offsets: np.ndarray, field: FieldSchema) -> Refusal:
    length = int(offsets[row + 1] - offsets[row])
    found = "1 number" if length == 1 else f"{length} numbers"
    return Refusal(row, field.name, f"a vector of {field.dim} numbers", found, "correct the row or leave it out")


def bad_numbers(
    field: FieldSchema, bad: np.ndarray, child: pa.Array, offsets: np.ndarray, ignored: np.ndarray | None
) -> list[Refusal]:
    """One refusal for each row, but the ``ignored`` ones, in which a number at the ``bad`` positions lies."""
    expected, remedy = number_rule(pa.float32(), child.type)
    rows, positions = locate(bad, offsets, ignored)
    found = child.take(pa.array(positions)).to_pylist()
    return [
        Refusal(row, field.name, expected, f"{value!r} at element {position - int(offsets[row])}", remedy)
        for row, position, value in zip(rows.tolist(), positions.tolist(), found, strict=True)
    ]


def _padded(values: pa.Array, offsets: np.ndarray, good: np.ndarray, dim: int) -> pa.Array:
    """The values of the ``good`` rows at ``row * dim``, zeros or nulls elsewhere: one copy."""
    if values.null_count:
        places = offsets[:-1, None] + np.arange(dim)
        hidden = np.repeat(~good, dim)
        return values.take(pa.array(np.where(hidden, 0, places.ravel()), mask=hidden))
    padded = np.zeros((len(good), dim), np.float32)
    taken = np.repeat(good, np.diff(offsets))
    padded[good] = buffer_values(values)[taken].reshape(-1, dim)
    return pa.array(padded.ravel())
