"""Writes a journal from a thread of its own, so that nobody who sends waits for a disk without need."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from headrace.errors import JournalError
from headrace.intervals import IntervalSet
from headrace.journal_records import KeyRange
from headrace.journal_store import JournalStore
from headrace.report import Verdict

__all__ = ["BEAT", "JournalWriter"]

#: Seconds for which acknowledgements are gathered. What was not written when the machine died is sent once more.
GATHER = 0.1
#: Seconds between two signs of life, by which the next run learns until when a request of this one may be applied.
BEAT = 1.0


@dataclass(slots=True)
class _Notes:
    """What is to be written in one transaction.

    Attributes:
        marks: ``(file, start, stop)``.
        promised: Who waits for it to be on the disk.
        settled: ``(file, start, stop, verdict, run)``.
        keys: What is known of the keys of rows, with their file.
        doubled: ``(file, start, stop)``.
        sampled: ``(target, slot, file, row, key)`` by slot.
        rows: How many rows a file has, by file.
        highest: The highest code of a key, by target.
    """

    marks: list[tuple[int, int, int]] = field(default_factory=list)
    promised: list[Future[None]] = field(default_factory=list)
    settled: list[tuple[int, int, int, str, int | None]] = field(default_factory=list)
    keys: list[tuple[int, KeyRange]] = field(default_factory=list)
    doubled: list[tuple[int, int, int]] = field(default_factory=list)
    sampled: dict[int, tuple[int, int, int, int, int | str]] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    highest: dict[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


class JournalWriter:
    """Takes notes in any thread and writes them in their order. A mark is durable; other notes may lag behind.

    Args:
        store: Where to write; from now on it is this thread's alone, until :meth:`close`.
        run: The number of this run, which rejected rows carry.
        clock: Seconds, monotonic.
    """

    def __init__(self, store: JournalStore, run: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        #: The number of this run.
        self.run = run
        self._lock = threading.Lock()
        #: Somebody waits for the disk, or for the end; and: there is anything to be written at all.
        self._urgent, self._some = threading.Condition(self._lock), threading.Condition(self._lock)
        self._notes = _Notes()
        #: Seconds for which a request may be on its way.
        self._reach = 0.0
        #: When the last sign of life was given; the lock gave one when it was taken.
        self._alive_at = clock()
        self._closing = False
        #: Why nothing more is written, or None.
        self.failure: JournalError | None = None
        self._thread = threading.Thread(target=self._write_all, name="headrace-journal", daemon=True)
        self._thread.start()

    @property
    def silent(self) -> bool:
        """Whether no sign of life came for longer than the next run reckons with: a disk that hangs, for example."""
        return self._clock() - self._alive_at > BEAT

    def mark(self, file: int, start: int, stop: int) -> Future[None]:
        """Note that rows are about to be sent. Done once that is on the disk; cannot be cancelled.

        The future raises JournalError if it cannot be written.
        """
        with self._lock:
            self._notes.marks.append((file, start, stop))
            return self._promise()

    def reach(self, seconds: float) -> Future[None]:
        """Note that what is sent from now on may be applied for ``seconds``. Done, and fails, as :meth:`mark` does."""
        with self._lock:
            self._reach = max(self._reach, seconds)
            return self._promise()

    def _promise(self) -> Future[None]:
        """Hurry; under the lock."""
        written: Future[None] = Future()
        written.set_running_or_notify_cancel()
        if self.failure is not None:
            written.set_exception(self.failure)
            return written
        self._notes.promised.append(written)
        self._some.notify()
        self._urgent.notify()
        return written

    def settle(self, file: int, start: int, stop: int, verdict: Verdict, keys: KeyRange | None = None) -> None:
        """Note that rows are settled, and what is known of their keys."""
        run = self.run if verdict is Verdict.REJECTED else None
        with self._lock:
            self._notes.settled.append((file, start, stop, verdict.value, run))
            if keys is not None:
                self._notes.keys.append((file, keys))
            self._some.notify()

    def sample(self, target: int, slot: int, file: int, row: int, key: int | str) -> None:
        """Keep the key of a row in a slot."""
        with self._lock:
            self._notes.sampled[slot] = (target, slot, file, row, key)
            self._some.notify()

    def set_rows(self, file: int, rows: int) -> None:
        """Note how many rows a file has."""
        with self._lock:
            self._notes.rows[file] = rows
            self._some.notify()

    def double(self, file: int, start: int, stop: int) -> None:
        """Note that rows are sent again under a second key of the server's. Known before any later verdict is."""
        with self._lock:
            self._notes.doubled.append((file, start, stop))

    def reach_key(self, target: int, code: int) -> None:
        """Note that a key of this code is stored. Known before any later verdict is."""
        with self._lock:
            highest = self._notes.highest
            highest[target] = max(code, highest.get(target, code))

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
                self._some.wait_for(lambda: self._closing or self._notes, timeout=BEAT / 2)
                # A mark is waited for; the rest can be gathered, unless it comes alone.
                pause = max(0.0, written_at + GATHER - self._clock()) if self._notes else 0.0
                self._urgent.wait_for(lambda: self._closing or self._notes.promised, timeout=pause)
            if not self._write_waiting():
                return
            written_at = self._clock()

    def _write_waiting(self) -> bool:
        """Write what was noted so far; False where nothing more will come, or can be written."""
        with self._lock:
            if self._closing and not self._notes:
                return False
            notes, self._notes = self._notes, _Notes()
            reach = self._reach
        try:
            alive_at = self._clock()
            self._store.beat(reach)
            self._alive_at = alive_at
            if notes:
                self._write(notes)
        except JournalError as error:
            self._fail(error, notes.promised)
            return False
        except Exception as error:  # noqa: BLE001 - the thread's edge: who waits for a mark would wait for ever
            failure = JournalError(f"the journal's thread ended: {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._fail(failure, notes.promised)
            return False
        for written in notes.promised:
            written.set_result(None)
        return True

    def _write(self, notes: _Notes) -> None:
        with self._store.transaction(durable=bool(notes.marks)):
            for mark in notes.marks:
                self._store.mark(*mark)
            self._store.double(notes.doubled)
            for target, code in notes.highest.items():
                self._store.set_highest(target, code)
            self._store.settle(notes.settled)
            self._store.keys(notes.keys)
            self._store.sample(notes.sampled.values())
            for file, rows in notes.rows.items():
                self._store.set_rows(file, rows)

    def _fail(self, error: JournalError, waiting: list[Future[None]]) -> None:
        with self._lock:
            self.failure = error
            waiting = [*waiting, *self._notes.promised]
            self._notes.promised.clear()
        for written in waiting:
            written.set_exception(error)
