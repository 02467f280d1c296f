"""Reading one batch ahead: order, charges, errors, and an early end."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

from headrace.errors import HeadraceError, SourceError
from headrace.reading import ReadAhead, iterate
from headrace.sources import SourceBatch, open_source
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
