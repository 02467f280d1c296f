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
class _Rows:
    """Rows that still need a verdict, and where they came from."""

    batch: pa.RecordBatch
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Packed:
    request: Request
    batch: pa.RecordBatch


class Feeder:
    """Conforms, cuts and packs batches of one load. Thread-safe.

    Args:
        plan: How source columns become fields.
        packer: Packs conformed batches.
        ledger: Where rows and verdicts are counted.
        upsert: Whether requests go out as upserts.
        target_bytes: The wanted size of a request.
        copy_waiting: Whether rows that wait to be joined are copied first, because a caller may overwrite them.
        submit: Takes each packed request, with the rows in it.
        withdraw: Gives a request up that ``submit`` may or may not have taken.
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
        withdraw: Callable[[Request], None],
        dry_run: bool = False,
    ) -> None:
        self._plan = plan
        self._packer = packer
        self._ledger = ledger
        self._upsert = upsert
        self._submit = submit
        self._withdraw = withdraw
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
        rows = _Rows(source.batch, (Span(source.source, source.first_row, source.batch.num_rows),))
        try:
            rows = self._conform(rows)
            try:
                size = self._packer.encoded_len(rows.batch)
            except CellError:
                rows = self._set_aside(rows)
                size = self._packer.encoded_len(rows.batch)
            with self._lock:
                pieces = self._joinable(rows.batch.schema) + self._batcher.add(Piece(rows.batch, rows.spans, size))
        except BaseException:
            self._ledger.settle(rows.spans, rows.batch.num_rows, Verdict.UNSENT)
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

    def _conform(self, rows: _Rows) -> _Rows:
        result = self._plan.apply(rows.batch)
        if not result.refused:
            return _Rows(result.batch, rows.spans)
        rejects = [
            Reject(cell.row, *locate(rows.spans, cell.row), cell.field, cell.expected, cell.found, cell.remedy)
            for cell in result.refused
        ]
        self._ledger.refuse(rows.batch, rejects)
        kept = result.kept if result.kept is not None else np.empty(0, np.int64)
        return _Rows(result.batch, take_spans(rows.spans, kept))

    def _set_aside(self, rows: _Rows) -> _Rows:
        """Reject the rows that have a cell which cannot be packed; return the others."""
        rejects = [Reject(row, *locate(rows.spans, row), *why) for row, *why in self._packer.check(rows.batch)]
        self._ledger.refuse(rows.batch, rejects)
        bad = np.array([reject.index for reject in rejects], np.int64)
        kept = np.setdiff1d(np.arange(rows.batch.num_rows, dtype=np.int64), bad, assume_unique=True)
        return _Rows(rows.batch.take(pa.array(kept)), take_spans(rows.spans, kept))

    def _send(self, pieces: list[Piece]) -> Generator[int, None, None]:
        waiting = list(reversed(pieces))
        try:
            while waiting:
                charge = waiting[-1].size
                yield charge
                piece = waiting.pop()
                request = self._pack(_Rows(piece.batch, piece.spans), charge)
                if request is not None:
                    self._hand_over(request)
        finally:
            for piece in waiting:
                self._ledger.settle(piece.spans, piece.batch.num_rows, Verdict.UNSENT)

    def _pack(self, rows: _Rows, charge: int) -> _Packed | None:
        """Pack rows; those with a refused cell are set aside first. None where nothing is left to be sent."""
        try:
            try:
                payload = self._pack_rows(rows.batch)
            except CellError:
                rows = self._set_aside(rows)
                payload = self._pack_rows(rows.batch) if rows.batch.num_rows else b""
        except BaseException:
            self._ledger.settle(rows.spans, rows.batch.num_rows, Verdict.UNSENT)
            self._ledger.window.release(charge, outgoing=True)
            raise
        if rows.batch.num_rows and not self._dry_run:
            return _Packed(Request(payload, rows.batch.num_rows, rows.spans, charge, self._upsert), rows.batch)
        self._ledger.settle(rows.spans, rows.batch.num_rows, Verdict.SKIPPED)
        self._ledger.window.release(charge, outgoing=True)
        return None

    def _hand_over(self, packed: _Packed) -> None:
        try:
            self._submit(packed.request, packed.batch)
        except BaseException:
            # An interrupt may have come after it was taken; who takes it knows, and is the one to give it up.
            self._withdraw(packed.request)
            raise

    def _pack_rows(self, batch: pa.RecordBatch) -> bytes:
        return self._packer.pack_upsert(batch) if self._upsert else self._packer.pack_insert(batch)
