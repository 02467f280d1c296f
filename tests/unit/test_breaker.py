"""The circuit breaker, on a clock that is turned by hand."""

from __future__ import annotations

import random

from headrace.breaker import Breaker, Circuit
from headrace.retry import Backoff


class Longest(random.Random):
    """Jitter that is always the longest."""

    def uniform(self, low, high):
        return high


def make():
    return Breaker(Backoff(base=0.1, cap=5.0), Longest())


def test_is_closed_at_first():
    breaker = make()
    assert (breaker.state(0.0), breaker.wait(0.0)) == (Circuit.CLOSED, 0.0)


def test_a_lost_server_is_paused_for_and_then_probed_until_it_answers():
    breaker = make()
    breaker.failed(1.0, 0.5, opens_after=1)
    assert (breaker.state(1.05), breaker.wait(1.05)) == (Circuit.OPEN, 1.1 - 1.05)
    assert (breaker.state(1.1), breaker.wait(1.1)) == (Circuit.HALF_OPEN, 0.0)
    breaker.failed(2.0, 1.2, opens_after=1)
    assert breaker.wait(2.0) == 2.2 - 2.0, "pauses grow"
    assert breaker.state(2.2) is Circuit.HALF_OPEN
    breaker.succeeded()
    assert breaker.state(2.3) is Circuit.CLOSED
    breaker.failed(3.0, 2.9, opens_after=1)
    assert breaker.wait(3.0) == 3.1 - 3.0, "and begin anew after a success"


def test_the_requests_that_fail_together_are_one_failure():
    breaker = make()
    for _ in range(10):
        breaker.failed(1.0, 0.5, opens_after=2)
    assert breaker.wait(1.0) == 1.1 - 1.0
    assert breaker.state(1.2) is Circuit.CLOSED


def test_a_failure_that_may_pass_opens_the_circuit_when_it_comes_again():
    breaker = make()
    breaker.failed(1.0, 0.5, opens_after=2)
    assert breaker.state(1.5) is Circuit.CLOSED
    breaker.failed(2.0, 1.5, opens_after=2)
    assert breaker.state(3.0) is Circuit.HALF_OPEN


def test_a_server_that_asks_for_less_is_not_probed():
    breaker = make()
    for second in range(20):
        breaker.failed(10.0 * second, 10.0 * second, opens_after=None)
    assert breaker.wait(190.0) == 5.0, "pauses are capped"
    assert breaker.state(199.0) is Circuit.CLOSED


def test_what_heals_slowly_is_asked_again_slowly():
    breaker = make()
    breaker.failed(1.0, 0.5, opens_after=1, slow=True)
    assert breaker.wait(1.0) > 3.0
