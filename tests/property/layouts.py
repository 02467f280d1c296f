"""Every Arrow layout that a column of each data type may have, with what is nobody's business hidden in it.

A layout builds an array from cells, None for null: scalars as Python has them, FLOAT_VECTOR lists of floats, the
other dense vectors bytes, sparse vectors dicts, timestamps whole numbers of the unit. What Arrow leaves open is drawn:
what lies under a null, before the first offset and behind a null's dictionary key, the order of views, where runs end.
All of it would be refused if a packer looked at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.schema import DataType, FieldSchema


class Chance(Random):
    """Random choices; those of types are the same whenever a column is built, as its chunks have one type."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._seed = seed

    def kind(self, kinds: Sequence[Any]) -> Any:
        """One of ``kinds``, the same for the same seed."""
        return kinds[self._seed % len(kinds)]


Build = Callable[[FieldSchema, Sequence[Any], Chance], pa.Array]

LISTS = ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
TEXTS = {"utf8": pa.string(), "large_utf8": pa.large_string(), "utf8_view": pa.string_view()}
BINARIES = {"binary": pa.binary(), "large_binary": pa.large_binary(), "binary_view": pa.binary_view()}
NUMBERS = {
    DataType.BOOL: ("bool", pa.bool_()),
    DataType.INT8: ("int8", pa.int8()),
    DataType.INT16: ("int16", pa.int16()),
    DataType.INT32: ("int32", pa.int32()),
    DataType.INT64: ("int64", pa.int64()),
    DataType.FLOAT: ("float32", pa.float32()),
    DataType.DOUBLE: ("float64", pa.float64()),
}
UNITS = ("s", "ms", "us", "ns")
INDICES = {"int32": pa.int32(), "uint32": pa.uint32(), "int64": pa.int64(), "uint64": pa.uint64()}


@dataclass(frozen=True)
class Layout:
    """One Arrow layout of a column.

    Attributes:
        name: As the documentation of packing writes it.
        build: Makes the column.
        unit: Unit of a timestamp, else empty.
        zoned: Whether a timestamp has a time zone.
    """

    name: str
    build: Build
    unit: str = ""
    zoned: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether every row of an ARRAY is as long as the field allows."""
        return "fixed_size_list" in self.name

    @property
    def is_encoded_twice(self) -> bool:
        """Whether there are runs or keys within runs or keys."""
        return self.name.count("dictionary<") + self.name.count("run_end_encoded<") > 1

    @property
    def max_index(self) -> int:
        """The largest index that a sparse vector of this layout can have."""
        return 2**31 - 1 if "<int32" in self.name else 2**32 - 2


class Wrapped(pa.ExtensionType):
    """An extension type that says nothing about its storage."""

    def __init__(self, storage: pa.DataType) -> None:
        super().__init__(storage, "headrace.tests.wrapped")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> Wrapped:
        return cls(storage)


# --- flat columns


def _hidden(kind: pa.DataType) -> Any:
    """A value that is refused wherever it is looked at."""
    if pa.types.is_floating(kind):
        return float("nan")
    if pa.types.is_timestamp(kind):
        return 2**62 + 1
    if pa.types.is_fixed_size_binary(kind):
        return b"\xff" * kind.byte_width
    if pa.types.is_boolean(kind):
        return True
    if pa.types.is_integer(kind):
        return 1
    text = "{" * 70_000
    return text if kind in TEXTS.values() else text.encode()


def leaf(kind: pa.DataType, cells: Sequence[Any], rng: Chance, hidden: Any = None) -> pa.Array:
    """A flat array, sometimes the end of a longer one, with ``hidden`` under its nulls."""
    before = rng.randrange(3)
    cells = [None] * before + list(cells)
    hidden = _hidden(kind) if hidden is None else hidden
    values = [hidden if cell is None else cell for cell in cells]
    # Not every pyarrow makes float16 of Python's floats.
    array = pa.array(np.array(values, np.float16) if kind == pa.float16() else values, kind)
    return _with_nulls(array, cells).slice(before)


def _with_nulls(values: pa.Array, cells: Sequence[Any]) -> pa.Array:
    """``values`` as they are, and null where a cell is None: a struct's nulls are those of its columns."""
    if None not in cells:
        return values
    return pa.StructArray.from_arrays([values], ["v"], mask=_mask(cells)).flatten()[0]


def _flat(name: str, kind: pa.DataType, **facts: Any) -> Layout:
    return Layout(name, lambda field, cells, rng: leaf(kind, cells, rng), **facts)


def _documents(name: str, kind: pa.DataType) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        return leaf(kind, [None if cell is None else cell.encode() for cell in cells], rng)

    return Layout(name, build)


# --- lists


