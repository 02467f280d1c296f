"""The journal of a loader in virtual time: what is on the disk, when it gets there, and the verdict of every row."""

from __future__ import annotations

import threading

from headrace import journal_writer
from headrace.journal import Journal
from headrace.journal_store import JournalStore
from headrace.journal_writer import JournalWriter

__all__ = ["FileFates", "Store", "Writer"]

#: Seconds until a mark is on the disk.
DISK = 0.002


class Store(JournalStore):
    """A journal whose signs of life are of the world's time."""

    def __init__(self, world):
        self._world = world
        super().__init__(world.directory, clock=world.clock, network=False)

    @property
    def may_land_until(self):
        return self._world.may_land_until

    def beat(self, reach):
        self._world.may_land_until = max(self._world.may_land_until, self._world.clock() + reach)


class Writer(JournalWriter):
    """Writes when the world's time has come, and never after its death."""

    def __init__(self, store, run, *, world):
        self._world = world
        self._dead = False
        self._written_at = world.clock()
        super().__init__(store, run)
        self._ticking = world.loop.call_soon(self._tick)

    @property
    def silent(self):
        return False

    def _promise(self):
        self._world.loop.call_later(DISK, self._write_now)
        return super()._promise()

    def close(self, still_open):
        self._write_now()
        self._ticking.cancel()
        super().close(still_open)

    def kill(self):
        self._dead = True
        self._ticking.cancel()

    def _write_all(self):
        """The thread's work; here time does it."""

    def _tick(self):
        world = self._world
        self._store.beat(self._reach)
        if self._notes and world.clock() - self._written_at >= world.lag:
            self._write_now()
        self._ticking = world.loop.call_later(min(world.lag, journal_writer.BEAT), self._tick)

    def _write_now(self):
        if self._dead:
            return
        self._written_at = self._world.clock()
        # Not on the loop's thread, where nobody may wait for a disk.
        thread = threading.Thread(target=self._write_waiting)
        thread.start()
        thread.join()


class FileFates(Journal):
    """A journal that remembers the verdict of every row, each of which may have only one in a run."""

    def __init__(self, world):
        super().__init__()
        self._world = world
        self.fates = {}

    def settle(self, spans, verdict, keys=()):
        super().settle(spans, verdict, keys)
        for span in spans:
            self._note(span.source, span.start, span.start + span.count, verdict)

    def resume(self, label, start, stop, verdict):
        super().resume(label, start, stop, verdict)
        self._note(label, start, stop, verdict)

    def _note(self, label, start, stop, verdict):
        for number in range(start, stop):
            row = self._world.row(label, number)
            assert row not in self.fates, f"row {row} was {self.fates[row]}, now it is {verdict}"
            self.fates[row] = verdict
