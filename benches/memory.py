"""Memory of ``headrace load`` while the rows grow tenfold: a Parquet file with one huge row group, and a tenth of it.

The same file is then loaded from a store that speaks S3 (that of ``benches.latency``, which takes no time to answer).

    python -m benches.memory [--gigabytes 2.0]

Each load is a process of its own, into a sink in another process. Its peak is the kernel's; its resident set is sampled
all along, and compared between the first and the second half of the time, so that a slow leak shows.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benches.latency import store
from benches.measure import environment, keep, require_release_build
from benches.sink import Sink

DIM = 768
#: Bytes that no load may exceed.
BOUND = 500_000_000


def write(path: Path, rows: int) -> None:
    """A file of keyed 768-d vectors whose rows all lie in one row group."""
    vectors = np.random.default_rng(0).standard_normal(rows * DIM, dtype=np.float32)
    columns = {"id": np.arange(rows), "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors), DIM)}
    pq.write_table(pa.table(columns), path, row_group_size=rows, compression="none", use_dictionary=False)


def load(
    source: str, uri: str, name: str, state: Path, options: dict[str, str]
) -> tuple[int, list[int], float, dict[str, Any]]:
    """Peak and sampled resident bytes, seconds and the report of one ``headrace load``."""
    command = [sys.executable, "-m", "headrace", "load", source, "--collection", name, "--uri", uri, "--create"]
    for option in options.items():
        command += ["--source-option", "=".join(option)]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--quiet", "--state-dir", str(state)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    samples: list[int] = []
    ended = threading.Event()
    sampler = threading.Thread(target=sample, args=(process.pid, samples, ended))
    sampler.start()
    output = process.stdout.read()
    ended.set()
    sampler.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return usage.ru_maxrss * 1024, samples, time.monotonic() - began, json.loads(output)


def sample(pid: int, samples: list[int], ended: threading.Event) -> None:
    """Append the resident bytes of a process every twentieth of a second."""
    page = os.sysconf("SC_PAGE_SIZE")
    while not ended.wait(0.05):
        samples.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    arguments = parser.parse_args()
    require_release_build()
    rows = int(arguments.gigabytes * 1e9 / (DIM * 4))
    lines = [
        "| file | rows | seconds | peak RSS, MB | median RSS, MB, first half | second half | in the window |",
        "|---|---|---|---|---|---|---|",
    ]
    peaks = {}
    with tempfile.TemporaryDirectory() as name, Sink() as sink, store(Path(name), 0.0) as far:
        folder = Path(name)
        small, large = folder / "small.parquet", folder / "large.parquet"
        for path, count in ((small, rows // 10), (large, rows)):
            # In a process of its own: a child's peak begins with that of the process it was forked from.
            writer = multiprocessing.get_context("spawn").Process(target=write, args=(path, count))
            writer.start()
            writer.join()
            assert pq.ParquetFile(path).num_row_groups == 1
        sources = [(small, str(small), {}), (large, str(large), {}), (large, f"s3://bucket/{large.name}", far)]
        for number, (path, source, options) in enumerate(sources):
            state = folder / f"state_{number}"
            peak, samples, seconds, report = load(source, sink.uri, f"memory_{number}", state, options)
            assert report["rows_stored"] == pq.ParquetFile(path).metadata.num_rows
            half = len(samples) // 2
            first, second = (statistics.median(part) / 1e6 for part in (samples[:half], samples[half:]))
            window = report["peak_in_flight_bytes"] / 1e6
            what = f"{path.stat().st_size / 1e9:.1f} GB{' from S3' if options else ''}"
            figures = f"{seconds:.1f} | {peak / 1e6:.0f} | {first:.0f} | {second:.0f} | {window:.0f} MB"
            lines.append(f"| {what} | {report['rows_stored']:,} | {figures} |")
            peaks[what] = peak
    growth = list(peaks.values())
    how = f"Target: {BOUND / 1e6:.0f} MB for any file; ten times the rows took {growth[1] / growth[0]:.2f} of the peak."
    ratios = {f"{what}: bound by peak": [BOUND / peak] for what, peak in peaks.items()}
    keep("memory", "Memory of a load", f"{environment()} {how}\n\n" + "\n".join(lines), ratios)
    assert max(peaks.values()) <= BOUND, peaks


if __name__ == "__main__":
    main()
