"""Requests that take long are made less, and that is taken back where it was in vain."""

from __future__ import annotations

import pytest

from headrace.haste import Haste
from headrace.trials import Bounds, Setting

MIB = 1 << 20
BOUNDS = Bounds(in_flight=64, bytes_in_flight=44 * MIB, smallest=256 << 10, largest=16 * MIB)


class Server:
    def __init__(self, seconds, in_flight=2, size=4 * MIB):
        self.haste, self.seconds, self.best = Haste(), seconds, Setting(in_flight, size)

    def slots(self, count, seconds=4.0):
        """The settings after slots of so many seconds each."""
        found = []
        for _ in range(count):
            trip = self.seconds(self.best)
            wanted = self.haste.wanted(self.best, BOUNDS, slot=seconds, trip=trip, usual=trip)
            self.best = wanted or self.best
            found.append((self.best.in_flight, self.best.request_bytes // MIB))
        return found


def work(rate):
    return lambda setting: setting.in_flight * setting.request_bytes / rate


def test_requests_that_are_work_are_halved_until_they_are_quick_enough():
    assert Server(work(4 * MIB)).slots(3) == [(2, 2), (2, 2), (2, 2)]
    assert Server(work(1 * MIB)).slots(4) == [(2, 2), (2, 1), (2, 1), (2, 1)]


def test_then_there_are_fewer_of_them():
    assert Server(work(1 * MIB), in_flight=12).slots(6) == [(12, 2), (12, 1), (8, 1), (5, 1), (4, 1), (4, 1)]


@pytest.mark.parametrize("in_flight", [2, 12])
def test_what_did_not_make_them_quicker_is_given_back_for_good(in_flight):
    server = Server(lambda _: 3.0, in_flight)
    assert server.slots(5) == [(in_flight, 2), *[(in_flight, 4)] * 4]
    assert server.haste.patient
    # The search may go on from there.
    assert server.haste.wanted(server.best, BOUNDS, slot=60.0, trip=3.0, usual=3.0) is None


def test_trouble_that_comes_after_less_has_helped_is_new():
    server = Server(work(4 * MIB))
    assert server.slots(2) == [(2, 2), (2, 2)]
    server.seconds = work(1 * MIB)
    assert server.slots(2) == [(2, 1), (2, 1)]
    assert not server.haste.patient


def test_less_that_helped_too_little_is_remembered():
    trips = iter([1.04, 0.99, 1.02])
    assert Server(lambda _: next(trips)).slots(3) == [(2, 2), (2, 2), (2, 4)]


def test_quick_requests_are_left_alone():
    server = Server(lambda _: 1.0)
    assert server.slots(10) == [(2, 4)] * 10
    assert not server.haste.patient


def test_a_second_of_trouble_is_none():
    trips = iter([3.0, 0.5] * 10)
    assert Server(lambda _: next(trips)).slots(20, seconds=2.0) == [(2, 4)] * 20
