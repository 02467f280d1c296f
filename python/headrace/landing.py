"""Requests of a run that was killed may still be applied: until when, and what that means for the rows sent now."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Container
from dataclasses import dataclass

import pyarrow as pa

from headrace.attempts import Request
from headrace.batching import Span
from headrace.journal_store import JournalStore
from headrace.journal_writer import BEAT
from headrace.ledger import Ledger
from headrace.retry import LONGEST
from headrace.settling import GRACE

__all__ = ["Landing", "admit", "landing_after", "left_behind"]


@dataclass(frozen=True, slots=True)
class Landing:
    """Until when requests of earlier runs may still be applied, by the clock of the sender.

    Attributes:
        until: When the last of their deadlines has passed.
        over: A little later, when none of them is waited for any more.
        any_key: Whether they may hold an older row of any key; otherwise all their rows are in doubt in this run.
    """

    until: float
    over: float
    any_key: bool = False


def left_behind(store: JournalStore, taken: Container[int] = ()) -> bool:
    """Whether earlier runs may have sent rows whose fate and keys nobody knows any more.

    Args:
        store: Their journal.
        taken: The numbers of the files that are gone on with: of these it is known which rows are in doubt.
    """
    files = itertools.chain.from_iterable(store.files(target.id) for target in store.targets())
    return any(file.replaces or (file.open and file.id not in taken) for file in files)


def landing_after(
    store: JournalStore,
    *,
    rpc_timeout: float,
    any_key: bool = False,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
) -> Landing | None:
    """What earlier loaders of a journal may still have on its way; None where that time has passed.

    Args:
        store: The journal, whose lock says until when.
        rpc_timeout: Seconds that an attempt may take at least.
        any_key: Whether they may hold an older row of any key.
        clock: Seconds, monotonic; the sender's.
        wall_clock: Seconds since the epoch.
    """
    # A clock that was set back must not make anybody wait for long.
    left = BEAT + min(max(LONGEST, rpc_timeout), store.may_land_until - wall_clock())
    if left <= 0.0:
        return None
    until = clock() + left
    return Landing(until, until + GRACE * rpc_timeout, any_key)


def admit(
    request: Request, ledger: Ledger, keys: pa.Array | None, landing: Landing | None, *, clock: Callable[[], float]
) -> tuple[Span, ...]:
    """Let a request's rows be found by later runs, and see whether an earlier one may have sent them.

    Those are in doubt from the start: with keys of their own they go as an upsert.

    Args:
        request: Rows about to be sent.
        ledger: Where their verdicts will go.
        keys: Their keys; None where the server makes them.
        landing: What earlier runs may still have on its way, or None.
        clock: Seconds, monotonic; the sender's.

    Returns:
        The rows that may be doubled by this.
    """
    doubtful, _ = ledger.journal.in_doubt(request.spans)
    request.doubtful = bool(doubtful)
    if keys is None:
        return doubtful
    ledger.journal.sample(request.spans, keys)
    codes = None if request.claim is None else request.claim.codes
    request.key_ranges = ledger.journal.key_ranges(request.spans, keys, codes)
    if landing is not None:
        overtaken = landing.any_key and clock() < landing.over
        request.replaces = overtaken or (request.claim is not None and bool(request.claim.replaced))
    if doubtful or request.replaces:
        request.upsert, request.may_land_until = True, None if landing is None else landing.until
    return ()
