"""How many requests may be in flight: a pure object, fed with answers and a clock.

The limit is fixed for now (the seam of the adaptive controller): what it does decide is when to hold everything
back, because the server asked for less or cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Throttle"]


class Throttle:
    """The number of requests that may be in flight, and a pause that all of them observe.

    Args:
        limit: Most requests in flight, at least 1.
        clock: Seconds, monotonic; injected so that tests need no waiting.
    """

    def __init__(self, limit: int, *, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._open_at = 0.0
        self._throttled = 0.0

    @property
    def limit(self) -> int:
        """Most requests in flight."""
        return self._limit

    @property
    def throttled_seconds(self) -> float:
        """Seconds of pause that the server asked for by its answers, overlaps counted once."""
        return self._throttled

    def hold(self, seconds: float) -> None:
        """The server asked for less, or is away: send nothing for ``seconds``."""
        now = self._clock()
        until = max(self._open_at, now + seconds)
        self._throttled += until - max(self._open_at, now)
        self._open_at = until

    def wait(self) -> float:
        """Seconds until the next request may leave; 0 when it may leave now."""
        return max(0.0, self._open_at - self._clock())
