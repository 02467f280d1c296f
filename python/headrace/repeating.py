"""Calls that are made again where that is safe and may help: what clients put between operations and a transport.

A call of which certainly nothing was done (no connection, a server that is not ready or asks for less) is repeated
whatever it is; one that only reads also where its connection broke. Loads decide for themselves, row by row
(:mod:`headrace.delivering`), and so do the inserts and upserts of a client (:mod:`headrace.operations.writes`).
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Protocol

from headrace.calls import Operation, Rpc, Sleep, drive_async, drive_sync
from headrace.errors import RpcError
from headrace.protocol import ReplyStatus, status_in
from headrace.retry import AnswerClass, Backoff, classify_code, classify_status, rate_hint

__all__ = ["AsyncRepeating", "Repeating"]

#: Seconds for which a call is repeated, where its own deadline is not earlier.
PATIENCE = 60.0
#: Pauses between attempts; a server that names a rate is given the time of one call, at most so many seconds.
_BACKOFF, _LONGEST_HINT = Backoff(base=0.05, cap=3.0), 10.0
#: How the methods that change nothing begin.
_READS = ("CheckHealth", "Describe", "Get", "Has", "HybridSearch", "List", "Query", "Search", "Select", "Show")
#: Methods whose rows are accounted for elsewhere.
_OTHERS = frozenset({"Connect", "Insert", "Upsert"})
#: Classes after which certainly nothing was done.
_UNDONE = frozenset({AnswerClass.RETRY, AnswerClass.THROTTLE})
#: What a read may meet besides: a connection that broke, a node that is being replaced.
_READ_STATUSES = frozenset({"ABORTED", "UNAVAILABLE"})
_READ_CODES = frozenset({2, 400, 401, 503})


class _Transport(Protocol):
    """What both kinds need to know of a transport."""

    @property
    def is_lost(self) -> bool:
        """Whether no later call can succeed."""
        ...

    @property
    def server_kind(self) -> str:
        """``"milvus"`` or ``"lite"``."""
        ...


class _Blocking(_Transport, Protocol):
    def call(self, method: str, request: bytes, *, timeout: float | None) -> bytes: ...


class _Awaited(_Transport, Protocol):
    async def call(self, method: str, request: bytes, *, timeout: float | None) -> bytes: ...


def _may_pass(method: str, outcome: bytes | RpcError, transport: _Transport) -> float | None:
    """Seconds to wait at least before the same call may end otherwise; None where it would not, or need not."""
    reads = method.startswith(_READS)
    if isinstance(outcome, RpcError):
        undone = classify_status(outcome.status, outcome.details) in _UNDONE
        passes = not transport.is_lost and (undone or (reads and outcome.status in _READ_STATUSES))
        return 0.0 if passes else None
    status = status_in(outcome)
    if status.ok:
        return None
    lite = transport.server_kind == "lite"
    kind = classify_code(status.code, status.legacy_code, status.reason, lite=lite)
    if kind in _UNDONE or (reads and not lite and status.code in _READ_CODES):
        return _hinted(status)
    return None


def _hinted(status: ReplyStatus) -> float:
    rate = rate_hint(status.reason)
    return 0.0 if rate is None else min(1.0 / rate, _LONGEST_HINT)


class _Attempts:
    """The attempts of one call: how long each may take, and the pause after it."""

    def __init__(self, timeout: float | None, transport: _Transport, clock: Callable[[], float]) -> None:
        self._timeout = timeout
        self._transport = transport
        self._clock = clock
        self._start = clock()
        self._made = 0

    @property
    def timeout(self) -> float | None:
        """Seconds that are left of the call's deadline."""
        return None if self._timeout is None else max(self._timeout - self._passed, 0.001)

    @property
    def _passed(self) -> float:
        return self._clock() - self._start

    def pause(self, method: str, outcome: bytes | RpcError, rng: random.Random) -> float | None:
        """Seconds to wait before the next attempt; None where this outcome is final."""
        self._made += 1
        if method in _OTHERS or (least := _may_pass(method, outcome, self._transport)) is None:
            return None
        pause = max(least, _BACKOFF.wait(self._made - 1, rng))
        limit = PATIENCE if self._timeout is None else min(self._timeout, PATIENCE)
        if self._passed + pause < limit:
            return pause
        if isinstance(outcome, RpcError):
            outcome.args = (f"{outcome.args[0]} (after {self._made} attempts)", *outcome.args[1:])
        return None


def _repeated(method: str, request: bytes, attempts: _Attempts, rng: random.Random) -> Operation[bytes]:
    """A call until its outcome is final."""
    while True:
        outcome: bytes | RpcError
        try:
            outcome = yield Rpc(method, request, None, attempts.timeout)
        except RpcError as error:
            outcome = error
        pause = attempts.pause(method, outcome, rng)
        if pause is not None:
            yield Sleep(pause)
        elif isinstance(outcome, RpcError):
            raise outcome
        else:
            return outcome


class Repeating:
    """A blocking transport whose calls are repeated; safe to use from several threads.

    Args:
        transport: Makes each attempt.
        clock: Seconds, monotonic.
        rng: Draws the pauses.
    """

    def __init__(
        self, transport: _Blocking, *, clock: Callable[[], float] = time.monotonic, rng: random.Random | None = None
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._rng = rng or random.Random()
        self._closed = threading.Event()

    def call(self, method: str, request: bytes, *, timeout: float | None) -> bytes:
        """Send a request until its answer is final; ``timeout`` bounds all attempts together.

        Raises:
            RpcError: What the last attempt ended with.
        """
        attempts = _Attempts(timeout, self._transport, self._clock)
        return drive_sync(self._transport, _repeated(method, request, attempts, self._rng), sleep=self._closed.wait)

    def close(self) -> None:
        """End the pauses: the next attempt finds the transport closed."""
        self._closed.set()


class AsyncRepeating:
    """An awaited transport whose calls are repeated.

    Args:
        transport: Makes each attempt.
        clock: Seconds, monotonic.
        rng: Draws the pauses.
    """

    def __init__(
        self, transport: _Awaited, *, clock: Callable[[], float] = time.monotonic, rng: random.Random | None = None
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._rng = rng or random.Random()
        self._pauses: set[asyncio.Future[None]] = set()

    async def call(self, method: str, request: bytes, *, timeout: float | None) -> bytes:
        """Send a request until its answer is final; ``timeout`` bounds all attempts together.

        Raises:
            RpcError: What the last attempt ended with.
        """
        attempts = _Attempts(timeout, self._transport, self._clock)
        return await drive_async(self._transport, _repeated(method, request, attempts, self._rng), sleep=self._wait)

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        self._pauses.add(over)
        ending = loop.call_later(seconds, _end, over)
        try:
            await over
        finally:
            ending.cancel()
            self._pauses.discard(over)

    def close(self) -> None:
        """End the pauses of this loop: the next attempt finds the transport closed."""
        loop = asyncio.get_running_loop()
        for over in [pause for pause in self._pauses if pause.get_loop() is loop]:
            _end(over)


def _end(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
