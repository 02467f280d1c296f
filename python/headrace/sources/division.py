"""Divides a source of files into row ranges that workers can load apart, and reads such ranges.

A range begins and ends anywhere in a part whose number of rows is known; a part whose length only reading tells is
never divided. The division follows from the files alone, so every machine that sees them finds the same one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from headrace.errors import SourceError, explain
from headrace.sources.base import Part, Read, Source, SourceFile

__all__ = ["RowRange", "divide", "ranged"]


@dataclass(frozen=True, slots=True)
class RowRange:
    """Consecutive rows of one file.

    Attributes:
        file: The file's label.
        first_row: The number of its first row in the file.
        rows: How many rows it has; None for all up to the end of the file.
        number: The first row's running number over all files of the source; None where that is not known.
    """

    file: str
    first_row: int
    rows: int | None
    number: int | None


def divide(source: Source, sizes: Mapping[str, int], count: int) -> list[tuple[RowRange, ...]]:
    """``count`` sequences of ranges of about equal bytes that together hold every row of ``source`` exactly once.

    Args:
        source: Files.
        sizes: The bytes of each file, by label.
        count: How many; some are empty where there are fewer rows.
    """
    parts = list(source.parts())
    weights = _weights(parts, sizes)
    total = sum(weights)
    groups: list[list[RowRange]] = [[] for _ in range(count)]
    position, number = 0.0, 0 if parts else None
    for part, weight in zip(parts, weights, strict=True):
        if part.rows is None:
            middle = (position + weight / 2) / total if total else 0.0
            groups[min(count - 1, int(middle * count))].append(RowRange(part.label, part.first_row, None, number))
            number = None
        else:
            cuts = [((k + 1) * total / count - position) / weight if weight else 1.0 for k in range(count - 1)]
            _share_out(part, [round(min(1.0, max(0.0, cut)) * part.rows) for cut in cuts], groups, number)
            number = None if number is None else number + part.rows
        position += weight
    return [tuple(_joined(group)) for group in groups]


def _weights(parts: Sequence[Part], sizes: Mapping[str, int]) -> list[float]:
    """The bytes of each part: its share of its file's, by rows where those are known."""
    of_file: defaultdict[str, list[int | None]] = defaultdict(list)
    for part in parts:
        of_file[part.label].append(part.rows)
    weights = []
    for part in parts:
        known = [rows for rows in of_file[part.label] if rows is not None]
        whole = len(known) == len(of_file[part.label])
        share = (part.rows or 0) / max(1, sum(known)) if whole else 1 / len(of_file[part.label])
        weights.append(sizes[part.label] * share)
    return weights


def _share_out(part: Part, cuts: list[int], groups: list[list[RowRange]], number: int | None) -> None:
    start = 0
    for group, cut in zip(groups, [*cuts, part.rows or 0], strict=True):
        if cut > start:
            first = None if number is None else number + start
            group.append(RowRange(part.label, part.first_row + start, cut - start, first))
            start = cut


def _joined(ranges: Sequence[RowRange]) -> Iterator[RowRange]:
    """Neighbours as one range."""
    last: RowRange | None = None
    for found in ranges:
        if last is None:
            last = found
        elif last.rows is not None and last.file == found.file and last.first_row + last.rows == found.first_row:
            last = replace(last, rows=None if found.rows is None else last.rows + found.rows)
        else:
            yield last
            last = found
    if last is not None:
        yield last


def ranged(source: Source, ranges: Sequence[RowRange]) -> Source:
    """The same source with these rows only; they keep their numbers.

    Rows of a part that come before its first wanted one are read and dropped.
    """

    def parts() -> Iterator[Part]:
        for part in source.parts():
            for wanted in ranges:
                if wanted.file == part.label and (piece := _piece(part, wanted)) is not None:
                    yield piece

    rows = [wanted.rows for wanted in ranges]
    return Source(
        source.label,
        source.schema,
        parts,
        rows_total=None if None in rows else sum(count or 0 for count in rows),
        replayable=source.replayable,
        nulls=lambda: source.nulls,
        skipped=source.skipped,
        files=tuple(_wanted(file, ranges) for file in source.files),
        notes=source.notes,
        open_ended=source.open_ended,
    )


def _wanted(file: SourceFile, ranges: Sequence[RowRange]) -> SourceFile:
    rows = [wanted.rows for wanted in ranges if wanted.file == file.label]
    return replace(file, wanted=None if None in rows else sum(count or 0 for count in rows))


def _piece(part: Part, wanted: RowRange) -> Part | None:
    """What of ``part`` is in ``wanted``."""
    stop = None if wanted.rows is None else wanted.first_row + wanted.rows
    start = max(part.first_row, wanted.first_row)
    if part.rows is not None:
        end = part.first_row + part.rows
        stop = end if stop is None else min(stop, end)
    if stop is None:
        return part if start == part.first_row else Part(part.label, start, None, _slice(part, start, None))
    if stop <= start:
        return None
    if (start, stop - start) == (part.first_row, part.rows):
        return part
    return Part(part.label, start, stop - start, _slice(part, start, stop))


def _slice(part: Part, start: int, stop: int | None) -> Read:
    def read(max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        row = part.first_row
        for batch in part.read(max_bytes, columns):
            first, row = row, row + batch.num_rows
            begin, end = max(start, first), row if stop is None else min(stop, row)
            if begin < end:
                yield batch.slice(begin - first, end - begin)
            if stop is not None and row >= stop:
                return
        if stop is not None:
            found = f"its end after row {row}"
            remedy = "make the plan anew once nobody writes to the file"
            raise SourceError(explain(part.label, f"rows up to {stop}", found, remedy), source=part.label)

    return read
