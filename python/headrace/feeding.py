"""Turns source batches into packed requests: conform, cut, order by key, pack.

A :class:`Feeder` does no waiting of its own. Its methods are generators that yield how many bytes of the window the
next request needs and go on once those are granted, so the same code serves a blocking thread and an event loop.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.attempts import Request
from headrace.batching import Aim, Batcher, Piece, Placed, Span, locate, take_spans
from headrace.config import NullVectors
from headrace.conform import ConformPlan, Refusal
from headrace.errors import CellError, SchemaError
from headrace.freshness import LiveSchema
from headrace.lanes import Lanes, Outgoing
from headrace.ledger import Ledger
from headrace.ordering import KeyOrder
from headrace.patience import Patience
from headrace.rejects import Reject
from headrace.report import Verdict
from headrace.sources import SourceBatch
from headrace.steps import NullVector
from headrace.window import Window

__all__ = ["Feeder", "reserve_each"]


@dataclass(frozen=True, slots=True)
class _Packed:
    request: Request
    batch: pa.RecordBatch


class Feeder:
    """Conforms, cuts, orders and packs batches of one load. Thread-safe.

    Requests are handed over one at a time, in the order of their rows: whoever hands over holds the others up.

    Args:
        plan: How source columns become fields.
        schema: What rows are packed for.
        ledger: Where rows and verdicts are counted.
        key: The key column's name; None where rows carry no key.
        order: Knows which keys came before.
        upsert: Whether requests go out as upserts.
        aim: Says what a request should be.
        copy_waiting: Whether rows that wait to be joined are copied first, because a caller may overwrite them.
        submit: Takes each packed request, with the rows in it.
        withdraw: Gives a request up that ``submit`` may or may not have taken.
        null_vectors: What becomes of rows with a null in a vector field that takes none.
        dry_run: Whether rows end as skipped instead of being submitted.
    """

    def __init__(
        self,
        plan: ConformPlan,
        schema: LiveSchema,
        ledger: Ledger,
        *,
        key: str | None,
        order: KeyOrder,
        upsert: bool,
        aim: Callable[[], Aim],
        copy_waiting: bool,
        submit: Callable[[Request, pa.RecordBatch], None],
        withdraw: Callable[[Request], None],
        null_vectors: NullVectors = "reject",
        dry_run: bool = False,
    ) -> None:
        self._plan = plan
        self._live = schema
        self._packer = schema.packer
        self._ledger = ledger
        self._submit = submit
        self._withdraw = withdraw
        self._null_vectors = null_vectors
        self._dry_run = dry_run
        self._batcher = Batcher(self._packer, aim=aim, copy_waiting=copy_waiting)
        self._lanes = Lanes(
            key,
            self._packer,
            ledger,
            order,
            upsert=upsert,
            aim=aim,
            copy_waiting=copy_waiting,
        )
        # Held from the moment rows leave the batcher until they are handed over, so that none overtakes another.
        self._turn = threading.Lock()
        # Joined pieces of one batcher must have one Arrow schema; a source may change it (lists of dicts do).
        self._schema: pa.Schema | None = None

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be joined with later ones."""
        return self._batcher.waiting_rows + self._lanes.waiting_rows

    def limit(self, size: int) -> None:
        """Make requests of at most ``size`` bytes from now on."""
        self._batcher.limit(size)
        self._lanes.limit(size)

    def feed(self, source: SourceBatch) -> Generator[int, None, None]:
        """Take a source batch. Yields the bytes to reserve before each request; close it to leave the rest unsent."""
        self._ledger.account.read(source.batch.num_rows)
        rows = Placed(source.batch, (Span(source.source, source.first_row, source.batch.num_rows),))
        try:
            rows = self._conform(rows)
            try:
                size = self._packer.encoded_len(rows.batch)
            except CellError:
                rows = self._set_aside(rows)
                size = self._packer.encoded_len(rows.batch)
        except BaseException:
            self._ledger.settle(rows.spans, rows.batch.num_rows, Verdict.UNSENT)
            raise
        with self._turn:
            yield from self._send(self._cut(Piece(rows.batch, rows.spans, size)))

    def flush(self) -> Generator[int, None, None]:
        """Send what waits to be joined."""
        with self._turn:
            yield from self._send([*self._batcher.flush(), None])

    def abandon(self) -> None:
        """Settle what waits as unsent."""
        with self._turn:
            for piece in self._batcher.flush():
                self._leave_unsent(piece)
            for outgoing in self._lanes.flush():
                self._leave_unsent(outgoing.piece)

    def _cut(self, piece: Piece) -> list[Piece | None]:
        """The pieces that are ready now that ``piece`` has come; None where everything else has to go first."""
        try:
            before, self._schema = self._schema, piece.batch.schema
            if before is None or before.equals(self._schema):
                return [*self._batcher.add(piece)]
            return [*self._batcher.flush(), None, *self._batcher.add(piece)]
        except BaseException:
            self._leave_unsent(piece)
            raise

    def _leave_unsent(self, piece: Piece) -> None:
        self._ledger.settle(piece.spans, piece.batch.num_rows, Verdict.UNSENT)

    def _conform(self, rows: Placed) -> Placed:
        try:
            result = self._plan.apply(rows.batch)
        except SchemaError as error:
            where = f"{rows.spans[0].source}, from row {rows.spans[0].start} on"
            raise SchemaError(f"{where}: {error}", field=error.field) from error
        for text, values in result.notes.items():
            self._ledger.note(text, values)
        if not result.refused:
            return Placed(result.batch, rows.spans)
        skipped = [cell.row for cell in result.refused if self._skips(cell)]
        if skipped:
            self._ledger.settle(take_spans(rows.spans, np.array(skipped, np.int64)), len(skipped), Verdict.SKIPPED)
        rejects = [
            Reject(cell.row, *locate(rows.spans, cell.row), cell.field, cell.expected, cell.found, cell.remedy)
            for cell in result.refused
            if not self._skips(cell)
        ]
        self._ledger.refuse(rows.batch, rejects)
        kept = result.kept if result.kept is not None else np.empty(0, np.int64)
        return Placed(result.batch, take_spans(rows.spans, kept))

    def _skips(self, cell: Refusal) -> bool:
        return self._null_vectors == "skip" and isinstance(cell, NullVector)

    def _set_aside(self, rows: Placed) -> Placed:
        """Reject the rows that have a cell which cannot be packed; return the others."""
        rejects = [Reject(row, *locate(rows.spans, row), *why) for row, *why in self._packer.check(rows.batch)]
        self._ledger.refuse(rows.batch, rejects)
        bad = np.array([reject.index for reject in rejects], np.int64)
        kept = np.setdiff1d(np.arange(rows.batch.num_rows, dtype=np.int64), bad, assume_unique=True)
        return Placed(rows.batch.take(pa.array(kept)), take_spans(rows.spans, kept))

    def _send(self, pieces: list[Piece | None]) -> Generator[int, None, None]:
        """Pack pieces and hand them over; None sends what waits in the lanes."""
        waiting, ready = deque(pieces), deque[Outgoing]()
        try:
            while waiting or ready:
                if not ready:
                    piece = waiting[0]
                    ready.extend(self._lanes.flush() if piece is None else self._lanes.take(piece))
                    waiting.popleft()
                    continue
                charge = ready[0].piece.size
                yield charge
                packed = self._pack(ready.popleft(), charge)
                if packed is not None:
                    self._hand_over(packed)
                if not ready:
                    self._lanes.handed_over()
        finally:
            for left in (*(outgoing.piece for outgoing in ready), *waiting):
                if left is not None:
                    self._leave_unsent(left)

    def _pack(self, outgoing: Outgoing, charge: int) -> _Packed | None:
        """Pack rows; those with a refused cell are set aside first. None where nothing is left to be sent."""
        rows = Placed(outgoing.piece.batch, outgoing.piece.spans)
        try:
            try:
                payload, timestamp = self._live.pack(rows.batch)
            except CellError:
                rows = self._set_aside(rows)
                payload, timestamp = self._live.pack(rows.batch) if rows.batch.num_rows else (b"", 0)
        except BaseException:
            self._ledger.settle(rows.spans, rows.batch.num_rows, Verdict.UNSENT)
            self._ledger.window.release(charge, outgoing=True)
            raise
        if rows.batch.num_rows and not self._dry_run:
            whole = rows.batch is outgoing.piece.batch
            ordered = outgoing.ordered if whole else None
            claim = self._lanes.enter(rows.batch, late=outgoing.late, ordered=ordered)
            count = rows.batch.num_rows
            request = Request(
                payload, count, rows.spans, charge, outgoing.upsert, claim, timestamp, aim=outgoing.piece.aim
            )
            return _Packed(request, rows.batch)
        if rows.batch.num_rows:
            self._ledger.measurements.withhold(rows.batch.num_rows, len(payload))
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


def reserve_each(window: Window, charges: Generator[int, None, None], patience: Patience | None) -> None:
    """Wait for each charge until ``window`` grants it.

    Raises:
        CancelledError: (of concurrent.futures) if ``patience`` was lost while waiting.
    """
    with contextlib.closing(charges):
        for charge in charges:
            if window.take(charge, outgoing=True):
                continue
            future = window.reserve(charge, outgoing=True)
            try:
                (patience or Patience()).wait(future)
            except BaseException:
                window.withdraw(future, charge, outgoing=True)
                raise
