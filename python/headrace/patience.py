"""Ending another thread's wait when whoever asked for it has gone away."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future
from typing import Any, TypeVar

from headrace.waits import result_of

__all__ = ["Patience", "finished", "outlasting"]

T = TypeVar("T")


class Patience:
    """One call's waits for futures, which another thread can end once and for all."""

    def __init__(self) -> None:
        self._lost = False
        self._waiting: Future[None] | None = None

    def wait(self, granted: Future[None]) -> None:
        """Block until ``granted`` is done.

        Raises:
            CancelledError: (of concurrent.futures) if patience is lost before.
        """
        self._waiting = granted
        if self._lost:
            granted.cancel()
        result_of(granted)

    def lose(self) -> None:
        """End the wait that goes on, and every later one."""
        self._lost = True
        if self._waiting is not None:
            self._waiting.cancel()


async def outlasting(running: Future[T]) -> T:
    """The result of ``running``, which goes on where this task is cancelled; how it ends is nobody's business then."""
    ended = asyncio.wrap_future(running)
    ended.add_done_callback(_looked_at)
    return await asyncio.shield(ended)


async def finished(running: Future[Any]) -> None:
    """Wait until ``running`` has ended, whatever with, also when this task is cancelled again meanwhile."""
    while not running.done():
        ended = asyncio.wrap_future(running)
        ended.add_done_callback(_looked_at)
        # A cancellation that comes now changes nothing: the one that brought us here is raised by our caller.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([ended])


def _looked_at(done: asyncio.Future[Any]) -> None:
    """Nobody is to warn about an exception that is somebody else's to raise."""
    if not done.cancelled():
        done.exception()
