"""Two thin clients with pymilvus's calls: each method is an operation of :mod:`headrace.client_calls`, driven.

:class:`MilvusClient` blocks and works anywhere, also inside a coroutine of a running loop;
:class:`AsyncMilvusClient` is awaited, and may be built where no loop runs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Sized
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from headrace import client_calls as calls
from headrace.arguments import explained
from headrace.calls import Operation, drive_async, drive_sync
from headrace.client_words import ClientWords
from headrace.config import Endpoint
from headrace.known import AsyncKnown, Known
from headrace.pages import AsyncPages, Pages, PagesOperation
from headrace.repeating import AsyncRepeating, Repeating
from headrace.transport import AsyncTransport, SyncTransport

__all__ = ["AsyncMilvusClient", "MilvusClient"]

P = ParamSpec("P")
S = TypeVar("S", bound=Sized)
T = TypeVar("T")


def _signed(method: Callable[..., Any], call: Callable[..., Any]) -> None:
    """Give a method its call's name, documentation and parameters, after ``self``."""
    signature = inspect.signature(call)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    functools.update_wrapper(method, call, assigned=("__name__", "__doc__"), updated=())
    # What update_wrapper leaves would be read as the signature of an unbound method without self.
    del method.__wrapped__  # type: ignore[attr-defined]
    method.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])  # type: ignore[attr-defined]


