"""Writes a journal from a thread of its own, so that nobody who sends waits for a disk without need."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from headrace.errors import JournalError
from headrace.intervals import IntervalSet
from headrace.journal_records import KeyRange
from headrace.journal_store import JournalStore
from headrace.report import Verdict

__all__ = ["BEAT", "JournalWriter"]

#: Seconds for which acknowledgements are gathered. What was not written when the machine died is sent once more.
GATHER = 0.1
#: Seconds between two signs of life, by which the next run learns when this one may have sent its last request.
BEAT = 1.0

#: ``(file, start, stop, written)``; ``(file, start, stop, verdict, run)``; ``(target, slot, file, row, key)`` by slot.
_Mark = tuple[int, int, int, "Future[None]"]
_Settled = tuple[int, int, int, str, int | None]
_Sampled = dict[int, tuple[int, int, int, int, int | str]]


class JournalWriter:
    """Takes notes in any thread and writes them in their order. A mark is durable; other notes may lag behind.

    Args:
        store: Where to write; from now on it is this thread's alone, until :meth:`close`.
        run: The number of this run, which rejected rows carry.
    """

    def __init__(self, store: JournalStore, run: int) -> None:
        self._store = store
        #: The number of this run.
        self.run = run
        self._lock = threading.Lock()
        #: Somebody waits for the disk, or for the end; and: there is anything to be written at all.
        self._urgent, self._some = threading.Condition(self._lock), threading.Condition(self._lock)
        self._marks: list[_Mark] = []
        self._settled: list[_Settled] = []
        self._keys: list[tuple[int, KeyRange]] = []
        self._sampled: _Sampled = {}
        self._rows: dict[int, int] = {}
        self._closing = False
        #: Why nothing more is written, or None.
        self.failure: JournalError | None = None
        self._thread = threading.Thread(target=self._write_all, name="headrace-journal", daemon=True)
        self._thread.start()

    def mark(self, file: int, start: int, stop: int) -> Future[None]:
        """Note that rows are about to be sent. Done once that is on the disk; cannot be cancelled.

        The future raises JournalError if it cannot be written.
        """
        written: Future[None] = Future()
        written.set_running_or_notify_cancel()
        with self._lock:
            if self.failure is not None:
                written.set_exception(self.failure)
                return written
            self._marks.append((file, start, stop, written))
            self._some.notify()
            self._urgent.notify()
        return written

    def settle(self, file: int, start: int, stop: int, verdict: Verdict, keys: KeyRange | None = None) -> None:
        """Note that rows are settled, and what is known of their keys."""
        run = self.run if verdict is Verdict.REJECTED else None
        with self._lock:
            self._settled.append((file, start, stop, verdict.value, run))
            if keys is not None:
                self._keys.append((file, keys))
            self._some.notify()

    def sample(self, target: int, slot: int, file: int, row: int, key: int | str) -> None:
        """Keep the key of a row in a slot."""
        with self._lock:
            self._sampled[slot] = (target, slot, file, row, key)
            self._some.notify()

    def set_rows(self, file: int, rows: int) -> None:
        """Note how many rows a file has."""
        with self._lock:
            self._rows[file] = rows
            self._some.notify()

    def close(self, still_open: dict[int, IntervalSet]) -> None:
        """Write what is left, and the files of this run once more in few words. Twice does no harm.

        Args:
            still_open: Of every file of this run the rows that may be stored without being settled.

        What fails is :attr:`failure`.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._some.notify()
            self._urgent.notify()
        self._thread.join()
        if self.failure is not None:
            return
        try:
            with self._store.transaction(durable=True):
                for file, rows in still_open.items():
                    self._store.condense(file, rows)
        except JournalError as error:
            self.failure = error

    def _write_all(self) -> None:
        written_at = 0.0
        while True:
            with self._lock:
                self._some.wait_for(lambda: self._closing or self._waiting(), timeout=BEAT)
                # A mark is waited for; the rest can be gathered, unless it comes alone.
                pause = max(0.0, written_at + GATHER - time.monotonic()) if self._waiting() else 0.0
                self._urgent.wait_for(lambda: self._closing or self._marks, timeout=pause)
                if self._closing and not self._waiting():
                    return
                marks, self._marks = self._marks, []
                settled, self._settled = self._settled, []
                keys, self._keys = self._keys, []
                sampled, self._sampled = self._sampled, {}
                rows, self._rows = self._rows, {}
            try:
                self._store.beat()
                if marks or settled or sampled or rows:
                    self._write(marks, settled, keys, sampled, rows)
            except JournalError as error:
                self._fail(error, [written for *_, written in marks])
                return
            written_at = time.monotonic()
            for *_, written in marks:
                written.set_result(None)

    def _write(
        self,
        marks: list[_Mark],
        settled: list[_Settled],
        keys: list[tuple[int, KeyRange]],
        sampled: _Sampled,
        rows: dict[int, int],
    ) -> None:
        with self._store.transaction(durable=bool(marks)):
            for file, start, stop, _ in marks:
                self._store.mark(file, start, stop)
            self._store.settle(settled)
            self._store.keys(keys)
            self._store.sample(sampled.values())
            for file, number in rows.items():
                self._store.set_rows(file, number)

    def _waiting(self) -> bool:
        return bool(self._marks or self._settled or self._sampled or self._rows)

    def _fail(self, error: JournalError, waiting: list[Future[None]]) -> None:
        with self._lock:
            self.failure = error
            waiting += [written for *_, written in self._marks]
            self._marks.clear()
        for written in waiting:
            written.set_exception(error)
