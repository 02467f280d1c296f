"""How a load went over time, in a bounded number of points however long it takes."""

from __future__ import annotations

import threading
from collections.abc import Mapping

__all__ = ["COUNTERS", "GAUGES", "MOST_POINTS", "Trace"]

#: What only grows; a point holds the value at its end.
COUNTERS = (
    "seconds",
    "rows_stored",
    "bytes_sent",
    "batches",
    "latency_seconds",
    "retries",
    "rows_rejected",
    "throttled_seconds",
)
#: What goes up and down; a point holds the mean of the looks that it is made of.
GAUGES = ("in_flight", "in_flight_limit", "request_bytes")
#: Points that a trace never exceeds; from half as many on it halves its resolution when they are reached.
MOST_POINTS = 200

Look = Mapping[str, float]


class Trace:
    """Looks at a load, gathered into points. Thread-safe.

    A point is made of one look at first. Whenever the points have become :data:`MOST_POINTS`, every two become one, and
    from then on a point is made of twice as many looks.
    """

    def __init__(self, most: int = MOST_POINTS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._columns: dict[str, list[float]] = {name: [] for name in (*COUNTERS, *GAUGES)}
        self._looks_per_point = 1
        self._looks = 0
        self._sums = dict.fromkeys(GAUGES, 0.0)
        self._phases: dict[str, float] = {}

    def add(self, look: Look, phase: str) -> None:
        """Take a look into account.

        Args:
            look: A value for each of :data:`COUNTERS` and :data:`GAUGES`; looks come in the order of their time.
            phase: What the load is doing.
        """
        with self._lock:
            self._add(look, phase)

    def _add(self, look: Look, phase: str) -> None:
        self._phases.setdefault(phase, round(look["seconds"], 3))
        self._looks += 1
        for name in GAUGES:
            self._sums[name] += look[name]
        if self._looks >= self._looks_per_point:
            self._close_point(look)

    def finish(self, look: Look, phase: str) -> dict[str, object]:
        """The trace up to this last look, as plain values.

        Returns:
            ``columns``: a list of equal length for each of :data:`COUNTERS` and :data:`GAUGES`; ``phases``: the second
            at which each phase was first seen.
        """
        with self._lock:
            self._add(look, phase)
            if self._looks:
                self._close_point(look)
            columns = {name: [_short(value) for value in column] for name, column in self._columns.items()}
            return {"columns": columns, "phases": dict(self._phases)}

    def _close_point(self, look: Look) -> None:
        for name in COUNTERS:
            self._columns[name].append(look[name])
        for name in GAUGES:
            self._columns[name].append(self._sums[name] / self._looks)
        self._looks, self._sums = 0, dict.fromkeys(GAUGES, 0.0)
        if len(self._columns["seconds"]) >= self._most:
            self._halve()

    def _halve(self) -> None:
        for name in COUNTERS:
            self._columns[name] = self._columns[name][1::2]
        for name in GAUGES:
            column = self._columns[name]
            self._columns[name] = [(a + b) / 2 for a, b in zip(column[::2], column[1::2], strict=True)]
        self._looks_per_point *= 2


def _short(value: float) -> float:
    """A number that is short in JSON."""
    return int(value) if value == int(value) else round(value, 3)
