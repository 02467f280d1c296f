"""One file as another shape of itself: its column renamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa

from headrace.sources.base import FileReader, Part

__all__ = ["Renamed"]


class Renamed:
    """A file of one column, which has another name here."""

    def __init__(self, reader: FileReader, name: str) -> None:
        self.ref = reader.ref
        self.rows = reader.rows
        self.open_ended = False
        self.schema = pa.schema([reader.schema.field(0).with_name(name)])
        self._reader = reader

    def nulls(self) -> frozenset[str]:
        """The column, where statistics know it to hold nulls."""
        return frozenset(self.schema.names) if self._reader.nulls() else frozenset()

    def parts(self, _names: Sequence[str]) -> Iterator[Part]:
        """The file's parts."""
        for part in self._reader.parts(self._reader.schema.names):
            yield Part(part.label, part.first_row, part.rows, partial(self._read, part))

    def _read(self, part: Part, max_bytes: int, _columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        for found in part.batches(max_bytes=max_bytes):
            yield found.batch.rename_columns(self.schema.names)
