"""Peak memory of ``headrace load``: a Parquet file with one huge row group, against one of a tenth of the rows.

    python benches/memory.py [--gigabytes 2.0]

Each load is a process of its own (its peak resident set is the kernel's), into a sink in another process.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benches.sink import Sink

DIM = 768


def write(path: Path, rows: int) -> None:
    """A file of keyed 768-d vectors whose rows all lie in one row group."""
    vectors = np.random.default_rng(0).standard_normal(rows * DIM, dtype=np.float32)
    columns = {"id": np.arange(rows), "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors), DIM)}
    pq.write_table(pa.table(columns), path, row_group_size=rows, compression="none", use_dictionary=False)


def load(path: Path, uri: str, name: str, state: Path) -> tuple[int, float, dict]:
    """Peak resident bytes, seconds and the report of one ``headrace load``."""
    command = [sys.executable, "-m", "headrace", "load", str(path), "--collection", name, "--uri", uri, "--create"]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--quiet", "--state-dir", str(state)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return usage.ru_maxrss * 1024, time.monotonic() - began, json.loads(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    arguments = parser.parse_args()
    rows = int(arguments.gigabytes * 1e9 / (DIM * 4))
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        for number, count in enumerate((rows // 10, rows)):
            path = Path(folder) / f"{count}.parquet"
            # In a process of its own: a child's peak begins with that of the process it was forked from.
            writer = multiprocessing.get_context("spawn").Process(target=write, args=(path, count))
            writer.start()
            writer.join()
            groups = pq.ParquetFile(path).num_row_groups
            peak, seconds, report = load(path, sink.uri, f"memory_{number}", Path(folder) / f"state_{number}")
            assert report["rows_stored"] == count
            size, window = path.stat().st_size / 1e6, report["peak_in_flight_bytes"] / 1e6
            print(f"{size:.0f} MB in {groups} row group(s), {count} rows, {seconds:.1f} s:")
            print(f"  peak RSS {peak / 1e6:.0f} MB, of which {window:.0f} MB in the window")
            path.unlink()


if __name__ == "__main__":
    main()
