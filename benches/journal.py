"""What the journal costs: seconds of a load of a file that keeps one, against the same load without.

The file is an Arrow IPC file of float32 vectors, mapped into memory, and the server a sink in another process that
takes every write at once: nothing is slower than the journal that could hide it. Turns with and without it come in
pairs, each with a state directory of its own in `.cache/`: a temporary directory may be in memory. Two pairs in
opposite order make a quadruple (with, without, without, with), whose ratio a machine that gets slower or faster
meanwhile leaves as it is; the figure is the median of the quadruples.

    python -m benches.journal [--quadruples 10] [--megabytes 2000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

import headrace
from benches.measure import environment, keep, require_release_build
from benches.sink import Sink
from headrace.loader import LoadJob

DIM, CHUNK = 768, 8192
CACHE = Path(__file__).parents[1] / ".cache"


def write(path, megabytes):
    """An IPC file of about so many megabytes; returns its rows."""
    vectors = np.random.default_rng(0).standard_normal((CHUNK, DIM), dtype=np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIM)
    schema = pa.schema([("id", pa.int64()), ("v", column.type)])
    chunks = max(1, int(megabytes * 1e6 / vectors.nbytes))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for number in range(chunks):
            ids = pa.array(np.arange(number * CHUNK, (number + 1) * CHUNK))
            writer.write_batch(pa.record_batch([ids, column], schema=schema))
    return chunks * CHUNK


def turn(uri, path, rows, number, *, journal):
    """Seconds, and seconds of this process's CPU, of one load."""
    with tempfile.TemporaryDirectory(dir=path.parent) as state:
        options = headrace.LoadOptions(create=True, searchable="no", state_dir=Path(state))
        endpoint = headrace.Endpoint(uri=uri)
        job = LoadJob(path, collection=f"c{number}", endpoint=endpoint, options=options)
        if not journal:
            job._resumable = False  # noqa: SLF001 - there is no option for less
        began, cpu = time.monotonic(), time.process_time()
        report = job.run()
        seconds, used = time.monotonic() - began, time.process_time() - cpu
    assert report.rows_stored == rows
    assert (report.journal is not None) == journal
    return seconds, used


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quadruples", type=int, default=10)
    parser.add_argument("--megabytes", type=float, default=2000)
    arguments = parser.parse_args()
    require_release_build()
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as directory, Sink() as sink:
        path = Path(directory) / "rows.arrow"
        rows = write(path, arguments.megabytes)
        turn(sink.uri, path, rows, "warm", journal=True)
        ratios, cpu_ratios = [], []
        for number in range(arguments.quadruples):
            spent = {True: [0.0, 0.0], False: [0.0, 0.0]}
            for at, kept in enumerate((True, False, False, True)):
                for which, seconds in enumerate(turn(sink.uri, path, rows, f"{number}_{at}", journal=kept)):
                    spent[kept][which] += seconds
            ratios.append(spent[True][0] / spent[False][0])
            cpu_ratios.append(spent[True][1] / spent[False][1])
            rate = 2 * path.stat().st_size / 1e6 / spent[False][0]
            print(f"{number}: without {rate:.0f} MB/s, seconds {ratios[-1]:.3f}, CPU {cpu_ratios[-1]:.3f}")
    lines = ["| figure | target | median of the ratios with / without | quartiles |", "|---|---|---|---|"]
    for name, target, values in (("seconds", "1.02", ratios), ("CPU seconds of the client", "none", cpu_ratios)):
        low, middle, high = statistics.quantiles(values, n=4)
        lines.append(f"| {name} | {target} | {middle:.3f} | {low:.3f} to {high:.3f} |")
    kept = {"seconds without by with": [1 / one for one in ratios], "CPU": [1 / one for one in cpu_ratios]}
    how = f"{arguments.quadruples} quadruples of loads of {arguments.megabytes:.0f} MB."
    keep("journal", "What the journal costs", f"{environment()} {how}\n\n" + "\n".join(lines), kept)


if __name__ == "__main__":
    main()
