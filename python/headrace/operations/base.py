"""What all operations share: one call with its status checked, and how consistency is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from headrace._proto import common_pb2
from headrace.calls import Compute, Operation, Rpc, Sleep
from headrace.decoding import Columns, split_columns
from headrace.errors import TransportError, explain
from headrace.protocol import status_error
from headrace.schema import ConsistencyLevel

__all__ = [
    "DEFAULT_TIMEOUT",
    "ROWS_TIMEOUT",
    "Scope",
    "ask",
    "ask_columns",
    "consistency_fields",
    "extra_info",
    "until",
]

#: Seconds for one RPC where the caller says nothing.
DEFAULT_TIMEOUT = 60.0
#: Seconds for one request that moves rows. Engines that take one at a time let the others wait.
ROWS_TIMEOUT = 600.0

#: Pauses between two looks at something that is under way: doubled from the first to the last.
_FIRST_POLL, _LAST_POLL = 0.05, 1.0

M = TypeVar("M", bound=Message)

#: Bytes of an answer that an event loop decodes itself: a millisecond, where every number has to be decoded.
_FEW_BYTES = 256 << 10

#: ``guarantee_timestamp`` of a read: 0 lets the server take now, 1 and 2 stand for eventually and bounded.
_GUARANTEES = {
    ConsistencyLevel.STRONG: 0,
    ConsistencyLevel.BOUNDED: 2,
    ConsistencyLevel.EVENTUALLY: 1,
}


def ask(method: str, request: Message, response: type[M], timeout: float | None) -> Operation[M]:
    """One RPC whose answer is, or carries in ``status``, a success.

    Raises:
        MilvusException: If the server refuses.
    """
    answer: M = yield Rpc(method, request, response, timeout)
    status: Any = answer if isinstance(answer, common_pb2.Status) else cast("Any", answer).status
    if refusal := status_error(status, method):
        raise refusal
    return answer


def ask_columns(
    method: str, request: Message, response: type[M], path: Sequence[int], timeout: float | None
) -> Operation[tuple[M, Columns]]:
    """One RPC whose answer has columns, under the field numbers ``path``: the answer without them, and the columns.

    Raises:
        MilvusException: If the server refuses.
    """
    raw: bytes = yield Rpc(method, request, None, timeout)

    def split() -> tuple[M, Columns]:
        return split_columns(response, raw, path, method=method)

    answer, columns = split() if len(raw) <= _FEW_BYTES else (yield Compute(split))
    if refusal := status_error(cast("Any", answer).status, method):
        raise refusal
    return answer, columns


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

    Raises:
        TransportError: If it was not done in time.
    """
    waited, pause = 0.0, _FIRST_POLL
    while (found := (yield from look())) is not None:
        if timeout is not None and waited >= timeout:
            raise TransportError(explain(where, f"{expected} within {timeout:g} s", found, remedy))
        yield Sleep(pause)
        waited += pause
        pause = min(pause * 2, _LAST_POLL)


def extra_info(status: common_pb2.Status) -> dict[str, int | float]:
    """What a server says of an answer: what it cost, what was read for it; as users know it."""
    found: dict[str, int | float] = {}
    for key, name, kind in _EXTRAS:
        if key in status.extra_info:
            found[name] = kind(status.extra_info[key])
    return {name: value for name, value in found.items() if name != "cost" or value}


_EXTRAS: tuple[tuple[str, str, type[int] | type[float]], ...] = (
    ("report_value", "cost", int),
    ("scanned_remote_bytes", "scanned_remote_bytes", int),
    ("scanned_total_bytes", "scanned_total_bytes", int),
    ("cache_hit_ratio", "cache_hit_ratio", float),
)


@dataclass(frozen=True)
class Scope:
    """What a read looks at and brings, and how long it may take.

    Attributes:
        filter: Milvus's expression; empty for none.
        filter_params: The values of what the filter names in braces.
        output_fields: Fields to return.
        partition_names: Partitions to look at; empty for all.
        consistency_level: What the read waits for; None for the collection's own.
        timeout: Seconds for each request.
        guarantee_timestamp: The write that the read waits for, where its level leaves that to the caller: Session and
            Customized, the collection's own level too. None for all that are known when the server is asked.
    """

    filter: str = ""
    filter_params: Mapping[str, Any] | None = None
    output_fields: Sequence[str] = ()
    partition_names: Sequence[str] = ()
    consistency_level: ConsistencyLevel | None = None
    timeout: float | None = DEFAULT_TIMEOUT
    guarantee_timestamp: int | None = None

    def put_into(self, request: Any, consistency: Mapping[str, Any] | None = None) -> None:
        """Write what comes back and from where into a request, with a consistency of its own where one is given."""
        request.output_fields.extend(self.output_fields)
        request.partition_names.extend(self.partition_names)
        for key, value in (consistency or self._consistency()).items():
            setattr(request, key, value)

    def _consistency(self) -> dict[str, Any]:
        fields = consistency_fields(self.consistency_level)
        if self.guarantee_timestamp is None or self.consistency_level in _GUARANTEES:
            return fields
        return fields | {"guarantee_timestamp": self.guarantee_timestamp}