def _sync(call: Callable[P, Operation[T]]) -> Callable[Concatenate[MilvusClient, P], T]:
    begin = explained(call)

    def method(self: MilvusClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(begin(*args, **kwargs))

    _signed(method, call)
    return method


def _awaited(call: Callable[P, Operation[T]]) -> Callable[Concatenate[AsyncMilvusClient, P], Coroutine[Any, Any, T]]:
    begin = explained(call)

    async def method(self: AsyncMilvusClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(begin(*args, **kwargs))

    _signed(method, call)
    return method


def _sync_pages(call: Callable[P, Operation[PagesOperation[S]]]) -> Callable[Concatenate[MilvusClient, P], Pages[S]]:
    begin = explained(call)

    def method(self: MilvusClient, /, *args: P.args, **kwargs: P.kwargs) -> Pages[S]:
        return Pages(self.run, self.run(begin(*args, **kwargs)))

    _signed(method, call)
    return method


def _awaited_pages(
    call: Callable[P, Operation[PagesOperation[S]]],
) -> Callable[Concatenate[AsyncMilvusClient, P], Coroutine[Any, Any, AsyncPages[S]]]:
    begin = explained(call)

    async def method(self: AsyncMilvusClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncPages[S]:
        return AsyncPages(self.run, await self.run(begin(*args, **kwargs)))

    _signed(method, call)
    return method


class MilvusClient(ClientWords):
    """A client that blocks; safe to use from several threads. It connects when it is built.

    Raises:
        ConnectError: If nothing answers in time.
        MilvusException: If the server refuses the credentials.
    """

    def _begin(self, endpoint: Endpoint) -> SyncTransport:
        transport = SyncTransport(endpoint)
        try:
            transport.connect()
        except BaseException:
            transport.close()
            raise
        self._known = Known(endpoint.uri, lambda: transport.endpoint.db_name)
        self._transport: SyncTransport = transport
        self._calls = Repeating(transport)
        return transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, operation: Operation[T]) -> T:
        """Drive an operation of :mod:`headrace.operations` over this client's connection."""
        return drive_sync(self._calls, operation, memory=self._known)

    def close(self) -> None:
        """End the calls in flight and close the connection."""
        self._known.close()
        self._transport.close()
        self._calls.close()

    def use_database(self, db_name: str, timeout: float | None = None) -> None:
        """Make all later calls of this client go to another database.

        Raises:
            MilvusException: Code 800 where there is none.
        """
        self.run(calls.describe_database(db_name, timeout))
        self._transport.turn_to(db_name=db_name)

    using_database = use_database

    def update_password(  # noqa: PLR0917 - pymilvus's order
        self,
        user_name: str,
        old_password: str,
        new_password: str,
        reset_connection: bool = False,
        timeout: float | None = None,
        description: str | None = None,
    ) -> None:
        """Change a user's password; ``reset_connection`` makes this client go on as that user."""
        self.run(calls.update_password(user_name, old_password, new_password, timeout, description))
        if reset_connection:
            self._transport.turn_to(token=f"{user_name}:{new_password}")

    add_collection_field = _sync(calls.add_collection_field)
    alter_alias = _sync(calls.alter_alias)
    alter_collection_field = _sync(calls.alter_collection_field)
    alter_collection_properties = _sync(calls.alter_collection_properties)
    alter_database_properties = _sync(calls.alter_database_properties)
    alter_index_properties = _sync(calls.alter_index_properties)
    compact = _sync(calls.compact)
    create_alias = _sync(calls.create_alias)
    create_collection = _sync(calls.create_collection)
    create_database = _sync(calls.create_database)
    create_index = _sync(calls.create_index)
    create_partition = _sync(calls.create_partition)
    create_role = _sync(calls.create_role)
    create_user = _sync(calls.create_user)
    delete = _sync(calls.delete)
    describe_alias = _sync(calls.describe_alias)
    describe_collection = _sync(calls.describe_collection)
    describe_database = _sync(calls.describe_database)
    describe_index = _sync(calls.describe_index)
    describe_role = _sync(calls.describe_role)
    describe_user = _sync(calls.describe_user)
    drop_alias = _sync(calls.drop_alias)
    drop_collection = _sync(calls.drop_collection)
    drop_collection_properties = _sync(calls.drop_collection_properties)
    drop_database = _sync(calls.drop_database)
    drop_database_properties = _sync(calls.drop_database_properties)
    drop_index = _sync(calls.drop_index)
    drop_index_properties = _sync(calls.drop_index_properties)
    drop_partition = _sync(calls.drop_partition)
    drop_role = _sync(calls.drop_role)
    drop_user = _sync(calls.drop_user)
    flush = _sync(calls.flush)
    get = _sync(calls.get)
    get_collection_stats = _sync(calls.get_collection_stats)
    get_compaction_state = _sync(calls.get_compaction_state)
    get_load_state = _sync(calls.get_load_state)
    get_partition_stats = _sync(calls.get_partition_stats)
    get_server_version = _sync(calls.get_server_version)
    grant_privilege = _sync(calls.grant_privilege)
    grant_privilege_v2 = _sync(calls.grant_privilege_v2)
    grant_role = _sync(calls.grant_role)
    has_collection = _sync(calls.has_collection)
    has_partition = _sync(calls.has_partition)
    hybrid_search = _sync(calls.hybrid_search)
    insert = _sync(calls.insert)
    list_aliases = _sync(calls.list_aliases)
    list_collections = _sync(calls.list_collections)
    list_databases = _sync(calls.list_databases)
    list_indexes = _sync(calls.list_indexes)
    list_partitions = _sync(calls.list_partitions)
    list_roles = _sync(calls.list_roles)
    list_users = _sync(calls.list_users)
    load_collection = _sync(calls.load_collection)
    load_partitions = _sync(calls.load_partitions)
    query = _sync(calls.query)
    query_iterator = _sync_pages(calls.query_iterator)
    refresh_load = _sync(calls.refresh_load)
    release_collection = _sync(calls.release_collection)
    release_partitions = _sync(calls.release_partitions)
    rename_collection = _sync(calls.rename_collection)
    revoke_privilege = _sync(calls.revoke_privilege)
    revoke_privilege_v2 = _sync(calls.revoke_privilege_v2)
    revoke_role = _sync(calls.revoke_role)
    search = _sync(calls.search)
    search_iterator = _sync_pages(calls.search_iterator)
    truncate_collection = _sync(calls.truncate_collection)
    upsert = _sync(calls.upsert)


class AsyncMilvusClient(ClientWords):
    """A client to be awaited; it may be built where no loop runs.

    Its first call connects, in the loop that makes it.
    """

    def _begin(self, endpoint: Endpoint) -> AsyncTransport:
        self._transport: AsyncTransport = AsyncTransport(endpoint, channels=1)
        self._calls = AsyncRepeating(self._transport)
        self._known = AsyncKnown(endpoint.uri, lambda: self._transport.endpoint.db_name)
        return self._transport

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
        return await drive_async(self._calls, operation, memory=self._known)

    async def close(self) -> None:
        """End the calls in flight and close the connection."""
        self._known.close()
        self._calls.close()
        await self._transport.close()

    async def use_database(self, db_name: str, timeout: float | None = None) -> None:
        """Make all later calls of this client go to another database.

        Raises:
            MilvusException: Code 800 where there is none.
        """
        await self.run(calls.describe_database(db_name, timeout))
        self._transport.turn_to(db_name=db_name)

    using_database = use_database

    async def update_password(  # noqa: PLR0917 - pymilvus's order
        self,
        user_name: str,
        old_password: str,
        new_password: str,
        reset_connection: bool = False,
        timeout: float | None = None,
        description: str | None = None,
    ) -> None:
        """Change a user's password; ``reset_connection`` makes this client go on as that user."""
        await self.run(calls.update_password(user_name, old_password, new_password, timeout, description))
        if reset_connection:
            self._transport.turn_to(token=f"{user_name}:{new_password}")

    add_collection_field = _awaited(calls.add_collection_field)
    alter_alias = _awaited(calls.alter_alias)
    alter_collection_field = _awaited(calls.alter_collection_field)
    alter_collection_properties = _awaited(calls.alter_collection_properties)
    alter_database_properties = _awaited(calls.alter_database_properties)
    alter_index_properties = _awaited(calls.alter_index_properties)
    compact = _awaited(calls.compact)
    create_alias = _awaited(calls.create_alias)
    create_collection = _awaited(calls.create_collection)
    create_database = _awaited(calls.create_database)
    create_index = _awaited(calls.create_index)
    create_partition = _awaited(calls.create_partition)
    create_role = _awaited(calls.create_role)
    create_user = _awaited(calls.create_user)
    delete = _awaited(calls.delete)
    describe_alias = _awaited(calls.describe_alias)
    describe_collection = _awaited(calls.describe_collection)
    describe_database = _awaited(calls.describe_database)
    describe_index = _awaited(calls.describe_index)
    describe_role = _awaited(calls.describe_role)
    describe_user = _awaited(calls.describe_user)
    drop_alias = _awaited(calls.drop_alias)
    drop_collection = _awaited(calls.drop_collection)
    drop_collection_properties = _awaited(calls.drop_collection_properties)
    drop_database = _awaited(calls.drop_database)
    drop_database_properties = _awaited(calls.drop_database_properties)
    drop_index = _awaited(calls.drop_index)
    drop_index_properties = _awaited(calls.drop_index_properties)
    drop_partition = _awaited(calls.drop_partition)
    drop_role = _awaited(calls.drop_role)
    drop_user = _awaited(calls.drop_user)
    flush = _awaited(calls.flush)
    get = _awaited(calls.get)
    get_collection_stats = _awaited(calls.get_collection_stats)
    get_compaction_state = _awaited(calls.get_compaction_state)
    get_load_state = _awaited(calls.get_load_state)
    get_partition_stats = _awaited(calls.get_partition_stats)
    get_server_version = _awaited(calls.get_server_version)
    grant_privilege = _awaited(calls.grant_privilege)
    grant_privilege_v2 = _awaited(calls.grant_privilege_v2)
    grant_role = _awaited(calls.grant_role)
    has_collection = _awaited(calls.has_collection)
    has_partition = _awaited(calls.has_partition)
    hybrid_search = _awaited(calls.hybrid_search)
    insert = _awaited(calls.insert)
    list_aliases = _awaited(calls.list_aliases)
    list_collections = _awaited(calls.list_collections)
    list_databases = _awaited(calls.list_databases)
    list_indexes = _awaited(calls.list_indexes)
    list_partitions = _awaited(calls.list_partitions)
    list_roles = _awaited(calls.list_roles)
    list_users = _awaited(calls.list_users)
    load_collection = _awaited(calls.load_collection)
    load_partitions = _awaited(calls.load_partitions)
    query = _awaited(calls.query)
    query_iterator = _awaited_pages(calls.query_iterator)
    refresh_load = _awaited(calls.refresh_load)
    release_collection = _awaited(calls.release_collection)
    release_partitions = _awaited(calls.release_partitions)
    rename_collection = _awaited(calls.rename_collection)
    revoke_privilege = _awaited(calls.revoke_privilege)
    revoke_privilege_v2 = _awaited(calls.revoke_privilege_v2)
    revoke_role = _awaited(calls.revoke_role)
    search = _awaited(calls.search)
    search_iterator = _awaited_pages(calls.search_iterator)
    truncate_collection = _awaited(calls.truncate_collection)
    upsert = _awaited(calls.upsert)
