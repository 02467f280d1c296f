"""What became of the rows of each source: in memory for the report, and in a file for the next run.

A source in memory has no rows that the next run could address, so it is counted here and nowhere else.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from headrace.batching import Span, locate
from headrace.intervals import IntervalSet
from headrace.journal_records import FileRecord, KeyRange
from headrace.journal_store import SAMPLE_KEYS
from headrace.journal_writer import JournalWriter
from headrace.keyfilter import Codes
from headrace.report import Verdict

__all__ = ["MARK_REQUESTS", "Journal", "Kept"]

#: A mark covers this many requests, so that a wait for the disk comes once in as many.
MARK_REQUESTS = 64
#: Where the server makes the keys every row of an open mark may be doubled by the next run.
MARK_REQUESTS_UNKEYED = 8
#: A request of more pieces of its sources than this has too many ranges of keys to note them.
_MOST_SPANS = 64
#: Longer texts are not noted, so that a journal stays small.
_LONG_KEY = 256


@dataclass
class Kept:
    """A file whose rows are noted for the next run.

    Attributes:
        record: What earlier runs left.
        unknown: Rows that this run sent and that no answer settles.
        marked: Rows whose mark is on the disk, or on its way there.
        pending: Marks ``(start, stop, written)`` on their way.
        replaced: Rows in doubt that were superseded by rows whose own fate is open.
        touched: Whether this run has anything to say about the file.
    """

    record: FileRecord
    unknown: IntervalSet = field(default_factory=IntervalSet)
    marked: IntervalSet = field(default_factory=IntervalSet)
    pending: list[tuple[int, int, Future[None]]] = field(default_factory=list)
    replaced: IntervalSet = field(default_factory=IntervalSet)
    touched: bool = False


@dataclass
class _Source:
    """One source in memory."""

    settled: IntervalSet = field(default_factory=IntervalSet)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    resumed: int = 0
    doubled: int = 0


class Journal:
    """What became of the rows of each source. Thread-safe."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._kept: dict[str, Kept] = {}
        self._writer: JournalWriter | None = None
        self._mark_requests = MARK_REQUESTS
        self._target = 0
        self._requests = 0
        self._reach = 0.0
        self._random = random.Random()
        self._lock = threading.Lock()

    def keep(self, writer: JournalWriter, target: int, files: dict[str, FileRecord], *, keyed: bool) -> None:
        """From now on note for the next run what becomes of these sources.

        Args:
            writer: Where to.
            target: The collection's number in the journal.
            files: What earlier runs left of each source.
            keyed: Whether rows carry their own key.
        """
        self._writer, self._target = writer, target
        self._kept = {label: Kept(record) for label, record in files.items()}
        self._mark_requests = MARK_REQUESTS if keyed else MARK_REQUESTS_UNKEYED

    def settle(self, spans: Sequence[Span], verdict: Verdict, keys: Sequence[KeyRange | None] = ()) -> None:
        """Note that the rows of ``spans`` ended with ``verdict``; all but UNKNOWN and UNSENT settle them.

        Args:
            spans: The rows.
            verdict: How they ended.
            keys: What is known of the keys of stored rows, for each of ``spans``; empty where that is nothing.
        """
        final = verdict not in (Verdict.UNKNOWN, Verdict.UNSENT)
        with self._lock:
            for span, known in itertools.zip_longest(spans, keys):
                if not span.count:
                    continue
                stop = span.start + span.count
                source = self._sources.get(span.source)
                if source is None:
                    source = self._sources[span.source] = _Source()
                source.verdicts[verdict] += span.count
                if final:
                    source.settled.add(span.start, stop)
                kept = self._kept.get(span.source)
                if kept is None or self._writer is None:
                    continue
                kept.touched = True
                if verdict is Verdict.SUPERSEDED:
                    self._supersede(self._writer, kept, span.start, stop)
                elif final:
                    self._writer.settle(kept.record.id, span.start, stop, verdict, known)
                elif verdict is Verdict.UNKNOWN:
                    kept.unknown.add(span.start, stop)

    @staticmethod
    def _supersede(writer: JournalWriter, kept: Kept, start: int, stop: int) -> None:
        """Note superseded rows; of those in doubt only that they are: see :meth:`confirm`."""
        for begin, over, doubtful in list(kept.record.open.split(start, stop)):
            if doubtful:
                kept.replaced.add(begin, over)
            else:
                writer.settle(kept.record.id, begin, over, Verdict.SUPERSEDED)

    def confirm(self, spans: Sequence[Span]) -> None:
        """The rows that superseded rows in doubt among ``spans`` are about to be settled, so these now are as well.

        Until then the next run has to know that they are in doubt: an earlier run's write of them may still land, over
        the rows that replace them.
        """
        with self._lock:
            for span in spans:
                kept = self._kept.get(span.source)
                if kept is None or self._writer is None:
                    continue
                for start, stop, replaced in list(kept.replaced.split(span.start, span.start + span.count)):
                    if replaced:
                        kept.replaced.remove(start, stop)
                        self._writer.settle(kept.record.id, start, stop, Verdict.SUPERSEDED)

    def resume(self, label: str, start: int, stop: int, verdict: Verdict) -> None:
        """Note rows that are not read again, because of what an earlier run did with them."""
        with self._lock:
            source = self._sources.setdefault(label, _Source())
            source.verdicts[verdict] += stop - start
            if verdict is not Verdict.UNKNOWN:
                source.settled.add(start, stop)
            if verdict is Verdict.STORED:
                source.resumed += stop - start
                source.doubled += self._kept[label].record.doubled.overlap(start, stop) if label in self._kept else 0

    def double(self, spans: Sequence[Span]) -> None:
        """Note rows that are sent again, perhaps under a second key of the server's."""
        with self._lock:
            for span in spans:
                kept = self._kept.get(span.source)
                if kept is not None and self._writer is not None:
                    self._writer.double(kept.record.id, span.start, span.start + span.count)

    def reach_key(self, code: int) -> None:
        """Note the code of the highest key of rows that are stored, before they are settled."""
        if self._writer is not None:
            self._writer.reach_key(self._target, code)

    async def cover(self, spans: Sequence[Span]) -> None:
        """Return once the rows of ``spans`` are marked as sent, on the disk.

        Raises:
            JournalError: If that cannot be written; they must not be sent then.
        """
        for mark in self._marks(spans):
            await asyncio.wrap_future(mark)

    async def reach(self, seconds: float) -> None:
        """Return once the next run would know that what is sent now may be applied for ``seconds``.

        Raises:
            JournalError: If that cannot be written; nothing with a later deadline must be sent then.
        """
        if self._writer is not None and (seconds > self._reach or self._writer.silent):
            await asyncio.wrap_future(self._writer.reach(seconds))
            self._reach = max(self._reach, seconds)

    def _marks(self, spans: Sequence[Span]) -> list[Future[None]]:
        """The marks to wait for; those that will be needed soon are asked for, and not waited for."""
        waiting: list[Future[None]] = []
        if self._writer is None:
            return waiting
        with self._lock:
            for label, (start, stop, rows) in _ranges(spans).items():
                kept = self._kept.get(label)
                if kept is None:
                    continue
                ahead = rows * self._mark_requests
                self._mark(kept, start, stop, max(ahead, stop - start))
                kept.pending = [mark for mark in kept.pending if not _written(mark[2])]
                waiting += [written for a, b, written in kept.pending if a < stop and start < b]
                self._mark(kept, stop, stop + ahead // 2, ahead)
        return waiting

    def _mark(self, kept: Kept, start: int, stop: int, ahead: int) -> None:
        """Mark ``ahead`` rows from ``start`` on, where not all of them up to ``stop`` are marked."""
        last = kept.record.rows
        if self._writer is None or kept.marked.covers(start, stop if last is None else min(stop, last)):
            return
        kept.touched = True
        end = start + ahead if last is None else min(start + ahead, last)
        for begin, over, marked in list(kept.marked.split(start, end)):
            if not marked:
                kept.marked.add(begin, over)
                kept.pending.append((begin, over, self._writer.mark(kept.record.id, begin, over)))

    def in_doubt(self, spans: Sequence[Span]) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """Those of these rows whose fate an earlier run that may have sent them did not learn; and the others."""
        doubtful: list[Span] = []
        others: list[Span] = []
        for span in spans:
            rows = self._kept[span.source].record.open if span.source in self._kept else IntervalSet()
            for start, stop, inside in rows.split(span.start, span.start + span.count):
                (doubtful if inside else others).append(Span(span.source, start, stop - start))
        return tuple(doubtful), tuple(others)

    def key_ranges(
        self, spans: Sequence[Span], keys: pa.Array, codes: Codes | None = None
    ) -> tuple[KeyRange | None, ...]:
        """What can be noted of the keys of a request's rows, which are all different, for each of its spans.

        Args:
            spans: The rows.
            keys: Their keys.
            codes: Their keys' codes, ascending, where these are known.
        """
        if self._writer is None or len(spans) > _MOST_SPANS:
            return ()
        if codes is not None and len(spans) == 1 and pa.types.is_int64(keys.type):
            return (KeyRange(spans[0].start, spans[0].start + spans[0].count, int(codes[0]), int(codes[-1])),)
        found: list[KeyRange | None] = []
        offset = 0
        for span in spans:
            both = pc.min_max(keys.slice(offset, span.count))
            low, high = both["min"].as_py(), both["max"].as_py()
            long = isinstance(low, str) and max(len(low), len(high)) > _LONG_KEY
            found.append(None if long or low is None else KeyRange(span.start, span.start + span.count, low, high))
            offset += span.count
        return tuple(found)

    def sample(self, spans: Sequence[Span], keys: pa.Array) -> None:
        """Let one of a request's rows take its chance to be read back by the next run; ``keys`` are theirs."""
        if self._writer is None or not len(keys):
            return
        row = self._random.randrange(len(keys))
        source, number = locate(spans, row)
        with self._lock:
            # Every request has the same chance (Vitter's algorithm R).
            slot = self._requests if self._requests < SAMPLE_KEYS else self._random.randrange(self._requests + 1)
            self._requests += 1
            kept = self._kept.get(source)
        if kept is not None and slot < SAMPLE_KEYS:
            self._writer.sample(self._target, slot, kept.record.id, number, keys[row].as_py())

    def ended(self, label: str, rows: int) -> None:
        """Note that a source was read to its end and has this many rows."""
        with self._lock:
            kept = self._kept.get(label)
            if kept is not None and self._writer is not None and kept.record.rows is None:
                kept.record.rows = rows
                self._writer.set_rows(kept.record.id, rows)

    def still_open(self) -> dict[int, IntervalSet]:
        """Of every file that this run touched the rows that may be stored without being settled, by its number."""
        with self._lock:
            found = {}
            for label, kept in self._kept.items():
                if not kept.touched:
                    continue
                rows = IntervalSet([*kept.record.open.intervals(), *kept.unknown.intervals()])
                for start, stop in self._sources[label].settled.intervals() if label in self._sources else ():
                    rows.remove(start, stop)
                for start, stop in kept.replaced.intervals():
                    rows.add(start, stop)
                found[kept.record.id] = rows
            return found

    def disown(self) -> int:
        """The collection is another one now: rows that were stored are so no longer. Returns how many they were."""
        with self._lock:
            moved = 0
            for source in self._sources.values():
                moved += (stored := source.verdicts.pop(Verdict.STORED, 0))
                source.verdicts[Verdict.UNKNOWN] += stored
                source.resumed = source.doubled = 0
            return moved

    def rows_settled(self) -> dict[str, int]:
        """How many rows of each source have their verdict."""
        with self._lock:
            return {label: source.verdicts.total() for label, source in self._sources.items()}

    def rows_resumed(self) -> int:
        """How many rows earlier runs had stored."""
        with self._lock:
            return sum(source.resumed for source in self._sources.values())

    def rows_doubled(self) -> int:
        """How many of those may be stored under a second key too."""
        with self._lock:
            return sum(source.doubled for source in self._sources.values())

    def watermark(self, source: str) -> int:
        """How many leading rows of ``source`` are settled."""
        with self._lock:
            return self._sources[source].settled.leading() if source in self._sources else 0

    def files(self) -> list[dict[str, object]]:
        """A line per source, in the order in which they were first settled: its rows by verdict."""
        with self._lock:
            return [self._line(label, source) for label, source in self._sources.items()]

    def _line(self, label: str, source: _Source) -> dict[str, object]:
        counts = source.verdicts
        line: dict[str, object] = {"source": label, "rows": counts.total()}
        line |= {verdict.value: counts[verdict] for verdict in Verdict if counts[verdict]}
        if source.resumed:
            line["resumed"] = source.resumed
        if label in self._kept:
            line["identity"] = self._kept[label].record.identity.to_dict()
        return line


def _ranges(spans: Sequence[Span]) -> dict[str, tuple[int, int, int]]:
    """Of each source the first row, the last (exclusive), and how many of those between are meant."""
    found: dict[str, tuple[int, int, int]] = {}
    for span in spans:
        start, stop, rows = found.get(span.source, (span.start, span.start, 0))
        found[span.source] = min(start, span.start), max(stop, span.start + span.count), rows + span.count
    return found


def _written(mark: Future[None]) -> bool:
    return mark.done() and mark.exception() is None
