"""How a load grows with its rows: time, CPU, memory and Python objects for n rows and ten times as many.

    python -m benches.growth [--rows 200000] [--pairs 5]

The rows (384-d float32 with a key) are made on the fly, batch by batch under ever new keys, and go to a sink; each load
is a process of its own, and n and 10 n take turns. Time is that of the load, without the start of its process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from benches.measure import environment, keep, require_release_build
from benches.sink import Sink

DIM, BATCH = 384, 4_000
#: Ten times the rows may take this many times the time.
BOUND = 10.5


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds by the clock and of CPU, the most bytes resident, and how many of Python's memory blocks were left."""

    seconds: float
    cpu: float
    peak: int
    blocks: int


def load(uri: str, name: str, rows: int) -> Load:
    """Load so many rows in this process."""
    import headrace

    vectors = np.random.default_rng(0).standard_normal((BATCH, DIM), dtype=np.float32)
    batches = ({"id": np.arange(start, start + BATCH), "v": vectors} for start in range(0, rows, BATCH))
    blocks, cpu, began = sys.getallocatedblocks(), time.process_time(), time.perf_counter()
    report = headrace.load(batches, collection=name, uri=uri, create=True, searchable="no")
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    assert report.rows_stored == rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Load(seconds, used, peak, sys.getallocatedblocks() - blocks)


def child(uri: str, name: str, rows: int) -> Load:
    """Load so many rows in a process of its own."""
    command = [sys.executable, "-m", "benches.growth", "--rows", str(rows), "--into", name, "--uri", uri]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Load(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--into", help=argparse.SUPPRESS)
    parser.add_argument("--uri", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.into:
        # The first load of a process imports and compiles; that does not grow with the rows.
        load(arguments.uri, f"{arguments.into}_warm", BATCH)
        print(json.dumps(asdict(load(arguments.uri, arguments.into, arguments.rows))))
        return
    require_release_build()
    few, many = arguments.rows, 10 * arguments.rows
    loads: dict[int, list[Load]] = {few: [], many: []}
    with Sink() as sink:
        for pair in range(arguments.pairs):
            for rows in (few, many) if pair % 2 else (many, few):
                loads[rows].append(child(sink.uri, f"g{pair}_{rows}", rows))
    pairs = list(zip(loads[few], loads[many], strict=True))
    seconds, cpu = [b.seconds / a.seconds for a, b in pairs], [b.cpu / a.cpu for a, b in pairs]
    lines = ["| rows | seconds | CPU seconds | peak RSS, MB | Python blocks left |", "|---|---|---|---|---|"]
    for rows, found in loads.items():
        clock, used, peak, blocks = (median(getattr(one, name) for one in found) for name in Load.__slots__)
        lines.append(f"| {rows:,} | {clock:.2f} | {used:.2f} | {peak / 1e6:.0f} | {blocks:,.0f} |")
    more = many - few
    peak, blocks = (median(getattr(b, name) - getattr(a, name) for a, b in pairs) for name in ("peak", "blocks"))
    how = (
        f"Medians of {arguments.pairs} pairs. Ten times the rows took {median(seconds):.2f} times the time and "
        f"{median(cpu):.2f} times the CPU (target: {BOUND}); a further row held {peak / more:.1f} bytes at the peak "
        f"and left {blocks / more:.4f} Python blocks."
    )
    ratios = {
        "time of n rows by a tenth of that of 10 n": [10 / one for one in seconds],
        "CPU of n rows by a tenth of that of 10 n": [10 / one for one in cpu],
        "peak RSS of n rows by that of 10 n": [a.peak / b.peak for a, b in pairs],
    }
    keep("growth", "Growth of a load", f"{environment()} {how}\n\n" + "\n".join(lines), ratios)


if __name__ == "__main__":
    main()
