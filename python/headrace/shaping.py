"""A source's columns as a person wants them: left out, renamed, taken out of structs, cast, and constants beside them.

Everything after this sees the shaped columns only. The order is that of a sentence: of these columns (``only``) without
those (``drop``), that one under another name (``map``), as another type (``cast``), and constants (``set``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts import Cast, Refusal, plain
from headrace.casts.asked import asked_cast
from headrace.casts.jsontext import dumps
from headrace.config import LoadOptions
from headrace.errors import SchemaError, explain

__all__ = ["Shape", "column_path", "shape_of"]


@dataclass(frozen=True, slots=True)
class _Column:
    """One shaped column.

    Attributes:
        name: What it is called from here on.
        path: The source's column and the names of the fields in it; empty for a constant.
        field: Its name, type and metadata.
        cast: What it goes through to become of that type, or None.
        constant: Its value, where it is one.
        note: What was asked for, in words.
    """

    name: str
    path: tuple[str, ...]
    field: pa.Field
    cast: Cast | None = None
    constant: pa.Scalar | None = None
    note: str = ""


class Shape:
    """How the batches of one Arrow schema become shaped ones. Made by :func:`shape_of`.

    Attributes:
        schema: The shaped columns.
    """

    def __init__(self, columns: list[_Column], source: pa.Schema) -> None:
        self._columns = {column.name: column for column in columns}
        self.schema = pa.schema([column.field for column in columns], source.metadata)
        self._same = [column.path for column in columns] == [(name,) for name in source.names] and not any(
            column.cast is not None or column.name != column.path[0] for column in columns
        )

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Refusal]]:
        """The shaped batch, and the rows whose values cannot be cast (they are null there)."""
        if self._same:
            return batch, []
        refused: list[Refusal] = []
        arrays = []
        for column in self._columns.values():
            array = _taken(batch, column)
            if column.cast is not None and column.cast.run is not None:
                array, bad = column.cast.run(array)
                refused += bad
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, names=list(self._columns)), refused

    def origin(self, name: str) -> str:
        """What a shaped column is made of, in words: a column, a path, or ``=value``."""
        column = self._columns[name]
        return ".".join(column.path) if column.constant is None else f"={dumps(column.constant.as_py())}"

    def note(self, name: str) -> str:
        """What was asked for, in words, or nothing."""
        return self._columns[name].note

    def sources(self, names: frozenset[str]) -> frozenset[str]:
        """The source's columns that these shaped ones are made of."""
        return frozenset(self._columns[name].path[0] for name in names if self._columns[name].path)

    def made_of(self, sources: frozenset[str]) -> frozenset[str]:
        """The shaped columns that are made of these of the source."""
        return frozenset(name for name, column in self._columns.items() if column.path and column.path[0] in sources)


def shape_of(schema: pa.Schema, options: LoadOptions, *, whole: bool = True, later: bool = False) -> Shape:
    """The shape that options give the columns of ``schema``.

    Args:
        schema: The source's columns.
        options: ``only``, ``drop``, ``map``, ``cast`` and ``set`` are used; ``key`` and ``vector`` may be paths.
        whole: Whether these are all columns; else those that options name may be missing.
        later: Whether later batches may bring others, so that columns to drop may not be there yet.

    Raises:
        SchemaError: If an option names no column, two columns get one name, or a type cannot be cast.
    """
    return Shape(_Shaping(schema, options, whole=whole, later=later).columns(), schema)


def column_path(schema: pa.Schema, name: str, option: str) -> tuple[tuple[str, ...], pa.DataType]:
    """The column of a source that ``name`` means, or the fields of structs on the way, and its type.

    Raises:
        SchemaError: If there is none; ``option`` is what named it.
    """
    shaping = _Shaping(schema, LoadOptions(), whole=True, later=False)
    path = shaping.path(name, option) or (name,)
    kind = schema.field(path[0]).type
    return path, _field_in(kind, path[1:]) or kind


