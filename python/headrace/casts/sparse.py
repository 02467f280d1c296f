"""Casts of the three Arrow layouts of sparse vectors to a SPARSE_FLOAT_VECTOR field.

* pairs: ``list|large_list<struct<index, value>>``;
* map: ``map<index, value>``;
* halves: ``struct<indices: list, values: list>``.

Of pairs and halves, the integers are the indices beside floating values, whatever the names; where both are integers
the names decide (index, indices, key or keys; value or values), and others are refused.

All three pass without a copy where the index is (u)int32 or (u)int64 and the value float32. Whether indices are
in range and unique, and values finite and not negative, is checked by the core, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from headrace.casts.base import Cast, Refusal, misfit, null_mask
from headrace.casts.layouts import INDEX_TYPES, is_list
from headrace.casts.lists import bad_numbers, open_list, rebuild_list
from headrace.casts.numeric import always_fits, convert_numbers, is_number, number_note
from headrace.casts.plain import is_list_view, plain, plain_type
from headrace.schema import FieldSchema

__all__ = ["SparseLayout", "sparse_cast", "sparse_layout"]

#: What a child is that types do not tell from the other.
_ROLES = {
    **dict.fromkeys(("index", "indices", "key", "keys"), "index"),
    **dict.fromkeys(("value", "values"), "value"),
}


@dataclass(frozen=True, slots=True)
class SparseLayout:
    """How a sparse column is laid out; ``swapped`` where the value stands before the index."""

    kind: Literal["pairs", "map", "halves"]
    index: pa.DataType
    value: pa.DataType
    swapped: bool = False
    names: tuple[str, str] = ("", "")

    @property
    def canonical(self) -> bool:
        """Whether the core reads it as it is."""
        return self.index in INDEX_TYPES and self.value == pa.float32() and not self.swapped


def sparse_layout(kind: pa.DataType) -> SparseLayout | None:
    """How a column of this type can be read as sparse vectors, or None."""
    if pa.types.is_map(kind):
        if pa.types.is_integer(kind.key_type) and is_number(kind.item_type):
            return SparseLayout("map", kind.key_type, kind.item_type)
        return None
    if is_list(kind) and pa.types.is_struct(kind.value_type) and kind.value_type.num_fields == 2:
        children = [kind.value_type.field(i) for i in range(2)]
        return _paired("pairs", children, [child.type for child in children])
    if pa.types.is_struct(kind) and kind.num_fields == 2:
        children = [kind.field(i) for i in range(2)]
        kinds = [plain_type(child.type) for child in children]
        if all(map(is_list, kinds)):
            return _paired("halves", children, [kind.value_type for kind in kinds])
    return None


def _paired(
    kind: Literal["pairs", "halves"], children: list[pa.Field], types: list[pa.DataType]
) -> SparseLayout | None:
    first, second = types
    names = (children[0].name, children[1].name)
    if pa.types.is_integer(first) and pa.types.is_integer(second):
        return _named(kind, names, first, second)
    if pa.types.is_integer(first) and is_number(second):
        return SparseLayout(kind, first, second, False, names)
    if pa.types.is_floating(first) and pa.types.is_integer(second):
        return SparseLayout(kind, second, first, True, (names[1], names[0]))
    return None


def _named(
    kind: Literal["pairs", "halves"], names: tuple[str, str], first: pa.DataType, second: pa.DataType
) -> SparseLayout | None:
    roles = [_ROLES.get(name.casefold()) for name in names]
    if roles == ["index", "value"]:
        return SparseLayout(kind, first, second, False, names)
    if roles == ["value", "index"]:
        return SparseLayout(kind, second, first, True, (names[1], names[0]))
    return None


def sparse_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    """The cast of a column of ``source`` to a SPARSE_FLOAT_VECTOR field.

    Raises:
        SchemaError: If the column is in none of the three layouts.
    """
    layout = sparse_layout(source)
    if layout is None:
        raise misfit(
            field,
            "sparse vectors (list<struct<index, value>>, map<index, value> or struct<indices, values>)",
            source,
            "choose another column or convert it",
        )
    lists = [source.field(i).type for i in range(2)] if layout.kind == "halves" else [source]
    if layout.canonical and not any(pa.types.is_fixed_size_list(kind) or is_list_view(kind) for kind in lists):
        return Cast()
    notes = [number_note(layout.value, pa.float32())]
    if layout.swapped:
        notes.append(f"{layout.names[0]!r} is taken as the index, {layout.names[1]!r} as the value")
    lossless = always_fits(layout.value, pa.float32())
    run = _halves if layout.kind == "halves" else _pairs
    return Cast(lambda array: run(array, layout, field), "; ".join(note for note in notes if note), lossless)


def _pairs(array: pa.Array, layout: SparseLayout, field: FieldSchema) -> tuple[pa.Array, list[Refusal]]:
    offsets, child = open_list(array)
    parts = [child.field(i) for i in range(2)]
    index, value = reversed(parts) if layout.swapped else parts
    values, bad = convert_numbers(value, pa.float32())
    mask = child.is_null() if child.null_count else None
    pairs = pa.StructArray.from_arrays([_index(index), values], names=["index", "value"], mask=mask)
    refused = [] if bad is None else bad_numbers(field, bad, value, offsets, null_mask(array), target=pa.float32())
    return rebuild_list(array, offsets, pairs), refused


def _halves(array: pa.Array, layout: SparseLayout, field: FieldSchema) -> tuple[pa.Array, list[Refusal]]:
    halves = [plain(array.field(i)) for i in range(2)]
    indices, values = reversed(halves) if layout.swapped else halves
    index_offsets, index = open_list(indices)
    value_offsets, value = open_list(values)
    converted, bad = convert_numbers(value, pa.float32())
    refused = (
        [] if bad is None else bad_numbers(field, bad, value, value_offsets, null_mask(array), target=pa.float32())
    )
    rebuilt = [rebuild_list(indices, index_offsets, _index(index)), rebuild_list(values, value_offsets, converted)]
    mask = array.is_null() if array.null_count else None
    return pa.StructArray.from_arrays(rebuilt, names=["indices", "values"], mask=mask), refused


def _index(values: pa.Array) -> pa.Array:
    if values.type in INDEX_TYPES:
        return values
    return values.cast(pa.int32() if pa.types.is_signed_integer(values.type) else pa.uint32())
