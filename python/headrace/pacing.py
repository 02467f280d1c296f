"""How much may be sent per second: caps that a user set, and a rate that the server's refusals teach.

Both are paid the way Milvus's own limiter is: a request leaves when nothing is owed, and what it costs is owed until it
is paid at the rate. The server's bucket refuses everybody while it is in debt, so small steady requests do better than
big rare ones: no more than :data:`REQUEST_SECONDS` of the rate.

Source of the server's side: Milvus's ``pkg/util/ratelimitutil`` and observation of 2.3.5.
"""

from __future__ import annotations

import math

__all__ = ["Debt", "RatePacer"]

#: Seconds of unused rate that may be caught up with, so that a late wake-up does not lower the mean.
SLACK = 0.05
#: A refusal lowers the learnt rate to this part of it.
DECREASE = 0.9
#: The learnt rate grows by this part of the server's limit per second, for each second since the last refusal, but not
#: for more seconds than the other. By equal steps for all loaders, whatever their share, so that shares become equal.
GROWTH, FASTEST_AFTER = 0.01, 20.0
#: Seconds over which the accepted rate is averaged.
MEMORY = 3.0
#: Seconds between two decreases: refusals of one moment count once.
PATIENCE = 0.5
#: The learnt rate is dropped where it is this many times what is taken, for it no longer holds anything back.
USELESS = 4.0
#: A refusal is waited for at most this many seconds: rates change every few.
MOST_SECONDS = 5.0
#: A paced request is worth at most this many seconds of the rate.
REQUEST_SECONDS = 0.5


class Debt:
    """A rate that is never exceeded by more than one request: what was taken is owed until the rate has paid it.

    Args:
        rate: Units per second.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._paid_at = -math.inf

    def wait(self, now: float) -> float:
        """Seconds until nothing is owed."""
        return max(0.0, self._paid_at - now)

    def take(self, now: float, amount: float) -> None:
        """Owe ``amount`` more."""
        self._paid_at = max(self._paid_at, now - SLACK) + amount / self.rate

    def pause(self, now: float, seconds: float) -> None:
        """Owe something for ``seconds`` at least."""
        self._paid_at = max(self._paid_at, now + seconds)


class RatePacer:
    """The rate in bytes per second that the server was found to take; none until it refuses something.

    It begins at what the refusal names, or else at what was accepted lately; every later refusal lowers it by a factor,
    and in between it grows with time. Several loaders on one limit meet at equal shares of it that way.
    """

    def __init__(self) -> None:
        self._debt: Debt | None = None
        self._limit = self._base = 0.0
        self._refused_at = -math.inf
        self._accepted = 0.0
        self._accepted_at = 0.0

    @property
    def rate(self) -> float | None:
        """Bytes per second, or None where nothing is known to be too much."""
        return None if self._debt is None else self._debt.rate

    def wait(self, now: float) -> float:
        """Seconds until the next request may leave."""
        return 0.0 if self._debt is None else self._debt.wait(now)

    def sent(self, now: float, size: int) -> None:
        """A request of ``size`` bytes leaves."""
        if self._debt is not None:
            self._debt.rate = self._grown(now)
            self._debt.take(now, size)

    def stored(self, now: float, size: int) -> None:
        """A request of ``size`` bytes was accepted."""
        self._accepted = self._lately(now) + size / MEMORY
        self._accepted_at = now
        if self._debt is not None and self._grown(now) > USELESS * self._accepted:
            self._debt = None

    def refused(self, now: float, size: int, named: float | None) -> None:
        """A request of ``size`` bytes was refused for its rate; ``named`` is the limit the server told, if it did."""
        if self._debt is None:
            self._limit = self._base = named or max(self._lately(now), size / MEMORY)
            self._debt = Debt(self._base)
        elif now - self._refused_at < PATIENCE:
            return
        else:
            self._limit = named or self._limit
            self._base = DECREASE * min(self._grown(now), self._limit)
        self._refused_at = now
        self._debt.rate = self._base
        # The server is in debt, by as much as nobody knows; paying for the refused request is a good guess.
        self._debt.pause(now, min(size / self._limit, MOST_SECONDS))

    def _grown(self, now: float) -> float:
        """The rate by now: slowly while the refusal is fresh, then ever faster, for the limit may be another one."""
        elapsed = now - self._refused_at
        fast = max(0.0, elapsed - FASTEST_AFTER)
        return self._base + self._limit * GROWTH * ((elapsed - fast) ** 2 / 2.0 + FASTEST_AFTER * fast)

    def _lately(self, now: float) -> float:
        """Bytes per second that were accepted in the last seconds."""
        return self._accepted * math.exp(-(now - self._accepted_at) / MEMORY)
