"""An event loop in a thread of its own, so that sending goes on whatever its caller does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from headrace.errors import InternalError

__all__ = ["LoopThread"]

T = TypeVar("T")
P = ParamSpec("P")


class LoopThread:
    """Runs one event loop in a daemon thread from :meth:`start` to :meth:`close`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; return when its loop runs."""
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="headrace-sending", daemon=True)
        self._thread.start()
        started.wait()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and block until it ends; an interrupt of this thread cancels it."""
        future = self.submit(coroutine)
        try:
            return future.result()
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
        if thread is None:
            return
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
