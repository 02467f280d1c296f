"""What an answer means and what to do next: pure tables and pure functions.

Classes (what they say about the rows of the request):

========== =====================================================================================
STORED     applied
RETRY      certainly not applied; the same bytes may succeed later
AMBIGUOUS  may have been applied, wholly or on some shards
THROTTLE   not applied; the server asks for less
DENY       not applied; writing is blocked until an operator or a compaction frees something
SCHEMA     not applied as far as known; the collection's schema changed
REJECT     not applied; some rows of the request are bad
SPLIT      not applied; the request is too large, its halves may pass
FATAL      not applied, and no later request of this load can succeed
========== =====================================================================================

Sources: the gRPC status codes' documentation, Milvus's ``pkg/util/merr`` (codes), and observation of 2.3.5.
"""

from __future__ import annotations

import random
import re
from collections import deque
from dataclasses import dataclass
from enum import Enum

from headrace.errors import ConfigError, explain

__all__ = [
    "LONGEST",
    "AnswerClass",
    "Backoff",
    "Deadline",
    "classify_code",
    "classify_status",
    "code_may_land",
    "rate_hint",
    "size_hint",
    "status_may_land",
]

#: Seconds; no deadline of a write is longer, unless the user asked for one.
LONGEST = 600.0


class AnswerClass(Enum):
    """What an answer says about the rows of a write."""

    STORED = "stored"
    RETRY = "retry"
    AMBIGUOUS = "ambiguous"
    THROTTLE = "throttle"
    DENY = "deny"
    SCHEMA = "schema"
    REJECT = "reject"
    SPLIT = "split"
    FATAL = "fatal"


_A = AnswerClass

#: gRPC status of a write -> class, where the text does not say more (see :func:`classify_status`).
GRPC_STATUS: dict[str, AnswerClass] = {
    "ABORTED": _A.AMBIGUOUS,
    "ALREADY_EXISTS": _A.FATAL,
    "CANCELLED": _A.AMBIGUOUS,
    "DATA_LOSS": _A.AMBIGUOUS,
    "DEADLINE_EXCEEDED": _A.AMBIGUOUS,
    "FAILED_PRECONDITION": _A.FATAL,
    "INTERNAL": _A.AMBIGUOUS,
    "INVALID_ARGUMENT": _A.FATAL,
    "NOT_FOUND": _A.FATAL,
    "OUT_OF_RANGE": _A.FATAL,
    "PERMISSION_DENIED": _A.FATAL,
    "RESOURCE_EXHAUSTED": _A.THROTTLE,
    "UNAUTHENTICATED": _A.FATAL,
    "UNAVAILABLE": _A.AMBIGUOUS,
    "UNIMPLEMENTED": _A.FATAL,
    "UNKNOWN": _A.AMBIGUOUS,
}

#: Texts that decide a gRPC status: (status, pattern, class). The first that matches wins.
GRPC_TEXTS: tuple[tuple[str, re.Pattern[str], AnswerClass], ...] = (
    # No connection was made, so nothing left this machine.
    ("UNAVAILABLE", re.compile(r"failed to connect|connection refused|name resolution|dns", re.I), _A.RETRY),
    ("UNKNOWN", re.compile(r"not ready", re.I), _A.RETRY),
    # The server could not parse the bytes: a bug of the packer, or invalid UTF-8; the same bytes never pass.
    ("INTERNAL", re.compile(r"error unmarshalling request", re.I), _A.REJECT),
    # The answer was too large, not the request: the rows may well be there.
    (
        "RESOURCE_EXHAUSTED",
        re.compile(r"trying to send message larger|client: received message larger", re.I),
        _A.AMBIGUOUS,
    ),
    ("RESOURCE_EXHAUSTED", re.compile(r"larger than max", re.I), _A.SPLIT),
)

#: Statuses by which a server says that it has ended the request; after any other that is AMBIGUOUS the request may
#: still be on its way, and land later.
_ENDED = frozenset({"RESOURCE_EXHAUSTED", "UNKNOWN"})

