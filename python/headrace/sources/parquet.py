"""Parquet files: parts are runs of row groups, read in batches so small that a huge row group needs no more memory.

``pre_buffer=False`` with a buffer of 1 MiB: the default of pyarrow holds the whole row group (850 MB of a 770 MB
file, against 112 MB at equal speed). Page checksums are verified where the file has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.errors import SourceError, explain
from headrace.sources.base import Part, decoded_bytes, select
from headrace.sources.paths import READ_ERRORS, FileRef, damaged

__all__ = ["ParquetReader"]

_BUFFER_BYTES = 1 << 20
#: Row groups are gathered to parts of about this many bytes, as they are encoded.
_PART_BYTES = 128 << 20
#: The first batch of a file shows how wide its rows are once decoded: dictionary pages may hide any factor.
_PROBE_ROWS = 64
_MAX_ROWS = 1 << 16
#: A batch this many times off is worth starting the row group again with another size.
_FAR_OFF = 2
#: ... with a larger one only while no more than this many batches would be decoded twice.
_TWICE_DECODED = 4


@dataclass(frozen=True, slots=True)
class _Group:
    index: int
    first_row: int
    rows: int
    encoded_bytes: int


class ParquetReader:
    """One Parquet file, of which only the footer was read.

    Attributes:
        ref: The file.
        schema: Its columns as Arrow types.
        rows: How many rows it has.
    """

    open_ended = False

    def __init__(self, ref: FileRef) -> None:
        self.ref = ref
        with _open(ref) as file:
            metadata = file.metadata
            self.schema: pa.Schema = file.schema_arrow
            self.rows = int(metadata.num_rows)
            self._groups: list[_Group] = []
            first_row = 0
            for index in range(metadata.num_row_groups):
                group = metadata.row_group(index)
                self._groups.append(_Group(index, first_row, int(group.num_rows), int(group.total_byte_size)))
                first_row += int(group.num_rows)
        #: Decoded bytes of a row as last seen; parts share it, and a stale value costs only a smaller batch.
        self._row_bytes: float | None = None

    def nulls(self) -> frozenset[str]:
        """The flat columns whose statistics count nulls.

        Only on demand: pyarrow 26 ends the process over some damaged statistics, where reading the rows reports them.
        """
        nulls = {field.name for field in self.schema if pa.types.is_null(field.type)}
        with _open(self.ref) as file:
            for index in range(file.metadata.num_row_groups):
                nulls |= _null_columns(file.metadata.row_group(index))
        return frozenset(nulls)

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """The file's parts; ``names`` are the columns to read where the caller names none."""
        run: list[_Group] = []
        for group in self._groups:
            run.append(group)
            if sum(one.encoded_bytes for one in run) >= _PART_BYTES:
                yield self._part(run, names)
                run = []
        if run:
            yield self._part(run, names)

    def _part(self, groups: list[_Group], names: Sequence[str]) -> Part:
        rows = sum(group.rows for group in groups)
        return Part(self.ref.label, groups[0].first_row, rows, partial(self._read, tuple(groups), tuple(names)))

    def _read(
        self, groups: Sequence[_Group], names: Sequence[str], max_bytes: int, columns: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        wanted = list(names if columns is None else columns)
        with _open(self.ref) as file:
            if file.metadata.num_rows != self.rows or file.metadata.num_row_groups != len(self._groups):
                found = f"{file.metadata.num_rows} in {file.metadata.num_row_groups}"
                raise SourceError(
                    explain(
                        self.ref.label,
                        f"{self.rows} rows in {len(self._groups)} row groups, as when the load began",
                        found,
                        "load files that nobody writes to",
                    ),
                    source=self.ref.label,
                )
            for group in groups:
                try:
                    yield from self._read_group(file, group, wanted, max_bytes)
                except READ_ERRORS as error:
                    raise damaged(self.ref, "a readable Parquet file", error, f"row group {group.index}") from error

    def _read_group(
        self, file: pq.ParquetFile, group: _Group, columns: list[str], max_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        done = 0
        while done < group.rows:
            size = self._batch_rows(group, max_bytes)
            skip = done
            for batch in file.iter_batches(batch_size=size, row_groups=[group.index], columns=columns):
                if skip >= batch.num_rows:
                    skip -= batch.num_rows
                    continue
                rows = batch.slice(skip)
                skip = 0
                bytes_read = decoded_bytes(rows)
                self._row_bytes = max(1.0, bytes_read / rows.num_rows)
                # A row group can only be read from its start.
                better = self._batch_rows(group, max_bytes)
                if better >= _FAR_OFF * size and done <= _TWICE_DECODED * better and size < group.rows - done:
                    break
                done += rows.num_rows
                yield select(rows, columns, self.ref.label)
                if bytes_read > _FAR_OFF * max_bytes and better < size:
                    break
            else:
                if done < group.rows:
                    raise OSError(f"{done} of the row group's {group.rows} rows are there")

    def _batch_rows(self, group: _Group, max_bytes: int) -> int:
        if self._row_bytes is None:
            encoded = group.encoded_bytes / max(1, group.rows)
            return max(1, min(_PROBE_ROWS, int(max_bytes / max(1.0, encoded))))
        return max(1, min(_MAX_ROWS, int(max_bytes / self._row_bytes)))


@contextmanager
def _open(ref: FileRef) -> Iterator[pq.ParquetFile]:
    # ParquetFile does not close a file that it was given.
    with ExitStack() as stack:
        try:
            file = stack.enter_context(ref.open())
            parquet = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)
        except READ_ERRORS as error:
            raise damaged(ref, "a readable Parquet file", error, "footer") from error
        yield parquet


def _null_columns(group: pq.RowGroupMetaData) -> set[str]:
    nulls = set()
    for index in range(group.num_columns):
        column = group.column(index)
        # A dotted path is a child: its null count says nothing about the column itself.
        if "." not in column.path_in_schema and column.is_stats_set:
            statistics = column.statistics
            if statistics.has_null_count and statistics.null_count:
                nulls.add(column.path_in_schema)
    return nulls
