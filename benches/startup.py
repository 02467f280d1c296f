"""How soon there is an answer: of the command, of the import, and of a server to the first row; next to bare Python.

    python -m benches.startup [--turns 20]

Each is a process of its own, of modules that are compiled already, as installed ones are. The first row counts from
the start of the process until a sink has acknowledged it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from benches.measure import environment, keep
from benches.sink import Sink

BARE = "python -c pass"
FIRST_ROW = "the first row acknowledged"
_LOAD = """
import sys, time
import headrace
with headrace.Loader(sys.argv[2], uri=sys.argv[1], create=True, searchable="no") as loader:
    loader.put({"id": [1], "v": [[0.5] * 768]})
    loader.drain()
    print(time.time())
"""
COMMANDS = {
    BARE: ["-c", "pass"],
    "import headrace": ["-c", "import headrace"],
    "headrace --help": ["-m", "headrace", "--help"],
    "headrace load --help": ["-m", "headrace", "load", "--help"],
    "headrace --version": ["-m", "headrace", "--version"],
    FIRST_ROW: ["-c", _LOAD],
}
TARGET_MS = 150


def run(arguments, environment):
    """Milliseconds of a process, by the clock (until the time that it prints, if it does) and of CPU."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=True, text=True, env=environment)
    ended, after = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    if arguments[:2] == ["-c", _LOAD]:
        ended = float(done.stdout)
    assert "-c" in arguments or "headrace" in done.stdout
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (ended - began) * 1000, cpu * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=20)
    turns = parser.parse_args().turns
    spent = {name: [] for name in COMMANDS}
    with Sink() as sink, tempfile.TemporaryDirectory() as compiled:
        variables = os.environ | {"PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        for turn in range(turns + 1):
            for name, arguments in COMMANDS.items():
                more = [sink.uri, f"c{turn}"] if name == FIRST_ROW else []
                found = run([*arguments, *more], variables)
                if turn:  # the first one compiles
                    spent[name].append(found)
    lines = [environment(), "", f"Milliseconds, medians of {turns} turns; the target of `--help` is {TARGET_MS}.", ""]
    lines += ["| what | by the clock | CPU | of which bare Python |", "|---|---|---|---|"]
    ratios = {}
    for name, times in spent.items():
        elapsed, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        bare = [one[1] / other[1] for one, other in zip(spent[BARE], times, strict=True)]
        lines.append(f"| `{name}` | {elapsed:.0f} | {cpu:.0f} | {statistics.median(bare):.0%} |")
        if name != BARE:
            ratios[f"{name}: CPU of bare Python by its"] = bare
    keep("startup", "Start", "\n".join(lines), ratios)


if __name__ == "__main__":
    main()
