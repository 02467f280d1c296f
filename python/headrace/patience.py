"""Ending another thread's wait when whoever asked for it has gone away."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future
from typing import Any

__all__ = ["Patience", "finished"]


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
        granted.result()

    def lose(self) -> None:
        """End the wait that goes on, and every later one."""
        self._lost = True
        if self._waiting is not None:
            self._waiting.cancel()


async def finished(running: Future[Any]) -> None:
    """Wait until ``running`` has ended, whatever with, also when this task is cancelled again meanwhile."""
    while not running.done():
        ended = asyncio.wrap_future(running)
        # Looked at, so that nobody warns about an exception that is somebody else's to raise.
        ended.add_done_callback(lambda done: done.cancelled() or done.exception())
        # A cancellation that comes now changes nothing: the one that brought us here is raised by our caller.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([ended])
