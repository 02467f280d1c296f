"""What a load without any setting takes of what the best fixed setting takes, on a real Milvus 2.3.5.

    python -m benches.untuned [--rows 120000] [--repeats 5]

Runs take turns, because equal runs differ by up to a factor of two on that server; every load goes into a collection of
its own, which is dropped again. The server is installed under ``.cache`` at the first use.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import pyarrow as pa

import headrace
from headrace import session
from tests.servers.milvus235 import Milvus235
from tests.simulation.loads import MIB, Fixed

DIM, BATCH = 384, 4_000
FIXED = ((1, 6 * MIB), (2, 6 * MIB), (3, 6 * MIB), (6, 6 * MIB), (8, 3 * MIB // 2))


def source(rows):
    """Batches of keyed vectors, made before the clock starts."""
    vectors = np.random.default_rng(0).standard_normal((BATCH, DIM), dtype=np.float32)
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
    return [
        pa.record_batch({"id": pa.array(range(start, start + BATCH), pa.int64()), "v": values})
        for start in range(0, rows, BATCH)
    ]


def load(server, name, batches, setting):
    """The report of a load; ``setting`` is requests in flight and request size, or None for the adaptive throttle."""
    make = session.make_throttle
    if setting is not None:

        def fixed(*_, **__):
            return Fixed(*setting, clock=time.monotonic)

        session.make_throttle = fixed
    try:
        report = headrace.load(batches, collection=name, uri=server.uri, create=True, searchable="no")
    finally:
        session.make_throttle = make
    client = headrace.MilvusClient(server.uri)
    client.drop_collection(name)
    client.close()
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=120_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    batches = source(arguments.rows)
    rates = {setting: [] for setting in (None, *FIXED)}
    with Milvus235() as server:
        load(server, "warm", batches, None)
        for repeat in range(arguments.repeats):
            for number, setting in enumerate(rates):
                report = load(server, f"r{repeat}_{number}", batches, setting)
                rates[setting].append(report.rows_stored / report.seconds)
                print(setting, f"{rates[setting][-1]:.0f} rows/s", report.concurrency, flush=True)
    for setting, found in rates.items():
        name = "untuned" if setting is None else f"{setting[0]} x {setting[1] / MIB:g} MiB"
        print(f"{name}: median {statistics.median(found):,.0f} rows/s of {[round(rate) for rate in sorted(found)]}")
    best = max(FIXED, key=lambda setting: statistics.median(rates[setting]))
    pairs = [ours / theirs for ours, theirs in zip(rates[None], rates[best], strict=True)]
    print(f"untuned / best fixed: median {statistics.median(pairs):.2f} of {[round(pair, 2) for pair in pairs]}")


if __name__ == "__main__":
    main()
