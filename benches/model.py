"""What a load should take: a model of it, next to measured loads, and what it says of places that were not measured.

    python -m benches.model [--megabytes 1000] [--turns 5]

A load is a few stations that requests go through one after the other (the client's work, the line, the server's work),
and time in which nothing works on them (the way, a server that waits). With `n` requests in flight it takes the rate of
its slowest station, or `n` requests for each time that one of them takes, whichever is less.

The rate of client and sink together, and how long a request takes that is alone, are measured with a sink that answers
at once, and how long a sink waits with requests of a few rows. Loads with settings that do not change are then
predicted and measured in turns.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benches.measure import environment, keep, require_release_build, without_collector
from benches.sink import Sink
from benches.sources import SOURCES, Rows
from benches.ways import Packed, headrace_load, packed, sent_packed
from headrace import session
from headrace.throttle import FIRST_BYTES
from tests.simulation.loads import Fixed

MIB = 1 << 20
#: A window with room for all of them.
WINDOW = 512 * MIB
REQUEST = FIRST_BYTES
#: Bytes per second of a client with a machine to itself: two threads, of which each packs or sends faster than that.
CLIENT = 1.0e9
#: What Linux lets a socket hold that was not acknowledged, where nobody raised the last number of net.ipv4.tcp_wmem.
SOCKET = 4 * MIB
#: Seconds that a sink waits, and requests in flight, that are predicted.
POINTS = tuple((wait, n) for wait in (0.0, 0.005, 0.05) for n in (2, 4, 8))


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load, in bytes, seconds and bytes per second.

    Attributes:
        size: Bytes of all requests.
        request: Bytes of one.
        in_flight: Requests in flight.
        start: Seconds until the first request leaves.
        away: Seconds of a request in which nothing works on it: the round trip, and what the server waits.
        client: What the client packs and sends when nothing else limits it.
        alone: What client and server work off of a request that has nothing beside it, one step after the other.
        line: What the line carries.
        server: What the server takes of all loaders together.
        connections: Connections; ``carried``: bytes that each has on its way at most, for the kernels' buffers.
        loaders: Loaders of this kind at once, each with a client and a line of its own.
    """

    size: float
    request: float
    in_flight: int
    start: float = 0.0
    away: float = 0.0
    client: float = math.inf
    alone: float = math.inf
    line: float = math.inf
    server: float = math.inf
    connections: int = 2
    carried: float = math.inf
    loaders: int = 1


@dataclass(frozen=True)
class Predicted:
    """What the model says: bytes per second of all loaders together, seconds, and the reason why it is no faster."""

    rate: float
    seconds: float
    limit: str


def trip(load: Load) -> float:
    """Seconds of a request that has nothing beside it."""
    return load.away + load.request / load.alone + load.request / load.line


def limits(load: Load) -> dict[str, float]:
    """The bytes per second that each of these would let a loader have."""
    return {
        "in flight": load.in_flight * load.request / trip(load),
        "the client": load.client,
        "the line": load.line,
        "the connections": load.connections * load.carried / load.away if load.away else math.inf,
        "the server": load.server / load.loaders,
    }


def predict(load: Load) -> Predicted:
    """What a load takes; see the module."""
    rate, limit = min((rate, name) for name, rate in limits(load).items())
    part = load.size / load.loaders
    # The first answer comes after a whole trip; from then on they come at the rate.
    first = min(load.in_flight * load.request, part)
    sending = trip(load) + (first - load.request) / load.client + (part - first) / rate
    return Predicted(load.loaders * rate, load.start + max(sending, part / rate), limit)


@contextmanager
def fixed(in_flight: int) -> Iterator[None]:
    """Loads have so many requests of :data:`REQUEST` in flight, whatever they find."""
    make = session.make_throttle

    def throttle(*_: object, **__: object) -> Fixed:
        return Fixed(in_flight, REQUEST, clock=time.monotonic)

    session.make_throttle = throttle
    try:
        yield
    finally:
        session.make_throttle = make


def seconds(uri: str, rows: Rows, in_flight: int) -> float:
    """Seconds of a load with that many requests in flight, and room for them."""
    with fixed(in_flight):
        return headrace_load(uri, rows, window_bytes=WINDOW).seconds