#: ``Status.code`` of a write -> class (Milvus 2.3 and later, ``pkg/util/merr``). A code that is not here is AMBIGUOUS;
#: those that are about reads or other layers are here as AMBIGUOUS, because a write that met one may have been applied.
MILVUS_CODE: dict[int, AnswerClass] = {
    0: _A.STORED,
    1: _A.RETRY,  # service not ready
    2: _A.AMBIGUOUS,  # service unavailable: a write that ran may be there on some shards
    3: _A.DENY,  # memory limit exceeded
    4: _A.THROTTLE,  # too many requests: the proxy's task queue is full
    5: _A.AMBIGUOUS,  # service internal error
    6: _A.FATAL,  # cross-cluster routing
    7: _A.DENY,  # disk limit exceeded
    8: _A.THROTTLE,  # rate limit exceeded
    9: _A.DENY,  # quota exceeded
    10: _A.FATAL,  # unimplemented
    11: _A.THROTTLE,  # time tick long delay
    12: _A.THROTTLE,  # resource insufficient
    **dict.fromkeys((100, 101, 102, 104, 105, 107, 108, 250), _A.FATAL),  # the collection is not as needed
    **dict.fromkeys((103, 106, 110), _A.RETRY),  # not yet loaded, recovering, schema version not ready
    109: _A.SCHEMA,
    **dict.fromkeys((200, 201), _A.FATAL),  # no such partition
    202: _A.RETRY,
    **dict.fromkeys(range(300, 306), _A.FATAL),  # resource groups
    **dict.fromkeys((400, 401), _A.AMBIGUOUS),  # replicas
    **dict.fromkeys((500, 501, 502, 503, 504, 505, 507), _A.AMBIGUOUS),  # channels
    **dict.fromkeys(range(600, 606), _A.AMBIGUOUS),  # segments
    **dict.fromkeys((700, 701, 702, 703, 800, 801, 802), _A.FATAL),  # indexes, databases
    **dict.fromkeys(range(901, 907), _A.AMBIGUOUS),  # nodes
    **dict.fromkeys(range(1000, 1013), _A.AMBIGUOUS),  # io; a JSON cell that cannot be parsed is told by its text
    **dict.fromkeys((1100, 1101, 1700, 1701), _A.REJECT),  # parameters, fields
    1102: _A.SPLIT,  # parameter too large (maxInsertSize)
    **dict.fromkeys((1200, 1300, 1301), _A.FATAL),  # metrics, topics
    1302: _A.AMBIGUOUS,  # message queue internal error
    1303: _A.DENY,  # the log refuses to be written
    **dict.fromkeys((1400, 1401, 1402), _A.FATAL),  # authentication, privileges
    **dict.fromkeys(range(1600, 1604), _A.FATAL),  # aliases
    **dict.fromkeys(range(1800, 1807), _A.AMBIGUOUS),  # the REST layer
    1807: _A.THROTTLE,
    **dict.fromkeys(range(1900, 1904), _A.FATAL),  # replication
    **dict.fromkeys(range(2000, 2100), _A.AMBIGUOUS),  # segcore
    **dict.fromkeys((2100, 2101), _A.AMBIGUOUS),  # import
    2200: _A.RETRY,  # inconsistent requery: a partial upsert reads before it writes
    2201: _A.FATAL,  # query plan
    **dict.fromkeys((*range(2300, 2317), 2401), _A.AMBIGUOUS),  # compaction, slots
    2400: _A.REJECT,  # a function (BM25, embedding) failed on this input
    2500: _A.FATAL,  # key management: the key is revoked
    3000: _A.FATAL,  # operation not supported
    10000: _A.AMBIGUOUS,  # the server's own context was cancelled
    10001: _A.AMBIGUOUS,  # the server's own deadline
    65535: _A.AMBIGUOUS,  # some Go error; a validation error is told by its text
}

