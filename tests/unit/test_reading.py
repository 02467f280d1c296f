"""Reading one batch ahead: order, charges, errors, and an early end; reading what earlier runs left."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import HeadraceError, SourceError
from headrace.intervals import IntervalSet
from headrace.reading import ReadAhead, iterate, resume
from headrace.sources import Part, Source, SourceBatch, open_source
from headrace.window import Window
from tests.loader.rows import eventually, table


def batches(count, read=None):
    for number in range(count):
        if read is not None:
            read.append(number)
        yield SourceBatch(pa.record_batch({"n": [number]}), "s", number)


def test_batches_come_in_order_and_every_charge_is_given_back():
    window = Window(1000)
    with ReadAhead(batches(20), window=window, charge=10) as ahead:
        assert [found.first_row for found in ahead] == list(range(20))
    assert window.used == 0
    assert window.peak <= 40, "one with the consumer, one waiting, one or two being read"


def test_reads_no_further_ahead_than_promised():
    window, read, held = Window(1000), [], []
    with ReadAhead(batches(20, read), window=window, charge=10) as ahead:
        for found in ahead:
            held.append(found)
            eventually(lambda: len(read) >= min(20, len(held) + 1))
            assert len(read) <= len(held) + 3
    assert len(held) == 20


def test_an_early_end_stops_the_thread_and_gives_charges_back():
    window = Window(1000)
    with ReadAhead(batches(20), window=window, charge=10) as ahead:
        assert next(iter(ahead)).first_row == 0
    eventually(lambda: window.used <= 10)
    assert not any(thread.name == "headrace-reading" for thread in threading.enumerate())


def test_an_early_end_while_the_window_is_full_does_not_hang():
    window = Window(10)
    window.reserve(10, outgoing=True)
    with ReadAhead(batches(20), window=window, charge=10):
        eventually(lambda: window.waiting == 1)
    assert window.used == 10
    assert window.waiting == 0 or window.reserve(0, outgoing=False)


def test_an_error_while_reading_reaches_the_consumer_after_what_was_read():
    def broken():
        yield from batches(2)
        raise SourceError("a.parquet: expected a page, found none; fetch the file again", source="a.parquet")

    window, found = Window(1000), []
    with (
        pytest.raises(SourceError, match="fetch the file again"),
        ReadAhead(broken(), window=window, charge=10) as ahead,
    ):
        found.extend(batch.first_row for batch in ahead)
    assert found == [0, 1]
    assert window.used == 0


def test_a_closed_window_ends_the_reading():
    window = Window(10)
    window.reserve(10, outgoing=True)
    window.close(HeadraceError("stopped"))
    with pytest.raises(HeadraceError, match="stopped"), ReadAhead(batches(3), window=window, charge=10) as ahead:
        list(ahead)


@pytest.mark.parametrize(("limit", "expected"), [(None, 100), (0, 0), (1, 1), (45, 45), (100, 100), (1000, 100)])
def test_a_limit_ends_the_walk(limit, expected):
    with open_source(table(100)) as source:
        found = list(iterate(source, max_bytes=1000, columns=None, limit=limit))
    assert sum(batch.batch.num_rows for batch in found) == expected
    assert [batch.first_row for batch in found] == sorted(batch.first_row for batch in found)


class Left:
    """What earlier runs left of some files, and what was told about them."""

    def __init__(self, settled, doubtful, known):
        self._settled, self._doubtful, self._known = settled, doubtful, known
        self.over, self.ends = {}, []

    def settled(self, label):
        return self._settled[label]

    def doubtful(self, label):
        return self._doubtful[label]

    def rows(self, label):
        return self._known.get(label)

    def passed(self, label, start, stop):
        assert self._settled[label].covers(start, stop)
        self.over.setdefault(label, set()).update(range(start, stop))

    def ended(self, label, rows):
        self.ends.append((label, rows))


def files_of(lengths, part_rows, read, *, told=True):
    """A source of files with so many rows each, in parts; ``read`` collects the parts that were read."""

    def parts():
        for label, length in lengths.items():
            for first in range(0, length, part_rows) if told else (0,):
                rows = min(part_rows, length - first) if told else length

                def batches_of(_bytes, _columns, label=label, first=first, rows=rows):
                    read.append((label, first))
                    for start in range(first, first + rows, 4):
                        yield pa.record_batch({"n": list(range(start, min(start + 4, first + rows)))})

                yield Part(label, first, rows if told else None, batches_of)

    return Source("files", pa.schema([("n", pa.int64())]), parts, rows_total=None, replayable=True)


RUNS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=4)


@given(RUNS, RUNS, RUNS, st.none() | st.integers(0, 60), st.booleans())
def test_what_is_read_and_what_is_passed_over_are_all_rows_up_to_the_limit(done_a, done_b, doubt_a, limit, told):
    lengths = {"a": 30, "b": 17}
    settled = {"a": intervals(done_a, 30), "b": intervals(done_b, 17)}
    doubtful = {"a": intervals(doubt_a, 30), "b": IntervalSet()}
    for start, stop in settled["a"].intervals():
        doubtful["a"].remove(start, stop)
    read = []
    left = Left(settled, doubtful, {} if told else lengths)
    source = files_of(lengths, 10, read, told=told)
    found = {"a": [], "b": []}
    for batch in resume(source, left, max_bytes=1 << 20, columns=None, limit=limit):
        rows = batch.batch["n"].to_pylist()
        assert rows == list(range(batch.first_row, batch.first_row + len(rows)))
        assert doubtful[batch.source].overlap(rows[0], rows[-1] + 1) in (0, len(rows)), "those in doubt are apart"
        found[batch.source] += rows
    at_most = 47 if limit is None else limit
    wanted = {"a": set(range(min(30, at_most))), "b": set(range(max(0, min(17, at_most - 30))))}
    for label in lengths:
        over = left.over.get(label, set())
        assert not over & set(found[label])
        assert over | set(found[label]) == wanted[label]
        assert len(found[label]) == len(set(found[label]))
    for label, first in read if told else ():
        last = min(first + 10, lengths[label], max(wanted[label], default=-1) + 1)
        assert not settled[label].covers(first, last), "a part with nothing left is not read"
    assert all(rows is None or rows == lengths[label] for label, rows in left.ends)
    if limit is None:
        assert left.ends == [("a", 30), ("b", 17)]


def intervals(runs, rows):
    return IntervalSet((start, min(start + length, rows)) for start, length in runs)
