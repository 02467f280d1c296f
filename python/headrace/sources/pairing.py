"""Files whose columns lie beside each other: vectors in one, keys and metadata in others, row by row.

``{part}`` in a path stands for any text without a slash, as ``*`` does, and pairs files by it: of
``vectors_{part}.npy`` the file ``vectors_7.npy`` goes with ``ids_7.npy`` where the keys are said to be in
``ids_{part}.npy``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa

from headrace.errors import ConfigError, SourceError, explain
from headrace.sources.base import FileReader, Part, SourceBatch, row_bits
from headrace.sources.globs import PLACE, matcher
from headrace.sources.paths import FileRef

__all__ = ["Beside", "PairedReader", "pair_files"]

_CSV_NAME = re.compile(r"\.(csv|tsv|tab)(\.\w+)?$", re.I)


class Beside:
    """Where more columns of the rows are.

    Args:
        option: What it was given as (``"--ids"``).
        pattern: A path, with the places in braces that the source's path has.
        column: What its column is called, which then must be the only one; None to keep its columns' names.
    """

    def __init__(self, option: str, pattern: str, column: str | None) -> None:
        self.option = option
        self.pattern = pattern
        self.column = column


def pair_files(
    paths: Sequence[str], refs: Sequence[FileRef], beside: Beside, find: Callable[[Sequence[str]], list[FileRef]]
) -> list[FileRef]:
    """For each of the files that ``paths`` named its partner.

    Raises:
        ConfigError: If the pattern cannot tell the partners of several files apart.
        SourceError: If a file has no partner, or a partner no file.
    """
    places = set(PLACE.findall(beside.pattern))
    if len(refs) > 1 and not places:
        remedy = "write both with the same place, as 'vectors_{part}.npy' and 'ids_{part}.npy'"
        raise ConfigError(explain(beside.option, "a path with {part} in it", f"{len(refs)} files to pair", remedy))
    partners = []
    for ref in refs:
        path = PLACE.sub(partial(_filled, _captured(paths, ref), beside, ref), beside.pattern)
        try:
            found = find([path])
        except SourceError as error:
            raise _unpaired(ref.label, f"its rows' {beside.option[2:]} in {path}", "none", path) from error
        if len(found) != 1:
            raise _unpaired(ref.label, f"one file at {path}", f"{len(found)} files", path)
        partners += found
    if places:
        taken = {partner.label for partner in partners}
        for other in find([beside.pattern]):
            if other.label not in taken:
                raise _unpaired(other.label, f"a file of {', '.join(paths)} to pair it with", "none", other.label)
    return partners


def _unpaired(where: str, expected: str, found: str, source: str) -> SourceError:
    remedy = "bring the missing file, or remove the one that it belongs to"
    return SourceError(explain(where, expected, found, remedy), source=source)


def _captured(paths: Sequence[str], ref: FileRef) -> Mapping[str, str]:
    for path in paths:
        matched = matcher(os.path.expanduser(path)).fullmatch(ref.label)  # noqa: PTH111 - as it was looked for
        if matched is not None:
            return matched.groupdict()
    return {}


def _filled(captured: Mapping[str, str], beside: Beside, ref: FileRef, place: re.Match[str]) -> str:
    if place[1] not in captured:
        found = f"{place[0]}, which the path of {ref.label} does not have"
        remedy = f"write the source's path with {place[0]} as well, as 'vectors_{place[0]}.npy'"
        raise ConfigError(explain(beside.option, "places of the source's path", found, remedy))
    return captured[place[1]]


class PairedReader:
    """A file and those beside it, as one with the columns of all. Row ``i`` is row ``i`` of each.

    Raises:
        SourceError: If they have different numbers of rows, or a column's name stands in two of them.
    """

    def __init__(self, first: FileReader, others: Sequence[FileReader]) -> None:
        self.ref = first.ref
        self.beside = tuple(other.ref for other in others)
        self._readers = [first, *others]
        self.rows = _counted(first)
        self.open_ended = any(reader.open_ended for reader in self._readers)
        owners: dict[str, FileReader] = {}
        for reader in self._readers:
            rows = _counted(reader)
            if rows != self.rows:
                found, remedy = f"{self.rows} and {rows}", "pair files that were written together"
                if rows == self.rows - 1 and _CSV_NAME.search(reader.ref.label):
                    remedy = "write the column's name above the rows: the first line of CSV is none"
                where = f"{first.ref.label} and {reader.ref.label}"
                raise SourceError(explain(where, "as many rows in both", found, remedy), source=reader.ref.label)
            for name in reader.schema.names:
                if name in owners:
                    found, remedy = f"{name!r} in both", "rename it in one of them"
                    where = f"{owners[name].ref.label} and {reader.ref.label}"
                    message = explain(where, "each column in one of them", found, remedy)
                    raise SourceError(message, source=self.ref.label)
                owners[name] = reader
        self._owners = owners
        self.schema = pa.schema([field for reader in self._readers for field in reader.schema])

    def nulls(self) -> frozenset[str]:
        """The columns that statistics know to hold nulls."""
        return frozenset().union(*(reader.nulls() for reader in self._readers))

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """The first file's parts, with the columns of the others."""
        cursors = [_Cursor(reader) for reader in self._readers[1:]]
        for part in self._readers[0].parts(self._readers[0].schema.names):
            yield Part(part.label, part.first_row, part.rows, partial(self._read, part, cursors, tuple(names)))

    def _read(
        self,
        part: Part,
        cursors: Sequence[_Cursor],
        names: Sequence[str],
        max_bytes: int,
        columns: Sequence[str] | None,
    ) -> Iterator[pa.RecordBatch]:
        wanted = names if columns is None else columns
        stop = None if part.rows is None else part.first_row + part.rows
        streams: list[Iterator[pa.RecordBatch]] = []
        for reader, cursor in zip(self._readers, [None, *cursors], strict=True):
            own = [name for name in wanted if self._owners[name] is reader]
            if own and cursor is None:
                share = self._share(own, wanted, max_bytes)
                streams.append(found.batch for found in part.batches(max_bytes=share, columns=own))
            elif own and cursor is not None:
                streams.append(cursor.rows(part.first_row, stop, own, max_bytes))
        return _side_by_side(streams, wanted)

    def _share(self, own: Sequence[str], wanted: Sequence[str], max_bytes: int) -> int:
        """The bytes of the ``own`` columns in batches of all: a few rows too many would be cut off each of them."""
        bits = {name: row_bits(pa.nulls(0, self.schema.field(name).type)) for name in wanted}
        known = [width for width in bits.values() if width is not None]
        if len(known) < len(bits):
            return max_bytes
        return max_bytes * sum(bits[name] or 0 for name in own) // max(1, sum(known))


