"""An event loop in a thread of its own, so that sending goes on whatever its caller does.

Threads do not live on in a forked process, and gRPC, forked while it is at work, never answers there again. So a loop
belongs to the process that started it, and where one ran at the fork none is started.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, ClassVar, ParamSpec, TypeVar

from headrace.errors import ConfigError, InternalError, explain
from headrace.waits import result_of

__all__ = ["LoopThread"]

#: What to do about a fork.
_REMEDY = "load in the process that forks, or start processes by spawning them"

T = TypeVar("T")
P = ParamSpec("P")


class LoopThread:
    """Runs one event loop in a daemon thread from :meth:`start` to :meth:`close`."""

    #: Those that run in this process, and whether any ran in the one that it was forked from, at that moment.
    _alive: ClassVar[set[LoopThread]] = set()
    _forked_at_work: ClassVar[bool] = False

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; return when its loop runs.

        Raises:
            ConfigError: In a process that was forked while such a loop ran.
        """
        if LoopThread._forked_at_work:
            found = "one that was forked while its parent was loading: gRPC does not work here"
            raise ConfigError(explain("load", "a process in which gRPC works", found, _REMEDY))
        self._process = os.getpid()
        LoopThread._alive.add(self)
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="headrace-sending", daemon=True)
        self._thread.start()
        started.wait()

    def check_process(self) -> None:
        """Refuse to be used in a forked process.

        Raises:
            ConfigError: In another process than the one that started it.
        """
        if os.getpid() != self._process:
            found = "one that was forked from it"
            raise ConfigError(explain("load", "the process that began it", found, _REMEDY))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and block until it ends; an interrupt of this thread cancels it."""
        future = self.submit(coroutine)
        try:
            return result_of(future)
        except BaseException:
            future.cancel()
            raise

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running())

    def post(self, callback: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call ``callback`` on the loop soon; calls of one thread keep their order. Safe in a signal handler."""
        self._running().call_soon_threadsafe(lambda: callback(*args, **kwargs))

    def close(self) -> None:
        """Cancel what still runs, close the loop and join the thread. Twice does no harm."""
        thread, self._thread = self._thread, None
        if thread is None or os.getpid() != self._process:
            return
        LoopThread._alive.discard(self)
        if self._closing is not None:
            self.post(self._closing.set)
        thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise InternalError("loop thread: expected it to be started, found that it is not; please report this")
        return self._loop

    def _run(self, started: threading.Event) -> None:
        async def until_closed() -> None:
            self._loop = asyncio.get_running_loop()
            self._closing = asyncio.Event()
            started.set()
            await self._closing.wait()

        # asyncio.run cancels and awaits whatever tasks are left.
        asyncio.run(until_closed())

    @classmethod
    def after_fork(cls) -> None:
        """In a forked child: see whether gRPC was at work, and let go of what belongs to the parent."""
        cls._forked_at_work = cls._forked_at_work or bool(cls._alive)
        cls._alive.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LoopThread.after_fork)
