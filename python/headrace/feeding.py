"""Turns source batches into packed requests: conform, cut, order by key, pack.

A :class:`Feeder` does no waiting of its own. Its methods are generators that yield how many bytes of the window the
next request needs and go on once those are granted, so the same code serves a blocking thread and an event loop.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.attempts import Request
from headrace.batching import Aim, Piece, Placed, Span, locate, split_rows, take_spans, with_partition
from headrace.config import NullVectors
from headrace.conform import ConformPlan, Refusal
from headrace.errors import CellError, SchemaError
from headrace.freshness import LiveSchema
from headrace.lanes import Outgoing
from headrace.ledger import Ledger
from headrace.ordering import KeyOrder
from headrace.patience import Patience
from headrace.rejects import Reject
from headrace.report import Verdict
from headrace.sources import SourceBatch
from headrace.steps import NullVector
from headrace.tracks import Cut, Track, Tracks
from headrace.window import Window

__all__ = ["Feeder", "reserve_each"]


@dataclass(frozen=True, slots=True)
class _Packed:
    request: Request
    batch: pa.RecordBatch


class Feeder:
    """Conforms, cuts, orders and packs batches of one load. Thread-safe.

    Requests are handed over one at a time, in the order of their rows: whoever hands over holds the others up. Each
    partition that rows go to is a track of its own, because a request has one partition, and a key is one row in each.

    Args:
        plan: How source columns become fields.
        schema: What rows are packed for.
        ledger: Where rows and verdicts are counted.
        key: The key column's name; None where rows carry no key.
        order: Makes what knows, of a partition, which keys came before.
        upsert: Whether requests go out as upserts.
        aim: Says what a request should be.
        copy_waiting: Whether rows that wait to be joined are copied first, because a caller may overwrite them.
        submit: Takes each packed request, with the rows in it.
        withdraw: Gives a request up that ``submit`` may or may not have taken.
        null_vectors: What becomes of rows with a null in a vector field that takes none.
        dry_run: Whether rows end as skipped instead of being submitted.
        most_waiting: Encoded bytes of all partitions that may wait to be joined with later rows of their partition.
    """

    def __init__(
        self,
        plan: ConformPlan,
        schema: LiveSchema,
        ledger: Ledger,
        *,
        key: str | None,
        order: Callable[[str], KeyOrder],
        upsert: bool,
        aim: Callable[[], Aim],
        copy_waiting: bool,
        submit: Callable[[Request, pa.RecordBatch], None],
        withdraw: Callable[[Request], None],
        null_vectors: NullVectors = "reject",
        dry_run: bool = False,
        most_waiting: int = 16 << 20,
    ) -> None:
        self._plan = plan
        self._live = schema
        self._ledger = ledger
        self._submit = submit
        self._withdraw = withdraw
        self._null_vectors = null_vectors
        self._dry_run = dry_run
        self._tracks = Tracks(
            schema,
            ledger,
            key=key,
            order=order,
            upsert=upsert,
            aim=aim,
            copy_waiting=copy_waiting,
            most_waiting=most_waiting,
        )
        # Held from the moment rows leave the batcher until they are handed over, so that none overtakes another.
        self._turn = threading.Lock()

    def limit(self, size: int) -> None:
        """Make requests of at most ``size`` bytes from now on."""
        self._tracks.limit(size)

    def feed(self, source: SourceBatch) -> Generator[int, None, None]:
        """Take a source batch. Yields the bytes to reserve before each request; close it to leave the rest unsent."""
        self._ledger.account.read(source.batch.num_rows)
        rows = Placed(source.batch, (Span(source.source, source.first_row, source.batch.num_rows),))
        left = deque([rows])
        pieces: list[tuple[str, Piece]] = []
        try:
            left = deque(self._conform(rows))
            while left:
                pieces.append((left[0].partition, self._measured(left)))
                left.popleft()
        except BaseException:
            unsent: list[Placed | Piece] = [*left, *(piece for _, piece in pieces)]
            for part in unsent:
                self._leave_unsent(part)
            raise
        with self._turn:
            yield from self._send(self._tracks.cut(pieces))

    def flush(self) -> Generator[int, None, None]:
        """Send what waits to be joined."""
        with self._turn:
            yield from self._send(self._tracks.flush())

    def abandon(self) -> None:
        """Settle what waits as unsent."""
        with self._turn:
            for piece in self._tracks.abandon():
                self._leave_unsent(piece)

    def _measured(self, left: deque[Placed]) -> Piece:
        """The first of ``left`` as a piece; the rows that cannot be packed are set aside."""
        rows, packer = left[0], self._live.packer_of(left[0].partition)
        try:
            size = packer.encoded_len(rows.batch)
        except CellError:
            rows = left[0] = self._set_aside(rows)
            size = packer.encoded_len(rows.batch)
        return Piece(rows.batch, rows.spans, size)

    def _leave_unsent(self, rows: Placed | Piece) -> None:
        self._ledger.settle(rows.spans, rows.batch.num_rows, Verdict.UNSENT)

    def _conform(self, rows: Placed) -> list[Placed]:
        """The rows that can be stored, by partition."""
        try:
            result = self._plan.apply(rows.batch)
        except SchemaError as error:
            where = f"{rows.spans[0].source}, from row {rows.spans[0].start} on"
            raise SchemaError(f"{where}: {error}", field=error.field) from error
        for text, values in result.notes.items():
            self._ledger.note(text, values)
        spans = rows.spans
        if result.refused:
            rejects = [
                Reject(cell.row, *locate(rows.spans, cell.row), cell.field, cell.expected, cell.found, cell.remedy)
                for cell in result.refused
                if not self._skips(cell)
            ]
            # First, because this may fail, and then none of the rows has its verdict.
            self._ledger.refuse(rows.batch, rejects)
            skipped = [cell.row for cell in result.refused if self._skips(cell)]
            if skipped:
                self._ledger.settle(take_spans(rows.spans, np.array(skipped, np.int64)), len(skipped), Verdict.SKIPPED)
            spans = take_spans(spans, result.kept if result.kept is not None else np.empty(0, np.int64))
        return split_rows(Placed(result.batch, spans, self._plan.partition_name), result.partitions)

    def _skips(self, cell: Refusal) -> bool:
        return self._null_vectors == "skip" and isinstance(cell, NullVector)

    def _set_aside(self, rows: Placed) -> Placed:
        """Reject the rows that have a cell which cannot be packed; return the others."""
        column = self._plan.partition_column
        rejects = [Reject(row, *locate(rows.spans, row), *why) for row, *why in self._live.packer.check(rows.batch)]
        shown = rows.batch if column is None else with_partition(rows.batch, column.name, rows.partition)
        self._ledger.refuse(shown, rejects)
        bad = np.array([reject.index for reject in rejects], np.int64)
        kept = np.setdiff1d(np.arange(rows.batch.num_rows, dtype=np.int64), bad, assume_unique=True)
        return Placed(rows.batch.take(pa.array(kept)), take_spans(rows.spans, kept), rows.partition)

    def _send(self, cuts: Sequence[Cut]) -> Generator[int, None, None]:
        """Pack pieces and hand them over; one without rows sends what waits in the lanes."""
        waiting, ready = deque(cuts), deque[Outgoing]()
        try:
            while waiting or ready:
                if not ready:
                    track, piece = waiting[0]
                    ready.extend(track.lanes.flush() if piece is None else track.lanes.take(piece))
                    waiting.popleft()
                    continue
                charge = ready[0].piece.size
                yield charge
                packed = self._pack(track, ready.popleft(), charge)
                if packed is not None:
                    self._hand_over(packed)
                if not ready:
                    track.lanes.handed_over()
        finally:
            for left in (*(outgoing.piece for outgoing in ready), *(piece for _, piece in waiting)):
                if left is not None:
                    self._leave_unsent(left)

    def _pack(self, track: Track, outgoing: Outgoing, charge: int) -> _Packed | None:
        """Pack rows; those with a refused cell are set aside first. None where nothing is left to be sent."""
        partition = track.partition
        rows = Placed(outgoing.piece.batch, outgoing.piece.spans, partition)
        try:
            try:
                payload, timestamp = self._live.pack(rows.batch, partition)
            except CellError:
                rows = self._set_aside(rows)
                payload, timestamp = self._live.pack(rows.batch, partition) if rows.batch.num_rows else (b"", 0)
        except BaseException:
            self._leave_unsent(rows)
            self._ledger.window.release(charge, outgoing=True)
            raise
        count = rows.batch.num_rows
        if count and not self._dry_run:
            ordered = outgoing.ordered if rows.batch is outgoing.piece.batch else None
            claim = track.lanes.enter(rows.batch, late=outgoing.late, ordered=ordered)
            aim = outgoing.piece.aim
            request = Request(payload, count, rows.spans, charge, outgoing.upsert, partition, claim, timestamp, aim=aim)
            return _Packed(request, rows.batch)
        if count:
            self._ledger.measurements.withhold(count, len(payload))
        self._ledger.settle(rows.spans, count, Verdict.SKIPPED)
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
