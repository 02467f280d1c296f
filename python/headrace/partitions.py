"""Which partition each row goes to, where a column of the source names it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts import Refusal, plain, plain_type
from headrace.casts.layouts import is_text
from headrace.config import LoadOptions
from headrace.errors import MilvusException, SchemaError, explain
from headrace.schema import CollectionSchema
from headrace.shaping import column_path

__all__ = ["PartitionColumn", "Partitions", "Refused", "partition_of"]


class Refused(NamedTuple):
    """Why no row goes to a partition."""

    expected: str
    found: str
    remedy: str


class Partitions:
    """The partitions of one collection, which grow with the names that rows have.

    Args:
        known: Those that there are.
        make: Creates one; None where that was not asked for.
    """

    def __init__(self, known: Collection[str], make: Callable[[str], None] | None) -> None:
        self._known = set(known)
        self._refused: dict[str, Refused] = {}
        self._make = make

    def admit(self, name: str) -> Refused | None:
        """None where rows go to the partition of that name, which may be created for it; else why they do not.

        Raises:
            TransportError: If it cannot be created because the server is away.
        """
        if name not in self._known and name not in self._refused:
            try:
                if self._make is None:
                    some = ", ".join(sorted(self._known)[:5])
                    remedy = "have it created with --create, or correct the row"
                    self._refused[name] = Refused(f"a partition of the collection ({some} ...)", repr(name), remedy)
                else:
                    self._make(name)
            except MilvusException as error:
                self._refused[name] = Refused("a name that a partition can have", f"{name!r} ({error})", "rename it")
            else:
                if name not in self._refused:
                    self._known.add(name)
        return self._refused.get(name)


def _any(_: str) -> Refused | None:
    return None


class PartitionColumn:
    """The column that names each row's partition: text, or integers for what they look like.

    Attributes:
        name: Its name, or a path to a field of structs.
        admit: Says why no row goes to the partition of a name, or None. Until it is set any name will do.

    Raises:
        SchemaError: If the column cannot name anything.
    """

    def __init__(self, name: str, path: tuple[str, ...], kind: pa.DataType) -> None:
        self.name = name
        self.path = path
        self.admit: Callable[[str], Refused | None] = _any
        self._check(kind)

    def names(self, batch: pa.RecordBatch) -> tuple[pa.Array, list[Refusal]]:
        """The partition of every row, as text without nulls, and the rows that have none.

        Raises:
            SchemaError: If these rows have a column of another kind.
        """
        at = batch.schema.get_field_index(self.path[0])
        column = pa.nulls(batch.num_rows, pa.string()) if at < 0 else plain(batch.column(at))
        for step in self.path[1:]:
            column = plain(pc.struct_field(column, step))
        self._check(column.type)
        coded = column.cast(pa.string()).fill_null("").dictionary_encode()
        codes = coded.indices.to_numpy()
        refused: list[Refusal] = []
        for code, name in enumerate(coded.dictionary.to_pylist()):
            why = self.admit(name) if name else Refused("the name of a partition", "none", "fill the value in")
            if why is not None:
                refused += [Refusal(row, self.name, *why) for row in np.flatnonzero(codes == code).tolist()]
        return coded.dictionary.take(coded.indices), refused

    def _check(self, kind: pa.DataType) -> None:
        kind = plain_type(kind)
        if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
            remedy = "choose another column with --partition-column, or cast it in the source"
            message = explain(f"column {self.name!r}", "names of partitions: text or integers", str(kind), remedy)
            raise SchemaError(message, field=self.name)


def partition_of(schema: pa.Schema, target: CollectionSchema, options: LoadOptions) -> str | PartitionColumn:
    """The partition of all rows by name (empty: the default one), or what names that of each.

    Raises:
        SchemaError: If no column of the source can do that, or the collection's partition key does.
    """
    name = options.partition_column
    if name is None:
        return options.partition_name
    chooser = next((field.name for field in target if field.is_partition_key), None)
    if chooser is not None:
        found = f"a collection whose partition key {chooser!r} chooses the partition"
        expected, remedy = "a collection without a partition key", "leave the option out"
        raise SchemaError(explain(f"--partition-column {name}", expected, found, remedy), field=chooser)
    path, kind = column_path(schema, name, "--partition-column")
    return PartitionColumn(name, path, kind)
