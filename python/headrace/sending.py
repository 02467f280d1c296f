"""Sends packed requests until every row of each has a verdict.

One :class:`Sender` belongs to one event loop. Requests are handed to it from any thread; it keeps at most the
throttle's number of them in flight, holds back those whose keys an earlier request still has, and settles every row
exactly once, also when it is cancelled in the middle.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from headrace.attempts import RawTransport, Request, WriteTarget
from headrace.delivering import Delivery
from headrace.errors import HeadraceError
from headrace.freshness import LiveSchema
from headrace.ledger import Ledger
from headrace.report import Verdict
from headrace.retry import Deadline
from headrace.throttle import Throttle
from headrace.traffic import Traffic

__all__ = ["STOP_GRACE", "Sender", "send_all"]

#: Seconds that requests in flight may still take after a stop was asked for.
STOP_GRACE = 10.0

_OUT_OF_TURN = "rows were left unsent, because what became of an earlier row with their key is not known"


class Sender:
    """Delivers requests over one transport. Made and used on its event loop, except where said otherwise.

    Args:
        transport: Where to send.
        target: Facts about the collection.
        schema: What rows are packed for.
        ledger: Where verdicts go.
        throttle: How many requests may be in flight.
        budget: Seconds without a stored request after which the load gives up.
        rpc_timeout: Seconds that an attempt may take at least before it has expired.
        clock: Seconds, monotonic; the loop's own time.
        limit: Told the largest request in bytes that the server takes, should it say so.
    """

    def __init__(
        self,
        transport: RawTransport,
        target: WriteTarget,
        schema: LiveSchema,
        ledger: Ledger,
        *,
        throttle: Throttle,
        budget: float,
        rpc_timeout: float,
        clock: Callable[[], float],
        limit: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._traffic = Traffic(throttle, clock=clock)
        self._traffic.more = lambda: bool(self._queue)
        self._delivery = Delivery(
            transport,
            target,
            schema,
            ledger,
            self._traffic,
            throttle=throttle,
            budget=budget,
            deadline=Deadline(rpc_timeout),
            stop=self.stop,
            limit=limit,
            clock=clock,
        )
        self._queue: deque[Request] = deque()
        #: Requests whose keys an earlier one still has, in order.
        self._held: list[Request] = []
        #: Those that deliver, each with the request that it has not begun with.
        self._tasks: dict[asyncio.Task[None], Request | None] = {}
        self._finishing = False
        self._ended = False

    @property
    def failure(self) -> HeadraceError | None:
        """Why nothing more is sent, or None."""
        return self._traffic.failure

    @property
    def in_flight(self) -> int:
        """Requests that are being delivered."""
        return self._traffic.delivering

    def submit(self, request: Request) -> None:
        """Take a request, to settle and to release it."""
        request.taken = True
        if self._ended:
            self._leave_unsent(request)
            return
        if request.claim is None or request.claim.ready:
            self._queue.append(request)
        else:
            self._held.append(request)
            self._leave(request)
        self._release_held()
        self._traffic.changed()

    def withdraw(self, request: Request) -> None:
        """Settle a request that was perhaps never submitted as unsent."""
        if not request.taken:
            self._leave_unsent(request)
            self._release_held()

    def stop(self, failure: HeadraceError) -> None:
        """Send nothing more; what is queued is settled as unsent, attempts in flight may still be answered."""
        if self._traffic.failure is None:
            self._traffic.failure = failure
            self._ledger.window.close(failure)
        self._release_held()
        self._traffic.changed()

    async def drain(self) -> None:
        """Return once every request submitted so far is settled."""
        await self._traffic.until(lambda: self._nothing_left)

    def finish(self) -> None:
        """No more requests will come: :meth:`run` returns when all are settled."""
        self._finishing = True
        self._traffic.changed()

    async def run(self) -> None:
        """Deliver until :meth:`finish` was called and all is settled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._traffic.until(self._may_start)
                    if not self._queue:
                        return
                    request = self._next()
                    self._traffic.begin()
                    task = group.create_task(self._deliver_all(request))
                    self._tasks[task] = request
                    task.add_done_callback(self._delivered)
        finally:
            self._ended = True
            # Only a run that was cancelled or failed leaves anything here.
            for request in (*self._queue, *self._held):
                self._leave_unsent(request)
            self._queue.clear()
            self._held.clear()

    async def settled(self, grace: Callable[[], float]) -> None:
        """Return when all is settled; once the load has stopped, within the seconds that ``grace`` then says.

        What is then still unanswered is cancelled, and its rows are unknown.
        """
        await self._traffic.until(lambda: self.failure is not None or self._nothing_left)
        try:
            async with asyncio.timeout(grace()):
                await self.drain()
        except TimeoutError:
            for task in self._tasks:
                task.cancel()
            await self.drain()

    @property
    def _nothing_left(self) -> bool:
        return not (self._queue or self._held or self._tasks)

    def _may_start(self) -> bool:
        if self._queue:
            return self.failure is not None or self._traffic.has_room
        return self._finishing and not self._held

    def _next(self) -> Request:
        request = self._queue.popleft()
        self._leave(request)
        return request

    async def _deliver_all(self, request: Request) -> None:
        """Deliver a request, and those that wait then, as long as there is room: a task for each costs more."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        while True:
            self._tasks[task] = None
            await self._deliver(request)
            if not self._queue or not self._traffic.may_go_on:
                return
            request = self._next()
            if self._queue:
                self._traffic.changed()  # what was held for the keys of the one delivered need not wait for this one

    async def _deliver(self, request: Request) -> None:
        final = False
        try:
            final = await self._delivery.deliver(request)
        finally:
            self._give_back(request, settled=final)
            self._release_held()

    def _delivered(self, task: asyncio.Task[None]) -> None:
        if (request := self._tasks.pop(task)) is not None:
            self._leave_unsent(request)  # cancelled before its first step
        self._traffic.end()

    def _leave_unsent(self, request: Request) -> None:
        self._ledger.settle(request.spans, request.rows, Verdict.UNSENT)
        self._give_back(request, settled=False)

    def _leave(self, request: Request) -> None:
        if not request.left:
            request.left = True
            self._ledger.window.leave(request.charge)

    def _give_back(self, request: Request, *, settled: bool) -> None:
        """Release what a request holds: its bytes in the window, and its keys where all its rows are settled."""
        if request.claim is not None:
            request.claim.end(settled=settled)
        self._ledger.window.release(request.charge, outgoing=True, left=request.left)

    def _release_held(self) -> None:
        """Queue the requests whose turn has come; those whose turn will never come are left unsent."""
        held, self._held = self._held, []
        for request in held:
            claim = request.claim
            if self.failure is not None or (claim is not None and claim.barred):
                if self.failure is None:
                    self._ledger.note(_OUT_OF_TURN, request.rows)
                self._leave_unsent(request)
            elif claim is None or claim.ready:
                self._queue.append(request)
            else:
                self._held.append(request)


async def send_all(sender: Sender) -> None:
    """Run a sender until it is finished; what ends it early is the failure that it stops with."""
    try:
        await sender.run()
    except* Exception as group:  # noqa: BLE001 - the task's edge: a full disk under the rejects file, or a bug
        cause = group.exceptions[0]
        failure = HeadraceError(f"sending ended early: {type(cause).__name__}: {cause}")
        failure.__cause__ = cause
        sender.stop(failure)
