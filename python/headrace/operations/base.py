"""What all operations share: one call with its status checked, and how consistency is asked for."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from headrace._proto import common_pb2
from headrace.calls import Operation, Rpc
from headrace.protocol import status_error
from headrace.schema import ConsistencyLevel

__all__ = ["DEFAULT_TIMEOUT", "ask", "consistency_fields"]

#: Seconds for one RPC where the caller says nothing.
DEFAULT_TIMEOUT = 60.0

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
