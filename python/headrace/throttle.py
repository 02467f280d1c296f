"""How much may be in flight, when the next request may leave, and how large it should be.

A pure object: it is told what was sent and what was answered, reads a clock, and does nothing by itself. It is made of
a :class:`~headrace.climbing.Climber` that looks for the server's knee, a :class:`~headrace.breaker.Breaker` that pauses
and probes while the server is in trouble, and rates (:mod:`headrace.pacing`) that users cap and refusals teach.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from headrace.batching import Aim
from headrace.breaker import Breaker, Circuit
from headrace.climbing import Climber
from headrace.pacing import REQUEST_SECONDS, Debt, RatePacer
from headrace.retry import AnswerClass, Backoff
from headrace.trials import Bounds, Setting

__all__ = ["FIRST_BYTES", "FIRST_IN_FLIGHT", "Attempt", "Limits", "Throttle"]

MIB = 1 << 20
#: Where the search begins. On Milvus 2.3.5 two requests of 4,000 rows of 384 float32 each are best, and two of 2,700
#: take as much; what two of these have in flight, with the copies of both sides, still fits into a processor's cache.
#: Rows that are much smaller are fewer to a request than its bytes would allow.
FIRST_IN_FLIGHT, FIRST_BYTES, FIRST_ROWS = 2, 4 * MIB, 8_192
#: Bytes per second that the same server then takes. What is on its way at that rate is not with the server, and comes
#: on top where the way is long.
FIRST_RATE = 100e6
#: What the search may reach. A server that needs more in flight than that is far away, and better loaded by several.
MOST_IN_FLIGHT, SMALLEST_BYTES, LARGEST_BYTES = 64, 256 << 10, 16 * MIB
#: Seconds to a server and back within which it is on the same site.
NEAR_SECONDS = 0.002
#: Answers by which a server shows that it is well.
_WELL = frozenset({AnswerClass.STORED, AnswerClass.REJECT, AnswerClass.SPLIT, AnswerClass.FATAL})
#: How many of these answers in a row it takes until only a probe tells whether it is.
_OPENS_AFTER = {AnswerClass.RETRY: 1, AnswerClass.DENY: 1, AnswerClass.AMBIGUOUS: 2, AnswerClass.SCHEMA: 2}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request on the wire."""

    number: int
    sent_at: float
    size: int


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the throttle may not exceed, and what it need not look for.

    Attributes:
        in_flight: Most requests in flight; None for no cap.
        bytes_in_flight: Most bytes of them together; a larger request passes alone.
        near_bytes: Most bytes of them together where the first answers have not shown that more of them pay.
        copied_bytes: Most bytes that gRPC may hold copies of; the copy of a larger request is the only one.
        request_bytes: The aim of a request's size; None: it is looked for.
        rows_per_second: Most rows sent per second; None for no cap.
        bytes_per_second: Most bytes sent per second; None for no cap.
        nice: Whether to stay well below the server's knee.
    """

    in_flight: int | None = None
    bytes_in_flight: int = 11 * FIRST_BYTES
    near_bytes: int = 18 * MIB
    copied_bytes: int = 3 * FIRST_BYTES
    request_bytes: int | None = None
    rows_per_second: float | None = None
    bytes_per_second: float | None = None
    nice: bool = False


class Throttle:
    """Decides what may be sent. Belongs to one event loop; :attr:`aim` may be read from any thread.

    Args:
        limits: Caps.
        backoff: Length of pauses while the server is in trouble.
        clock: Seconds, monotonic; injected so that tests need no waiting.
        rng: Source of jitter.
        round_trip: Seconds to the server and back, without any work there.
        wall_clock_offset: What to add to ``clock`` for the time of day; loaders that agree on it search together.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float],
        backoff: Backoff | None = None,
        rng: random.Random | None = None,
        round_trip: float = 0.0,
        wall_clock_offset: float = 0.0,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._far = round_trip > NEAR_SECONDS
        fixed = limits.request_bytes
        first = fixed or max(1, min(FIRST_BYTES, limits.bytes_in_flight // 7))
        bounds = Bounds(
            in_flight=min(limits.in_flight or MOST_IN_FLIGHT, MOST_IN_FLIGHT),
            bytes_in_flight=max(limits.bytes_in_flight, first),
            smallest=fixed or min(SMALLEST_BYTES, first),
            largest=fixed or max(first, min(LARGEST_BYTES, limits.bytes_in_flight)),
        )
        in_flight = 1 if limits.nice else FIRST_IN_FLIGHT + round(round_trip * FIRST_RATE / first)
        self._climber = Climber(
            Setting(in_flight, first),
            bounds,
            near=limits.near_bytes,
            round_trip=round_trip,
            nice=limits.nice,
            offset=wall_clock_offset,
        )
        self._breaker = Breaker(backoff or Backoff(), rng or random.Random())
        self._pacer = RatePacer()
        self._rows = None if limits.rows_per_second is None else Debt(limits.rows_per_second)
        self._bytes = None if limits.bytes_per_second is None else Debt(limits.bytes_per_second)
        self._in_flight = 0
        self._bytes_in_flight = 0
        #: Bytes that gRPC holds a copy of, by the number of the attempt.
        self._copied: dict[int, int] = {}
        self._throttled = 0.0
        self._held_since: float | None = None

    # -- what it decides ---------------------------------------------------------------------------------------------

    @property
    def limit(self) -> int:
        """Most requests in flight now; one while a server that was in trouble is probed."""
        return self._climber.setting.in_flight if self.circuit is Circuit.CLOSED else 1

    @property
    def circuit(self) -> Circuit:
        """Whether requests flow."""
        return self._breaker.state(self._clock())

    @property
    def request_bytes(self) -> int:
        """Aim of the size of requests that are cut now."""
        if self._limits.request_bytes is not None:
            return self._limits.request_bytes
        size = self._climber.setting.request_bytes
        rate = min(self._pacer.rate or math.inf, self._limits.bytes_per_second or math.inf)
        if rate < math.inf:
            # A power of two, so that a rate that is being learnt does not change the size with every answer.
            size = min(size, max(SMALLEST_BYTES, 1 << int(math.log2(max(1.0, rate * REQUEST_SECONDS)))))
        return size

    @property
    def aim(self) -> Aim:
        """What requests that are cut now should be."""
        rows = math.inf
        if self._limits.request_bytes is None:
            rows = self.request_bytes * FIRST_ROWS // FIRST_BYTES
        if self._limits.rows_per_second is not None:
            rows = min(rows, self._limits.rows_per_second * REQUEST_SECONDS)
        return Aim(self.request_bytes, None if rows == math.inf else max(1, int(rows)))

    @property
    def spares_copies(self) -> bool:
        """Whether gRPC's copy of a request has to be given back once it is on the wire, not only with the answer.

        That takes a little longer, and is for when there is no room for copies of all that may be in flight; and, where
        answers are long in coming, for when twice as many requests may be in flight before they are there.
        """
        setting = self._climber.setting
        more = self._far and self._climber.opening
        return more or setting.in_flight * setting.request_bytes > self._limits.copied_bytes

    @property
    def settled(self) -> Setting:
        """The best setting found so far."""
        best = self._climber.best
        return Setting(best.in_flight, min(best.request_bytes, self.request_bytes))

    @property
    def throttled_seconds(self) -> float:
        """Seconds in which something was ready to leave and the server's answers held it back."""
        return self._throttled + (0.0 if self._held_since is None else self._clock() - self._held_since)

    def wait(self, size: int) -> float:
        """Seconds until a request of ``size`` bytes may leave: 0 for now, infinite for not before an answer."""
        now = self._clock()
        pause = max(self._breaker.wait(now), self._pacer.wait(now))
        if pause > 0.0:
            self._held_since = now if self._held_since is None else self._held_since
            return pause
        if self._in_flight >= self.limit or (self._in_flight and self._bytes_in_flight + size > self._climber.room):
            return math.inf
        if self._copied and sum(self._copied.values()) + size > self._limits.copied_bytes:
            return math.inf
        return max((debt.wait(now) for debt in (self._rows, self._bytes) if debt is not None), default=0.0)

    # -- what happens ------------------------------------------------------------------------------------------------

    def sent(self, size: int, rows: int, *, aim: int) -> Attempt:
        """A request leaves, cut for the :attr:`request_bytes` ``aim``. Every attempt must be answered."""
        now = self._clock()
        if self._held_since is not None:
            self._throttled += now - self._held_since
            self._held_since = None
        self._in_flight += 1
        self._bytes_in_flight += size
        self._pacer.sent(now, size)
        if self._rows is not None:
            self._rows.take(now, rows)
        if self._bytes is not None:
            self._bytes.take(now, size)
        number = self._climber.sent(now, size, stale=aim != self.request_bytes)
        self._copied[number] = size
        return Attempt(number, now, size)

    def written(self, attempt: Attempt) -> None:
        """gRPC has given back its copy of an attempt's request; without this it has with the answer."""
        self._copied.pop(attempt.number, None)

    def answered(
        self, attempt: Attempt, answer: AnswerClass | None, *, rate: float | None = None, expired: bool = False
    ) -> None:
        """An attempt is over.

        Args:
            attempt: Which one.
            answer: What the answer means; None where nobody waits for it any more.
            rate: The bytes per second that the server takes, where it named them.
            expired: Whether the deadline passed.
        """
        now = self._clock()
        self.written(attempt)
        self._in_flight -= 1
        self._bytes_in_flight -= attempt.size
        self._climber.answered(now, attempt.number, attempt.size, stored=answer is AnswerClass.STORED)
        if answer is AnswerClass.STORED:
            self._pacer.stored(now, attempt.size)
        if expired:
            self._climber.shrink(now, attempt.sent_at)
        # A named rate is a matter of rate; other refusals are of requests at a time, as long as there are several.
        if answer is AnswerClass.THROTTLE and (rate or not self._climber.shrink(now, attempt.sent_at)):
            self._pacer.refused(now, attempt.size, rate)
        if answer in _WELL:
            self._breaker.succeeded()
        elif answer is not None:
            opens_after = _OPENS_AFTER.get(answer)
            self._breaker.failed(now, attempt.sent_at, opens_after=opens_after, slow=answer is AnswerClass.DENY)
