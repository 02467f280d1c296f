"""Conversations with a server, without I/O: generators that yield what to do and are sent what came back.

An operation is written once and driven twice: :func:`drive_sync` over blocking calls, :func:`drive_async` over
awaited ones. A call that fails is thrown into the generator where it stands, so that it can fall back or go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from headrace.errors import TransportError
from headrace.protocol import parse

__all__ = ["AsyncCaller", "Caller", "Operation", "Rpc", "Sleep", "drive_async", "drive_sync"]

T = TypeVar("T")


@dataclass(frozen=True)
class Rpc:
    """One call.

    Attributes:
        method: The RPC's name, such as ``"DescribeCollection"``.
        request: The message to send.
        response: The class of the answer, an instance of which is sent back into the generator.
        timeout: Seconds until both sides give up, or None for no deadline.
    """

    method: str
    request: Message
    response: type[Message]
    timeout: float | None = None


@dataclass(frozen=True)
class Sleep:
    """A pause of so many seconds before the generator goes on."""

    seconds: float


#: A conversation that ends with a T. What is sent in is the answer to the last Rpc, or None after a Sleep.
Operation = Generator[Rpc | Sleep, Any, T]


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


def drive_sync(caller: Caller, operation: Operation[T], *, sleep: Callable[[float], object] = time.sleep) -> T:
    """Run an operation to its end with blocking calls.

    :raises HeadraceError: whatever the operation raises; a TransportError where it lets one pass.
    """
    try:
        step = next(operation)
        while True:
            if isinstance(step, Sleep):
                sleep(step.seconds)
                step = operation.send(None)
                continue
            try:
                raw = caller.call(step.method, step.request.SerializeToString(), timeout=step.timeout)
                answer = parse(step.response, raw, method=step.method)
            except TransportError as error:
                step = operation.throw(error)
            else:
                step = operation.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        operation.close()


async def drive_async(
    caller: AsyncCaller, operation: Operation[T], *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> T:
    """Run an operation to its end with awaited calls; a cancellation ends it where it stands.

    :raises HeadraceError: whatever the operation raises; a TransportError where it lets one pass.
    """
    try:
        step = next(operation)
        while True:
            if isinstance(step, Sleep):
                await sleep(step.seconds)
                step = operation.send(None)
                continue
            try:
                raw = await caller.call(step.method, step.request.SerializeToString(), timeout=step.timeout)
                answer = parse(step.response, raw, method=step.method)
            except TransportError as error:
                step = operation.throw(error)
            else:
                step = operation.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        operation.close()
