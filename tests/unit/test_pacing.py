"""Rates: what a user caps, and what refusals teach."""

from __future__ import annotations

import pytest

from headrace.pacing import SLACK, Debt, RatePacer


@pytest.mark.parametrize("size", [1, 70, 1_000])
def test_a_cap_is_exceeded_by_one_request_at_most(size):
    debt, now, taken = Debt(100.0), 0.0, 0
    while now < 50.0:
        wait = debt.wait(now)
        if wait > 0.0:
            now += wait
            continue
        debt.take(now, size)
        taken += size
        assert taken <= 100.0 * (now + SLACK) + size + 1e-6
    assert taken >= 0.98 * 100.0 * 50.0, "and it is used up"


def test_what_was_not_used_is_not_saved():
    debt = Debt(100.0)
    debt.take(0.0, 100)
    debt.take(1_000.0, 100)
    assert debt.wait(1_000.0) == pytest.approx(1.0 - SLACK)


def test_nothing_is_paced_before_a_refusal():
    pacer = RatePacer()
    pacer.sent(0.0, 10**9)
    assert (pacer.rate, pacer.wait(0.0)) == (None, 0.0)


def test_a_rate_that_is_named_is_taken_and_the_refused_request_waited_for():
    pacer = RatePacer()
    pacer.refused(0.0, 200, 100.0)
    assert (pacer.rate, pacer.wait(0.0)) == (100.0, 2.0)


def test_without_a_name_the_rate_is_what_was_accepted_lately():
    pacer = RatePacer()
    for tenth in range(300):
        pacer.stored(tenth / 10, 50)
    pacer.refused(30.0, 50, None)
    assert pacer.rate == pytest.approx(500.0, rel=0.1)


def test_refusals_lower_the_rate_once_at_a_time_and_it_grows_in_between():
    pacer = RatePacer()
    pacer.refused(0.0, 1, 100.0)
    pacer.refused(1.0, 1, None)
    pacer.refused(1.1, 1, None)
    assert pacer.rate == pytest.approx(90.0)
    for second in range(2, 12):
        pacer.sent(float(second), 80)
        pacer.stored(float(second), 80)
    assert 100.0 < pacer.rate < 200.0


def test_a_rate_that_holds_nothing_back_any_more_is_forgotten():
    pacer = RatePacer()
    pacer.refused(0.0, 1, 100.0)
    for second in range(1, 120):
        pacer.stored(float(second), 10)
    assert pacer.rate is None
