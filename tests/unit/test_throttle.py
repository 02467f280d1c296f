"""What the throttle lets leave, on a clock that is turned by hand."""

from __future__ import annotations

import math
import random

import pytest

from headrace.breaker import Circuit
from headrace.retry import AnswerClass
from headrace.throttle import FIRST_BYTES, FIRST_IN_FLIGHT, Limits, Throttle

STORED, THROTTLE, RETRY = AnswerClass.STORED, AnswerClass.THROTTLE, AnswerClass.RETRY
AMBIGUOUS, DENY, REJECT = AnswerClass.AMBIGUOUS, AnswerClass.DENY, AnswerClass.REJECT


class Rig:
    def __init__(self, **limits):
        self.now = 1_000.0
        self.throttle = Throttle(Limits(**limits), clock=lambda: self.now, rng=random.Random(1))

    def send(self, size=1_000, rows=10):
        assert self.throttle.wait(size) == 0.0
        return self.throttle.sent(size, rows, aim=self.throttle.request_bytes)

    def fail(self, answer, **facts):
        self.throttle.answered(self.send(), answer, **facts)


def test_begins_with_what_is_good_on_a_known_server():
    throttle = Rig().throttle
    assert (throttle.limit, throttle.request_bytes) == (FIRST_IN_FLIGHT, FIRST_BYTES)
    assert (throttle.aim.size, throttle.aim.rows) == (FIRST_BYTES, 8_192)
    assert throttle.circuit is Circuit.CLOSED


def test_takes_no_more_than_its_limit_until_an_answer_comes():
    rig = Rig()
    first, _ = rig.send(), rig.send()
    assert rig.throttle.wait(1) == math.inf
    rig.throttle.answered(first, STORED)
    assert rig.throttle.wait(1) == 0.0


def test_takes_no_more_bytes_than_there_is_room_for_but_one_large_request_alone():
    rig = Rig(bytes_in_flight=3_000)
    assert rig.throttle.wait(10_000) == 0.0
    rig.send(2_500)
    assert rig.throttle.wait(501) == math.inf
    assert rig.throttle.wait(500) == 0.0


def test_writes_no_more_than_there_is_room_for_copies_of():
    rig = Rig(copied_bytes=3_000)
    assert rig.throttle.wait(10_000) == 0.0
    first = rig.send(2_500)
    assert rig.throttle.wait(501) == math.inf
    assert rig.throttle.wait(500) == 0.0
    rig.throttle.written(first)
    assert rig.throttle.wait(3_000) == 0.0
    rig.throttle.answered(first, STORED)
    rig.throttle.answered(rig.send(3_000), STORED)
    assert rig.throttle.wait(3_000) == 0.0, "an answer gives the copy back too"


def test_copies_are_spared_where_there_is_no_room_for_all():
    assert not Rig(in_flight=2).throttle.spares_copies
    assert Rig(in_flight=2, copied_bytes=FIRST_BYTES).throttle.spares_copies
    far = Throttle(Limits(), clock=lambda: 0.0, round_trip=0.005)
    assert far.spares_copies, "at first, when there may be more in flight before an answer comes"
    assert not Throttle(Limits(), clock=lambda: 0.0, round_trip=0.0005).spares_copies


@pytest.mark.parametrize(("round_trip", "in_flight"), [(0.001, 2), (0.01, 2), (0.05, 3), (0.2, 7)])
def test_what_is_on_a_long_way_comes_on_top(round_trip, in_flight):
    throttle = Throttle(Limits(), clock=lambda: 0.0, round_trip=round_trip)
    assert throttle.limit == in_flight
    assert Throttle(Limits(nice=True), clock=lambda: 0.0, round_trip=round_trip).limit == 1


@pytest.mark.parametrize("answer", [THROTTLE, RETRY, AMBIGUOUS, DENY])
def test_trouble_holds_everybody_back_for_a_while(answer):
    rig = Rig()
    rig.fail(answer)
    wait = rig.throttle.wait(1)
    assert 0.0 < wait <= 5.0
    rig.now += wait
    assert rig.throttle.wait(1) == 0.0
    rig.send()
    assert rig.throttle.throttled_seconds == pytest.approx(wait)


@pytest.mark.parametrize("answer", [STORED, REJECT, AnswerClass.SPLIT, None])
def test_other_answers_hold_nobody_back(answer):
    rig = Rig()
    rig.fail(answer)
    assert rig.throttle.wait(1) == 0.0
    assert rig.throttle.throttled_seconds == 0.0


def test_a_lost_server_is_probed_with_one_request():
    rig = Rig()
    rig.fail(RETRY)
    assert (rig.throttle.circuit, rig.throttle.limit) == (Circuit.OPEN, 1)
    rig.now += 10.0
    assert rig.throttle.circuit is Circuit.HALF_OPEN
    probe = rig.send()
    assert rig.throttle.wait(1) == math.inf
    rig.throttle.answered(probe, STORED)
    assert (rig.throttle.circuit, rig.throttle.limit) == (Circuit.CLOSED, FIRST_IN_FLIGHT)


def test_expiry_and_refusals_without_a_rate_halve_what_is_in_flight_once_per_occasion():
    for facts in ({"answer": AMBIGUOUS, "expired": True}, {"answer": THROTTLE}):
        rig = Rig()
        attempts = [rig.send(), rig.send()]
        for attempt in attempts:
            rig.throttle.answered(attempt, **facts)
        assert rig.throttle.settled.in_flight == 1
        assert rig.throttle.request_bytes == FIRST_BYTES


def test_a_refusal_at_the_floor_teaches_a_rate():
    rig = Rig(in_flight=1)
    rig.fail(THROTTLE)
    assert rig.throttle.settled.in_flight == 1
    assert rig.throttle.request_bytes < FIRST_BYTES, "small steady requests"


def test_a_named_rate_is_followed_with_as_many_in_flight():
    rig = Rig()
    rig.fail(THROTTLE, rate=2e6)
    assert rig.throttle.settled.in_flight == FIRST_IN_FLIGHT
    assert rig.throttle.request_bytes == 1 << 19


def test_caps_make_requests_small_and_wait_for_each_other():
    rig = Rig(rows_per_second=1_000.0)
    assert rig.throttle.aim.rows == 500
    rig.send(size=10, rows=500)
    assert rig.throttle.wait(10) == pytest.approx(0.5, abs=0.06)
    assert rig.throttle.throttled_seconds == 0.0, "not the server's doing"
    rig = Rig(bytes_per_second=4e6)
    assert rig.throttle.request_bytes == 1 << 20
    rig.send(size=2_000_000)
    assert rig.throttle.wait(10) == pytest.approx(0.5, abs=0.06)


def test_a_size_that_a_user_chose_is_neither_changed_nor_cut_by_rows():
    rig = Rig(request_bytes=100)
    rig.fail(THROTTLE, rate=10.0)
    assert (rig.throttle.aim.size, rig.throttle.aim.rows) == (100, None)
    assert rig.throttle.settled.request_bytes == 100


def test_a_nice_load_begins_with_one_request():
    assert Rig(nice=True).throttle.limit == 1
