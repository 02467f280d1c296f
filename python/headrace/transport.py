"""Channels to one server: raw bytes in, raw bytes out, every failure a typed error.

:class:`AsyncTransport` runs on ``grpc.aio``, :class:`SyncTransport` on gRPC's blocking API (so that it also works
inside a coroutine of a running loop). Neither retries, neither parses anything but the answers to the handshake.
A ``.db`` URI is resolved to the address of an embedded Milvus Lite when the first call is made.

No credential appears in a repr, an error or a log: the metadata stays inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from headrace import embedded
from headrace.calls import drive_async, drive_sync
from headrace.channels import METHOD_PREFIX, Line, call_metadata, channel_credentials, channel_options
from headrace.config import Endpoint
from headrace.errors import ConfigError, RpcError, TransportError, explain
from headrace.handshake import ServerInfo, handshake

__all__ = ["AsyncTransport", "SyncTransport"]


class _Transport:
    """What both transports share: the endpoint, its metadata, and what the handshake found."""

    def __init__(self, endpoint: Endpoint, *, channels: int) -> None:
        if channels < 1:
            raise ConfigError(explain("channels", "a number of at least 1", repr(channels), "give a positive number"))
        self._endpoint = endpoint
        self._count = channels
        self._closed = False
        self._info: ServerInfo | None = None
        self._lease: embedded.Lease | None = None
        self._next = itertools.count()
        self._quickest = math.inf
        self._metadata = call_metadata(endpoint)
        self._credentials: grpc.ChannelCredentials | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint.uri!r}, channels={self._count})"

    @property
    def endpoint(self) -> Endpoint:
        """Where this transport goes."""
        return self._endpoint

    def turn_to(self, *, db_name: str | None = None, token: str | None = None) -> None:
        """Make later calls go to another database, or with other credentials; those in flight stay as they are.

        Raises:
            ConfigError: If the database's name cannot be sent.
        """
        now = self._endpoint
        endpoint = replace(
            now,
            db_name=now.db_name if db_name is None else db_name,
            token=now.token if token is None else token,
        )
        self._metadata = call_metadata(endpoint)
        self._endpoint = endpoint

    @property
    def round_trip(self) -> float:
        """Seconds that the quickest call took so far: the way there and back takes at most that; 0 before the first."""
        return self._quickest if self._quickest < math.inf else 0.0

    @property
    def channels(self) -> int:
        """How many TCP connections it uses."""
        return self._count

    @property
    def is_lost(self) -> bool:
        """Whether the embedded engine has ended, so that no later call can succeed."""
        return self._lease is not None and bool(self._lease.ended)

    @property
    def server_version(self) -> tuple[int, int, int]:
        """The server's version, once connected; ``(0, 0, 0)`` where its text holds none.

        Raises:
            TransportError: If :meth:`connect` has not succeeded yet.
        """
        return self._server().version

    @property
    def server_kind(self) -> str:
        """``"milvus"`` or ``"lite"``, once connected.

        Raises:
            TransportError: If :meth:`connect` has not succeeded yet.
        """
        return self._server().kind

    @property
    def server_text(self) -> str:
        """The server's own version text (``"v2.6.2"``), once connected.

        Raises:
            TransportError: If :meth:`connect` has not succeeded yet.
        """
        return self._server().text

    def _server(self) -> ServerInfo:
        if self._info is None:
            raise TransportError(explain("server version", "a connected transport", "none", "call connect() first"))
        return self._info

    def _address(self) -> str:
        return self._endpoint.address if self._lease is None else self._lease.address

    def _closed_error(self, method: str) -> RpcError:
        text = explain(method, "an open transport", "a closed one", "make a new one")
        return RpcError(text, status="CANCELLED", details="the transport was closed", method=method)

    def _rpc_error(self, method: str, error: grpc.RpcError, *, status: str | None = None) -> RpcError:
        status, details = status or error.code().name, error.details() or ""
        ended = "" if self._lease is None else self._lease.ended
        text = f"{method}: {status}: {details or 'no details'}{ended and f'; {ended}'}"
        if status == "UNIMPLEMENTED" and self._info is not None:
            found = f"{self._info.text or self._info.kind}, which has not ({details or 'no details'})"
            text = explain(method, "a server that has this call", found, "docs/client.md says what which server has")
        return RpcError(text, status=status, details=details, method=method)

    def _options(self, index: int) -> list[tuple[str, Any]]:
        return channel_options(index, self._endpoint)


class AsyncTransport(_Transport):
    """Several channels with a TCP connection each, for one event loop at a time.

    It can be built where no loop runs; channels are made inside the loop that first calls, and again in another
    loop that calls later. Calls may be cancelled at any time and run side by side without limit: how much is in
    flight is the caller's choice.

    Args:
        endpoint: Where to go.
        channels: How many connections to spread the calls over.

    The first call, or :meth:`connect`, raises ConfigError if a TLS file cannot be read.
    """

    def __init__(self, endpoint: Endpoint, *, channels: int = 2) -> None:
        super().__init__(endpoint, channels=channels)
        self._credentials_read = not endpoint.tls
        # A grpc.aio channel belongs to the loop that was running when it was made.
        self._sets: dict[asyncio.AbstractEventLoop, list[Line]] = {}
        self._renewals = 0
        #: Connections that were given up and still have calls, and those that are being closed.
        self._retired: set[Line] = set()
        self._closing: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Reach the server and learn its version, within ``endpoint.timeout`` seconds; does nothing the second time.

        Raises:
            ConnectError: If nothing answered in time; the message names the address.
            MilvusException: Code 1400 or 1401 if the credentials were refused.
            EmbeddedError: If the embedded engine did not start.
            MissingExtraError: If the embedded engine is not installed.
        """
        if self._info is not None:
            return
        await self._open()
        self._info = await drive_async(self, handshake(self._endpoint, self._address()))

    async def call(
        self,
        method: str,
        request: bytes,
        *,
        timeout: float | None,
        channel: int | None = None,
        written: Callable[[], None] | None = None,
    ) -> bytes:
        """Send one request and return the answer's bytes, whatever Milvus's status inside says.

        Args:
            method: The RPC's name, such as ``"Insert"``.
            request: The serialised request; gRPC takes ``bytes`` only.
            timeout: Seconds until the server and the client give up, or None for no deadline.
            channel: Which connection to use, 0 to ``channels - 1``; None takes them in turn.
            written: Called when the request is on the wire and gRPC has given back its copy of it. A call that ends
                before may have the status INTERNAL, whatever ended it. None: gRPC keeps the copy until the answer is
                there, and a call costs a quarter of a millisecond less.

        Raises:
            RpcError: If the call ended with a gRPC status other than OK, also when :meth:`close` ended it.
        """
        lines = None if self._closed else self._sets.get(asyncio.get_running_loop())
        if lines is None or len(lines) < self._count:
            lines = await self._open(method)
        line = lines[next(self._next) % len(lines) if channel is None else channel]
        line.calls += 1
        began = time.monotonic()
        try:
            answer: bytes
            if written is None:
                answer = await line.method(method)(request, timeout=timeout, metadata=self._metadata)
            else:
                call = line.method(method, streamed=True)(timeout=timeout, metadata=self._metadata)
                await call.write(request)
                written()
                # Fails with an error of gRPC's own where the call has ended meanwhile; the status says why.
                with contextlib.suppress(Exception):
                    await call.done_writing()
                answer = await call
        except grpc.aio.AioRpcError as error:
            # gRPC does not say why it could not write; of a deadline we know.
            unnamed = written is not None and error.code() is grpc.StatusCode.INTERNAL
            expired = unnamed and timeout is not None and time.monotonic() >= began + timeout
            raise self._rpc_error(method, error, status="DEADLINE_EXCEEDED" if expired else None) from error
        except (asyncio.CancelledError, grpc.aio.UsageError) as error:
            # grpc.aio ends the calls of a closed channel with CancelledError, as if their task had been cancelled.
            task = asyncio.current_task()
            if self._closed and not (task is not None and task.cancelling()):
                raise self._closed_error(method) from error
            raise
        finally:
            line.calls -= 1
            self._close_retired(line)
        self._quickest = min(self._quickest, time.monotonic() - began)
        return answer

    def widen(self, channels: int) -> None:
        """Spread later calls over that many connections, where they are fewer now; none is given up."""
        self._count = max(self._count, channels)

    def renew(self, channel: int) -> None:
        """Connect anew for later calls over ``channel``; the old connection closes once its calls have ended.

        What the network still holds of an abandoned call is then cut off with its connection.
        """
        lines = self._sets.get(asyncio.get_running_loop())
        if lines is None or channel >= len(lines) or self._closed:
            return
        self._renewals += 1
        # Equal arguments would share the old connection.
        old, lines[channel] = lines[channel], Line(self._make(channel + self._renewals * self._count))
        old.retired = True
        self._retired.add(old)
        self._close_retired(old)

    def _close_retired(self, line: Line) -> None:
        if line.retired and not line.calls and line in self._retired:
            self._retired.remove(line)
            closing = asyncio.ensure_future(line.channel.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End the calls in flight, close this loop's channels and let go of the embedded server."""
        self._closed = True
        lines = [*self._sets.pop(asyncio.get_running_loop(), ()), *self._retired]
        self._sets.clear()
        self._retired.clear()
        await asyncio.gather(*(line.channel.close() for line in lines), *self._closing)
        lease, self._lease = self._lease, None
        if lease is not None:
            await asyncio.to_thread(lease.release)

    async def _open(self, method: str = "Connect") -> list[Line]:
        if self._closed:
            raise self._closed_error(method)
        loop = asyncio.get_running_loop()
        if self._endpoint.is_embedded and self._lease is None:
            await self._start_embedded()
        if not self._credentials_read:
            self._credentials = await asyncio.to_thread(channel_credentials, self._endpoint)
            self._credentials_read = True
        if self._closed:
            raise self._closed_error(method)
        if loop not in self._sets:
            for ended in [other for other in self._sets if other.is_closed()]:
                del self._sets[ended]
        lines = self._sets.setdefault(loop, [])
        lines += [Line(self._make(index)) for index in range(len(lines), self._count)]
        return lines

    async def _start_embedded(self) -> None:
        lease = await embedded.acquire_async(self._endpoint.path)
        if self._lease is None and not self._closed:
            self._lease = lease
        else:
            await asyncio.to_thread(lease.release)

    def _make(self, index: int) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._address(), options=self._options(index))
        return grpc.aio.secure_channel(self._address(), self._credentials, options=self._options(index))


