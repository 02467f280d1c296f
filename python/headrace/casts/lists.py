"""Lists opened into offsets and values, and casts of list columns to ARRAY fields."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.casts.base import Cast, Refusal, buffer_values, null_mask, validity
from headrace.casts.numeric import number_rule
from headrace.schema import FieldSchema

__all__ = ["array_cast", "bad_numbers", "locate", "open_list", "rebuild_list"]


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
    buffers = [validity(array), pa.py_buffer(np.ascontiguousarray(offsets, dtype=width))]
    return pa.Array.from_buffers(kind, len(array), buffers, array.null_count, 0, [child])


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


def bad_numbers(
    field: FieldSchema,
    bad: np.ndarray,
    child: pa.Array,
    offsets: np.ndarray,
    ignored: np.ndarray | None,
    *,
    target: pa.DataType,
) -> list[Refusal]:
    """One refusal for each row, but the ``ignored`` ones, in which a number at the ``bad`` positions lies.

    Bad is what does not fit ``target``.
    """
    expected, remedy = number_rule(target, child.type)
    rows, positions = locate(bad, offsets, ignored)
    found = child.take(pa.array(positions)).to_pylist()
    return [
        Refusal(row, field.name, expected, f"{value!r} at element {position - int(offsets[row])}", remedy)
        for row, position, value in zip(rows.tolist(), positions.tolist(), found, strict=True)
    ]
