"""Which seeds are run, until enough strikes have counted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

__all__ = ["Plan", "carry_out"]

#: Runs without a strike that counts, after which no more are tried.
_IDLE = 3


class Plan:
    """Which seeds are run: of each fault so many that ``wanted`` strikes count. Thread-safe."""

    def __init__(self, faults, wanted):
        self._wanted = wanted
        self._lock = threading.Lock()
        self._tallies = {fault: Tally() for fault in faults}

    def seeds(self):
        """The seeds for one worker, to whom each line goes back: ``seed = seeds.send(line)``."""
        while (begun := self._begin()) is not None:
            fault, number = begun
            line = yield f"{fault}-{number}"
            tally = self._tallies[fault]
            with self._lock:
                tally.ended += 1
                tally.counted += line.get("counted", 0)
                tally.idle = 0 if line.get("counted") else tally.idle + 1

    def _begin(self):
        with self._lock:
            lacking = {
                fault: tally.expected / self._wanted
                for fault, tally in self._tallies.items()
                if tally.expected < self._wanted and tally.idle < _IDLE
            }
            if not lacking:
                return None
            fault = min(lacking, key=lacking.get)
            self._tallies[fault].begun += 1
            return fault, self._tallies[fault].begun

    def missed(self):
        """Fault to the strikes that counted, where they were too few."""
        return {fault: it.counted for fault, it in self._tallies.items() if it.counted < self._wanted}


@dataclass
class Tally:
    """The runs of one fault: how many began and ended, how many strikes counted, how long none did."""

    begun: int = 0
    ended: int = 0
    counted: int = 0
    idle: int = 0

    @property
    def expected(self):
        """The strikes that will have counted when those that run now have ended."""
        return self.counted + (self.begun - self.ended) * max(1.0, self.counted / max(1, self.ended))


def carry_out(plan, attempt, jobs):
    """Run the seeds of a plan side by side."""

    def work(_):
        seeds = plan.seeds()
        seed = next(seeds, None)
        while seed is not None:
            try:
                seed = seeds.send(attempt(seed))
            except StopIteration:
                return

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, range(jobs)))
