"""One attempt: a packed request goes out, and its answer is read.

What an answer means for the rows is :mod:`headrace.retry`'s table; what is done about it is
:mod:`headrace.sending`'s business.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from headrace.batching import Span
from headrace.decoding import decode_request
from headrace.errors import ConnectError, RpcError, TransportError
from headrace.journal_records import KeyRange
from headrace.ordering import Claim
from headrace.protocol import mutation_reply
from headrace.retry import (
    AnswerClass,
    classify_code,
    classify_status,
    code_may_land,
    rate_hint,
    size_hint,
    status_may_land,
)

__all__ = ["Answer", "RawTransport", "Request", "WriteTarget", "attempt", "rows_of"]

#: Codes and statuses by which a server says that this role may not do this.
_NOT_PERMITTED = frozenset({"PERMISSION_DENIED", "code 1401", "code 3"})


class RawTransport(Protocol):
    """What sending needs of a transport: raw bytes out, raw bytes in, over connections that can be given up."""

    @property
    def channels(self) -> int:
        """How many connections there are."""

    async def call(
        self,
        method: str,
        request: bytes,
        *,
        timeout: float | None,
        channel: int | None = None,
        written: Callable[[], None] | None = None,
    ) -> bytes:
        """Answer of the RPC ``method``; raises :class:`RpcError` or :class:`ConnectError`.

        Where ``written`` is given, it may be called once before, when no copy of the request is held any more.
        """

    def renew(self, channel: int) -> None:
        """Make a new connection for later calls, and close the old one once its calls have ended."""


@dataclass(slots=True, eq=False)
class Request:
    """One packed write on its way.

    Attributes:
        payload: The serialised InsertRequest or UpsertRequest; never packed again for a repeat.
        rows: Rows in it.
        spans: Which rows of which source they are.
        charge: Bytes reserved in the window for it, released with its last verdict.
        upsert: Whether it goes out as an Upsert.
        partition: The partition's name; empty for the default one.
        claim: Its keys' place in the order of the source; None where rows carry no key.
        timestamp: The schema's timestamp in the payload.
        aim: The size in bytes that it was cut for; 0 where it was not cut for any.
        doubtful: Whether an attempt was made that may have been applied.
        doubled: Whether all its rows are counted as possibly doubled.
        may_land_until: The clock's time up to which an unanswered attempt may still be applied; None where none is.
        replaces: Whether what may still be applied is an older row of one of its keys, which a count does not tell.
        proofs: How often the count of its keys was wrong, after an unanswered attempt.
        uncountable: Whether its keys cannot be counted, so that it is sent once more instead.
        expired: Attempts whose deadline expired.
        unexplained: How often each status came that nobody can explain.
        stored_before: Requests that had been stored when the first of those came, or the first connection was lost.
        lost: Attempts during which the server became unreachable.
        lost_alone: Those of them during which nothing else was in flight.
        taken: Whether a sender answers for it.
        left: Whether it was sent, or has to wait for others, so that the window no longer counts it as ready.
        key_ranges: What a journal may note of the keys of each span, once they are stored; empty for nothing.
    """

    payload: bytes
    rows: int
    spans: tuple[Span, ...]
    charge: int
    upsert: bool
    partition: str = ""
    claim: Claim | None = None
    timestamp: int = 0
    aim: int = 0
    doubtful: bool = False
    doubled: bool = False
    may_land_until: float | None = None
    replaces: bool = False
    proofs: int = 0
    uncountable: bool = False
    expired: int = 0
    unexplained: Counter[str] = field(default_factory=Counter)
    stored_before: int | None = None
    lost: int = 0
    lost_alone: int = 0
    taken: bool = False
    left: bool = False
    key_ranges: tuple[KeyRange | None, ...] = ()


async def rows_of(request: Request) -> pa.RecordBatch:
    """The rows of a request, decoded: by now the caller may have overwritten its arrays."""
    return await asyncio.to_thread(decode_request, request.payload)


@dataclass(frozen=True)
class WriteTarget:
    """What sending has to know about the collection.

    Attributes:
        name: Its name, as requests carry it.
        key: The key column's name where rows carry one, so that a repeat can be an upsert; None where the server
            makes the keys.
        key_column: The source's name of that column, under which refused rows are kept; empty where it is the same.
        upsert: Whether every row is upserted.
        lite: Whether the server is Milvus Lite, which numbers its refusals differently.
        partition_column: The source's column that names each row's partition, under which refused rows keep it; empty
            where there is none.
        at_most_once: Whether rows without a key of their own are left unknown instead of being sent again.
        bisect_poison: Whether a request that the server does not survive is taken apart.
    """

    name: str
    key: str | None
    key_column: str = ""
    upsert: bool = False
    lite: bool = False
    partition_column: str = ""
    at_most_once: bool = False
    bisect_poison: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempt.

    Attributes:
        kind: Its class.
        reason: The server's, or gRPC's, own words.
        status: The gRPC status or the code, as one text that is the same for the same trouble.
        may_land: Whether the attempt may still be applied, although it has ended for us.
        unreachable: Whether the connection was lost under it.
        rate: The bytes per second that the server takes, where it named them.
        largest: The largest request in bytes that the server takes, where it named it.
    """

    kind: AnswerClass
    reason: str
    status: str = ""
    may_land: bool = False
    unreachable: bool = False
    rate: float | None = None
    largest: int | None = None

    @property
    def not_permitted(self) -> bool:
        """Whether the role may not make this call."""
        return self.kind is AnswerClass.FATAL and self.status in _NOT_PERMITTED

    @property
    def unexplained(self) -> bool:
        """Whether the server ended the attempt without saying what became of it, or why."""
        return self.kind is AnswerClass.AMBIGUOUS and not self.unreachable and self.status not in _EXPIRED


