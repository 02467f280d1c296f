"""The throttle's pause, on a clock that is turned by hand."""

from __future__ import annotations

from headrace.throttle import Throttle


def test_a_pause_holds_everything_back_until_it_is_over():
    now = [100.0]
    throttle = Throttle(4, clock=lambda: now[0])
    assert (throttle.limit, throttle.wait(), throttle.throttled_seconds) == (4, 0.0, 0.0)
    throttle.hold(2.0)
    assert throttle.wait() == 2.0
    now[0] += 1.5
    assert throttle.wait() == 0.5
    now[0] += 1.0
    assert throttle.wait() == 0.0


def test_overlapping_pauses_are_counted_once():
    now = [0.0]
    throttle = Throttle(1, clock=lambda: now[0])
    throttle.hold(2.0)
    throttle.hold(1.0)
    now[0] = 1.0
    throttle.hold(3.0)
    assert throttle.wait() == 3.0
    assert throttle.throttled_seconds == 4.0
