"""Sets of row numbers, kept as intervals."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator

__all__ = ["IntervalSet"]


class IntervalSet:
    """A set of row numbers, kept as disjoint half-open intervals in ascending order.

    Args:
        intervals: What to begin with, as ``(start, stop)``; in any order, overlaps included.
    """

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in intervals:
            self.add(start, stop)

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

    def remove(self, start: int, stop: int) -> None:
        """Take the rows ``start`` to ``stop`` (exclusive) out."""
        if start >= stop:
            return
        first = bisect.bisect_right(self._stops, start)
        last = bisect.bisect_left(self._starts, stop)
        if first >= last:
            return
        # What the first and the last of them hold outside of [start, stop) stays.
        left, right = self._starts[first], self._stops[last - 1]
        kept = [(a, b) for a, b in ((left, start), (stop, right)) if a < b]
        self._starts[first:last] = [a for a, _ in kept]
        self._stops[first:last] = [b for _, b in kept]

    def leading(self) -> int:
        """How many rows from row 0 on are in the set without a gap."""
        return self._stops[0] if self._starts and self._starts[0] == 0 else 0

    def intervals(self) -> list[tuple[int, int]]:
        """The intervals, as ``(start, stop)``."""
        return list(zip(self._starts, self._stops, strict=True))

    def covers(self, start: int, stop: int) -> bool:
        """Whether all rows from ``start`` to ``stop`` (exclusive) are in the set."""
        return self.overlap(start, stop) == max(0, stop - start)

    def overlap(self, start: int, stop: int) -> int:
        """How many of the rows ``start`` to ``stop`` (exclusive) are in the set."""
        return sum(b - a for a, b, inside in self.split(start, stop) if inside)

    def split(self, start: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """The rows ``start`` to ``stop`` (exclusive) as runs ``(start, stop, whether in the set)``, in order."""
        index = bisect.bisect_right(self._stops, start)
        while start < stop:
            begin, end = (self._starts[index], self._stops[index]) if index < len(self._starts) else (stop, stop)
            if start < begin:
                yield start, min(begin, stop), False
            if begin < stop:
                yield max(start, begin), min(end, stop), True
            start = end
            index += 1

    def __len__(self) -> int:
        return sum(stop - start for start, stop in zip(self._starts, self._stops, strict=True))
