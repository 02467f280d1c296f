"""What goes on while requests are sent: who is in flight, who waits, whether the load goes on.

Everything here belongs to one event loop; nothing is shared between threads.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from headrace.breaker import Circuit
from headrace.errors import HeadraceError
from headrace.throttle import Attempt, Throttle
from headrace.window import Window

__all__ = ["Traffic"]


class _Sending:
    """One call's time; a class, because a generator costs several times as much."""

    __slots__ = ("_alone", "_size", "_traffic")

    def __init__(self, traffic: Traffic, size: int, *, alone: bool) -> None:
        self._traffic = traffic
        self._size = size
        self._alone = alone

    async def __aenter__(self) -> None:
        await self._traffic.begin_call(self._size, alone=self._alone)

    async def __aexit__(self, *exception: object) -> None:
        self._traffic.end_call()


class Traffic:
    """The deliveries of one load, as they see each other.

    Args:
        throttle: How many of them may be active at once, and when each may send.
        clock: Seconds, monotonic; the running loop's own time.
    """

    def __init__(self, throttle: Throttle, *, clock: Callable[[], float]) -> None:
        self._throttle = throttle
        self._clock = clock
        # In the order in which they came, so that equal events have equal consequences.
        self._waiters: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._delivering = 0
        self._resting = 0
        self._calls = 0
        self._begun = 0
        self._wanting_solitude = 0
        self._solitary = False
        #: Why nothing more is sent, or None.
        self.failure: HeadraceError | None = None
        #: Requests that were stored so far.
        self.stored = 0
        #: When a request was last stored, or the server was last owed nothing.
        self.last_progress = clock()
        #: Whether requests wait that may be sent; told by who holds them.
        self.more: Callable[[], bool] = lambda: False

    @property
    def delivering(self) -> int:
        """Deliveries that have begun and not ended."""
        return self._delivering

    def stopped(self) -> bool:
        """Whether nothing more is to be sent."""
        return self.failure is not None

    @property
    def calls(self) -> int:
        """Calls that are in flight."""
        return self._calls

    @property
    def begun(self) -> int:
        """Calls that have begun so far."""
        return self._begun

    @property
    def active(self) -> int:
        """Deliveries that are sending, or about to: those that rest are not among them."""
        return self._delivering - self._resting

    @property
    def has_room(self) -> bool:
        """Whether one more delivery may be active."""
        return self.active < self._throttle.limit

    @property
    def may_go_on(self) -> bool:
        """Whether one of the active deliveries may be followed by another one: there is room, and nobody rests."""
        return not self._resting and (self.stopped() or self.active <= self._throttle.limit)

    @property
    def others(self) -> bool:
        """Whether, beside one, somebody sends or waits to."""
        return self.active > 1 or self.more()

    @property
    def probing(self) -> bool:
        """Whether the server was in trouble, and nothing was heard of it since."""
        return self._throttle.circuit is not Circuit.CLOSED

    @property
    def idle(self) -> bool:
        """Whether nobody sends, and nothing waits that may be sent."""
        return self.active == 0 and not self.more()

    def begin(self) -> None:
        """A delivery begins."""
        if not self._delivering:
            self.last_progress = self._clock()  # an idle caller is not an idle server
        self._delivering += 1

    def end(self) -> None:
        """A delivery has ended."""
        self._delivering -= 1
        self.changed()

    def progress(self) -> None:
        """A request was stored."""
        self.stored += 1
        self.last_progress = self._clock()
        self.changed()

    def changed(self) -> None:
        """Wake everyone who waits for what holds now."""
        for waiter, condition in self._waiters.items():
            if not waiter.done() and condition():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once ``condition`` holds; it is asked again whenever something changed."""
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = condition
            try:
                await waiter
            finally:
                del self._waiters[waiter]

    async def rest(self, until: float = math.inf, *, unless: Callable[[], bool] = lambda: False) -> None:
        """Let others send until the clock shows ``until``, ``unless`` holds, or the load stops; then take a turn."""
        self._resting += 1
        self.changed()
        try:
            await self._wait(until - self._clock(), lambda: self.stopped() or unless())
            await self.until(lambda: self.stopped() or self.has_room)
        finally:
            self._resting -= 1
        if self.active == 1:
            self.last_progress = self._clock()  # time that passed on purpose is no fault of the server

    def sending(self, size: int, *, alone: bool) -> AbstractAsyncContextManager[None]:
        """The time of one call with ``size`` bytes, once the throttle lets it go or the load stops.

        ``alone`` waits for the other calls to end, and lets none begin meanwhile.
        """
        return _Sending(self, size, alone=alone)

    async def begin_call(self, size: int, *, alone: bool) -> None:
        """What :meth:`sending` begins with; every call must be ended."""
        if alone:
            self._wanting_solitude += 1
            try:
                await self._admit(size, lambda: not self._calls)
                self._solitary = True
            finally:
                self._wanting_solitude -= 1
                self.changed()
        else:
            await self._admit(size, lambda: not self._solitary and not self._wanting_solitude)
        self._calls += 1
        self._begun += 1

    def end_call(self) -> None:
        """What :meth:`sending` ends with."""
        self._calls -= 1
        self._solitary = False
        self.changed()

    def copied(self, window: Window, size: int, sent: Attempt) -> Callable[[], None]:
        """Charge gRPC's copy of ``size`` bytes to the window; what is returned gives it back, at its first call."""
        window.lend(size)
        lent = size

        def give_back() -> None:
            nonlocal lent
            if lent:
                lent = 0
                window.lend(-size)
                self._throttle.written(sent)
                self.changed()

        return give_back

    async def _admit(self, size: int, turn: Callable[[], bool]) -> None:
        """Return when it is the request's turn and the throttle lets it go, or the load stops."""
        while True:
            await self.until(turn)
            if self.stopped() or (wait := self._throttle.wait(size)) <= 0.0:
                return
            # An infinite wait ends with somebody's answer, a finite one by itself.
            await self._wait(wait, lambda: self.stopped() or wait == math.inf > self._throttle.wait(size))

    async def _wait(self, seconds: float, condition: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self.until(condition)
        except TimeoutError:
            return
