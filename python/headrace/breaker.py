"""Whether to send at all: a circuit breaker with pauses and single probes.

========= ==============================================================================
CLOSED    the server answers; requests flow, but for pauses that it asks for
OPEN      it failed; nothing leaves until the pause is over
HALF_OPEN the pause is over; one request leaves, and its answer closes or opens the circuit
========= ==============================================================================
"""

from __future__ import annotations

import math
import random
from enum import Enum

from headrace.retry import Backoff

__all__ = ["Breaker", "Circuit"]

#: Failures that a slow trouble counts as having gone before.
SLOW_STRIKES = 5


class Circuit(Enum):
    """State of the circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Pauses after failures, and then probes with one request.

    Args:
        backoff: Length of the pauses.
        rng: Source of jitter.
    """

    def __init__(self, backoff: Backoff, rng: random.Random) -> None:
        self._backoff = backoff
        self._rng = rng
        self._strikes = 0
        self._open_until = -math.inf
        self._paused_at = -math.inf
        self._down = False

    def state(self, now: float) -> Circuit:
        """State at ``now``."""
        if not self._down:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self._open_until else Circuit.HALF_OPEN

    def wait(self, now: float) -> float:
        """Seconds until the pause is over."""
        return max(0.0, self._open_until - now)

    def succeeded(self) -> None:
        """The server answered a request in its right mind."""
        self._strikes = 0
        self._down = False

    def failed(self, now: float, sent_at: float, *, opens_after: int | None, slow: bool = False) -> None:
        """A request failed.

        Args:
            now: When.
            sent_at: When it had been sent.
            opens_after: The failure in a row, each after the pause of the one before, that opens the circuit; None
                where the server is there, and only wants a pause.
            slow: Whether what must heal takes seconds, not milliseconds: the pause is then of the longest kind.
        """
        known = sent_at < self._paused_at  # of the same trouble that is already being waited for
        self._strikes += not known
        if opens_after is not None and self._strikes >= opens_after:
            self._down = True
        if known:
            return
        wait = self._backoff.wait(self._strikes - 1 + (SLOW_STRIKES if slow else 0), self._rng)
        self._open_until = max(self._open_until, now + wait)
        self._paused_at = now
