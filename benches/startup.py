"""How soon the command answers: ``headrace --help``, next to an interpreter that does nothing.

python -m benches.startup [--turns 20]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

from benches.measure import environment, keep

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "headrace --help": ["-m", "headrace", "--help"],
    "headrace load --help": ["-m", "headrace", "load", "--help"],
    "headrace --version": ["-m", "headrace", "--version"],
}
TARGET_MS = 150


def run(arguments):
    """Milliseconds of a process, by the clock and of CPU."""
    before, began = os.times(), time.monotonic()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=True, text=True)
    elapsed, after = time.monotonic() - began, os.times()
    assert "-c" in arguments or "headrace" in done.stdout
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return elapsed * 1000, cpu * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=20)
    turns = parser.parse_args().turns
    spent = {name: [] for name in COMMANDS}
    for _ in range(turns):
        for name, arguments in COMMANDS.items():
            spent[name].append(run(arguments))
    lines = [environment(), "", f"Milliseconds, medians of {turns} turns; the target of `--help` is {TARGET_MS}.", ""]
    lines += ["| command | by the clock | CPU |", "|---|---|---|"]
    for name, times in spent.items():
        elapsed, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        lines.append(f"| `{name}` | {elapsed:.0f} | {cpu:.0f} |")
    keep("startup", "Start of the command", "\n".join(lines))


if __name__ == "__main__":
    main()
