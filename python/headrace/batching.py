"""Cuts and joins conformed batches into pieces that make requests of about the wanted size.

Every piece knows which rows of which source it holds, so that any row can be named later, whatever was cut,
joined or left out on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace._core import Packer
from headrace.errors import InternalError

__all__ = [
    "Aim",
    "Batcher",
    "Piece",
    "Placed",
    "Span",
    "locate",
    "own",
    "slice_spans",
    "span_rows",
    "split_rows",
    "take_rows",
    "take_spans",
    "with_partition",
]

#: Rows per run above which rows are joined from slices instead of being taken one by one.
_ROWS_PER_RUN = 16


@dataclass(frozen=True, slots=True)
class Span:
    """``count`` consecutive rows of one source, the first of them row ``start`` of that source."""

    source: str
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows, where in their sources they come from, and the one partition that they go to (empty: the default one)."""

    batch: pa.RecordBatch
    spans: tuple[Span, ...]
    partition: str = ""


def span_rows(spans: Sequence[Span]) -> int:
    """How many rows the spans hold."""
    return sum(span.count for span in spans)


def slice_spans(spans: Sequence[Span], offset: int, length: int) -> tuple[Span, ...]:
    """The spans of rows ``offset`` to ``offset + length`` of what ``spans`` hold."""
    out: list[Span] = []
    for span in spans:
        if length <= 0:
            break
        if offset >= span.count:
            offset -= span.count
            continue
        count = min(span.count - offset, length)
        out.append(Span(span.source, span.start + offset, count))
        length -= count
        offset = 0
    return tuple(out)


def take_spans(spans: Sequence[Span], kept: npt.NDArray[np.int64]) -> tuple[Span, ...]:
    """The spans of the rows at the ascending positions ``kept`` (shape ``(k,)``, int64) of what ``spans`` hold."""
    out: list[Span] = []
    # Runs of neighbouring positions stay one span.
    for start, count in _runs(kept):
        out.extend(slice_spans(spans, start, count))
    return tuple(out)


