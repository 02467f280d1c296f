"""Which source column is which field: by name, exactly first, then without regard to case."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from headrace.casts.jsontext import has_json_form
from headrace.config import LoadOptions
from headrace.errors import SchemaError, explain
from headrace.schema import DYNAMIC_FIELD_NAME, CollectionSchema

__all__ = ["ABSENT", "REJECT_COLUMNS", "Matched", "ignored_columns", "index_columns", "match_columns"]

#: In the metadata of a source's column: a file that does not have it, and whose rows have nulls there.
ABSENT = b"headrace.absent"

#: What stands before the source's own columns in a rejects file.
REJECT_COLUMNS = ("_source", "_row", "_field", "_expected", "_found", "_remedy", "_verdict")

_PANDAS_INDEX = re.compile(r"__index_level_\d+__\Z")


@dataclass(frozen=True, slots=True)
class Matched:
    """The outcome of matching.

    Attributes:
        columns: Field name to source column.
        extras: Source columns that the dynamic field keeps.
        notes: Source column to what was guessed about it.
        remarks: What else a person should know.
        problems: What cannot be matched.
    """

    columns: dict[str, str]
    extras: tuple[str, ...]
    notes: dict[str, str]
    remarks: tuple[str, ...]
    problems: tuple[SchemaError, ...]


def index_columns(schema: pa.Schema) -> tuple[str, ...]:
    """Unnamed pandas indexes that were written as columns: row labels of a frame, not data."""
    if not schema.metadata or b"pandas" not in schema.metadata:
        return ()
    return tuple(name for name in schema.names if _PANDAS_INDEX.match(name))


def ignored_columns(schema: pa.Schema) -> tuple[str, ...]:
    """Columns that are no data: unnamed pandas indexes, and why rows of a rejects file were refused."""
    reasons = REJECT_COLUMNS if set(REJECT_COLUMNS) <= set(schema.names) else ()
    return (*index_columns(schema), *reasons)


def match_columns(
    source: pa.Schema, target: CollectionSchema, options: LoadOptions, *, spare: Collection[str] = ()
) -> Matched:
    """Match the columns of ``source`` with the fields of ``target``; those of ``spare`` need no field."""
    matching = _Matching(source, target, spare)
    if options.key is not None:
        matching.take_key(options.key)
    matching.take_exact()
    matching.take_folded()
    return matching.outcome()


class _Matching:
    def __init__(self, source: pa.Schema, target: CollectionSchema, spare: Collection[str]) -> None:
        self._source = source
        self._target = target
        self._spare = spare
        self._columns: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._problems: list[SchemaError] = []
        self._fields = [field.name for field in target.sent_fields]

    def take_key(self, key: str) -> None:
        """Make ``key`` the primary key's column."""
        field = self._target.primary_key
        if key not in self._source.names:
            self._refuse(key, "a column of the source", self._known_columns(), "choose one of them with --key")
        elif field.auto_id:
            found = "an auto-id collection, whose keys the server makes"
            self._refuse(key, "a collection that takes keys", found, "leave out --key and the column")
        elif key != field.name and key in self._target:
            found = f"a field of its own (the key is {field.name!r})"
            self._refuse(key, "a column for the primary key", found, "choose another column with --key")
        else:
            self._columns[field.name] = key
            if key != field.name:
                self._notes[key] = "made of row numbers" if key.startswith("@") else "named with --key"

    def take_exact(self) -> None:
        """Match equal names."""
        for name in self._fields:
            if name in self._source.names:
                self._columns.setdefault(name, name)

    def take_folded(self) -> None:
        """Match names that differ in case only."""
        for name in self._fields:
            if name in self._columns:
                continue
            alike = [column for column in self._free() if column.casefold() == name.casefold()]
            if len(alike) == 1:
                self._columns[name] = alike[0]
                self._notes[alike[0]] = f"taken for {name!r}: the names differ in case only"
            elif alike:
                found = f"{', '.join(map(repr, alike))}"
                self._problems.append(
                    SchemaError(explain(f"field {name!r}", "one column of that name", found, "rename one"), field=name)
                )

    def outcome(self) -> Matched:
        """What was matched, with the fate of the other columns."""
        ignored = ignored_columns(self._source)
        indexes = [name for name in index_columns(self._source) if name in self._free()]
        extras = []
        for column in self._free():
            if column in ignored or self._is_reserved(column):
                continue
            if self._goes_dynamic(column):
                extras.append(column)
        remarks = tuple(f"column {name!r} is an unnamed pandas index and is left out" for name in indexes)
        return Matched(self._columns, tuple(extras), self._notes, remarks, tuple(self._problems))

    def _free(self) -> list[str]:
        used = set(self._columns.values())
        return [column for column in self._source.names if column not in used]

    def _is_reserved(self, column: str) -> bool:
        """Whether the name belongs to a field that takes no column (a problem, then)."""
        for field in self._target:
            if field.name.casefold() != column.casefold() or field.name in self._columns:
                continue
            if field.is_primary and field.auto_id:
                found = "an auto-id key, which the server makes"
                remedy = "leave it out with --drop, or rename it with --map"
                self._refuse(column, f"no column for field {field.name!r}", found, remedy)
                return True
            if field.is_function_output:
                remedy = "leave it out with --drop"
                self._refuse(column, f"no column for field {field.name!r}", "a field the server computes", remedy)
                return True
        return False

    def _goes_dynamic(self, column: str) -> bool:
        if not self._target.enable_dynamic_field and column in self._spare:
            return False
        if not self._target.enable_dynamic_field:
            guess = difflib.get_close_matches(column, self._fields, n=1)
            found = "no such field" + (f" (there is {guess[0]!r})" if guess else "")
            remedy = "leave it out with --drop, say its field with --map, or use a collection with a dynamic field"
            self._refuse(column, f"a field of the collection ({', '.join(self._fields)})", found, remedy)
        elif column in self._target:
            self._refuse(
                column, "a name that no field has", "a field's name, for the dynamic field", "rename the column"
            )
        elif DYNAMIC_FIELD_NAME in self._columns:
            found = f"a {DYNAMIC_FIELD_NAME} column as well"
            self._refuse(column, "either undeclared columns or their JSON", found, "drop one of the two")
        elif not has_json_form(self._source.field(column).type):
            kind = self._source.field(column).type
            self._refuse(
                column, "a type that JSON can say", str(kind), "leave it out with --drop, or convert it in the source"
            )
        else:
            return True
        return False

    def _known_columns(self) -> str:
        return f"the columns {', '.join(map(repr, self._source.names))}" if self._source.names else "no columns"

    def _refuse(self, column: str, expected: str, found: str, remedy: str) -> None:
        self._problems.append(SchemaError(explain(f"column {column!r}", expected, found, remedy), field=column))