def lists(form: str, rows: Sequence[Any], width: int, child: Callable[[list[Any]], pa.Array], rng: Chance) -> pa.Array:
    """A list array of ``form`` whose null rows have elements too: None, of which ``child`` makes what it likes.

    Every row of a fixed size list has ``width`` elements.
    """
    if form == "fixed_size_list":
        values = child([item for row in rows for item in ([None] * width if row is None else row)])
        return pa.FixedSizeListArray.from_arrays(values, type=pa.list_(values.type, width), mask=_mask(rows))
    filled = [[None] * rng.randrange(3) if row is None else list(row) for row in rows]
    order = list(range(len(filled)))
    if form.endswith("view"):
        rng.shuffle(order)
    starts = [0] * len(filled)
    flat: list[Any] = [None] * rng.randrange(2)
    for at in order:
        starts[at] = len(flat)
        flat += filled[at]
    values = child(flat)
    offset_type = pa.int64() if form.startswith("large") else pa.int32()
    if form.endswith("view"):
        make = pa.LargeListViewArray if form.startswith("large") else pa.ListViewArray
        sizes = pa.array(map(len, filled), offset_type)
        return make.from_arrays(pa.array(starts, offset_type), sizes, values, mask=_mask(rows))
    make = pa.LargeListArray if form.startswith("large") else pa.ListArray
    return make.from_arrays(pa.array([*starts, len(flat)], offset_type), values, mask=_mask(rows))


def _mask(rows: Sequence[Any]) -> pa.Array | None:
    return pa.array([row is None for row in rows]) if None in rows else None


def _elements(form: str, name: str, wrapper: str) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        element = FieldSchema("e", field.element_type, max_length=field.max_length)
        inner = rng.kind(_plain_layouts(element.dtype))
        inner = _WRAPPERS[wrapper](inner) if wrapper else inner
        return lists(form, cells, field.max_capacity or 0, lambda items: inner.build(element, items, rng), rng)

    return Layout(f"{form}<{name}>", build)


def _vectors(form: str, name: str, kind: pa.DataType, dtype: str) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        def split(cell: Any) -> Any:
            if not isinstance(cell, bytes):
                return cell
            if pa.types.is_fixed_size_binary(kind):
                return [cell[at : at + 2] for at in range(0, len(cell), 2)]
            return np.frombuffer(cell, dtype).tolist()

        width = (field.dim or 0) // (8 if field.dtype is DataType.BINARY_VECTOR else 1)
        return lists(form, [split(cell) for cell in cells], width, lambda items: leaf(kind, items, rng), rng)

    return Layout(f"{form}<{name}>", build)


def _packed(name: str, kind: pa.DataType | None) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        return leaf(kind or pa.binary(row_bytes(field)), cells, rng, hidden=None if kind is None else b"short")

    return Layout(name, build)


def row_bytes(field: FieldSchema) -> int:
    """Bytes of one vector that is sent as bytes."""
    eighths = {DataType.BINARY_VECTOR: 1, DataType.INT8_VECTOR: 8}.get(field.dtype, 16)
    return (field.dim or 0) * eighths // 8


# --- sparse vectors


def _pairs(form: str, name: str, index: pa.DataType) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        def child(items: list[Any]) -> pa.Array:
            parts = [leaf(index, [item and item[0] for item in items], rng)]
            parts.append(leaf(pa.float32(), [item and item[1] for item in items], rng))
            return pa.StructArray.from_arrays(parts, ["i", "v"], mask=_mask(items))

        return lists(form, [cell and list(cell.items()) for cell in cells], 0, child, rng)

    return Layout(f"{form}<struct<{name}, float32>>", build)


def _map(name: str, index: pa.DataType) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        # Under a null lies a pair; a key is never null.
        rows = [{5: float("nan")} if cell is None else cell for cell in cells]
        offsets = pa.array(np.cumsum([0, *map(len, rows)]), pa.int32())
        keys = leaf(index, [key for row in rows for key in row], rng)
        items = leaf(pa.float32(), [value for row in rows for value in row.values()], rng)
        return _with_nulls(pa.MapArray.from_arrays(offsets, keys, items), cells)

    return Layout(f"map<{name}, float32>", build)


def _halves(form: str, name: str, index: pa.DataType) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        # A row is null where the struct is, whatever lies under it, or a list beside another that is null or empty.
        which = [rng.randrange(3) if cell is None else None for cell in cells]
        rows = [{5: float("nan")} if cell is None else cell for cell in cells]
        halves: dict[int | None, tuple[Any, Any]] = {0: (None, None), 1: (None, [])}
        indices, values = (
            [halves.get(null, (list(row), list(row.values())))[half] for null, row in zip(which, rows, strict=True)]
            for half in (0, 1)
        )
        other = rng.kind([form for form in LISTS if form != "fixed_size_list"])
        parts = [
            lists(form, indices, 0, lambda items: leaf(index, items, rng), rng),
            lists(other, values, 0, lambda items: leaf(pa.float32(), items, rng), rng),
        ]
        mask = pa.array([null == 2 for null in which], pa.bool_())
        return pa.StructArray.from_arrays(parts, ["indices", "values"], mask=mask)

    return Layout(f"struct<{form}<{name}>, list<float32>>", build)


# --- wrapped columns


