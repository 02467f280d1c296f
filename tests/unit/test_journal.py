"""Interval sets, what became of each source's rows, and what is on the disk before a row leaves."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import journal as journal_module
from headrace.batching import Span
from headrace.errors import JournalError
from headrace.intervals import IntervalSet
from headrace.journal import Journal
from headrace.journal_records import JournalReader, Place
from headrace.journal_store import SAMPLE_KEYS, JournalStore
from headrace.journal_writer import JournalWriter
from headrace.report import Verdict
from headrace.sources import FileIdentity

RANGES = st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 20)))


@given(RANGES, st.integers(0, 70), st.integers(0, 70))
def test_an_interval_set_is_the_set_of_its_rows(changes, start, stop):
    intervals, rows = IntervalSet(), set()
    for adding, first, length in changes:
        if adding:
            intervals.add(first, first + length)
            rows |= set(range(first, first + length))
        else:
            intervals.remove(first, first + length)
            rows -= set(range(first, first + length))
    assert {row for a, b in intervals.intervals() for row in range(a, b)} == rows
    assert len(intervals) == len(rows)
    assert intervals.leading() == next(i for i in range(100) if i not in rows)
    found = intervals.intervals()
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found)), "disjoint, ascending, never touching"
    wanted = range(start, stop)
    assert intervals.overlap(start, stop) == len(rows & set(wanted))
    assert intervals.covers(start, stop) == (set(wanted) <= rows)
    runs = list(intervals.split(start, stop))
    assert [row for a, b, _ in runs for row in range(a, b)] == list(wanted)
    assert {row for a, b, inside in runs if inside for row in range(a, b)} == rows & set(wanted)
    assert all(a[2] != b[2] for a, b in itertools.pairwise(runs)), "as few runs as there can be"


def test_the_watermark_stops_at_the_first_row_that_is_not_settled():
    journal = Journal()
    assert journal.watermark("put") == 0
    journal.settle((Span("put", 10, 5),), Verdict.STORED)
    assert journal.watermark("put") == 0
    journal.settle((Span("put", 0, 8),), Verdict.STORED)
    journal.settle((Span("put", 8, 1),), Verdict.REJECTED)
    assert journal.watermark("put") == 9
    journal.settle((Span("put", 9, 1),), Verdict.UNKNOWN)
    assert journal.watermark("put") == 9


def test_each_file_has_a_line_with_its_rows_by_verdict():
    journal = Journal()
    journal.settle((Span("a", 0, 5), Span("b", 0, 2)), Verdict.STORED)
    journal.settle((Span("a", 5, 1),), Verdict.REJECTED)
    journal.resume("a", 6, 9, Verdict.STORED)
    assert journal.files() == [
        {"source": "a", "rows": 9, "stored": 8, "rejected": 1, "resumed": 3},
        {"source": "b", "rows": 2, "stored": 2},
    ]
    assert journal.rows_resumed() == 3
    assert journal.disown() == 10
    assert journal.files()[1] == {"source": "b", "rows": 2, "unknown": 2}


class Kept:
    """A journal that keeps one file ``a`` of 10,000 rows, and what is on the disk."""

    def __init__(self, directory, *, rows=10_000, keyed=True, clock=time.monotonic):
        self.directory = directory
        self.store = JournalStore(directory)
        with self.store.transaction(durable=True):
            self.target = self.store.begin_target(Place("s", "", "c", "", "1"), 0).id
            run = self.store.begin_run(self.target)
            record = self.store.begin_file(self.target, FileIdentity("a", 1, 1, "", ""), "", rows)
        self.writer = JournalWriter(self.store, run, clock=clock)
        self.journal = Journal()
        self.journal.keep(self.writer, self.target, {"a": record}, keyed=keyed)
        self.number = record.id

    def on_disk(self):
        with JournalReader(self.directory) as reader:
            return reader.files(self.target)[0]

    def close(self):
        self.writer.close(self.journal.still_open())
        self.store.close()


@pytest.fixture
def kept(tmp_path):
    made = Kept(tmp_path)
    yield made
    made.close()


def cover(journal, start, count):
    asyncio.run(journal.cover((Span("a", start, count),)))


def test_a_row_may_leave_once_its_mark_is_on_the_disk(kept):
    cover(kept.journal, 0, 10)
    assert kept.on_disk().open.covers(0, 640)
    cover(kept.journal, 630, 20)
    assert kept.on_disk().open.covers(0, 650)


def test_a_mark_outlives_the_machine_and_an_acknowledgement_does_not_wait_for_that(kept, monkeypatch):
    synchronous = {}

    def watch(name):
        write = getattr(kept.store, name)

        def watched(*rows):
            synchronous[name] = kept.store._connection.execute("PRAGMA synchronous").fetchone()[0]
            write(*rows)

        monkeypatch.setattr(kept.store, name, watched)

    watch("mark")
    cover(kept.journal, 0, 10)
    watch("settle")
    kept.journal.settle((Span("a", 0, 10),), Verdict.STORED)
    asyncio.run(kept.journal.reach(1.0))
    full, normal = 2, 1
    assert synchronous == {"mark": full, "settle": normal}


def test_marks_are_asked_for_before_they_are_needed(kept, monkeypatch):
    marked = []
    mark = kept.writer.mark
    monkeypatch.setattr(kept.writer, "mark", lambda *span: marked.append(span[1:]) or mark(*span))
    cover(kept.journal, 0, 10)
    assert marked == [(0, 640)]
    cover(kept.journal, 10, 10)
    assert marked == [(0, 640)], "half of it is still ahead"
    cover(kept.journal, 320, 10)
    assert marked == [(0, 640), (640, 970)]


def test_a_mark_ends_with_its_file(tmp_path):
    kept = Kept(tmp_path, rows=100)
    cover(kept.journal, 0, 10)
    cover(kept.journal, 90, 10)
    assert kept.on_disk().open.intervals() == [(0, 100)]
    kept.close()


def test_where_the_server_makes_keys_few_rows_are_marked(tmp_path):
    kept = Kept(tmp_path, keyed=False)
    cover(kept.journal, 0, 10)
    assert len(kept.on_disk().open) <= 10 * 2 * journal_module.MARK_REQUESTS_UNKEYED
    kept.close()


def test_a_source_that_is_not_kept_needs_no_mark(kept):
    asyncio.run(kept.journal.cover((Span("put", 0, 10),)))
    kept.journal.settle((Span("put", 0, 10),), Verdict.STORED)
    assert kept.journal.watermark("put") == 10


def test_an_end_in_order_leaves_open_what_is_unknown_and_nothing_else(kept):
    cover(kept.journal, 0, 100)
    kept.journal.settle((Span("a", 0, 50),), Verdict.STORED)
    kept.journal.settle((Span("a", 50, 30),), Verdict.UNKNOWN)
    kept.journal.settle((Span("a", 80, 20),), Verdict.UNSENT)
    kept.close()
    record = kept.on_disk()
    assert record.open.intervals() == [(50, 80)]
    assert record.settled[Verdict.STORED].intervals() == [(0, 50)]


def test_rows_in_doubt_stay_in_doubt_until_they_are_settled(tmp_path):
    first = Kept(tmp_path)
    cover(first.journal, 0, 10)
    first.store._connection.commit()
    first.writer.close({})
    first.store.close()
    store = JournalStore(tmp_path)
    (record,) = store.files(first.target)
    assert record.open.intervals() == [(0, 640)]
    journal, writer = Journal(), JournalWriter(store, 1)
    journal.keep(writer, first.target, {"a": record}, keyed=True)
    doubtful, others = journal.in_doubt((Span("a", 600, 100), Span("b", 0, 5)))
    assert (doubtful, others) == ((Span("a", 600, 40),), (Span("a", 640, 60), Span("b", 0, 5)))
    asyncio.run(journal.cover((Span("a", 0, 100),)))
    journal.settle((Span("a", 0, 100),), Verdict.STORED)
    journal.settle((Span("a", 100, 100),), Verdict.UNSENT)
    writer.close(journal.still_open())
    store.close()
    assert first.on_disk().open.intervals() == [(100, 640)]


def test_a_file_that_this_run_did_not_reach_keeps_its_marks(kept):
    cover(kept.journal, 0, 10)
    other = Journal()
    other.keep(kept.writer, kept.target, {"a": kept.on_disk()}, keyed=True)
    assert other.still_open() == {}


def test_a_mark_that_cannot_be_written_keeps_its_rows_from_leaving(kept, monkeypatch):
    def full(file, start, stop):
        raise JournalError("the disk is full")

    monkeypatch.setattr(kept.store, "mark", full)
    for start in (0, 5000):
        with pytest.raises(JournalError, match="the disk is full"):
            cover(kept.journal, start, 10)
    assert str(kept.writer.failure) == "the disk is full"


def test_an_error_that_nobody_expected_ends_no_load_in_silence(kept, monkeypatch):
    def broken(file, start, stop):
        raise OverflowError("too large")

    monkeypatch.setattr(kept.store, "mark", broken)
    with pytest.raises(JournalError, match="the journal's thread ended: OverflowError: too large"):
        cover(kept.journal, 0, 10)


def test_nothing_is_sent_while_no_sign_of_life_can_be_given(tmp_path, monkeypatch):
    """The next run waits for what was sent until a second after the last one."""
    now = 100.0
    kept = Kept(tmp_path, clock=lambda: now)
    disk, hangs, settle = threading.Event(), threading.Event(), kept.store.settle

    def hang(rows):
        if rows:
            hangs.set()
            disk.wait(30)
        settle(rows)

    monkeypatch.setattr(kept.store, "settle", hang)
    asyncio.run(kept.journal.reach(60.0))
    kept.journal.settle((Span("a", 0, 10),), Verdict.STORED)
    assert hangs.wait(30)
    asyncio.run(kept.journal.reach(60.0))
    now += 1.5

    async def send():
        sending = asyncio.create_task(kept.journal.reach(60.0))
        done, _ = await asyncio.wait([sending], timeout=0.05)
        assert not done
        disk.set()
        await sending

    asyncio.run(send())
    kept.close()


def test_a_wait_for_a_mark_can_be_cancelled(kept, monkeypatch):
    go, mark = threading.Event(), kept.store.mark
    monkeypatch.setattr(kept.store, "mark", lambda *span: go.wait(30) and mark(*span))

    async def give_up():
        task = asyncio.create_task(kept.journal.cover((Span("a", 0, 10),)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    go.set()
    cover(kept.journal, 0, 10)
    assert kept.on_disk().open.covers(0, 640)


def test_sampled_keys_are_bounded_and_name_their_rows(kept):
    for start in range(0, 6000, 10):
        kept.journal.sample((Span("a", start, 10),), pa.array(range(start + 100_000, start + 100_010)))
    kept.close()
    with JournalReader(kept.directory) as reader:
        sampled = reader.sampled(kept.target)
    assert len(sampled) == SAMPLE_KEYS
    assert all(key == row + 100_000 and file == kept.number for _, file, row, key in sampled)
    assert max(row for *_, row, _ in sampled) > SAMPLE_KEYS * 10, "later requests have their chance too"
