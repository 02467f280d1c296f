"""Sends packed requests until every row of each has a verdict.

One :class:`Sender` belongs to one event loop. Requests are handed to it from any thread; it keeps at most the
throttle's number of them in flight, repeats what was certainly not applied, halves what the server refuses until the
bad rows stand alone, and settles every row exactly once, also when it is cancelled in the middle.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from headrace.batching import Span, locate, slice_spans
from headrace.decoding import decode_request
from headrace.errors import ConnectError, HeadraceError, JournalError, RpcError, TransportError
from headrace.journal import Journal
from headrace.protocol import mutation_reply
from headrace.rejects import Reject, RejectLimit, RejectsFile
from headrace.report import Account, Measurements, Verdict
from headrace.retry import AnswerClass, Backoff, classify_code, classify_status
from headrace.throttle import Throttle
from headrace.window import Window

__all__ = ["Ledger", "Request", "Sender", "WriteTarget"]

#: Seconds that requests in flight may still take after a stop was asked for.
STOP_GRACE = 10.0


class RawTransport(Protocol):
    """What sending needs of a transport: raw bytes out, raw bytes in."""

    async def call(self, method: str, request: bytes, *, timeout: float | None) -> bytes:
        """Answer of the RPC ``method``; raises :class:`RpcError` or :class:`ConnectError`."""


@dataclass(slots=True, eq=False)
class Request:
    """One packed write on its way.

    Attributes:
        payload: The serialised InsertRequest or UpsertRequest; never packed again for a repeat.
        rows: Rows in it.
        spans: Which rows of which source they are.
        charge: Bytes reserved in the window for it, released with its last verdict.
        upsert: Whether it goes out as an Upsert.
        doubtful: Whether an attempt left the server unanswered, so that the rows may already be there.
        taken: Whether a sender answers for it.
    """

    payload: bytes
    rows: int
    spans: tuple[Span, ...]
    charge: int
    upsert: bool
    doubtful: bool = False
    taken: bool = False


@dataclass(frozen=True)
class WriteTarget:
    """What sending has to know about the collection.

    Attributes:
        key: The key column's name where rows carry one, so that a repeat can be an upsert; None where the server
            makes the keys.
        lite: Whether the server is Milvus Lite, which numbers its refusals differently.
        repack: Packs a conformed batch into request bytes; used for the halves of a refused request.
    """

    key: str | None
    lite: bool
    repack: Callable[[pa.RecordBatch], bytes]


@dataclass(frozen=True)
class Ledger:
    """Where verdicts go: the counters, the rows of each source, the refused rows, the measurements.

    ``refused_keys`` are the keys of rows that the server refused; they are not to be expected when reading back.
    """

    account: Account
    journal: Journal
    rejects: RejectsFile
    reject_limit: RejectLimit
    window: Window
    measurements: Measurements = field(default_factory=Measurements)
    refused_keys: set[object] = field(default_factory=set)

    def settle(self, spans: tuple[Span, ...], rows: int, verdict: Verdict) -> None:
        """Give ``rows`` rows their one verdict."""
        self.account.add(verdict, rows)
        self.journal.settle(spans, verdict)

    def refuse(self, batch: pa.RecordBatch, rejects: list[Reject]) -> None:
        """Write refused rows to the rejects file and settle them."""
        self.rejects.add(batch, rejects)
        for reject in rejects:
            self.settle((Span(reject.source, reject.row, 1),), 1, Verdict.REJECTED)

    def too_many_rejects(self) -> str | None:
        """Why the load must stop because of refused rows, or None."""
        return self.reject_limit.exceeded(self.account.rows(Verdict.REJECTED), self.account.rows_read())


class Sender:
    """Delivers requests over one transport.

    Args:
        transport: Where to send.
        target: Facts about the collection.
        ledger: Where verdicts go.
        throttle: How many requests may be in flight.
        backoff: How long to wait between attempts, and when to give up.
        rpc_timeout: Seconds one attempt may take.
        clock: Seconds, monotonic.
        rng: Source of jitter.
        sleep: Injected so that tests need no waiting.
    """

    def __init__(
        self,
        transport: RawTransport,
        target: WriteTarget,
        ledger: Ledger,
        *,
        throttle: Throttle,
        backoff: Backoff,
        rpc_timeout: float,
        clock: Callable[[], float],
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._transport = transport
        self._target = target
        self._ledger = ledger
        self._throttle = throttle
        self._backoff = backoff
        self._rpc_timeout = rpc_timeout
        self._clock = clock
        self._rng = rng or random.Random()
        self._sleep = sleep
        self._queue: deque[Request] = deque()
        self._delivering: set[asyncio.Task[None]] = set()
        self._waiters: set[asyncio.Future[None]] = set()
        self._finishing = False
        self._ended = False
        self._last_progress = clock()
        #: Why nothing more is sent, or None.
        self.failure: HeadraceError | None = None

    @property
    def in_flight(self) -> int:
        """Requests that are being delivered."""
        return len(self._delivering)

    def submit(self, request: Request) -> None:
        """Take a request, to settle and to release it. On the loop's thread only."""
        request.taken = True
        if self._ended:
            self._leave_unsent(request)
            return
        if not self._queue and not self._delivering:
            self._last_progress = self._clock()  # an idle caller is not an idle server
        self._queue.append(request)
        self._wake()

    def withdraw(self, request: Request) -> None:
        """Settle a request that was perhaps never submitted as unsent. On the loop's thread only."""
        if not request.taken:
            self._leave_unsent(request)

    def stop(self, failure: HeadraceError) -> None:
        """Send nothing more; what is queued is settled as unsent, attempts in flight may still be answered."""
        if self.failure is None:
            self.failure = failure
            self._ledger.window.close(failure)
        self._wake()

    async def drain(self) -> None:
        """Return once every request submitted so far is settled."""
        await self._until(lambda: not self._queue and not self._delivering)

    def finish(self) -> None:
        """No more requests will come: :meth:`run` returns when all are settled."""
        self._finishing = True
        self._wake()

    async def run(self) -> None:
        """Deliver until :meth:`finish` was called and all is settled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._until(self._may_start)
                    if not self._queue:
                        return
                    task = group.create_task(self._deliver(self._queue.popleft()))
                    self._delivering.add(task)
                    task.add_done_callback(self._delivered)
        finally:
            self._ended = True
            # Only a run that was cancelled or failed leaves anything here.
            while self._queue:
                self._leave_unsent(self._queue.popleft())

    async def settled(self, grace: float) -> None:
        """Return when all is settled; once the load has stopped, within ``grace`` seconds.

        What is then still unanswered is cancelled, and its rows are unknown.
        """
        await self._until(lambda: self.failure is not None or not (self._queue or self._delivering))
        try:
            async with asyncio.timeout(grace):
                await self.drain()
        except TimeoutError:
            for task in self._delivering:
                task.cancel()
            await self.drain()

    def _leave_unsent(self, request: Request) -> None:
        self._ledger.settle(request.spans, request.rows, Verdict.UNSENT)
        self._ledger.window.release(request.charge, outgoing=True)

    def _may_start(self) -> bool:
        if self._queue:
            return self.failure is not None or len(self._delivering) < self._throttle.limit
        return self._finishing

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._delivering.discard(task)
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    async def _deliver(self, request: Request) -> None:
        try:
            await self._resolve(request)
        finally:
            self._ledger.window.release(request.charge, outgoing=True)

    async def _resolve(self, request: Request) -> None:
        """Return with every row of ``request`` settled once, cancelled or not."""
        try:
            outcome = await self._attempts(request)
        except BaseException:
            self._ledger.settle(request.spans, request.rows, self._undelivered(request))
            raise
        if isinstance(outcome, Verdict):
            self._ledger.settle(request.spans, request.rows, outcome)
            if outcome is Verdict.REJECTED and (too_many := self._ledger.too_many_rejects()) is not None:
                self.stop(HeadraceError(too_many))
            return
        halves = deque(outcome)
        try:
            while halves:
                await self._resolve(halves.popleft())
        except BaseException:
            for half in halves:
                self._ledger.settle(half.spans, half.rows, self._undelivered(half))
            raise

    @staticmethod
    def _undelivered(request: Request) -> Verdict:
        return Verdict.UNKNOWN if request.doubtful else Verdict.UNSENT

    async def _attempts(self, request: Request) -> Verdict | list[Request]:
        """Send ``request`` until it has a verdict, or return the parts that are to be sent in its place."""
        try:
            await self._ledger.journal.cover(request.spans)
        except JournalError as error:
            self.stop(error)
            return self._undelivered(request)
        attempt = 0
        while True:
            await self._observe_hold()
            if self.failure is not None:
                return self._undelivered(request)
            began = self._clock()
            answer, reason = await self._call(request)
            if answer is AnswerClass.STORED:
                self._last_progress = self._clock()
                self._ledger.measurements.stored(request.rows, self._last_progress - began)
                return Verdict.STORED
            if answer in (AnswerClass.REJECT, AnswerClass.SPLIT):
                return await self._refused(request, answer, reason)
            if answer in (AnswerClass.FATAL, AnswerClass.SCHEMA):
                self.stop(_failure(answer, reason))
                return self._undelivered(request)
            if self._backoff.spent(self._clock() - self._last_progress):
                budget = self._backoff.budget
                self.stop(TransportError(f"no request succeeded for {budget:g} s; the last answer: {reason}"))
                return self._undelivered(request)
            self._ledger.measurements.retries[answer.value] += 1
            wait = self._backoff.wait(attempt, self._rng)
            attempt += 1
            if answer is AnswerClass.AMBIGUOUS:
                self._doubt(request)
            # Whatever the class, the server is in trouble: nobody sends meanwhile.
            self._throttle.hold(wait)

    def _doubt(self, request: Request) -> None:
        """The rows may be there already: a repeat replaces them by key, or may double them where keys are made."""
        if self._target.key is not None:
            request.upsert = True
        elif not request.doubtful:
            self._ledger.measurements.possibly_duplicated += request.rows
        request.doubtful = True

    async def _observe_hold(self) -> None:
        while self.failure is None and (wait := self._throttle.wait()) > 0.0:
            await self._sleep(wait)

    async def _call(self, request: Request) -> tuple[AnswerClass, str]:
        method = "Upsert" if request.upsert else "Insert"
        doubtful, request.doubtful = request.doubtful, True  # should this be cancelled, nobody knows
        self._ledger.measurements.bytes_sent += len(request.payload)
        self._ledger.window.lend(len(request.payload))
        try:
            raw = await self._transport.call(method, request.payload, timeout=self._rpc_timeout)
        except ConnectError as error:
            answer, reason = AnswerClass.RETRY, str(error)
        except RpcError as error:
            answer, reason = classify_status(error.status, error.details), str(error)
        else:
            answer, reason = self._read_reply(request, raw, method)
        finally:
            self._ledger.window.lend(-len(request.payload))
        request.doubtful = doubtful
        return answer, reason

    def _read_reply(self, request: Request, raw: bytes, method: str) -> tuple[AnswerClass, str]:
        try:
            reply = mutation_reply(raw, method)
        except TransportError as error:
            return AnswerClass.AMBIGUOUS, str(error)
        status = reply.status
        answer = classify_code(status.code, status.legacy_code, status.reason, lite=self._target.lite)
        # An upsert counts in one counter or in all of them, depending on the server.
        written = max(reply.insert_count, reply.upsert_count)
        if answer is AnswerClass.STORED and written != request.rows:
            return AnswerClass.AMBIGUOUS, f"{method}: the server acknowledged {written} of {request.rows} rows"
        return answer, f"{method}: code {status.effective_code}: {status.reason}"

    async def _refused(self, request: Request, answer: AnswerClass, reason: str) -> Verdict | list[Request]:
        """Halve a refused request, or set its only row aside."""
        batch = await asyncio.to_thread(decode_request, request.payload)
        if request.rows > 1:
            self._ledger.measurements.retries[answer.value] += 1
            middle = request.rows // 2
            return [
                await asyncio.to_thread(self._part, request, batch, 0, middle),
                await asyncio.to_thread(self._part, request, batch, middle, request.rows - middle),
            ]
        source, row = locate(request.spans, 0)
        reject = Reject(0, source, row, "", "a row that the server accepts", reason, "mend the row and load it again")
        await asyncio.to_thread(self._ledger.rejects.add, batch, [reject])
        if self._target.key is not None:
            self._ledger.refused_keys.add(batch.column(self._target.key)[0].as_py())
        return Verdict.REJECTED

    def _part(self, request: Request, batch: pa.RecordBatch, offset: int, rows: int) -> Request:
        return Request(
            payload=self._target.repack(batch.slice(offset, rows)),
            rows=rows,
            spans=slice_spans(request.spans, offset, rows),
            charge=0,
            upsert=request.upsert,
            doubtful=request.doubtful,
        )


def _failure(answer: AnswerClass, reason: str) -> HeadraceError:
    if answer is AnswerClass.SCHEMA:
        return HeadraceError(f"the collection's schema changed while loading ({reason}); run the load again")
    return HeadraceError(f"the server refuses this load: {reason}")
