"""Conversations with a server, without I/O: generators that yield what to do and are sent what came back.

An operation is written once and driven twice: :func:`drive_sync` over blocking calls, :func:`drive_async` over
awaited ones. A call that fails is thrown into the generator where it stands, so that it can fall back or go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from headrace.errors import HeadraceError, TransportError
from headrace.protocol import parse

__all__ = [
    "AsyncCaller",
    "AsyncMemory",
    "Caller",
    "Compute",
    "Forget",
    "LastWrite",
    "Memory",
    "Operation",
    "Recall",
    "Rpc",
    "Several",
    "Sleep",
    "Step",
    "Wrote",
    "drive_async",
    "drive_sync",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Rpc:
    """One call.

    Attributes:
        method: The RPC's name, such as ``"DescribeCollection"``.
        request: The message to send, or its bytes.
        response: The class of the answer, an instance of which is sent back into the generator; None for its bytes.
        timeout: Seconds until both sides give up, or None for no deadline.
    """

    method: str
    request: Message | bytes
    response: type[Message] | None
    timeout: float | None = None


@dataclass(frozen=True)
class Sleep:
    """A pause of so many seconds before the generator goes on."""

    seconds: float


@dataclass(frozen=True)
class Compute:
    """Work without I/O that an event loop should not wait for; what it returns is sent back, what it raises thrown."""

    work: Callable[[], Any]


@dataclass(frozen=True)
class Several:
    """Calls of which some are in flight at a time, made as there is room for them.

    What is sent back is the list of their outcomes in order: answers, and the TransportError of a call that failed.
    After a failure, or an answer that is not ``good``, no further call is begun.

    Attributes:
        calls: The calls; each is made (packed) when it can be sent, off the event loop.
        width: How many an event loop has in flight. Blocking calls go one by one.
        good: Whether to go on after this answer.
    """

    calls: Iterator[Rpc]
    width: int
    good: Callable[[Any], bool]


@dataclass(frozen=True)
class Recall:
    """What a memory holds under a key, or else what ``make`` finds out, which is then remembered.

    Whoever asks while another is finding it out waits for that one's answer.
    """

    key: str
    make: Callable[[], Operation[Any]]


@dataclass(frozen=True)
class Forget:
    """Forget what is remembered under a key."""

    key: str


@dataclass(frozen=True)
class Wrote:
    """Take note of the server's timestamp of a write into a collection; 0 where the server says none."""

    key: str
    timestamp: int


@dataclass(frozen=True)
class LastWrite:
    """The latest timestamp that was noted of a collection; 0 where none was."""

    key: str


Step = Rpc | Sleep | Compute | Several | Recall | Forget | Wrote | LastWrite

#: A conversation that ends with a T. What is sent in is what the last step says; None after Sleep, Forget and Wrote.
Operation = Generator[Step, Any, T]


class Caller(Protocol):
    """What :func:`drive_sync` needs of a transport."""

    def call(self, method: str, request: bytes, *, timeout: float | None) -> bytes:
        """Send a request; return the answer's bytes or raise a TransportError."""
        ...


class AsyncCaller(Protocol):
    """What :func:`drive_async` needs of a transport."""

    async def call(self, method: str, request: bytes, *, timeout: float | None) -> bytes:
        """Send a request; return the answer's bytes or raise a TransportError."""
        ...


class Memory(Protocol):
    """What :func:`drive_sync` needs to answer :class:`Recall`."""

    def recall(self, key: str, ask: Callable[[], Any]) -> Any:
        """What is remembered under the key, or else what ``ask`` returns."""
        ...

    def forget(self, key: str) -> None:
        """Forget what is remembered under the key."""
        ...

    def called(self, method: str) -> None:
        """Take note that a call of this method was made, whatever came of it."""
        ...

    def wrote(self, key: str, timestamp: int) -> None:
        """Take note of a write's timestamp."""
        ...

    def last_write(self, key: str) -> int:
        """The latest that was noted, or 0."""
        ...