#: Legacy ``Status.error_code`` -> class, for servers that set no code (before 2.3).
LEGACY_CODE: dict[int, AnswerClass] = {
    0: _A.STORED,
    1: _A.AMBIGUOUS,  # unexpected error; a validation error is told by its text
    3: _A.FATAL,  # permission denied
    4: _A.FATAL,  # collection does not exist
    5: _A.REJECT,  # illegal argument
    7: _A.REJECT,  # illegal dimension
    11: _A.REJECT,  # illegal row record
    15: _A.AMBIGUOUS,  # meta failed
    24: _A.DENY,  # out of memory
    25: _A.FATAL,  # index does not exist
    45: _A.RETRY,  # not the shard's leader
    46: _A.AMBIGUOUS,  # no replica available
    47: _A.AMBIGUOUS,  # segment not found
    48: _A.DENY,  # force deny
    49: _A.THROTTLE,  # rate limit
    50: _A.AMBIGUOUS,  # node id does not match
    51: _A.FATAL,  # upsert into an auto-id collection
    52: _A.DENY,  # insufficient memory
    53: _A.DENY,  # memory quota exhausted
    54: _A.DENY,  # disk quota exhausted
    55: _A.THROTTLE,  # time tick long delay
    56: _A.RETRY,  # not ready to serve
    57: _A.RETRY,  # coordinator is activating
    62: _A.SCHEMA,
    100: _A.AMBIGUOUS,  # data coordinator not available
    1000: _A.AMBIGUOUS,  # requests race
}

#: Codes that Milvus Lite 3.2 numbers in its own way.
LITE_CODE: dict[int, AnswerClass] = {
    1: _A.AMBIGUOUS,  # some Python exception; one of a value that its column cannot hold is told by its text
    6: _A.REJECT,  # bad data or argument
    11: _A.FATAL,  # index
    35: _A.FATAL,  # index exists
}

#: Codes whose write may still be running when they arrive: the proxy stopped waiting for it.
_RUNNING = frozenset({10000, 10001})
_CONTEXT = re.compile(r"context (deadline exceeded|canceled)", re.I)
_RATE = re.compile(r"rate limit exceeded\[rate=([\d.e+]+)\]")
_SIZES = re.compile(r"larger than max \((\d+) vs\.? (\d+)\)")

#: Reasons that are validation errors although their code says "some error" (65535, 1, 1001): seen before any write.
_VALIDATION = re.compile(
    r"is not a number or infinity|should divide the dim|invalid dimension|unsorted or same indices|"
    r"negative value in sparse|exceeds max length|exceeds max capacity|out of range|duplicate(d)? (field|primary key)|"
    r"invalid character|cannot unmarshal|not an? (valid )?json|dynamic field|only support DataType Int64 or VarChar|"
    r"not support manually specifying the partition names|is illegal|num_rows",
    re.I,
)
#: What pyarrow says in Milvus Lite of a value that its column cannot hold, such as a number as a JSON document: the
#: columns of a request are made before any of its rows is written.
_LITE_VALIDATION = re.compile(r"expected bytes, got a '\w+' object|could not convert .* with type \w+", re.I | re.S)


def classify_status(status: str, details: str = "") -> AnswerClass:
    """Class of a write that ended with gRPC ``status`` (its name, for example ``"UNAVAILABLE"``)."""
    for name, pattern, verdict in GRPC_TEXTS:
        if name == status and pattern.search(details):
            return verdict
    return GRPC_STATUS.get(status, AnswerClass.AMBIGUOUS)


def status_may_land(status: str) -> bool:
    """Whether a write that ended AMBIGUOUS with gRPC ``status`` may still be applied later."""
    return status not in _ENDED