_EXPIRED = frozenset({"DEADLINE_EXCEEDED", "CANCELLED", "code 10000", "code 10001"})


async def attempt(
    transport: RawTransport,
    request: Request,
    *,
    lite: bool,
    timeout: float,
    channel: int,
    written: Callable[[], None] | None = None,
) -> Answer:
    """Send ``request`` once.

    Args:
        transport: Where to send.
        request: What to send.
        lite: Whether the server is Milvus Lite.
        timeout: Seconds until the attempt has expired.
        channel: The connection to use.
        written: Called once gRPC has given back its copy, where that may be before the answer; None where it may not.
    """
    method = "Upsert" if request.upsert else "Insert"
    try:
        raw = await transport.call(method, request.payload, timeout=timeout, channel=channel, written=written)
    except ConnectError as error:
        return Answer(AnswerClass.RETRY, str(error), "no connection")
    except RpcError as error:
        return _failed(error)
    return _answered(raw, method, request, lite=lite)


def _failed(error: RpcError) -> Answer:
    kind = classify_status(error.status, error.details)
    unclear = kind is AnswerClass.AMBIGUOUS
    return Answer(
        kind,
        str(error),
        error.status,
        may_land=unclear and status_may_land(error.status),
        unreachable=unclear and error.status == "UNAVAILABLE",
        largest=size_hint(error.details) if kind is AnswerClass.SPLIT else None,
    )


def _answered(raw: bytes, method: str, request: Request, *, lite: bool) -> Answer:
    try:
        reply = mutation_reply(raw, method)
    except TransportError as error:
        return Answer(AnswerClass.AMBIGUOUS, str(error), "no answer of Milvus")
    status = reply.status
    kind = classify_code(status.code, status.legacy_code, status.reason, lite=lite, input_error=status.is_input_error)
    # An upsert counts in one counter or in all of them, depending on the server.
    written = max(reply.insert_count, reply.upsert_count)
    if kind is AnswerClass.STORED and written != request.rows:
        reason = f"{method}: the server acknowledged {written} of {request.rows} rows"
        return Answer(AnswerClass.AMBIGUOUS, reason, "fewer rows acknowledged")
    return Answer(
        kind,
        f"{method}: code {status.effective_code}: {status.reason}",
        f"code {status.effective_code}",
        may_land=kind is AnswerClass.AMBIGUOUS and code_may_land(status.code, status.reason),
        rate=rate_hint(status.reason),
    )
