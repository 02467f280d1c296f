"""Waits in the caller's thread that a signal's handler can interrupt.

Python runs a signal's handler when the main thread comes back from the system call that the signal interrupted. Where
the signal was registered with SA_RESTART, as polars registers SIGINT when it is imported, the kernel resumes a wait for
a lock that has no timeout, and Ctrl-C has no effect. A wait with a timeout comes back always. The timeout is short
because a signal that comes right before the wait does not end it.
"""

from __future__ import annotations

import contextlib
import queue
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["item_of", "result_of"]

#: Seconds after which a wait begins anew.
_BEAT = 1.0

T = TypeVar("T")


def result_of(future: Future[T]) -> T:
    """What ``future.result()`` returns or raises; a signal interrupts the wait for it."""
    while not future.done():
        # Not wait(): to that a future is never done which was cancelled and which nobody was going to run.
        with contextlib.suppress(TimeoutError):
            return future.result(timeout=_BEAT)
    return future.result()


def item_of(items: queue.Queue[T]) -> T:
    """What ``items.get()`` returns; a signal interrupts the wait for it."""
    while True:
        with contextlib.suppress(queue.Empty):
            return items.get(timeout=_BEAT)
