"""Which rows of each source are settled: interval sets, kept in memory.

The seam of the durable journal: today it answers how many leading rows are settled and how each file ended; it
does not outlive the process, and a load that is started again sends everything again.
"""

from __future__ import annotations

import bisect
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence

from headrace.batching import Span
from headrace.report import Verdict

__all__ = ["IntervalSet", "Journal"]


class IntervalSet:
    """A set of row numbers, kept as disjoint half-open intervals in ascending order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def add(self, start: int, stop: int) -> None:
        """Add the rows ``start`` to ``stop`` (exclusive)."""
        if start >= stop:
            return
        # Every interval that overlaps or touches [start, stop) is swallowed by it.
        first = bisect.bisect_left(self._stops, start)
        last = bisect.bisect_right(self._starts, stop)
        if first < last:
            start = min(start, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def leading(self) -> int:
        """How many rows from row 0 on are in the set without a gap."""
        return self._stops[0] if self._starts and self._starts[0] == 0 else 0

    def intervals(self) -> list[tuple[int, int]]:
        """The intervals, as ``(start, stop)``."""
        return list(zip(self._starts, self._stops, strict=True))

    def __len__(self) -> int:
        return sum(stop - start for start, stop in zip(self._starts, self._stops, strict=True))


class Journal:
    """What became of the rows of each source. Thread-safe."""

    def __init__(self) -> None:
        self._settled: dict[str, IntervalSet] = defaultdict(IntervalSet)
        self._verdicts: dict[str, Counter[Verdict]] = defaultdict(Counter)
        self._lock = threading.Lock()

    def settle(self, spans: Sequence[Span], verdict: Verdict) -> None:
        """Note that the rows of ``spans`` ended with ``verdict``; all but UNKNOWN and UNSENT settle them."""
        final = verdict not in (Verdict.UNKNOWN, Verdict.UNSENT)
        with self._lock:
            for span in spans:
                if not span.count:
                    continue
                self._verdicts[span.source][verdict] += span.count
                if final:
                    self._settled[span.source].add(span.start, span.start + span.count)

    def watermark(self, source: str) -> int:
        """How many leading rows of ``source`` are settled."""
        with self._lock:
            return self._settled[source].leading() if source in self._settled else 0

    def files(self) -> list[dict[str, object]]:
        """A line per source, in the order in which they were first settled: its rows by verdict."""
        with self._lock:
            return [
                {"source": source, "rows": counts.total(), **{v.value: counts[v] for v in Verdict if counts[v]}}
                for source, counts in self._verdicts.items()
            ]
