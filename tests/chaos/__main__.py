"""Faults on a real Milvus 2.3.5, over many seeds, each followed by a count and a full read-back.

    python -m tests.chaos                          every fault, until 20 of each kind of kill have counted
    python -m tests.chaos --seed server-killed-7   one run
    python -m tests.chaos --loader pymilvus-retry --strikes 4

A strike counts if at least one write was unanswered. Ends with status 1 if a row is lost, doubled or wrong, if a load
does not end well, or if fewer strikes counted than were asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

from tests.chaos.faults import FAULTS, SERVER_FAULTS
from tests.chaos.loaders import LOADERS
from tests.chaos.plan import Plan, carry_out
from tests.chaos.run import run
from tests.servers.milvus235 import Milvus235

__all__ = ["SETTINGS"]

#: A restarted server counts and loads once the sessions of its former self have expired: 47 s with the default.
SETTINGS = {"common.session.ttl": "5"}


class Log:
    """Lines of JSON, written as the runs end; and what they come to."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w")
        self.lines = []

    def add(self, line):
        self.lines.append(line)
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        _print(f"{'ok' if line['ok'] else 'NOT OK'}  {line['seed']}  {line['seconds']} s")

    def table(self):
        """One line per fault."""
        found = defaultdict(list)
        for line in self.lines:
            found[line["seed"].rpartition("-")[0]].append(line)
        sums = ("counted", "restarts", "rows", "missing", "doubled", "wrong")
        rows = ["| fault | runs | strikes | begun again | rows | lost | doubled | wrong |", "|---" * 8 + "|"]
        for fault in [it for it in FAULTS if it in found]:
            numbers = [f"{sum(line.get(name, 0) for line in found[fault]):,}" for name in sums]
            rows.append(f"| {fault} | {len(found[fault])} | {' | '.join(numbers)} |")
        return "\n".join(rows)


def _print(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", action="append", help="a run, such as reset-3; may be given several times")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="this fault only; may be given several times")
    parser.add_argument("--strikes", type=int, default=20, help="strikes that have to count, for each fault")
    parser.add_argument("--jobs", type=int, default=6, help="loads side by side")
    parser.add_argument("--loader", choices=LOADERS, default="headrace")
    parser.add_argument("--log", type=Path, default=Path(".cache/chaos.jsonl"))
    return parser.parse_args()


def main():
    """Returns the exit status."""
    arguments = _arguments()
    log = Log(arguments.log)
    faults = arguments.fault or list(FAULTS)
    # What ends the server would end it under all the others.
    together = Plan([fault for fault in faults if fault not in SERVER_FAULTS], arguments.strikes)
    alone = Plan([fault for fault in faults if fault in SERVER_FAULTS], arguments.strikes)
    with Milvus235(SETTINGS) as server:

        def attempt(seed):
            line = run(server, seed, loader=arguments.loader)
            log.add(line)
            return line

        if arguments.seed:
            for seed in arguments.seed:
                attempt(seed)
        else:
            carry_out(together, attempt, arguments.jobs)
            carry_out(alone, attempt, 1)
    _print(log.table())
    missed = {} if arguments.seed else together.missed() | alone.missed()
    for fault, counted in missed.items():
        _print(f"{fault}: {counted} of {arguments.strikes} strikes counted")
    return 0 if not missed and all(line["ok"] for line in log.lines) else 1


if __name__ == "__main__":
    sys.exit(main())
