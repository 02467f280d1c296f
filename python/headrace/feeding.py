"""Turns source batches into packed requests: conform, cut, pack.

A :class:`Feeder` does no waiting. Its methods are generators that yield how many bytes of the window the next request
needs and go on once those are granted, so the same code serves a blocking thread and an event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace._core import Packer
from headrace.batching import Batcher, Piece, Span, locate, take_spans
from headrace.conform import ConformPlan
from headrace.errors import CellError
from headrace.rejects import Reject
from headrace.report import Verdict
from headrace.sending import Ledger, Request
from headrace.sources import SourceBatch

__all__ = ["Feeder"]


@dataclass(frozen=True, slots=True)
class _Conformed:
    batch: pa.RecordBatch
    spans: tuple[Span, ...]


class Feeder:
    """Conforms, cuts and packs batches of one load. Thread-safe.

    Args:
        plan: How source columns become fields.
        packer: Packs conformed batches.
        ledger: Where rows and verdicts are counted.
        upsert: Whether requests go out as upserts.
        target_bytes: The wanted size of a request.
        copy_waiting: Whether rows that wait to be joined are copied first, because a caller may overwrite them.
        submit: Takes each packed request.
        dry_run: Whether rows end as skipped instead of being submitted.
    """

    def __init__(
        self,
        plan: ConformPlan,
        packer: Packer,
        ledger: Ledger,
        *,
        upsert: bool,
        target_bytes: int,
        copy_waiting: bool,
        submit: Callable[[Request, pa.RecordBatch], None],
        dry_run: bool = False,
    ) -> None:
        self._plan = plan
        self._packer = packer
        self._ledger = ledger
        self._upsert = upsert
        self._submit = submit
        self._dry_run = dry_run
        self._batcher = Batcher(packer, target_bytes=target_bytes, copy_waiting=copy_waiting)
        self._lock = threading.Lock()
        # Joined pieces of one batcher must have one Arrow schema; a source may change it (lists of dicts do).
        self._schema: pa.Schema | None = None

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be joined with later ones."""
        return self._batcher.waiting_rows

    def feed(self, source: SourceBatch) -> Generator[int, None, None]:
        """Take a source batch. Yields the bytes to reserve before each request; close it to leave the rest unsent."""
        self._ledger.account.read(source.batch.num_rows)
        spans = (Span(source.source, source.first_row, source.batch.num_rows),)
        try:
            conformed = self._conform(source.batch, spans)
            with self._lock:
                pieces = self._joinable(conformed.batch.schema)
                pieces += self._batcher.add(conformed.batch, conformed.spans)
        except BaseException:
            self._ledger.settle(spans, source.batch.num_rows, Verdict.UNSENT)
            raise
        yield from self._send(pieces)

    def flush(self) -> Generator[int, None, None]:
        """Send what waits to be joined."""
        with self._lock:
            pieces = self._batcher.flush()
        yield from self._send(pieces)

    def abandon(self) -> None:
        """Settle what waits as unsent."""
        with self._lock:
            for piece in self._batcher.flush():
                self._ledger.settle(piece.spans, piece.batch.num_rows, Verdict.UNSENT)

    def _joinable(self, schema: pa.Schema) -> list[Piece]:
        before, self._schema = self._schema, schema
        return [] if before is None or before.equals(schema) else self._batcher.flush()

    def _conform(self, batch: pa.RecordBatch, spans: tuple[Span, ...]) -> _Conformed:
        result = self._plan.apply(batch)
        if not result.refused:
            return _Conformed(result.batch, spans)
        rejects = [
            Reject(cell.row, *locate(spans, cell.row), cell.field, cell.expected, cell.found, cell.remedy)
            for cell in result.refused
        ]
        self._ledger.refuse(batch, rejects)
        kept = result.kept if result.kept is not None else np.empty(0, np.int64)
        return _Conformed(result.batch, take_spans(spans, kept))

    def _send(self, pieces: list[Piece]) -> Generator[int, None, None]:
        waiting = list(reversed(pieces))
        try:
            while waiting:
                charge = waiting[-1].size
                yield charge
                try:
                    self._pack(waiting.pop(), charge)
                except BaseException:
                    self._ledger.window.release(charge, outgoing=True)
                    raise
        finally:
            for piece in waiting:
                self._ledger.settle(piece.spans, piece.batch.num_rows, Verdict.UNSENT)

    def _pack(self, piece: Piece, charge: int) -> None:
        """Pack and submit a piece; rows with a refused cell are set aside first."""
        batch, spans = piece.batch, piece.spans
        try:
            try:
                payload = self._pack_rows(batch)
            except CellError:
                batch, spans = self._set_aside(batch, spans)
                payload = self._pack_rows(batch) if batch.num_rows else b""
        except BaseException:
            self._ledger.settle(spans, batch.num_rows, Verdict.UNSENT)
            raise
        if not batch.num_rows or self._dry_run:
            if batch.num_rows:
                self._ledger.settle(spans, batch.num_rows, Verdict.SKIPPED)
            self._ledger.window.release(charge, outgoing=True)
            return
        self._submit(Request(payload, batch.num_rows, spans, charge, self._upsert), batch)

    def _pack_rows(self, batch: pa.RecordBatch) -> bytes:
        return self._packer.pack_upsert(batch) if self._upsert else self._packer.pack_insert(batch)

    def _set_aside(self, batch: pa.RecordBatch, spans: tuple[Span, ...]) -> tuple[pa.RecordBatch, tuple[Span, ...]]:
        refused = self._packer.check(batch)
        rejects = [Reject(row, *locate(spans, row), *reasons) for row, *reasons in refused]
        self._ledger.refuse(batch, rejects)
        bad = np.array([reject.index for reject in rejects], np.int64)
        kept = np.setdiff1d(np.arange(batch.num_rows, dtype=np.int64), bad, assume_unique=True)
        return batch.take(pa.array(kept)), take_spans(spans, kept)
