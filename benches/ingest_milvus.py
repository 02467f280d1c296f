"""Whole loads into real servers: headrace untuned, against the best fixed setting for packed bytes and pymilvus.

A sweep finds with how many requests in flight of which size packed bytes are sent fastest. Its winner is then measured
again, in fresh pairs with a load that is given no setting, because whoever wins a sweep was lucky, too. Every run has a
new collection, which exists before the clock starts; loads and packed bytes are the same rows.

    python -m benches.ingest_milvus [--pairs 15] [--only "Milvus Lite"]

Milvus 2.3.5 is installed under ``.cache`` at the first use.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import headrace
from benches.measure import environment, keep, lower_bound, require_release_build, without_collector
from benches.sources import Rows, dense
from benches.ways import Packed, Spent, pymilvus_async, pymilvus_sync, sent_packed, spent
from headrace import embedded
from headrace.packing import make_packer
from tests.servers.milvus235 import Milvus235

DIM = 384
COLLECTION = "bench"
SWEEPS = 2
#: pymilvus takes turns with headrace this often.
PEER_PAIRS = 5
TARGETS = "targets: median 0.95, lower bound 0.85, 2 times pymilvus, 10 times its CPU"


@contextmanager
def milvus() -> Iterator[str]:
    """The address of a Milvus 2.3.5."""
    with Milvus235() as server:
        yield server.uri


@contextmanager
def lite() -> Iterator[str]:
    """The address of the embedded engine."""
    with tempfile.TemporaryDirectory() as folder:
        lease = embedded.acquire(Path(folder) / "bench.db")
        try:
            yield f"http://{lease.address}"
        finally:
            lease.release()


@dataclass(frozen=True)
class Server:
    """A server, how many rows it is given (as dicts fewer), and what is tried: in flight, megabytes a request."""

    name: str
    start: Callable[[], AbstractContextManager[str]]
    rows: int
    peer_rows: int
    sweep: tuple[tuple[int, float], ...]


SERVERS = (
    Server("Milvus 2.3.5", milvus, 120_000, 40_000, tuple(product((1, 2, 4, 8), (1.5, 3.0, 6.0)))),
    Server("Milvus Lite 3.2", lite, 12_000, 12_000, tuple(product((1, 2), (1.5, 3.0, 6.0)))),
)


def fresh(uri: str, rows: Rows) -> None:
    """An empty collection."""
    with headrace.MilvusClient(uri) as client:
        client.drop_collection(COLLECTION)
        client.create_collection(COLLECTION, schema=rows.schema)


def requests(rows: Rows, size: float) -> Packed:
    """All rows, each once, in requests of so many megabytes."""
    packer = make_packer(rows.schema, collection_name=COLLECTION)
    return Packed(rows.count, [packer.pack_insert(batch) for batch in rows.batches(int(size * 1e6 / (4 * DIM)))])


def fixed(uri: str, rows: Rows, what: Packed, in_flight: int) -> Spent:
    """Send packed bytes with so many requests in flight."""
    fresh(uri, rows)
    return sent_packed(uri, what, channels=1, in_flight=in_flight)


def untuned(uri: str, rows: Rows) -> Spent:
    """Load with no setting."""
    fresh(uri, rows)

    def load() -> None:
        report = headrace.load(rows.given, collection=COLLECTION, uri=uri, searchable="no")
        assert report.rows_stored == rows.count

    return spent(rows.count, load)


def swept(server: Server, uri: str, rows: Rows) -> tuple[int, float]:
    """The setting with which packed bytes are stored fastest."""
    packed = {size: requests(rows, size) for size in {size for _, size in server.sweep}}
    rates: dict[tuple[int, float], list[float]] = {setting: [] for setting in server.sweep}
    for _ in range(SWEEPS):
        for in_flight, size in server.sweep:
            rates[in_flight, size].append(fixed(uri, rows, packed[size], in_flight).rate)
            sys.stderr.write(f"{server.name}: {in_flight} x {size:g} MB: {rates[in_flight, size][-1]:,.0f} rows/s\n")
    return max(server.sweep, key=lambda setting: median(rates[setting]))


def in_pairs(ours: Callable[[], Spent], theirs: Callable[[], Spent], pairs: int) -> list[tuple[Spent, Spent]]:
    """Both in turns; who comes first changes."""
    found = []
    with without_collector():
        for turn in range(pairs):
            if turn % 2:
                first = ours()
                found.append((first, theirs()))
            else:
                first = theirs()
                found.append((ours(), first))
            sys.stderr.write(f"{found[-1][0].rate:,.0f} rows/s, {found[-1][1].rate:,.0f} rows/s\n")
    return found


def measured(server: Server, pairs: int) -> tuple[str, dict[str, list[float]]]:
    """A server's row of the table, and its ratios."""
    rows, few = dense(DIM, server.rows), dense(DIM, server.peer_rows)
    with server.start() as uri:
        ours = partial(untuned, uri, rows)
        ours()
        in_flight, size = swept(server, uri, rows)
        best = in_pairs(ours, partial(fixed, uri, rows, requests(rows, size), in_flight), pairs)
        sync = in_pairs(partial(untuned, uri, few), partial(pymilvus_sync, uri, few), min(pairs, PEER_PAIRS))
        gathered = in_pairs(partial(untuned, uri, few), partial(pymilvus_async, uri, few), min(pairs, PEER_PAIRS))
    of_best, by_sync, by_async = ([a.rate / b.rate for a, b in found] for found in (best, sync, gathered))
    cpu = [(b.cpu / b.rows) / (a.cpu / a.rows) for a, b in sync]
    ratios = {
        f"{server.name}: of the best fixed setting": of_best,
        f"{server.name}: by pymilvus": by_sync,
        f"{server.name}: by pymilvus, async": by_async,
        f"{server.name}: CPU of pymilvus by headrace's": cpu,
    }
    rates = [f"{median(each[at].rate for each in best):,.0f}" for at in (0, 1)]
    return (
        f"| {server.name} | {rates[0]} | {in_flight} x {size:g} MB: {rates[1]} | {median(of_best):.2f} "
        f"| {lower_bound(of_best):.2f} | {median(by_sync):.1f} | {median(by_async):.1f} | {median(cpu):.1f} |"
    ), ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--part", type=int, default=1, help="load this part of the rows only, 4 for a quarter")
    parser.add_argument("--only", default="", help="servers whose names begin so; nothing is kept then")
    arguments = parser.parse_args()
    require_release_build()
    lines = [
        "| server | rows/s untuned | best fixed setting for packed bytes: rows/s | median of the pairs "
        "| its lower 90 % bound | by pymilvus's loop | by pymilvus, async | its loop's CPU by headrace's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ratios: dict[str, list[float]] = {}
    servers = [
        replace(server, rows=server.rows // arguments.part, peer_rows=server.peer_rows // arguments.part)
        for server in SERVERS
    ]
    for server in servers:
        if server.name.startswith(arguments.only):
            line, found = measured(server, arguments.pairs)
            lines.append(line)
            ratios |= found
    sizes = ", ".join(f"{one.rows:,} rows into {one.name} ({one.peer_rows:,} beside pymilvus)" for one in servers)
    how = (
        f"{DIM}-d float32 with a key; {sizes}; {arguments.pairs} pairs with the best setting, {PEER_PAIRS} with each "
        f"way of pymilvus; {TARGETS}."
    )
    text = f"{environment()} {how}\n\n" + "\n".join(lines)
    if arguments.only:
        sys.stdout.write(text + "\n")
    else:
        keep("ingest_milvus", "Whole loads into real servers", text, ratios)


if __name__ == "__main__":
    main()