def _counted(reader: FileReader) -> int:
    """How many rows a file has, read to its end where only that tells."""
    if reader.rows is not None:
        return reader.rows
    batches = (found for part in reader.parts(reader.schema.names[:1]) for found in part.batches(max_bytes=1 << 20))
    return sum(found.batch.num_rows for found in batches)


class _Cursor:
    """Reads row ranges of a file, ascending ones in one pass; parts before them are not read."""

    def __init__(self, reader: FileReader) -> None:
        self._reader = reader
        self._columns: Sequence[str] = ()
        self._next = 0
        self._batches: Iterator[SourceBatch] = iter(())
        self._rest: SourceBatch | None = None

    def rows(self, start: int, stop: int | None, columns: Sequence[str], max_bytes: int) -> Iterator[pa.RecordBatch]:
        """Rows ``start`` to ``stop``, or to the end."""
        if columns != self._columns or start < self._next or not self._next:
            self._columns, self._rest = columns, None
            self._batches = self._from(start, columns, max_bytes)
        self._next = start
        while stop is None or self._next < stop:
            found = self._rest or next(self._batches, None)
            self._rest = None
            if found is None:
                return
            skip = max(0, self._next - found.first_row)
            end = found.batch.num_rows if stop is None else min(found.batch.num_rows, stop - found.first_row)
            if end < found.batch.num_rows:
                self._rest = found
            if skip < end:
                self._next = found.first_row + end
                yield found.batch.slice(skip, end - skip)

    def _from(self, start: int, columns: Sequence[str], max_bytes: int) -> Iterator[SourceBatch]:
        for part in self._reader.parts(columns):
            # Where nobody asked for rows of it yet, what lies before them may be passed over.
            if part.rows is None or part.first_row + part.rows > max(start, self._next):
                yield from part.batches(max_bytes=max_bytes, columns=columns)


def _side_by_side(streams: Sequence[Iterator[pa.RecordBatch]], names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Batches of the columns of all streams, cut where any of them is; they have equally many rows."""
    heads: list[pa.RecordBatch | None] = [None] * len(streams)
    while streams:
        for number, stream in enumerate(streams):
            if heads[number] is None:
                heads[number] = next(stream, None)
        whole = [head for head in heads if head is not None]
        if len(whole) < len(heads):
            return
        rows = min(head.num_rows for head in whole)
        columns = {name: head.column(name).slice(0, rows) for head in whole for name in head.schema.names}
        ordered = [*names, *(name for name in columns if name not in names)]
        yield pa.RecordBatch.from_arrays([columns[name] for name in ordered], names=ordered)
        heads = [head.slice(rows) if head.num_rows > rows else None for head in whole]