class SyncTransport(_Transport):
    """The same on gRPC's blocking API; safe to call from several threads, and inside a coroutine of a running loop.

    Args:
        endpoint: Where to go.
        channels: How many connections to spread the calls over.
        create: Whether an embedded database that is not there is made.

    Raises:
        ConfigError: If a TLS file cannot be read, or the database is not there and not to be made.
    """

    def __init__(self, endpoint: Endpoint, *, channels: int = 1, create: bool = True) -> None:
        if not create:
            endpoint.check_exists()
        super().__init__(endpoint, channels=channels)
        self._credentials = channel_credentials(endpoint)
        self._lock = threading.Lock()
        self._open_channels: list[grpc.Channel] = []

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Reach the server and learn its version; see :meth:`AsyncTransport.connect`."""
        if self._info is not None:
            return
        self._open("Connect")
        self._info = drive_sync(self, handshake(self._endpoint, self._address()))

    def call(self, method: str, request: bytes, *, timeout: float | None, channel: int | None = None) -> bytes:
        """Send one request and return the answer's bytes; see :meth:`AsyncTransport.call`.

        Raises:
            RpcError: If the call ended with a gRPC status other than OK, also when :meth:`close` ended it.
        """
        channels = self._open(method)
        index = next(self._next) % self._count if channel is None else channel
        send: Callable[..., bytes] = channels[index].unary_unary(METHOD_PREFIX + method)
        try:
            return send(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            if self._closed:
                raise self._closed_error(method) from error
            raise self._rpc_error(method, error) from error
        except ValueError as error:
            # What gRPC raises where the channel was closed a moment ago.
            if self._closed:
                raise self._closed_error(method) from error
            raise

    def close(self) -> None:
        """End the calls in flight, close the channels and let go of the embedded server."""
        with self._lock:
            self._closed = True
            channels, self._open_channels = self._open_channels, []
            lease, self._lease = self._lease, None
        for channel in channels:
            channel.close()
        if lease is not None:
            lease.release()

    def _open(self, method: str) -> list[grpc.Channel]:
        with self._lock:
            if self._closed:
                raise self._closed_error(method)
            if self._endpoint.is_embedded and self._lease is None:
                self._lease = embedded.acquire(self._endpoint.path)
            if not self._open_channels:
                self._open_channels = [self._make(index) for index in range(self._count)]
            return self._open_channels

    def _make(self, index: int) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self._address(), options=self._options(index))
        return grpc.secure_channel(self._address(), self._credentials, options=self._options(index))
