"""Interval sets and what became of each source's rows."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from headrace.batching import Span
from headrace.intervals import IntervalSet
from headrace.journal import Journal
from headrace.report import Verdict


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20))))
def test_an_interval_set_is_the_set_of_its_rows(pairs):
    intervals, rows = IntervalSet(), set()
    for start, length in pairs:
        intervals.add(start, start + length)
        rows |= set(range(start, start + length))
    assert {row for start, stop in intervals.intervals() for row in range(start, stop)} == rows
    assert len(intervals) == len(rows)
    assert intervals.leading() == next(i for i in range(100) if i not in rows)
    found = intervals.intervals()
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found)), "disjoint, ascending, never touching"


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
    assert journal.files() == [
        {"source": "a", "rows": 6, "stored": 5, "rejected": 1},
        {"source": "b", "rows": 2, "stored": 2},
    ]
