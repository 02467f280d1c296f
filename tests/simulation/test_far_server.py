"""Loads to servers that are far away, or wait before they answer, counted from the first byte to the last answer."""

from __future__ import annotations

import math

import pytest

from tests.simulation.loads import MIB, ROOM, run
from tests.simulation.servers import MB, ROW, far
from tests.simulation.sweep import GRID

#: Seconds there and back, megabytes, and the least share of what the best fixed setting takes. A load of few round
#: trips is over before it has found out: its first three or four are spent below the knee.
SHARES = [
    (0.005, 200, 0.8),
    (0.005, 1_000, 0.9),
    (0.05, 200, 0.7),
    (0.05, 1_000, 0.85),
    (0.1, 200, 0.8),
    (0.1, 1_000, 0.9),
]
#: Among the best fixed settings for which there is memory, at any of these distances.
BEST = (24, 3 * MIB // 2)


def seconds(model, megabytes, **how):
    """Seconds that a load of so many megabytes takes; without end where it takes more than a minute."""
    finished = run(model, seconds=60.0, rows=megabytes * MB / ROW, **how).loads[0].finished
    return math.inf if finished is None else finished


@pytest.mark.parametrize(("rtt", "megabytes", "least"), SHARES)
def test_a_load_takes_most_of_what_the_best_fixed_setting_takes_from_its_first_byte(rtt, megabytes, least):
    model = far(rtt)
    assert seconds(model, megabytes, fixed=BEST) / seconds(model, megabytes) >= least


@pytest.mark.parametrize("wait", [0.005, 0.05])
def test_a_server_that_waits_before_it_answers_is_as_good(wait):
    # Calls without work are answered at once there, so that the way is known to be short.
    model = far(0.0005, wait=wait)
    assert seconds(model, 1_000, fixed=BEST) / seconds(model, 1_000) >= 0.8


@pytest.mark.parametrize(("wait", "least"), [(1.0, 30 * MB), (1.5, 10 * MB)])
def test_a_server_that_is_slow_to_answer_whatever_it_gets_is_given_more(wait, least):
    # Two requests of the first size are 8 MB; smaller ones, which teach more where time is work, would be 2.
    assert run(far(0.0005, wait=wait), seconds=180.0).throughput(60.0) >= least


def test_requests_that_take_over_a_second_to_be_sent_become_smaller():
    (load,) = run(far(0.0005, bandwidth=4 * MB), seconds=60.0).loads
    assert load.throttle.settled.request_bytes <= 2 * MIB


@pytest.mark.parametrize("rtt", [0.005, 0.05])
def test_a_narrow_line_is_used_up(rtt):
    model = far(rtt, bandwidth=125 * MB)
    assert seconds(model, 200, fixed=BEST) / seconds(model, 200) >= 0.95


def test_a_fixed_setting_of_before_would_take_a_fraction():
    model = far(0.05)
    assert seconds(model, 1_000) <= 0.4 * seconds(model, 1_000, fixed=(2, 6 * MIB))


@pytest.mark.long
@pytest.mark.parametrize("rtt", [0.005, 0.05, 0.1])
def test_the_best_fixed_setting_is_one_of_the_best_of_a_sweep(rtt):
    found = min(seconds(far(rtt), 1_000, fixed=setting) for setting in GRID if setting[0] * setting[1] <= ROOM)
    assert found >= 0.95 * seconds(far(rtt), 1_000, fixed=BEST)
