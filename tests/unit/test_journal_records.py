"""What a journal knows of keys: that they are all different, where that is certain, and nothing where it is not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.batching import Span
from headrace.intervals import IntervalSet
from headrace.journal import Journal
from headrace.journal_records import FileRecord, KeyRange, Place, distinct_keys
from headrace.journal_store import JournalStore
from headrace.journal_writer import JournalWriter
from headrace.report import Verdict
from headrace.sources import FileIdentity

PLACE = Place("localhost:19530", "", "docs", "", "7 1 mark")
FILE = FileIdentity("a.parquet", 10, 1, "", "d")


def file(*ranges, stored=None):
    rows = IntervalSet(stored or [(start, stop) for start, stop, *_ in ranges])
    known = [KeyRange(*it) for it in ranges]
    return FileRecord(id=1, identity=FILE, plan="plan", rows=None, settled={Verdict.STORED: rows}, keys=known)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], 0),
        ([file((0, 10, 0, 9), (10, 20, 10, 19))], 20),
        ([file((0, 10, 90, 99), (10, 20, 50, 60))], 20),
        ([file((0, 10, "a", "f"), (10, 20, "g", "z"))], 20),
        ([file((0, 10, 0, 9)), file((0, 10, 10, 19))], 20),
        # The same rows once more have the same keys.
        ([file((0, 20, 0, 19), (5, 8, 5, 7))], 20),
        # One of nine and ten may be the other's.
        ([file((0, 10, 0, 9), (10, 20, 9, 19))], None),
        ([file((0, 10, 0, 9)), file((0, 10, 5, 14))], None),
        # Some rows' keys were not noted, or are not known to be different.
        ([file((0, 10, 0, 9), stored=[(0, 11)])], None),
        ([file((0, 10, None, None))], None),
        # More is known of keys than is stored.
        ([file((0, 10, 0, 9), stored=[(2, 8)])], 6),
    ],
)
def test_keys_are_different_only_where_that_is_certain(files, expected):
    assert distinct_keys(files) == expected


def run(stored, keys, ended=1.0):
    return {"ended": ended, "stored": stored, "keys": keys}


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run(10, 9)], 9),
        ([run(10, 9), run(0, None)], 9),
        ([run(10, 9), run(10, 8)], 8),
        # Not all rows were stored by the run that counted, or by any that came to its end.
        ([run(4, 4), run(6, 6)], None),
        ([run(10, 9), run(0, None, ended=None)], None),
        ([run(10, None)], None),
        ([], None),
    ],
)
def test_a_run_that_stored_everything_has_counted_the_keys(runs, expected):
    assert distinct_keys([file((0, 5, 0, 9), (5, 10, 0, 9))], runs) == expected


@pytest.fixture
def store(tmp_path):
    with JournalStore(tmp_path) as opened:
        with opened.transaction(durable=True):
            target = opened.begin_target(PLACE, 0)
            opened.target = target.id
            opened.run = opened.begin_run(target.id)
            opened.file = opened.begin_file(target.id, FILE, "plan", 1000).id
        yield opened


def record(store):
    (found,) = store.files(store.target)
    return found


@pytest.mark.parametrize(
    ("ranges", "condensed"),
    [
        ([(0, 10, 0, 9), (10, 20, 10, 19), (20, 30, 20, 29)], [(0, 30, 0, 29)]),
        ([(10, 20, 0, 9), (0, 10, 10, 19)], [(0, 20, 0, 19)]),
        ([(0, 10, "a", "b"), (20, 30, "c", "d")], [(0, 10, "a", "b"), (20, 30, "c", "d")]),
        ([(0, 10, 0, 9), (10, 20, 5, 14), (20, 30, 90, 99)], [(0, 30, None, None)]),
        ([(0, 20, 0, 19), (5, 8, 5, 7)], [(0, 20, 0, 19)]),
        ([(0, 20, 0, 19), (15, 30, 15, 29)], [(0, 30, None, None)]),
    ],
)
def test_condensing_says_no_more_of_keys_than_was_known(store, ranges, condensed):
    with store.transaction(durable=True):
        store.settle([(store.file, start, stop, "stored", None) for start, stop, *_ in ranges])
        store.keys((store.file, KeyRange(*it)) for it in ranges)
    before = distinct_keys([record(store)])
    with store.transaction(durable=True):
        store.condense(store.file, IntervalSet())
    after = record(store)
    assert [(it.start, it.stop, it.low, it.high) for it in after.keys] == condensed
    assert distinct_keys([after]) == before


def test_what_is_noted_of_keys_is_on_the_disk_with_the_rows(store):
    journal, writer = Journal(), JournalWriter(store, store.run)
    journal.keep(writer, store.target, {"a": record(store)}, keyed=True)
    spans = (Span("a", 0, 3), Span("a", 7, 2))
    known = journal.key_ranges(spans, pa.array([5, 3, 4, 1, 2]))
    assert known == (KeyRange(0, 3, 3, 5), KeyRange(7, 9, 1, 2))
    assert journal.key_ranges(spans[:1], pa.array([5, 3, 4]), np.array([3, 4, 5])) == known[:1]
    assert journal.key_ranges(spans, pa.array([5, 3, 4, 1, 2]), np.arange(1, 6)) == known, "of each span its own"
    texts, hashes = pa.array(["b", "a", "c"]), np.array([-7, 0, 7])
    assert journal.key_ranges(spans[:1], texts, hashes) == (KeyRange(0, 3, "a", "c"),), "hashes are no keys"
    journal.settle(spans, Verdict.STORED, known)
    writer.close({})
    assert distinct_keys([record(store)]) == 5


def test_keys_that_are_long_or_in_many_pieces_are_not_noted(store):
    journal, writer = Journal(), JournalWriter(store, store.run)
    assert journal.key_ranges((Span("a", 0, 1),), pa.array([1])) == (), "without a file to note it in"
    journal.keep(writer, store.target, {"a": record(store)}, keyed=True)
    assert journal.key_ranges((Span("a", 0, 2),), pa.array(["a" * 300, "b"])) == (None,)
    spans = tuple(Span("a", 2 * number, 1) for number in range(65))
    assert journal.key_ranges(spans, pa.array(range(65))) == ()
    writer.close({})


def test_reopened_rows_are_open_and_keep_what_is_known_of_their_keys(store):
    with store.transaction(durable=True):
        store.settle([(store.file, 0, 30, "stored", None), (store.file, 30, 40, "rejected", store.run)])
        store.keys([(store.file, KeyRange(0, 30, 0, 29))])
        store.end_run(store.run, status="done", rejects=[])
    with store.transaction(durable=True):
        store.reopen(store.file, IntervalSet([(5, 7), (35, 36)]))
    found = record(store)
    assert found.open.intervals() == [(5, 7), (35, 36)]
    assert found.settled[Verdict.STORED].intervals() == [(0, 5), (7, 30)]
    assert found.settled[Verdict.REJECTED].intervals() == [(30, 35), (36, 40)]
    with store.transaction(durable=True):
        store.settle([(store.file, 5, 7, "stored", None)])
    assert distinct_keys([record(store)]) == 30


def test_a_file_that_is_begun_again_leaves_word_of_its_rows(store):
    with store.transaction(durable=True):
        store.settle([(store.file, 0, 30, "stored", None)])
    for identity, counts in ((FILE, (30, 0)), (FileIdentity("a.parquet", 11, 2, "", "e"), (30, 12))):
        with store.transaction(durable=True):
            begun = store.begin_file(store.target, identity, "plan", None, former=record(store))
            store.settle([(begun.id, 0, 12, "stored", None)])
        (target,) = store.targets()
        assert (target.rows_again, target.rows_replaced) == counts
