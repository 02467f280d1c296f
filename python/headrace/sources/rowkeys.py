"""Keys made of where a row is: ``@row``, its running number over the whole source, or ``@file_row``, path and row.

They are columns of those names, made while the source is read. ``@row`` changes when a file is added before the row's
own or rows are added to one; ``@file_row`` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.sources.base import Part, Read, Source

__all__ = ["keyed_by_row", "keyed_rows"]

ROW, FILE_ROW = "@row", "@file_row"
_TYPES = {ROW: pa.int64(), FILE_ROW: pa.string()}


def keyed_rows(batch: pa.RecordBatch, key: str | None, label: str, *, row: int, number: int) -> pa.RecordBatch:
    """``batch`` with the column that ``key`` asks for, unless it asks for none or the column is there already.

    Args:
        batch: Consecutive rows.
        key: ``"@row"``, ``"@file_row"`` or anything else.
        label: The path, or what stands for it.
        row: The first row's number in that file.
        number: The first row's number in the whole source.
    """
    if key not in _TYPES or key in batch.schema.names:
        return batch
    first = number if key == ROW else row
    keys = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
    if key == FILE_ROW:
        keys = pc.binary_join_element_wise(label, keys.cast(pa.string()), "#")
    return batch.append_column(key, keys)


def keyed_by_row(source: Source, key: str | None, first_number: Callable[[Part], int] | None = None) -> Source:
    """``source`` with the column that ``key`` asks for, as :func:`keyed_rows`.

    Args:
        source: Where rows come from.
        key: As there.
        first_number: The running number of a part's first row; by default the parts' rows are counted.
    """
    if key not in _TYPES or key in source.schema.names:
        return source

    def parts() -> Iterator[Part]:
        numbers = _Numbers()
        for part in source.parts():
            known = numbers.of(part) if first_number is None else _Numbers(first_number(part))
            yield Part(part.label, part.first_row, part.rows, _keyed(part, key, known))

    return Source(
        source.label,
        source.schema.append(pa.field(key, _TYPES[key], nullable=False)),
        parts,
        rows_total=source.rows_total,
        replayable=source.replayable,
        nulls=lambda: source.nulls,
        skipped=source.skipped,
        files=source.files,
        notes=source.notes,
        open_ended=source.open_ended,
    )


class _Numbers:
    """The running number of the next row."""

    def __init__(self, first: int = 0) -> None:
        self._next = first

    def of(self, part: Part) -> _Numbers:
        """The numbers of ``part``: known beforehand where its length is, else once the parts before it were read."""
        return self if part.rows is None else _Numbers(self.take(part.rows))

    def take(self, rows: int) -> int:
        """The number of the first of the next ``rows`` rows."""
        first = self._next
        self._next += rows
        return first


def _others(batch: pa.RecordBatch, columns: Sequence[str]) -> list[str]:
    return [name for name in batch.schema.names if name not in columns]


def _keyed(part: Part, key: str, numbers: _Numbers) -> Read:
    def read(max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        row = part.first_row
        wanted = None if columns is None else [name for name in columns if name != key]
        for batch in part.read(max_bytes, wanted):
            found = keyed_rows(batch, key, part.label, row=row, number=numbers.take(batch.num_rows))
            yield found if columns is None else found.select([*columns, *_others(found, columns)])
            row += batch.num_rows

    return read
