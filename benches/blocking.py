"""What a caller that blocks costs: seconds through ``Loader`` with a caller that sleeps, against one that does not.

Sending runs in a thread of its own, so a training step, or a coroutine that blocks its loop, must not stall it. The
caller makes rows ahead, fills the window, and blocks for two seconds at a time; the loads are held to a rate, so that
what a sink in its own process gets is the same in every run.

    python -m benches.blocking [--pairs 3]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

import numpy as np

import headrace
from benches.measure import environment, keep
from benches.sink import Sink

DIM, ROWS, BLOCK_SECONDS = 384, 2_000, 2.0
#: Megabytes per second that are sent: what waits in the window lasts over 2 s.
RATE = 17.0
SCHEMA = headrace.CollectionSchema(
    [
        headrace.FieldSchema("id", headrace.DataType.INT64, is_primary=True),
        headrace.FieldSchema("v", headrace.DataType.FLOAT_VECTOR, dim=DIM),
    ]
)


def batches(count):
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIM), dtype=np.float32)
    for number in range(count):
        yield {"id": np.arange(number * ROWS, (number + 1) * ROWS), "v": vectors}


def plain(uri, name, count, block):
    """Seconds for a plain caller that blocks its thread every ``block`` puts (0: never)."""
    began = time.monotonic()
    with headrace.Loader(name, uri=uri, schema=SCHEMA, searchable="no", max_mb_per_second=RATE) as loader:
        for number, batch in enumerate(batches(count)):
            loader.put(batch)
            if block and number % block == block - 1:
                time.sleep(BLOCK_SECONDS)
    assert loader.report.rows_stored == count * ROWS
    return time.monotonic() - began


async def coroutine(uri, name, count, block):
    """The same for a coroutine that blocks its loop."""
    began = time.monotonic()
    async with headrace.Loader(name, uri=uri, schema=SCHEMA, searchable="no", max_mb_per_second=RATE) as loader:
        for number, batch in enumerate(batches(count)):
            await loader.put(batch)
            if block and number % block == block - 1:
                time.sleep(BLOCK_SECONDS)  # noqa: ASYNC251 - blocking the loop is what is measured
    assert loader.report.rows_stored == count * ROWS
    return time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--puts", type=int, default=80)
    parser.add_argument("--block-every", type=int, default=20)
    arguments = parser.parse_args()
    lines = ["| caller | throughput of the blocking caller, of the free one |", "|---|---|"]
    kept = {}
    with Sink() as sink:
        for kind in ("thread", "loop"):
            ratios = []
            for pair in range(arguments.pairs):
                seconds = []
                for block in (0, arguments.block_every):
                    name = f"{kind}_{pair}_{block}"
                    if kind == "thread":
                        seconds.append(plain(sink.uri, name, arguments.puts, block))
                    else:
                        seconds.append(asyncio.run(coroutine(sink.uri, name, arguments.puts, block)))
                ratios.append(seconds[0] / seconds[1])
                print(f"{kind}: free {seconds[0]:.2f} s, blocking {seconds[1]:.2f} s, ratio {ratios[-1]:.3f}")
            lines.append(f"| {kind} | {statistics.median(ratios):.2f} |")
            kept[kind] = ratios
    how = f"{arguments.pairs} pairs of loads; target 0.95."
    keep("blocking", "Callers that block", f"{environment()} {how}\n\n" + "\n".join(lines), kept)


if __name__ == "__main__":
    main()
