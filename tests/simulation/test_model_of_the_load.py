"""The model that documentation and benches predict loads with, next to loads in simulated time."""

from __future__ import annotations

import pytest

from benches.model import Load, limits, predict
from tests.simulation.loads import MIB, run
from tests.simulation.servers import MB, ROW, Model


def simulated(load):
    """Seconds that a load takes in the simulation, where packing and sending are the client's work."""
    model = Model(
        lambda _n, _time: load.server,
        overhead=0.0,
        rtt=load.away,
        bandwidth=load.line,
        client=load.client,
        work_noise=0.0,
        drift_noise=0.0,
        run_noise=0.0,
    )
    fixed = (load.in_flight, load.request)
    return run(model, seconds=600.0, rows=load.size / ROW, fixed=fixed).loads[0].finished


@pytest.mark.parametrize("in_flight", [1, 2, 7, 24])
@pytest.mark.parametrize("away", [0.005, 0.05])
@pytest.mark.parametrize("line", [125 * MB, 1250 * MB])
@pytest.mark.parametrize("server", [90 * MB, 800 * MB])
def test_predicts_within_a_tenth(in_flight, away, line, server):
    client = 1_000 * MB
    load = Load(
        size=400 * MB,
        request=4 * MIB,
        in_flight=in_flight,
        away=away,
        client=client,
        alone=1.0 / (1.0 / (4 * client) + 1.0 / server),
        line=line,
        server=server,
    )
    # Where two limits are nearly equal, requests that a server works on side by side waste some of both.
    lowest, next_lowest = sorted(limits(load).values())[:2]
    close = 0.3 if next_lowest < 1.5 * lowest else 0.1
    assert predict(load).seconds == pytest.approx(simulated(load), rel=close)


def test_names_what_limits():
    load = Load(size=1e9, request=1e6, in_flight=10, away=0.1, client=4e8, line=1e9, server=1e9)
    assert predict(load).limit == "in flight"
    assert predict(Load(size=1e9, request=1e6, in_flight=100, away=0.1, client=4e8)).limit == "the client"


def test_loaders_share_the_server_and_nothing_else():
    one = Load(size=1e9, request=1e6, in_flight=10, away=0.1, server=1e9)
    two = Load(size=1e9, request=1e6, in_flight=10, away=0.1, server=1e9, loaders=2)
    many = Load(size=1e9, request=1e6, in_flight=10, away=0.1, server=1e9, loaders=50)
    assert predict(two).rate == pytest.approx(2 * predict(one).rate)
    assert (predict(many).rate, predict(many).limit) == (pytest.approx(1e9), "the server")
