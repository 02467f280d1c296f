"""Rows in: prepared requests sent one after the other or several at a time, and an account of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from headrace.calls import Operation, Rpc, Several, Sleep, Wrote
from headrace.errors import HeadraceError, MilvusException, RowsWritten, RpcError, TransportError
from headrace.operations.base import ROWS_TIMEOUT
from headrace.protocol import MutationReply, mutation_reply
from headrace.retry import AnswerClass, classify_code, classify_status

__all__ = ["Request", "Written", "write"]

#: Requests of one call in flight on an event loop: enough to pack while the server works, few enough for a small one.
IN_FLIGHT = 4
#: Pauses after a server asked for less: doubled from the first to the last, for so long altogether.
_FIRST_PAUSE, _LAST_PAUSE, _PATIENCE = 0.05, 3.0, 60.0
#: Classes after which the same request is sent again: certainly nothing of it was stored.
_AGAIN = frozenset({AnswerClass.RETRY, AnswerClass.THROTTLE})
_CERTAIN = frozenset(AnswerClass) - {AnswerClass.AMBIGUOUS}


@dataclass(frozen=True)
class Request:
    """One request to be sent.

    Attributes:
        rows: The rows in it, by their numbers in the caller's data.
        pack: Makes its bytes.
    """

    rows: range
    pack: Callable[[], bytes]


@dataclass
class Written:
    """What a write stored.

    Attributes:
        ids: The keys in row order; those that the server made where it makes them.
        insert_count, upsert_count: The server's counters, added up.
        cost: What the server charged, where it says so.
    """

    ids: list[Any] = field(default_factory=list)
    insert_count: int = 0
    upsert_count: int = 0
    cost: int = 0

    def add(self, reply: MutationReply) -> None:
        """Count one answer in."""
        self.ids.extend(reply.ids)
        self.insert_count += reply.insert_count
        self.upsert_count += reply.upsert_count
        self.cost += int(reply.status.extra_info.get("report_value", 0))


def write(
    method: str, name: str, requests: Sequence[Request], *, timeout: float | None = ROWS_TIMEOUT
) -> Operation[Written]:
    """Send requests of rows, several at a time where that is possible; nothing is sent twice that may be stored.

    A server that asks for less is given pauses of a minute altogether.

    Args:
        method: ``"Insert"`` or ``"Upsert"``.
        name: The collection, by the name that the requests carry.
        requests: In the order of their rows.
        timeout: Seconds for each request.

    Raises:
        MilvusException, TransportError: What ended it; ``rows`` says what became of which rows.
    """
    outcomes: dict[int, Any] = {}
    waited, pause = 0.0, _FIRST_PAUSE
    while True:
        waiting = [at for at in range(len(requests)) if not _is_stored(outcomes.get(at))]
        calls = _calls(method, [requests[at] for at in waiting], timeout)
        answers = yield from _send(calls, len(waiting))
        outcomes |= {at: _outcome(answer, method) for at, answer in zip(waiting, answers, strict=False)}
        yield Wrote(name, max((item.timestamp for item in outcomes.values() if _is_stored(item)), default=0))
        errors = [error for error in outcomes.values() if isinstance(error, HeadraceError)]
        if not errors:
            break
        if waited >= _PATIENCE or any(_class_of(error) not in _AGAIN for error in errors):
            raise _accounted(requests, outcomes, errors)
        yield Sleep(pause)
        waited += pause
        pause = min(2 * pause, _LAST_PAUSE)
    written = Written()
    for at in range(len(requests)):
        written.add(outcomes[at])
    return written


def _send(calls: Iterator[Rpc], count: int) -> Operation[list[Any]]:
    if count > 1:
        outcomes: list[Any] = yield Several(calls, min(IN_FLIGHT, count), _is_good)
        return outcomes
    try:
        return [(yield next(calls))]
    except TransportError as error:
        return [error]


def _calls(method: str, requests: Sequence[Request], timeout: float | None) -> Iterator[Rpc]:
    return (Rpc(method, request.pack(), None, timeout) for request in requests)


def _is_good(raw: bytes) -> bool:
    return mutation_reply(raw, "").status.ok


def _outcome(answer: bytes | TransportError, method: str) -> MutationReply | HeadraceError:
    if isinstance(answer, TransportError):
        return answer
    reply = mutation_reply(answer, method)
    status = reply.status
    return reply if status.ok else MilvusException(status.reason, code=status.effective_code, method=method)


def _is_stored(outcome: object) -> TypeGuard[MutationReply]:
    return isinstance(outcome, MutationReply)


def _class_of(error: HeadraceError) -> AnswerClass:
    if isinstance(error, RpcError):
        return classify_status(error.status, error.details)
    if isinstance(error, MilvusException):
        # Milvus's 1 is "service not ready"; Milvus Lite's, and that of servers before 2.3, is any error.
        lite = error.code == 1 and "not ready" not in error.message
        return classify_code(error.code, 0, error.message, lite=lite)
    return AnswerClass.AMBIGUOUS


def _accounted(requests: Sequence[Request], outcomes: dict[int, Any], errors: Sequence[HeadraceError]) -> HeadraceError:
    """The error that decides, with what became of all rows in its message and in ``rows``."""
    fates: dict[str, list[range]] = {"stored": [], "refused": [], "unknown": [], "unsent": []}
    for at, request in enumerate(requests):
        fates[_fate(outcomes.get(at))].append(request.rows)
    final = next((error for error in errors if _class_of(error) not in _AGAIN), errors[0])
    final.rows = RowsWritten(**{fate: _joined(rows) for fate, rows in fates.items()})
    if len(requests) > 1:
        final.args = (f"{final.args[0]} ({final.rows})", *final.args[1:])
    return final


def _fate(outcome: object) -> str:
    if outcome is None:
        return "unsent"
    if isinstance(outcome, HeadraceError):
        return "refused" if _class_of(outcome) in _CERTAIN else "unknown"
    return "stored"


def _joined(rows: Sequence[range]) -> tuple[range, ...]:
    joined: list[range] = []
    for part in rows:
        if joined and joined[-1].stop == part.start:
            joined[-1] = range(joined[-1].start, part.stop)
        else:
            joined.append(part)
    return tuple(joined)
