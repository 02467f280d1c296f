"""A clock that jumps from event to event."""

from __future__ import annotations

import heapq
import itertools

__all__ = ["Events"]


class Events:
    """Callbacks in the order of their times; those of equal time in the order they were asked for."""

    def __init__(self):
        self.now = 0.0
        self._heap = []
        self._numbers = itertools.count()

    def after(self, seconds, callback):
        """Call ``callback`` in ``seconds``; the result can be given to :meth:`cancel`."""
        event = [self.now + max(0.0, seconds), next(self._numbers), callback]
        heapq.heappush(self._heap, event)
        return event

    @staticmethod
    def cancel(event):
        """Do not call it."""
        event[2] = None

    def run(self, until):
        """Go on until nothing is left before the time ``until``."""
        while self._heap and self._heap[0][0] <= until:
            time, _, callback = heapq.heappop(self._heap)
            if callback is not None:
                self.now = time
                callback()
        self.now = until
