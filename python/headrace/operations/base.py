"""What all operations share: one call with its status checked, and how consistency is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from headrace._proto import common_pb2
from headrace.calls import Operation, Rpc, Sleep
from headrace.errors import TransportError, explain
from headrace.protocol import status_error
from headrace.schema import ConsistencyLevel

__all__ = ["DEFAULT_TIMEOUT", "ask", "consistency_fields", "until"]

#: Seconds for one RPC where the caller says nothing.
DEFAULT_TIMEOUT = 60.0

#: Pauses between two looks at something that is under way: doubled from the first to the last.
_FIRST_POLL, _LAST_POLL = 0.05, 1.0

M = TypeVar("M", bound=Message)

#: ``guarantee_timestamp`` of a read: 0 lets the server take now, 1 and 2 stand for eventually and bounded.
_GUARANTEES = {
    ConsistencyLevel.STRONG: 0,
    ConsistencyLevel.BOUNDED: 2,
    ConsistencyLevel.EVENTUALLY: 1,
}


def ask(method: str, request: Message, response: type[M], timeout: float | None) -> Operation[M]:
    """One RPC whose answer is, or carries in ``status``, a success.

    :raises MilvusException: if the server refuses.
    """
    answer: M = yield Rpc(method, request, response, timeout)
    status: Any = answer if isinstance(answer, common_pb2.Status) else cast("Any", answer).status
    if refusal := status_error(status, method):
        raise refusal
    return answer


def consistency_fields(level: ConsistencyLevel | None) -> dict[str, Any]:
    """The request fields that ask for a consistency level; None takes the collection's own."""
    if level is None:
        return {"use_default_consistency": True}
    return {"consistency_level": int(level), "guarantee_timestamp": _GUARANTEES.get(level, 0)}


def until(
    look: Callable[[], Operation[str | None]], *, where: str, expected: str, remedy: str, timeout: float | None
) -> Operation[None]:
    """Look again and again until nothing is left to wait for.

    Args:
        look: Says how far it is, or None when it is done.
        where: What is waited for, for the error.
        expected: What it will be, for the error.
        remedy: What to do where it does not come to be.
        timeout: Seconds to wait, counted by the pauses between looks; None waits without end.

    :raises TransportError: if it was not done in time.
    """
    waited, pause = 0.0, _FIRST_POLL
    while (found := (yield from look())) is not None:
        if timeout is not None and waited >= timeout:
            raise TransportError(explain(where, f"{expected} within {timeout:g} s", found, remedy))
        yield Sleep(pause)
        waited += pause
        pause = min(pause * 2, _LAST_POLL)
