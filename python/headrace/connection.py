"""A connection that sends from a thread of its own and can be used, and stopped, from any other."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from headrace.background import LoopThread
from headrace.calls import Operation, drive_sync
from headrace.config import Endpoint
from headrace.errors import InternalError, RpcError, StoppedError
from headrace.transport import AsyncTransport
from headrace.waits import result_of

__all__ = ["Connection"]

#: Calls that do the same when they are made twice.
_REPEATABLE = frozenset(
    {
        "CreateIndex",
        "DescribeCollection",
        "DescribeIndex",
        "GetLoadState",
        "GetLoadingProgress",
        "GetVersion",
        "LoadCollection",
        "Query",
        "ReleaseCollection",
        "Search",
    }
)
#: Seconds before each repeat of a call whose connection was lost: a network that comes back does so within seconds.
_PAUSES = (0.1, 0.4, 1.0, 2.0)

T = TypeVar("T")
P = ParamSpec("P")


class Connection:
    """A transport and the event loop it lives in.

    Args:
        endpoint: Where to go.
        channels: gRPC channels, each with a TCP connection of its own; None for two.
        scratch: Whether to ask an empty database that goes away again where an embedded one does not exist yet: to
            connect to that would create it.
    """

    def __init__(self, endpoint: Endpoint, *, channels: int | None, scratch: bool = False) -> None:
        self._scratch: Path | None = None
        if scratch and endpoint.is_embedded and not endpoint.path.exists():
            # Its engine makes the directory when it starts.
            self._scratch = Path(tempfile.gettempdir()) / f"headrace-{secrets.token_hex(16)}"
            endpoint = replace(endpoint, uri=str(self._scratch / endpoint.path.name))
        self.transport = AsyncTransport(endpoint, channels=2 if channels is None else channels)
        self._loop = LoopThread()
        self._calling: Future[Any] | None = None
        self._stopped: StoppedError | None = None
        # Nothing to be closed before it has started.
        self._closed = True

    def start(self) -> None:
        """Start the loop's thread."""
        self._loop.start()
        self._closed = False

    def check_process(self) -> None:
        """Refuse to be used in a forked process; errors as :meth:`headrace.background.LoopThread.check_process`."""
        self._loop.check_process()

    def connect(self) -> None:
        """Reach the server; errors as :meth:`headrace.transport.AsyncTransport.connect`."""
        self._wait(self.transport.connect())

    def run(self, operation: Operation[T]) -> T:
        """Run an operation, blocking the calling thread.

        Only its calls happen on the loop: what the operation computes, reads and decodes in between stays here.

        Raises:
            StoppedError: If :meth:`stop` was called.
        """
        return drive_sync(self, operation)

    def call(self, method: str, request: bytes, *, timeout: float | None) -> bytes:
        """One call, blocking the calling thread; errors as :meth:`headrace.transport.AsyncTransport.call`.

        One that may be made twice is made again, for some seconds, when its connection was lost.

        Raises:
            StoppedError: If :meth:`stop` was called.
        """
        return self._wait(self._call(method, request, timeout))

    async def _call(self, method: str, request: bytes, timeout: float | None) -> bytes:
        for pause in _PAUSES if method in _REPEATABLE else ():
            try:
                return await self.transport.call(method, request, timeout=timeout)
            except RpcError as error:
                if error.status != "UNAVAILABLE":
                    raise
            await asyncio.sleep(pause)
        return await self.transport.call(method, request, timeout=timeout)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop."""
        return self._loop.submit(coroutine)

    def post(self, callback: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call ``callback`` on the loop soon; calls of one thread keep their order."""
        self._loop.post(callback, *args, **kwargs)

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Block until a coroutine on the loop ends, whether or not the load is stopping."""
        return self._loop.run(coroutine)

    def stop(self, error: StoppedError, then: Callable[[], object] | None = None) -> None:
        """End the call that goes on, refuse later ones, and call ``then`` on the loop. Safe in a signal handler."""
        self._stopped = error
        # The loop may be closing at this moment, or not have begun: then there is nothing to end.
        with contextlib.suppress(RuntimeError, InternalError):
            if then is not None:
                self._loop.post(then)
            if self._calling is not None:
                self._loop.post(self._calling.cancel)

    def close(self) -> None:
        """Close the channels and the loop; twice does no harm."""
        if self._closed:
            return
        self._closed = True
        try:
            self._loop.run(self.transport.close())
        finally:
            self._loop.close()
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        running: Future[T] = self._loop.submit(coroutine)
        self._calling = running
        if self._stopped is not None:
            running.cancel()
        try:
            return result_of(running)
        except CancelledError:
            raise self._stopped or StoppedError("the connection was stopped") from None
        except BaseException:
            running.cancel()
            raise
        finally:
            self._calling = None
