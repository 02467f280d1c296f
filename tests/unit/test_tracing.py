"""The points of a load over time."""

from __future__ import annotations

import pytest

from headrace.tracing import COUNTERS, GAUGES, MOST_POINTS, Trace


def look(number):
    """A look in which every counter is the number of the look, and every gauge too."""
    return dict.fromkeys((*COUNTERS, *GAUGES), number)


def traced(looks, most=MOST_POINTS):
    trace = Trace(most)
    for number in range(1, looks):
        trace.add(look(number), "sending")
    return trace.finish(look(looks), "done")


def test_a_short_load_keeps_every_look():
    assert traced(3)["columns"]["seconds"] == [1, 2, 3]


@pytest.mark.parametrize("looks", [1, 7, 8, 9, 100, 1023, 1024, 1025, 100_000])
def test_points_are_bounded_and_end_with_the_last_look(looks):
    columns = traced(looks, most=8)["columns"]
    assert {len(column) for column in columns.values()} <= {len(columns["seconds"])}
    assert len(columns["seconds"]) <= 8
    assert columns["seconds"][-1] == looks
    assert columns["seconds"] == sorted(set(columns["seconds"]))


def test_halving_keeps_the_last_of_counters_and_the_mean_of_gauges():
    columns = traced(9, most=8)["columns"]
    assert columns["bytes_sent"] == [2, 4, 6, 8, 9]
    assert columns["in_flight"] == [1.5, 3.5, 5.5, 7.5, 9]


def test_a_phase_begins_when_it_is_first_seen():
    assert traced(5)["phases"] == {"sending": 1, "done": 5}