def classify_code(
    code: int, legacy: int = 0, reason: str = "", *, lite: bool = False, input_error: bool = False
) -> AnswerClass:
    """Class of a write that the server answered with ``Status.code`` and ``Status.error_code``.

    Success needs both to be 0. Milvus Lite numbers its refusals differently: its 6 is a bad argument.

    Args:
        code: ``Status.code``.
        legacy: ``Status.error_code``.
        reason: ``Status.reason``.
        lite: Whether the server is Milvus Lite.
        input_error: Whether the server marked the refusal as the caller's fault (``is_input_error``, Milvus 2.4).
    """
    if code == 0 and legacy == 0:
        return AnswerClass.STORED
    if lite and code in LITE_CODE:
        verdict = AnswerClass.REJECT if code == 1 and _LITE_VALIDATION.search(reason) else LITE_CODE[code]
    elif code == 0:
        verdict = LEGACY_CODE.get(legacy, AnswerClass.AMBIGUOUS)
    else:
        verdict = MILVUS_CODE.get(code, AnswerClass.AMBIGUOUS)
    if verdict is AnswerClass.AMBIGUOUS and code in (0, 1001, 65535) and (input_error or _VALIDATION.search(reason)):
        return AnswerClass.REJECT
    return verdict


def code_may_land(code: int, reason: str = "") -> bool:
    """Whether a write that was answered AMBIGUOUS with ``code`` may still be applied later.

    A proxy that gave up waiting for its own task says so by code, or in the text of an unexpected error.
    """
    return code in _RUNNING or _CONTEXT.search(reason) is not None


def rate_hint(reason: str) -> float | None:
    """The rate in bytes per second that a rate limit's reason names, or None."""
    match = _RATE.search(reason)
    try:
        rate = float(match[1]) if match else 0.0
    except ValueError:
        return None
    return rate if rate > 0 else None


def size_hint(details: str) -> int | None:
    """The largest message in bytes that a refusal for size names, or None."""
    match = _SIZES.search(details)
    return int(match[2]) if match else None


@dataclass(frozen=True)
class Backoff:
    """Full-jitter exponential back-off: a uniform wait up to ``base * 2**attempt``, at most ``cap`` seconds.

    Full jitter spreads clients that failed together best (Brooker, "Exponential Backoff And Jitter", 2015).

    Attributes:
        base: Seconds; the first wait is uniform between 0 and this.
        cap: Seconds; no wait is longer.
    """

    base: float = 0.1
    cap: float = 5.0

    def __post_init__(self) -> None:
        for name in ("base", "cap"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(explain(f"back-off {name}", "seconds above 0", repr(value), "give a positive number"))

    def wait(self, attempt: int, rng: random.Random) -> float:
        """Seconds to wait after failed attempt number ``attempt`` (0 for the first)."""
        # 2**attempt leaves float range long after the cap has been reached.
        return rng.uniform(0.0, min(self.cap, self.base * 2.0 ** min(attempt, 60)))


class Deadline:
    """How long an attempt may take: never less than a floor, longer where the server has shown that it needs longer.

    An expired attempt may still be applied, which costs far more than waiting: the deadline is eight times the
    slowest of the recent answers, and doubles for a request whose attempt expired.

    Args:
        floor: Seconds; the deadline of a server that answers at once.
        ceiling: Seconds; no deadline is longer (but never below the floor).
    """

    #: How many answers are remembered.
    _REMEMBERED = 64

    def __init__(self, floor: float, *, ceiling: float = LONGEST) -> None:
        self._floor = floor
        self._ceiling = max(floor, ceiling)
        self._recent: deque[float] = deque(maxlen=self._REMEMBERED)

    def answered(self, seconds: float) -> None:
        """An attempt was answered after ``seconds``."""
        self._recent.append(seconds)

    def seconds(self, expired: int = 0) -> float:
        """The deadline of the next attempt of a request of which ``expired`` attempts have expired."""
        needed = max(self._floor, 8.0 * max(self._recent, default=0.0))
        return min(self._ceiling, needed * 2.0 ** min(expired, 20))
