"""Several loads on one server: together they take nearly what one takes, and each gets its share."""

from __future__ import annotations

import statistics

import pytest

from tests.simulation.loads import run
from tests.simulation.servers import MB, MODELS

COLLAPSING = MODELS["collapsing"]
#: Clocks of machines that keep time by NTP, and worse.
SKEW = 0.05


def together(seed, *, stagger, since=900.0, until=1500.0, loaders=4, model=COLLAPSING):
    """What the loads take together, as a share of what one takes; and the share of each in that."""
    one = run(model, seed=seed, seconds=until).throughput(since)
    loads = run(model, seed=seed, seconds=until, loaders=loaders, stagger=stagger, skew=SKEW).loads
    parts = [load.throughput(since, until) for load in loads]
    return sum(parts) / one, [part / sum(parts) for part in parts]


@pytest.mark.parametrize("stagger", [0.0, 37.0])
def test_four_loads_take_most_of_what_one_takes_in_equal_shares(stagger):
    total, shares = together(3, stagger=stagger)
    assert total >= 0.8
    assert min(shares) >= 0.15
    assert max(shares) <= 0.4


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_four_loads_take_most_of_what_one_takes_in_every_weather():
    found = [together(seed, stagger=stagger) for seed in range(100, 110) for stagger in (0.0, 37.0)]
    totals = [total for total, _ in found]
    assert statistics.mean(totals) >= 0.8
    assert min(totals) >= 0.65
    # Jain's index: 1 for equal shares, 0.25 where one has everything.
    assert min(1.0 / (4 * sum(share**2 for share in shares)) for _, shares in found) >= 0.9


def test_loads_share_a_rate_limit():
    # A server that refuses says nothing of shares: they are what chance makes of them, but nobody starves.
    fewest = []
    for seed in range(6):
        loads = run(MODELS["rate limited"], seed=seed, seconds=400.0, loaders=4, stagger=5.0).loads
        parts = [load.throughput(200.0, 400.0) for load in loads]
        assert sum(parts) >= 0.95 * 16 * MB
        fewest.append(min(parts) / (sum(parts) / 4))
    assert statistics.mean(fewest) >= 0.4
    assert min(fewest) >= 0.15


def test_a_nice_load_leaves_the_server_to_the_others():
    loads = run(
        MODELS["workers"], seed=3, seconds=600.0, loaders=3, skew=SKEW, each=lambda number: {"nice": number == 0}
    ).loads
    nice, *others = (load.throughput(300.0, 600.0) for load in loads)
    assert nice <= 0.5 * min(others)
