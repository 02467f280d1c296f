"""Several files as one schema: columns that some lack are null there, types widen, directories name columns.

``lang=en/part-0.parquet`` below a directory or glob has a column ``lang``, as Hive and Spark write it. Everything is
decided from heads and footers, before a row is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from urllib.parse import unquote

import pyarrow as pa

from headrace.casts.jsontext import WRITTEN
from headrace.errors import SourceError, explain
from headrace.matching import ABSENT
from headrace.sources.base import FileReader, Part
from headrace.sources.paths import FileRef

__all__ = ["Unified", "directory_columns", "unified", "wider"]

#: What Hive writes for null.
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_MOST_PROBLEMS = 10
#: The integers, narrow to wide.
_SIGNED = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
_FLOATS = (pa.float16(), pa.float32(), pa.float64())


def directory_columns(refs: Sequence[FileRef]) -> list[dict[str, pa.Scalar]]:
    """For each file what the directories above it say: integers where every value of a name is one, else text."""
    texts = [_assignments(ref) for ref in refs]
    names = dict.fromkeys(name for found in texts for name in found)
    kinds = {name: _kind([found.get(name) for found in texts]) for name in names}
    return [
        {name: pa.scalar(text if text is None or kinds[name] == pa.string() else int(text), kinds[name])
         for name, text in found.items()}
        for found in texts
    ]  # fmt: skip


def _assignments(ref: FileRef) -> dict[str, str | None]:
    pairs = [component.partition("=") for component in ref.below.split("/")[:-1] if "=" in component]
    return {unquote(name): None if text == _HIVE_NULL else unquote(text) for name, _, text in pairs if name}


def _kind(texts: Sequence[str | None]) -> pa.DataType:
    given = [text for text in texts if text is not None]
    # Digits with a leading zero are a code, not a number.
    numbers = all(text == str(int(text)) for text in given if text.lstrip("-").isdecimal())
    whole = given and numbers and all(text.lstrip("-").isdecimal() and len(text) < 19 for text in given)
    return pa.int64() if whole else pa.string()


def unified(readers: Sequence[FileReader]) -> tuple[list[FileReader], pa.Schema, list[str]]:
    """The files as readers of one schema, that schema, and what a person should know of it.

    Raises:
        SourceError: If a column has types that do not widen to one; the message names each file.
    """
    directories = directory_columns([reader.ref for reader in readers])
    schemas = [_with_constants(reader.schema, more) for reader, more in zip(readers, directories, strict=True)]
    first = schemas[0]
    if not any(directories) and all(schema.equals(first) for schema in schemas):
        return list(readers), first, []
    names = list(dict.fromkeys(name for schema in schemas for name in schema.names))
    fields: list[pa.Field] = []
    notes: list[str] = []
    problems: list[SourceError] = []
    for name in names:
        kinds = [(reader, schema.field(name).type) for reader, schema in zip(readers, schemas, strict=True)
                 if name in schema.names]  # fmt: skip
        common = reduce(lambda kind, other: None if kind is None else wider(kind, other), [kind for _, kind in kinds])
        if common is None:
            problems += _misfits(name, kinds)
            continue
        absent = [reader.ref.label for reader, schema in zip(readers, schemas, strict=True) if name not in schema.names]
        fields.append(pa.field(name, common, metadata={ABSENT: absent[0].encode()} if absent else None))
        notes += _notes(name, common, kinds, absent)
    if problems:
        raise _all_of(problems)
    schema = pa.schema(fields, first.metadata)
    return [Unified(reader, schema, more) for reader, more in zip(readers, directories, strict=True)], schema, notes


def _with_constants(schema: pa.Schema, constants: Mapping[str, pa.Scalar]) -> pa.Schema:
    more = [pa.field(name, scalar.type) for name, scalar in constants.items() if name not in schema.names]
    return pa.schema([*schema, *more], schema.metadata) if more else schema


def _notes(
    name: str, common: pa.DataType, kinds: Sequence[tuple[FileReader, pa.DataType]], absent: Sequence[str]
) -> Iterator[str]:
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        yield f"column {name!r} is not in {absent[0]}{more}: null there"
    narrow = [(reader, kind) for reader, kind in kinds if kind != common and not pa.types.is_null(kind)]
    if narrow:
        reader, kind = narrow[0]
        more = f" and {len(narrow) - 1} more" if len(narrow) > 1 else ""
        yield f"column {name!r} is {kind} in {reader.ref.label}{more}: widened to {common}"


def _misfits(name: str, kinds: Sequence[tuple[FileReader, pa.DataType]]) -> Iterator[SourceError]:
    first, common = kinds[0]
    for reader, kind in kinds[1:]:
        both = wider(common, kind)
        if both is not None:
            common = both
            continue
        where, expected = f"{reader.ref.label}, column {name!r}", f"{common}, as in {first.ref.label}"
        remedy = "write the files with one schema, or load them one by one"
        yield SourceError(explain(where, expected, str(kind), remedy), source=reader.ref.label)


def _all_of(problems: Sequence[SourceError]) -> SourceError:
    if len(problems) == 1:
        return problems[0]
    lines = "\n".join(f"  {problem}" for problem in problems[:_MOST_PROBLEMS])
    more = f"\n  and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
    return SourceError(f"the files differ in {len(problems)} places:\n{lines}{more}", source=problems[0].source)


def wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds every value of both, or None."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_dictionary(one) or pa.types.is_dictionary(other):
        return wider(*(kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (one, other)))
    for family in (_SIGNED, _UNSIGNED, _FLOATS):
        if one in family and other in family:
            return max(one, other, key=family.index)
    if {one, other} & {*_UNSIGNED} and {one, other} & {*_SIGNED}:
        signed, unsigned = (one, other) if one in _SIGNED else (other, one)
        least = _UNSIGNED.index(unsigned) + 1
        return _SIGNED[max(_SIGNED.index(signed), least)] if least < len(_SIGNED) else None
    if one in _TEXTS and other in _TEXTS:
        return pa.large_string()
    if _is_list(one) and _is_list(other):
        return _wider_list(one, other)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        return _wider_struct(one, other)
    return None


_TEXTS = (pa.string(), pa.large_string(), pa.string_view())


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _wider_list(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    value = wider(one.value_type, other.value_type)
    if value is None:
        return None
    if pa.types.is_fixed_size_list(one) and pa.types.is_fixed_size_list(other):
        return pa.list_(value, one.list_size) if one.list_size == other.list_size else None
    return pa.large_list(value) if pa.types.is_large_list(one) or pa.types.is_large_list(other) else pa.list_(value)


def _wider_struct(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """A struct with the fields of both; one with two types is left out where objects are kept as written, else None."""
    known = {
        kind.field(place).name: kind.field(place).type for kind in (other, one) for place in range(kind.num_fields)
    }
    fields = []
    for name, kind in known.items():
        own = other.get_field_index(name)
        both = kind if own < 0 else wider(kind, other.field(own).type)
        if both is not None:
            fields.append(pa.field(name, both))
        elif WRITTEN not in known:
            return None
    return pa.struct(fields)


def _holds_structs(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind)) or (_is_list(kind) and _holds_structs(kind.value_type))


class Unified:
    """A file with the columns and types of all files."""

    def __init__(self, reader: FileReader, schema: pa.Schema, constants: Mapping[str, pa.Scalar]) -> None:
        self.ref = reader.ref
        self.rows = reader.rows
        self.schema = schema
        self.open_ended = reader.open_ended
        self.reader = reader
        self._constants = {name: value for name, value in constants.items() if name not in reader.schema.names}

    def nulls(self) -> frozenset[str]:
        """The columns that statistics know to hold nulls, and those that the file lacks."""
        own = {*self.reader.schema.names, *(name for name, value in self._constants.items() if value.is_valid)}
        return self.reader.nulls() | (frozenset(self.schema.names) - own)

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """The file's parts."""
        for part in self.reader.parts(self.reader.schema.names):
            yield Part(part.label, part.first_row, part.rows, partial(self._read, part, tuple(names)))

    def _read(
        self, part: Part, names: Sequence[str], max_bytes: int, columns: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        wanted = names if columns is None else columns
        # A file of which no column is wanted is still counted.
        own = [name for name in wanted if name in self.reader.schema.names] or self.reader.schema.names[:1]
        for found in part.batches(max_bytes=max_bytes, columns=own):
            yield self._adapted(found.batch, wanted)

    def _adapted(self, batch: pa.RecordBatch, wanted: Sequence[str]) -> pa.RecordBatch:
        new = [name for name in batch.schema.names if name not in self.reader.schema.names and name not in wanted]
        arrays = [self._column(batch, name) for name in [*wanted, *new]]
        return pa.RecordBatch.from_arrays(arrays, names=[*wanted, *new])

    def _column(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        kind = self.schema.field(name).type if name in self.schema.names else None
        place = batch.schema.get_field_index(name)
        if place >= 0:
            array = batch.column(place)
            # Text has the types of each block's values; what is no narrower type is for the collection to judge.
            # A struct without a key is no struct with a null there: it is planned for as it is.
            same = kind is None or array.type == kind or wider(array.type, kind) != kind or _holds_structs(kind)
            return array if same else array.cast(kind)
        if name in self._constants:
            return pa.repeat(self._constants[name], batch.num_rows).cast(kind)
        return pa.nulls(batch.num_rows, kind)
