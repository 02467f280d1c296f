"""Whether another event loop would pay: loads with asyncio's own loop, and with uvloop, in turns.

    python -m benches.loops [--pairs 15]

Sending is a dozen callbacks a request and some calls into gRPC, which has threads of its own.
"""

from __future__ import annotations

import argparse
import asyncio
from statistics import median

import uvloop

from benches.measure import environment, keep, require_release_build, without_collector
from benches.sink import Sink
from benches.sources import SOURCES
from benches.ways import headrace_load

MEGABYTES = 600
#: Large requests, small ones of many rows, and all kinds of columns.
NAMES = ("dense 768", "dense 384", "wordnet, all columns")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    require_release_build()
    policies = {"asyncio": asyncio.DefaultEventLoopPolicy(), "uvloop": uvloop.EventLoopPolicy()}
    lines = ["| source | rows/s with uvloop by asyncio's | CPU with uvloop by asyncio's |", "|---|---|---|"]
    with Sink() as sink, without_collector():
        for source in (source for source in SOURCES if source.name in NAMES):
            rows = source.rows(MEGABYTES)
            headrace_load(sink.uri, rows)
            rates, cpu = [], []
            for turn in range(pairs):
                spent = {}
                for name in list(policies)[:: 1 if turn % 2 else -1]:
                    asyncio.set_event_loop_policy(policies[name])
                    spent[name] = headrace_load(sink.uri, rows)
                rates.append(spent["uvloop"].rate / spent["asyncio"].rate)
                cpu.append(spent["uvloop"].cpu / spent["asyncio"].cpu)
            lines.append(f"| {source.name} | {median(rates):.2f} | {median(cpu):.2f} |")
    asyncio.set_event_loop_policy(None)
    how = f"Medians of {pairs} pairs of loads of {MEGABYTES} MB; CPU is that of the client's process."
    keep("loops", "Event loops", f"{environment()} {how}\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
