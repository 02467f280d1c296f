"""The size of requests: packed bytes and loads, two requests in flight, to a sink that answers at once.

    python -m benches.requests [--turns 9]

Client and sink run on one machine, so that what both have in hand shares the processor's cache.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from statistics import median

from benches.measure import environment, keep, require_release_build, without_collector
from benches.sink import Sink
from benches.sources import SOURCES
from benches.ways import Spent, headrace_load, packed, sent_packed

MIB = 1 << 20
SIZES = (1, 2, 3, 4, 5, 6, 8)
IN_FLIGHT = 2
MEGABYTES = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=9)
    turns = parser.parse_args().turns
    require_release_build()
    source = SOURCES[0]
    rows = source.rows(MEGABYTES)
    requests = {size: packed(source, MEGABYTES, size * MIB / 1e6) for size in SIZES}
    sent: dict[int, list[Spent]] = defaultdict(list)
    loaded: dict[int, list[Spent]] = defaultdict(list)
    with Sink() as sink, without_collector():
        headrace_load(sink.uri, rows)
        for _ in range(turns):
            for size in SIZES:
                sent[size].append(sent_packed(sink.uri, requests[size], channels=IN_FLIGHT, in_flight=IN_FLIGHT))
                loaded[size].append(
                    headrace_load(sink.uri, rows, max_in_flight=IN_FLIGHT, batch_bytes=size * MIB),
                )
    lines = ["| MiB a request | packed bytes, rows/s | loads, rows/s | CPU of a load, µs a row |", "|---|---|---|---|"]
    for size in SIZES:
        rates = [f"{median(one.rate for one in ways[size]):,.0f}" for ways in (sent, loaded)]
        cpu = median(one.cpu / one.rows for one in loaded[size]) * 1e6
        lines.append(f"| {size} | {' | '.join(rates)} | {cpu:.2f} |")
    how = f"{source.name}, {IN_FLIGHT} requests in flight; medians of {turns} turns of {MEGABYTES} MB."
    keep("requests", "The size of requests", f"{environment()} {how}\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
