"""Two thin clients with pymilvus's calls: each method is an operation of :mod:`headrace.client_calls`, driven.

:class:`MilvusClient` blocks and works anywhere, also inside a coroutine of a running loop;
:class:`AsyncMilvusClient` is awaited, and may be built where no loop runs.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from headrace import client_calls as calls
from headrace.calls import Operation, drive_async, drive_sync
from headrace.config import Endpoint
from headrace.transport import AsyncTransport, SyncTransport

__all__ = ["AsyncMilvusClient", "MilvusClient"]

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds to establish the connection where the caller says nothing.
CONNECT_TIMEOUT = 10.0


def _signed(method: Callable[..., Any], call: Callable[..., Any]) -> None:
    """Give a method its call's name, documentation and parameters, after ``self``."""
    signature = inspect.signature(call)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    functools.update_wrapper(method, call, assigned=("__name__", "__doc__"), updated=())
    # What update_wrapper leaves would be read as the signature of an unbound method without self.
    del method.__wrapped__  # type: ignore[attr-defined]
    method.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])  # type: ignore[attr-defined]


def _sync(call: Callable[P, Operation[T]]) -> Callable[Concatenate[MilvusClient, P], T]:
    def method(self: MilvusClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(call(*args, **kwargs))

    _signed(method, call)
    return method


def _awaited(call: Callable[P, Operation[T]]) -> Callable[Concatenate[AsyncMilvusClient, P], Coroutine[Any, Any, T]]:
    async def method(self: AsyncMilvusClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(call(*args, **kwargs))

    _signed(method, call)
    return method


def _endpoint(  # noqa: PLR0917 - pymilvus's order
    uri: str | os.PathLike[str] | None, user: str, password: str, db_name: str, token: str, timeout: float | None
) -> Endpoint:
    return Endpoint.resolve(
        uri,
        token=token or None,
        user=user or None,
        password=password or None,
        db_name=db_name or None,
        timeout=CONNECT_TIMEOUT if timeout is None else timeout,
    )


class MilvusClient:
    """A client that blocks; safe to use from several threads.

    Args:
        uri: ``http://host:port``, ``https://host:port`` or a path that ends in ``.db`` (embedded); None for
            ``MILVUS_URI``, else ``http://localhost:19530``.
        user: The user, with ``password``; instead of a token.
        password: The user's password.
        db_name: The database; empty for ``MILVUS_DB``, else the server's default.
        token: ``user:password`` or an API key; empty for ``MILVUS_TOKEN``, else none.
        timeout: Seconds to establish the connection, and nothing else; None for 10.

    :raises ConnectError: if nothing answers in time.
    :raises MilvusException: if the server refuses the credentials.
    """

    def __init__(  # noqa: PLR0917 - pymilvus's order
        self,
        uri: str | os.PathLike[str] | None = None,
        user: str = "",
        password: str = "",
        db_name: str = "",
        token: str = "",
        timeout: float | None = None,
    ) -> None:
        self._connect(_endpoint(uri, user, password, db_name, token, timeout))

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """A client of an endpoint, with whatever TLS it has; errors as of the class."""
        client = cls.__new__(cls)
        client._connect(endpoint)  # noqa: SLF001 - its own, beside __init__
        return client

    def _connect(self, endpoint: Endpoint) -> None:
        self._transport = SyncTransport(endpoint)
        try:
            self._transport.connect()
        except BaseException:
            self._transport.close()
            raise

    def __repr__(self) -> str:
        return f"MilvusClient({self._transport.endpoint.uri!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, operation: Operation[T]) -> T:
        """Drive an operation of :mod:`headrace.operations` over this client's connection."""
        return drive_sync(self._transport, operation)

    def close(self) -> None:
        """End the calls in flight and close the connection."""
        self._transport.close()

    create_collection = _sync(calls.create_collection)
    create_index = _sync(calls.create_index)
    delete = _sync(calls.delete)
    describe_collection = _sync(calls.describe_collection)
    describe_index = _sync(calls.describe_index)
    drop_collection = _sync(calls.drop_collection)
    flush = _sync(calls.flush)
    get = _sync(calls.get)
    get_load_state = _sync(calls.get_load_state)
    get_server_version = _sync(calls.get_server_version)
    has_collection = _sync(calls.has_collection)
    hybrid_search = _sync(calls.hybrid_search)
    list_collections = _sync(calls.list_collections)
    list_indexes = _sync(calls.list_indexes)
    load_collection = _sync(calls.load_collection)
    query = _sync(calls.query)
    search = _sync(calls.search)


class AsyncMilvusClient:
    """A client to be awaited; the first call connects, in the loop that makes it.

    Args:
        uri: As :class:`MilvusClient` takes it.
        user: The user, with ``password``; instead of a token.
        password: The user's password.
        db_name: The database.
        token: ``user:password`` or an API key.
        timeout: Seconds to establish the connection, and nothing else; None for 10.
    """

    def __init__(  # noqa: PLR0917 - pymilvus's order
        self,
        uri: str | os.PathLike[str] | None = None,
        user: str = "",
        password: str = "",
        db_name: str = "",
        token: str = "",
        timeout: float | None = None,
    ) -> None:
        self._transport = AsyncTransport(_endpoint(uri, user, password, db_name, token, timeout), channels=1)

    def __repr__(self) -> str:
        return f"AsyncMilvusClient({self._transport.endpoint.uri!r})"

    async def __aenter__(self) -> Self:
        await self._transport.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def run(self, operation: Operation[T]) -> T:
        """Drive an operation of :mod:`headrace.operations` over this client's connection."""
        await self._transport.connect()
        return await drive_async(self._transport, operation)

    async def close(self) -> None:
        """End the calls in flight and close the connection."""
        await self._transport.close()

    create_collection = _awaited(calls.create_collection)
    create_index = _awaited(calls.create_index)
    delete = _awaited(calls.delete)
    describe_collection = _awaited(calls.describe_collection)
    describe_index = _awaited(calls.describe_index)
    drop_collection = _awaited(calls.drop_collection)
    flush = _awaited(calls.flush)
    get = _awaited(calls.get)
    get_load_state = _awaited(calls.get_load_state)
    get_server_version = _awaited(calls.get_server_version)
    has_collection = _awaited(calls.has_collection)
    hybrid_search = _awaited(calls.hybrid_search)
    list_collections = _awaited(calls.list_collections)
    list_indexes = _awaited(calls.list_indexes)
    load_collection = _awaited(calls.load_collection)
    query = _awaited(calls.query)
    search = _awaited(calls.search)