def take_rows(batch: pa.RecordBatch, kept: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """The rows at the ascending positions ``kept`` (shape ``(k,)``, int64), copied."""
    runs = _runs(kept)
    if not runs or len(runs) > len(kept) // _ROWS_PER_RUN:
        return batch.take(pa.array(kept))
    # Arrow takes lists item by item; joining a few slices goes at the speed of memory.
    slices = [batch.slice(start, count) for start, count in runs]
    return pa.Table.from_batches(slices).combine_chunks().to_batches()[0]


def split_rows(rows: Placed, names: pa.Array | None) -> list[Placed]:
    """The rows of each partition, in the order in which each comes first; ``names`` has the name for every row.

    Where all rows are of one partition, or ``names`` is None, nothing is copied.
    """
    if names is None or not len(names):
        return [rows]
    coded = names.dictionary_encode()
    found = coded.dictionary.to_pylist()
    if len(found) == 1:
        return [Placed(rows.batch, rows.spans, found[0])]
    codes = coded.indices.to_numpy()
    order = np.argsort(codes, kind="stable").astype(np.int64, copy=False)
    ends = np.cumsum(np.bincount(codes))
    parts = np.split(order, ends[:-1])
    return [
        Placed(take_rows(rows.batch, kept), take_spans(rows.spans, kept), name)
        for name, kept in zip(found, parts, strict=True)
    ]


def with_partition(batch: pa.RecordBatch, column: str, partition: str) -> pa.RecordBatch:
    """The rows with their partition's name in a column of that name, where they have none and it is wanted."""
    if not column or column in batch.schema.names:
        return batch
    return batch.append_column(column, pa.repeat(pa.scalar(partition), batch.num_rows))


def _runs(kept: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Start and length of each run of neighbouring positions."""
    if not len(kept):
        return []
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(kept) != 1) + 1, [len(kept)]])
    return list(zip(kept[bounds[:-1]].tolist(), np.diff(bounds).tolist(), strict=True))


def locate(spans: Sequence[Span], row: int) -> tuple[str, int]:
    """The source, and the row in it, of row ``row`` of what ``spans`` hold."""
    for span in spans:
        if row < span.count:
            return span.source, span.start + row
        row -= span.count
    raise InternalError(f"batching: expected a row inside its spans, found {row} rows past them; please report this")


def own(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A deep copy of ``batch`` that shares no memory with it; what a slice left out is not copied."""
    return pa.ipc.read_record_batch(pa.ipc.read_message(batch.serialize()), batch.schema)


@dataclass(frozen=True, slots=True)
class Aim:
    """What a request should be: about ``size`` encoded bytes, but no more than ``rows`` rows where that is a number."""

    size: int
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows that make one request: a conformed batch and the source rows it came from.

    Attributes:
        batch: The rows.
        spans: Where they came from.
        size: Length of the encoded request, in bytes.
        aim: The size in bytes that it was cut or joined for; 0 where it was not yet.
    """

    batch: pa.RecordBatch
    spans: tuple[Span, ...]
    size: int
    aim: int = 0


#: A piece may be larger than the aim by this factor: a batch of about its size is not worth cutting.
TOLERANCE = 1.125


class Batcher:
    """Makes pieces of about the size aimed at: larger batches are cut, smaller ones wait and are joined.

    Cutting copies nothing (pieces are slices). Joining copies, so it is only for batches of which two make a request.

    Args:
        packer: Measures encoded sizes.
        aim: Says what a request should be; asked for every batch.
        copy_waiting: Whether a batch that waits is copied first, because its memory belongs to a caller
            who may overwrite it.
    """

    def __init__(self, packer: Packer, *, aim: Callable[[], Aim], copy_waiting: bool) -> None:
        self._packer = packer
        self._aim = aim
        self._limit: int | None = None
        self._keep: Callable[[pa.RecordBatch], pa.RecordBatch] = own if copy_waiting else lambda batch: batch
        self._waiting: list[Piece] = []
        self._waiting_bytes = 0

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be joined with later ones."""
        return sum(piece.batch.num_rows for piece in self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """Encoded bytes of these."""
        return self._waiting_bytes

    def limit(self, size: int) -> None:
        """Make pieces of at most ``size`` bytes from now on, where they were to be larger."""
        self._limit = max(1, size if self._limit is None else min(size, self._limit))

    def add(self, piece: Piece) -> list[Piece]:
        """Take a conformed batch of any size; return the pieces that are ready, in row order."""
        if piece.batch.num_rows == 0:
            return []
        aim = self._aim()
        if 2 * (self._waiting_bytes + piece.size) <= self._most(aim, piece):
            self._waiting.append(Piece(self._keep(piece.batch), piece.spans, piece.size))
            self._waiting_bytes += piece.size
            return []
        if self._waiting:
            piece = self._join([*self._waiting, piece])
            self._waiting.clear()
            self._waiting_bytes = 0
        return self._cut(piece, aim)

    def flush(self) -> list[Piece]:
        """Return what waits, as pieces."""
        if not self._waiting:
            return []
        piece = self._join(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        return self._cut(piece, self._aim())

    def _most(self, aim: Aim, piece: Piece) -> int:
        """Bytes of the largest piece of such rows."""
        size = aim.size
        if aim.rows is not None:
            size = min(size, max(1, aim.rows * piece.size // piece.batch.num_rows))
        most = int(size * TOLERANCE)
        return most if self._limit is None else min(most, self._limit)

    def _join(self, pieces: list[Piece]) -> Piece:
        if len(pieces) == 1:
            return pieces[0]
        table = pa.Table.from_batches([piece.batch for piece in pieces]).combine_chunks()
        joined = table.to_batches()[0]
        spans = _merge([span for piece in pieces for span in piece.spans])
        return Piece(joined, spans, self._packer.encoded_len(joined))

    def _cut(self, piece: Piece, aim: Aim) -> list[Piece]:
        batch, spans, size = piece.batch, piece.spans, piece.size
        most = self._most(aim, piece)
        if size <= most or batch.num_rows == 1:
            return [Piece(batch, spans, size, aim.size)]
        # Even pieces: a request of the size aimed at, followed by a sliver, would cost a round trip for nothing.
        count = -(-size // most)
        even = min(most, size // count + 2 * (size // batch.num_rows) + 64)
        pieces: list[Piece] = []
        offset = 0
        while offset < batch.num_rows:
            rows = self._packer.fit(batch, offset, even)
            part = batch.slice(offset, rows)
            pieces.append(Piece(part, slice_spans(spans, offset, rows), self._packer.encoded_len(part), aim.size))
            offset += rows
        return pieces


def _merge(spans: list[Span]) -> tuple[Span, ...]:
    out: list[Span] = []
    for span in spans:
        last = out[-1] if out else None
        if last is not None and last.source == span.source and last.start + last.count == span.start:
            out[-1] = Span(last.source, last.start, last.count + span.count)
        else:
            out.append(span)
    return tuple(out)