def waits(quick: str, slow: str, tiny: Packed) -> float:
    """Seconds that the slow sink really takes longer for a request that is no work."""
    long, short = (sent_packed(uri, tiny, channels=1, in_flight=1).seconds for uri in (slow, quick))
    return max(0.0, long - short) / len(tiny.requests)


def known(uri: str, one: Rows, many: Rows, row: float) -> Load:
    """What a sink that answers at once tells of this machine, just now."""
    start = seconds(uri, one, 1)
    slow, fast = (seconds(uri, many, n) - start for n in (1, 8))
    return Load(
        size=many.count * row,
        request=REQUEST,
        in_flight=1,
        start=start,
        alone=many.count * row / slow,
        client=many.count * row / fast,
    )


def measured(megabytes: float, turns: int) -> list[dict[str, Any]]:
    """The points: seconds that were predicted, and seconds that it took, one of each for each turn."""
    source = SOURCES[0]
    row, one, many = source.row_bytes(), source.rows(0.1), source.rows(megabytes)
    tiny = packed(source, 0.2, 0.01)
    found = []
    with without_collector(), Sink(0.0) as quick:
        headrace_load(quick.uri, many)
        for wait in sorted({wait for wait, _ in POINTS}):
            with Sink(wait) as sink:
                for n in [n for at, n in POINTS if at == wait]:
                    for _ in range(turns):
                        load = replace(known(quick.uri, one, many, row), in_flight=n)
                        load = replace(load, away=waits(quick.uri, sink.uri, tiny))
                        took = seconds(sink.uri, many, n)
                        said = predict(load)
                        found.append(
                            {
                                "wait": wait,
                                "in_flight": n,
                                "megabytes": load.size / 1e6,
                                "said": said.seconds,
                                "took": took,
                                "limit": said.limit,
                            }
                        )
                        sys.stderr.write(f"{found[-1]}\n")
    return found


def compared(found: list[dict[str, Any]]) -> str:
    """The points as a table."""
    lines = [
        "| the sink waits, ms | in flight | predicted, MB/s | measured, MB/s | measured / predicted | limited by |",
        "|---|---|---|---|---|---|",
    ]
    for wait, n in POINTS:
        turns = [one for one in found if (one["wait"], one["in_flight"]) == (wait, n)]
        said, took = (median(one["megabytes"] / one[name] for one in turns) for name in ("said", "took"))
        ratio = median(one["said"] / one["took"] for one in turns)
        limit = Counter(one["limit"] for one in turns).most_common(1)[0][0]
        lines.append(f"| {wait * 1e3:g} | {n} | {said:,.0f} | {took:,.0f} | {ratio:.2f} | {limit} |")
    return "\n".join(lines)


def outlook() -> str:
    """What to expect at 10 Gbit/s, 100 ms and a cluster that takes 1 GB/s."""
    far = Load(
        size=1e12, request=REQUEST, in_flight=1, away=0.1, client=CLIENT, alone=CLIENT, line=10e9 / 8, server=1e9
    )
    lines = [
        "| loaders | window of each, MiB | connections of each | MB/s, all together | limited by |",
        "|---|---|---|---|---|",
    ]
    for window, connections in ((64, 2), (64, 8), (256, 8), (256, 28)):
        for loaders in (1, 2, 3, 4):
            in_flight = window * MIB * 11 // 16 // REQUEST
            used = min(connections, in_flight)
            load = replace(far, loaders=loaders, in_flight=in_flight, connections=used, carried=SOCKET)
            said = predict(load)
            lines.append(f"| {loaders} | {window} | {connections} | {said.rate / 1e6:,.0f} | {said.limit} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    require_release_build()
    found = measured(arguments.megabytes, arguments.turns)
    how = f"Medians of {arguments.turns} turns of {arguments.megabytes:g} MB, 768-d, requests of {REQUEST // MIB} MiB."
    far = "10 Gbit/s, 100 ms there and back, a cluster that takes 1 GB/s:"
    keep("model", "A model of the load", "\n\n".join((f"{environment()} {how}", compared(found), far, outlook())))


if __name__ == "__main__":
    main()