def _dictionary(inner: Layout) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        distinct = {repr(cell): cell for cell in cells if cell is not None}
        entries = [*distinct.values(), None]
        rng.shuffle(entries)
        places = {repr(cell): place for place, cell in enumerate(entries)}
        # A null is a null key, or the key of a null.
        keys = [None if cell is None and rng.random() < 0.5 else places[repr(cell)] for cell in cells]
        indices = leaf(rng.kind(INTEGERS), keys, rng, hidden=100)
        return pa.DictionaryArray.from_arrays(indices, inner.build(field, entries, rng), safe=False)

    return Layout(f"dictionary<{inner.name}>", build, inner.unit, inner.zoned)


def _runs(inner: Layout) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        last = len(cells) - 1
        ends = [
            at for at, cell in enumerate(cells) if at == last or repr(cell) != repr(cells[at + 1]) or rng.random() < 0.3
        ]
        values = inner.build(field, [cells[at] for at in ends], rng)
        kind = rng.kind([pa.int16(), pa.int32(), pa.int64()])
        return pa.RunEndEncodedArray.from_arrays(
            [end + 1 for end in ends], values, pa.run_end_encoded(kind, values.type)
        )

    return Layout(f"run_end_encoded<{inner.name}>", build, inner.unit, inner.zoned)


def _extension(inner: Layout) -> Layout:
    def build(field: FieldSchema, cells: Sequence[Any], rng: Chance) -> pa.Array:
        storage = inner.build(field, cells, rng)
        return pa.ExtensionArray.from_storage(Wrapped(storage.type), storage)

    return Layout(f"extension<{inner.name}>", build, inner.unit, inner.zoned)


_WRAPPERS = {"dictionary": _dictionary, "run_end_encoded": _runs, "extension": _extension}


# --- the table

#: An older pyarrow hands out views that an extension type wraps without the sizes of their buffers, and cannot read
#: them back itself.
_WRAPS_VIEWS = int(pa.__version__.partition(".")[0]) >= 21
_WRAPPED_VIEWS = ("extension<utf8_view>", "extension<binary_view>")


def _plain_layouts(dtype: DataType) -> list[Layout]:
    if dtype in NUMBERS:
        return [_flat(*NUMBERS[dtype])]
    texts = [_flat(name, kind) for name, kind in TEXTS.items()]
    if dtype is DataType.TIMESTAMPTZ:
        zones = [(f"timestamp[{unit}{', UTC' * zoned}]", unit, zoned) for unit in UNITS for zoned in (False, True)]
        return texts + [
            _flat(name, pa.timestamp(unit, "UTC" if zoned else None), unit=unit, zoned=zoned)
            for name, unit, zoned in zones
        ]
    if dtype is DataType.JSON:
        return texts + [_documents(name, kind) for name, kind in BINARIES.items()]
    return texts


def _array_layouts() -> list[Layout]:
    wrapped = [(f"{wrapper}<T>", wrapper) for wrapper in ("dictionary", "run_end_encoded")]
    return [_elements(form, name, wrapper) for form in LISTS for name, wrapper in [("T", ""), *wrapped]]


def _dense_layouts(dtype: DataType) -> list[Layout]:
    forms = {
        DataType.FLOAT_VECTOR: [("float32", pa.float32(), "<f4")],
        DataType.FLOAT16_VECTOR: [("float16", pa.float16(), "<f2")],
        DataType.BFLOAT16_VECTOR: [("uint16", pa.uint16(), "<u2"), ("fixed_size_binary[2]", pa.binary(2), "")],
        DataType.INT8_VECTOR: [("int8", pa.int8(), "i1")],
        DataType.BINARY_VECTOR: [("uint8", pa.uint8(), "u1")],
    }
    found = [_vectors(form, *element) for form in LISTS for element in forms[dtype]]
    if dtype is not DataType.FLOAT_VECTOR:
        found += [_packed("fixed_size_binary", None), *(_packed(name, kind) for name, kind in BINARIES.items())]
    return found


def _sparse_layouts() -> list[Layout]:
    free = [form for form in LISTS if form != "fixed_size_list"]
    found = [_pairs(form, *index) for form in free for index in INDICES.items()]
    found += [_map(*index) for index in INDICES.items()]
    return found + [_halves(form, *index) for form in free for index in INDICES.items()]


def _layouts_of(dtype: DataType) -> list[Layout]:
    if dtype is DataType.ARRAY:
        plain = _array_layouts()
    elif dtype is DataType.SPARSE_FLOAT_VECTOR:
        plain = _sparse_layouts()
    else:
        plain = _dense_layouts(dtype) if dtype.is_vector else _plain_layouts(dtype)
    wrapped = [wrap(layout) for wrap in _WRAPPERS.values() for layout in plain]
    return plain + [layout for layout in wrapped if _WRAPS_VIEWS or layout.name not in _WRAPPED_VIEWS]


#: Every data type that a client may send, with every layout that its columns may have.
LAYOUTS: dict[DataType, list[Layout]] = {
    dtype: _layouts_of(dtype) for dtype in DataType if dtype not in (DataType.NONE, DataType.STRING, DataType.UNKNOWN)
}
