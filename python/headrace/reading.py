"""Walks a source batch by batch, reading files one batch ahead in a thread of its own."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Protocol, Self

from headrace.intervals import IntervalSet
from headrace.sources import Source, SourceBatch
from headrace.waits import item_of
from headrace.window import Window

__all__ = ["Earlier", "ReadAhead", "iterate", "resume"]


class Earlier(Protocol):
    """What :func:`resume` has to know of earlier runs, and whom it tells what it finds."""

    def settled(self, label: str) -> IntervalSet:
        """The rows of a file that are not to be read again."""

    def doubtful(self, label: str) -> IntervalSet:
        """The rows of a file that are not to share a batch with others."""

    def rows(self, label: str) -> int | None:
        """How many rows a file has, where that is known."""

    def passed(self, label: str, start: int, stop: int) -> None:
        """Rows that were settled were passed over."""

    def ended(self, label: str, rows: int | None) -> None:
        """The last row of a file was read, or the last that is wanted (``rows`` is None)."""


def iterate(
    source: Source, *, max_bytes: int, columns: Sequence[str] | None, limit: int | None
) -> Iterator[SourceBatch]:
    """The batches of all parts, in row order, at most ``limit`` rows in all."""
    left = limit
    for part in source.parts():
        if left == 0:
            return
        for found in part.batches(max_bytes=max_bytes, columns=columns):
            if left is not None and found.batch.num_rows >= left:
                yield SourceBatch(found.batch.slice(0, left), found.source, found.first_row)
                return
            if left is not None:
                left -= found.batch.num_rows
            yield found


def resume(
    source: Source, earlier: Earlier, *, max_bytes: int, columns: Sequence[str] | None, limit: int | None
) -> Iterator[SourceBatch]:
    """As :func:`iterate` without the rows that are settled; they count towards the limit.

    Parts of settled rows are not read at all.
    """
    left = sys.maxsize if limit is None else limit
    label, stop = None, 0
    for part in source.parts():
        if part.label != label:
            if label is not None:
                earlier.ended(label, stop if left else None)
            label, stop = part.label, part.first_row
        if left == 0:
            break
        known = part.rows if part.rows is not None or part.first_row else earlier.rows(part.label)
        wanted = None if known is None else min(known, left)
        if wanted is not None and earlier.settled(part.label).covers(part.first_row, part.first_row + wanted):
            stop = part.first_row + wanted
            earlier.passed(part.label, part.first_row, stop)
            left -= wanted
            continue
        for found in part.batches(max_bytes=max_bytes, columns=columns):
            rows = min(found.batch.num_rows, left)
            stop = found.first_row + rows
            yield from _rest(SourceBatch(found.batch.slice(0, rows), found.source, found.first_row), earlier)
            left -= rows
            if left == 0:
                break
    if label is not None:
        earlier.ended(label, stop if left else None)


def _rest(found: SourceBatch, earlier: Earlier) -> Iterator[SourceBatch]:
    """The rows of a batch that are not settled, those in doubt apart."""
    label, first = found.source, found.first_row
    doubtful = earlier.doubtful(label)
    for start, stop, settled in earlier.settled(label).split(first, first + found.batch.num_rows):
        if settled:
            earlier.passed(label, start, stop)
            continue
        for begin, end, _ in doubtful.split(start, stop):
            yield SourceBatch(found.batch.slice(begin - first, end - begin), label, begin)


class ReadAhead:
    """Iterates over ``batches`` in a thread, one batch ahead of its consumer.

    Every batch is charged to the window from before it is read until the consumer asks for the next one.

    Args:
        batches: What to iterate; only this thread touches it.
        window: Where to reserve.
        charge: Bytes to reserve for each batch.
    """

    def __init__(self, batches: Iterator[SourceBatch], *, window: Window, charge: int) -> None:
        self._batches = batches
        self._window = window
        self._charge = charge
        # One batch waits here, one is with the consumer, one is being read.
        self._queue: queue.Queue[SourceBatch | BaseException | None] = queue.Queue(maxsize=1)
        self._closed = threading.Event()
        self._reservation: Future[None] | None = None
        self._thread = threading.Thread(target=self._read, name="headrace-reading", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        if self._reservation is not None:
            self._reservation.cancel()  # a grant that came first is used up or released by the thread
        while self._thread.is_alive():
            self._discard()
            self._thread.join(timeout=0.05)
        self._discard()

    def __iter__(self) -> Iterator[SourceBatch]:
        while True:
            item = item_of(self._queue)
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            try:
                yield item
            finally:
                del item
                self._window.release(self._charge, outgoing=False)

    def _discard(self) -> None:
        try:
            item = self._queue.get_nowait()
        except queue.Empty:
            return
        if isinstance(item, SourceBatch):
            self._window.release(self._charge, outgoing=False)

    def _read(self) -> None:
        end: BaseException | None = None
        try:
            while not self._closed.is_set():
                self._reservation = self._window.reserve(self._charge, outgoing=False)
                self._reservation.result()
                batch = None
                try:
                    batch = next(self._batches, None)
                finally:
                    if batch is None:
                        self._window.release(self._charge, outgoing=False)
                if batch is None:
                    break
                self._queue.put(batch)
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, who raises it
            end = error
        self._queue.put(end)
