"""Whole loads against their limits: headrace, bytes that are already packed, and both clients of pymilvus.

Every way sends the same rows to a sink in a process of its own, which keeps nothing. Ways take turns, and a figure is
the median of the ratios of their turns. The ceiling is `grpc.aio` with requests that were packed before the clock
started, with the fastest of a sweep of channels, requests in flight and request sizes. It sends different bytes all
along (up to 256 MB, then these again): four requests that are sent over and over would stay in the processor's caches,
which no load's rows do.

    python -m benches.ingest [--pairs 7] [--megabytes 1000] [--only dense]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from statistics import median

from benches.measure import environment, keep, require_release_build, without_collector
from benches.sink import Sink
from benches.sources import SOURCES, Source
from benches.ways import Spent, headrace_load, packed, packed_on_the_way, pymilvus_async, pymilvus_sync, sent_packed

#: Channels, requests in flight, megabytes a request.
SWEEP = tuple(product((1, 2), (2, 4, 8), (1.0, 4.0, 8.0)))
#: pymilvus gets less to do: its rate does not depend on how much it is.
PYMILVUS_MEGABYTES = 20
RATIOS = (
    "of packed bytes",
    "of bytes packed on the way",
    "by pymilvus",
    "by pymilvus, async",
    "its CPU a row by headrace's",
)
#: Seconds that the sink takes for a write: at once, a near server, a far one.
DELAYS = (0.0, 0.005, 0.05)


@dataclass(frozen=True)
class Line:
    """One line of the table: rows per second, and by name the ratios of each pair of turns, larger ones better."""

    source: str
    delay: float
    ceiling: str
    rows_per_second: float
    ratios: dict[str, list[float]]


def sweep(sink: Sink, source: Source, megabytes: float) -> tuple[int, int, float]:
    """The setting with which packed bytes are sent fastest."""
    requests = {size: packed(source, megabytes, size) for size in {size for _, _, size in SWEEP}}
    spent = {setting: [] for setting in SWEEP}
    for _ in range(3):
        for channels, in_flight, size in SWEEP:
            one = sent_packed(sink.uri, requests[size], channels=channels, in_flight=in_flight)
            spent[channels, in_flight, size].append(one.rate)
    return max(SWEEP, key=lambda setting: median(spent[setting]))


def line(source: Source, delay: float, pairs: int, megabytes: float, *, peers: bool) -> Line:
    """Measure one source."""
    with Sink(delay) as sink:
        channels, in_flight, size = sweep(sink, source, megabytes / 3)
        requests = packed(source, megabytes, size)
        rows = source.rows(megabytes)
        batches = list(rows.batches(max(1, int(size * 1e6 / source.row_bytes()))))
        few = source.rows(PYMILVUS_MEGABYTES)
        ways: dict[str, Callable[[], Spent]] = {
            "headrace": lambda: headrace_load(sink.uri, rows),
            "ceiling": lambda: sent_packed(sink.uri, requests, channels=channels, in_flight=in_flight),
            "bare": lambda: packed_on_the_way(sink.uri, rows.schema, batches, channels=channels, in_flight=in_flight),
        }
        if peers:
            ways["sync"] = lambda: pymilvus_sync(sink.uri, few)
            ways["async"] = lambda: pymilvus_async(sink.uri, few)
        ways["headrace"]()
        turns: dict[str, list[Spent]] = {name: [] for name in ways}
        with without_collector():
            for turn in range(pairs):
                for name in list(ways)[:: 1 if turn % 2 else -1]:
                    turns[name].append(ways[name]())

    def over(name: str, figure: Callable[[Spent], float]) -> list[float]:
        return [figure(a) / figure(b) for a, b in zip(turns["headrace"], turns.get(name, []), strict=name in turns)]

    ratios = [
        *(over(name, lambda one: one.rate) for name in ("ceiling", "bare", "sync", "async")),
        over("async", lambda one: one.rows / one.cpu),
    ]
    setting, rate = f"{channels} x {in_flight} x {size:g} MB", median(one.rate for one in turns["headrace"])
    return Line(source.name, delay, setting, rate, dict(zip(RATIOS, ratios, strict=True)))


def shown(ratios: list[float]) -> str:
    """Their median, or a dash where nothing was measured."""
    return f"{median(ratios):.2f}" if ratios else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--only", help="sources whose names begin so")
    arguments = parser.parse_args()
    require_release_build()
    chosen = [source for source in SOURCES if source.name.startswith(arguments.only or "")]
    lines = []
    for source in chosen:
        for delay in DELAYS if source is SOURCES[0] else DELAYS[:1]:
            lines.append(line(source, delay, arguments.pairs, arguments.megabytes, peers=not delay))
            sys.stderr.write(f"{lines[-1]}\n")
    table = [
        "| source | the sink takes, ms | fastest packed bytes: channels x in flight x size | rows/s "
        f"| {' | '.join(RATIOS)} |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {one.source} | {one.delay * 1e3:g} | {one.ceiling} | {one.rows_per_second:,.0f} "
            f"| {' | '.join(map(shown, one.ratios.values()))} |"
            for one in lines
        ),
    ]
    if not arguments.only:
        ratios = {
            f"{one.source}, {one.delay * 1e3:g} ms: {name}": found
            for one in lines
            for name, found in one.ratios.items()
            if found
        }
        how = f"Medians of {arguments.pairs} turns of {arguments.megabytes:g} MB."
        keep("ingest", "Whole loads to a sink", f"{environment()} {how}\n\n" + "\n".join(table), ratios)
    else:
        sys.stdout.write("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
