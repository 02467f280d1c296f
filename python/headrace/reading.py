"""Walks a source batch by batch, reading files one batch ahead in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from headrace.sources import Source, SourceBatch
from headrace.window import Window

__all__ = ["ReadAhead", "iterate"]


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
            item = self._queue.get()
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
