"""Asking again while a server finds itself after a restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from headrace.calls import Operation, Sleep
from headrace.errors import ConnectError, HeadraceError, MilvusException, RpcError
from headrace.retry import AnswerClass, classify_code, classify_status

__all__ = ["patiently"]

T = TypeVar("T")

#: Pauses between two attempts: doubled from the first to the last.
_FIRST_PAUSE, _LAST_PAUSE = 0.25, 4.0
#: Classes of answers after which the same question may be answered.
_PASSING = frozenset({AnswerClass.RETRY, AnswerClass.AMBIGUOUS, AnswerClass.THROTTLE})
#: merr.ErrCollectionNotLoaded: 2.3.5 says so of a loaded collection for half a minute after a restart.
_NOT_LOADED = 101


def patiently(
    make: Callable[[], Operation[T]], *, budget: float, clock: Callable[[], float] = time.monotonic
) -> Operation[T]:
    """Run an operation that may be repeated, again and again while what goes wrong may pass.

    A server that was killed answers health checks and writes within seconds and refuses to load or count until the
    sessions of its former self have expired: 47 s on 2.3.5 with its defaults (code 65535, ``unrecoverable error``).

    Args:
        make: Makes the operation for each attempt.
        budget: Seconds after which a failure is final.
        clock: Seconds, monotonic.

    Raises:
        HeadraceError: What the last attempt raised.
    """
    deadline, pause = clock() + budget, _FIRST_PAUSE
    while True:
        try:
            return (yield from make())
        except HeadraceError as error:
            if not _may_pass(error) or clock() + pause > deadline:
                raise
        yield Sleep(pause)
        pause = min(2 * pause, _LAST_PAUSE)


def _may_pass(error: HeadraceError) -> bool:
    if isinstance(error, RpcError):
        return classify_status(error.status, error.details) in _PASSING
    if isinstance(error, MilvusException):
        return error.code == _NOT_LOADED or classify_code(error.code, 0, error.message) in _PASSING
    return isinstance(error, ConnectError)