class _Shaping:
    def __init__(self, schema: pa.Schema, options: LoadOptions, *, whole: bool, later: bool) -> None:
        self._schema = schema
        self._options = options
        self._whole = whole
        self._later = later

    def columns(self) -> list[_Column]:
        """The shaped columns in the source's order, then those out of structs, then constants."""
        options = self._options
        # Whoever names the key wants it, also where it is made of the rows' places.
        named = {*options.only, *options.map, options.key}
        names = [name for name in self._schema.names if not options.only or name in named]
        dropped = self._dropped()
        paths: dict[str, tuple[str, ...]] = {name: (name,) for name in names if name not in dropped}
        for option, wanted in (("--map", options.map), ("--only", options.only), ("", self._implied())):
            for text in wanted:
                path = self.path(text, option)
                if path is not None and path != (text,):
                    # What is taken out of a struct stands for it.
                    paths.pop(path[0], None) if path[0] not in options.only else None
                    paths[text] = path
        found: dict[str, _Column] = {}
        for text, path in paths.items():
            self._add(found, self._column(options.map.get(text, text), path))
        for name, value in options.set.items():
            self._add(found, _constant(name, value))
        self._check_casts(found)
        return list(found.values())

    def _dropped(self) -> frozenset[str]:
        for name in self._options.drop:
            if self._whole and not self._later and name not in self._schema.names:
                raise self._unknown(name, "--drop")
        return frozenset(self._options.drop)

    def _implied(self) -> Iterator[str]:
        """Paths that are named as the key or a vector."""
        for name in (self._options.key, *self._options.vector):
            if name is not None and "." in name and name not in self._options.map.values():
                yield name

    def path(self, text: str, option: str) -> tuple[str, ...] | None:
        """The column that a text names, or the fields of structs on the way; None where it may be missing."""
        if text in self._schema.names:
            return (text,)
        parts = text.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            name = ".".join(parts[:cut])
            if name in self._schema.names and _field_in(self._schema.field(name).type, parts[cut:]) is not None:
                return (name, *parts[cut:])
        if option and self._whole:
            raise self._unknown(text, option)
        return None

    def _column(self, name: str, path: tuple[str, ...]) -> _Column:
        field = self._schema.field(path[0])
        kind = _field_in(field.type, path[1:]) or field.type
        note = "renamed with --map" if name != ".".join(path) else ""
        text = self._options.cast.get(name) or self._options.cast.get(".".join(path))
        if text is None:
            return _Column(name, path, pa.field(name, kind, metadata=field.metadata), note=note)
        target, cast = asked_cast(kind, text, name)
        note = "; ".join(part for part in (note, cast.note) if part)
        return _Column(name, path, pa.field(name, target, metadata=field.metadata), cast=cast, note=note)

    def _add(self, found: dict[str, _Column], column: _Column) -> None:
        if column.name in found:
            other = found[column.name]
            made = "a constant" if column.constant is not None else f"column {'.'.join(column.path)!r}"
            where = f"column {'.'.join(other.path)!r} and {made}"
            message = explain(where, "a name for each", f"{column.name!r} for both", "leave one out with --drop")
            raise SchemaError(message, field=column.name)
        found[column.name] = column

    def _check_casts(self, found: dict[str, _Column]) -> None:
        known = {text for column in found.values() for text in (column.name, ".".join(column.path))}
        for name in self._options.cast:
            if self._whole and name not in known:
                raise self._unknown(name, "--cast")

    def _unknown(self, name: str, option: str) -> SchemaError:
        found = f"the columns {', '.join(map(repr, self._schema.names))}" if self._schema.names else "no columns"
        return SchemaError(
            explain(f"{option} {name}", "a column of the source", found, "choose one of them"), field=name
        )


def _field_in(kind: pa.DataType, names: tuple[str, ...] | list[str]) -> pa.DataType | None:
    """The type of a field of nested structs, or None where there is none of that name."""
    for name in names:
        if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
            return None
        kind = kind.field(kind.get_field_index(name)).type
    return kind


def _constant(name: str, value: object) -> _Column:
    try:
        scalar = pa.scalar(value)
        dumps(scalar.as_py())
    except (pa.ArrowException, TypeError, ValueError) as error:
        found, remedy = f"{value!r} ({error})", "give text, a number, a bool, a list or a dict of these"
        raise SchemaError(explain(f"--set {name}", "a value with a JSON form", found, remedy), field=name) from error
    return _Column(name, (), pa.field(name, scalar.type), constant=scalar, note="set with --set")


def _taken(batch: pa.RecordBatch, column: _Column) -> pa.Array:
    if column.constant is not None:
        return pa.repeat(column.constant, batch.num_rows)
    array = batch.column(batch.schema.get_field_index(column.path[0]))
    return pc.struct_field(plain(array), list(column.path[1:])) if len(column.path) > 1 else array