class AsyncMemory(Protocol):
    """What :func:`drive_async` needs to answer :class:`Recall`."""

    async def recall(self, key: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What is remembered under the key, or else what ``ask`` returns."""
        ...

    def forget(self, key: str) -> None:
        """Forget what is remembered under the key."""
        ...

    def called(self, method: str) -> None:
        """Take note that a call of this method was made, whatever came of it."""
        ...

    def wrote(self, key: str, timestamp: int) -> None:
        """Take note of a write's timestamp."""
        ...

    def last_write(self, key: str) -> int:
        """The latest that was noted, or 0."""
        ...


def drive_sync(
    caller: Caller,
    operation: Operation[T],
    *,
    memory: Memory | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Run an operation to its end with blocking calls. Without a memory everything is asked for anew.

    Raises:
        HeadraceError: Whatever the operation raises; a TransportError where it lets one pass.
    """
    driver = _Driver(caller, memory, sleep)
    try:
        step = next(operation)
        while True:
            try:
                answer = driver.take(step)
            except HeadraceError as error:
                step = operation.throw(error)
            else:
                step = operation.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        operation.close()


async def drive_async(
    caller: AsyncCaller,
    operation: Operation[T],
    *,
    memory: AsyncMemory | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """Run an operation to its end with awaited calls; a cancellation ends it where it stands.

    Raises:
        HeadraceError: Whatever the operation raises; a TransportError where it lets one pass.
    """
    driver = _AsyncDriver(caller, memory, sleep)
    try:
        step = next(operation)
        while True:
            try:
                answer = await driver.take(step)
            except HeadraceError as error:
                step = operation.throw(error)
            else:
                step = operation.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        operation.close()


def _remember(memory: Memory | AsyncMemory | None, step: Forget | Wrote | LastWrite) -> int | None:
    """Do a step that only a memory is needed for; without one, nothing was ever written."""
    if isinstance(step, LastWrite):
        return 0 if memory is None else memory.last_write(step.key)
    if memory is not None and isinstance(step, Wrote):
        memory.wrote(step.key, step.timestamp)
    elif memory is not None:
        memory.forget(step.key)
    return None


def _request(step: Rpc) -> bytes:
    return step.request if isinstance(step.request, bytes) else step.request.SerializeToString()


def _answer(step: Rpc, raw: bytes) -> Any:
    return raw if step.response is None else parse(step.response, raw, method=step.method)


class _Driver:
    def __init__(self, caller: Caller, memory: Memory | None, sleep: Callable[[float], object]) -> None:
        self._caller = caller
        self._memory = memory
        self._sleep = sleep

    def take(self, step: Step) -> Any:
        if isinstance(step, Rpc):
            return self._call(step)
        if isinstance(step, Compute):
            return step.work()
        if isinstance(step, Several):
            return self._several(step)
        if isinstance(step, Recall):
            return self._recall(step)
        if isinstance(step, Sleep):
            self._sleep(step.seconds)
            return None
        return _remember(self._memory, step)

    def _recall(self, step: Recall) -> Any:
        def ask() -> Any:
            return drive_sync(self._caller, step.make(), memory=self._memory, sleep=self._sleep)

        return ask() if self._memory is None else self._memory.recall(step.key, ask)

    def _call(self, step: Rpc) -> Any:
        try:
            return _answer(step, self._caller.call(step.method, _request(step), timeout=step.timeout))
        finally:
            if self._memory is not None:
                self._memory.called(step.method)

    def _several(self, step: Several) -> list[Any]:
        outcomes: list[Any] = []
        for rpc in step.calls:
            try:
                outcomes.append(self._call(rpc))
            except TransportError as error:
                outcomes.append(error)
                break
            if not step.good(outcomes[-1]):
                break
        return outcomes


class _AsyncDriver:
    def __init__(
        self, caller: AsyncCaller, memory: AsyncMemory | None, sleep: Callable[[float], Awaitable[object]]
    ) -> None:
        self._caller = caller
        self._memory = memory
        self._sleep = sleep

    async def take(self, step: Step) -> Any:
        if isinstance(step, Rpc):
            return await self._call(step)
        if isinstance(step, Compute):
            return await asyncio.to_thread(step.work)
        if isinstance(step, Several):
            return await self._several(step)
        if isinstance(step, Recall):
            return await self._recall(step)
        if isinstance(step, Sleep):
            await self._sleep(step.seconds)
            return None
        return _remember(self._memory, step)

    async def _recall(self, step: Recall) -> Any:
        async def ask() -> Any:
            return await drive_async(self._caller, step.make(), memory=self._memory, sleep=self._sleep)

        return await (ask() if self._memory is None else self._memory.recall(step.key, ask))

    async def _call(self, step: Rpc) -> Any:
        try:
            return _answer(step, await self._caller.call(step.method, _request(step), timeout=step.timeout))
        finally:
            if self._memory is not None:
                self._memory.called(step.method)

    async def _several(self, step: Several) -> list[Any]:
        outcomes: list[Any] = []
        ended = False
        turn = asyncio.Lock()

        async def work() -> None:
            nonlocal ended
            while True:
                async with turn:
                    rpc = None if ended else await asyncio.to_thread(next, step.calls, None)
                    if rpc is None:
                        ended = True
                        return
                    place = len(outcomes)
                    outcomes.append(None)
                try:
                    outcomes[place] = await self._call(rpc)
                except TransportError as error:
                    outcomes[place] = error
                ended = ended or isinstance(outcomes[place], TransportError) or not step.good(outcomes[place])

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(step.width):
                    group.create_task(work())
        except* HeadraceError as errors:
            # What making a call raises: one turn at a time, so there is one.
            raise errors.exceptions[0] from None
        return outcomes
