"""Collections and partitions in memory: load, release, and how far that is."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from headrace._proto import admin_pb2, common_pb2, milvus_pb2
from headrace.calls import Operation, Rpc
from headrace.errors import MilvusException, RpcError
from headrace.operations.base import DEFAULT_TIMEOUT, ask, until
from headrace.operations.server import get_server_version
from headrace.protocol import is_missing_collection, status_error

__all__ = [
    "LoadState",
    "get_load_state",
    "is_loaded",
    "load_collection",
    "release_collection",
    "wait_until_loaded",
    "wait_until_refreshed",
]

#: What Milvus Lite 3's version text holds.
LITE = "milvus_lite"
#: Seconds to wait until a collection is in memory, where the caller says nothing.
LOAD_TIMEOUT = 600.0
#: Per cent.
_ALL = 100


class LoadState(IntEnum):
    """Whether a collection is in memory; names and numbers are Milvus's."""

    NotExist = 0
    NotLoad = 1
    Loading = 2
    Loaded = 3

    def __repr__(self) -> str:
        return f"<LoadState: {self.name}>"

    def __str__(self) -> str:
        return self.name


def get_load_state(
    name: str, partition_names: Sequence[str] = (), *, timeout: float | None = DEFAULT_TIMEOUT
) -> Operation[LoadState]:
    """Whether a collection, or partitions of it, is in memory; NotExist where there is none."""
    request = milvus_pb2.GetLoadStateRequest(collection_name=name, partition_names=partition_names)
    answer = yield Rpc("GetLoadState", request, milvus_pb2.GetLoadStateResponse, timeout)
    if is_missing_collection(answer.status):
        return LoadState.NotExist
    if refusal := status_error(answer.status, "GetLoadState"):
        raise refusal
    return LoadState(answer.state)


def is_loaded(name: str, *, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[bool]:
    """Whether a collection can be searched now."""
    return (yield from get_load_state(name, timeout=timeout)) is LoadState.Loaded


def load_collection(name: str, *, timeout: float | None = LOAD_TIMEOUT) -> Operation[None]:
    """Load a collection into memory and wait until it is there.

    Args:
        name: The collection, which needs an index on every vector field.
        timeout: Seconds until it must be there, counted by the pauses between looks; None waits without end.

    Raises:
        MilvusException: If the server refuses (code 700 without an index).
        TransportError: If it was not there in time; the server goes on loading it.
    """
    request = milvus_pb2.LoadCollectionRequest(collection_name=name, replica_number=1)
    # Milvus Lite loads, and builds its indexes, before it answers.
    yield from ask("LoadCollection", request, common_pb2.Status, timeout)
    yield from wait_until_loaded(name, timeout=timeout)


def wait_until_loaded(
    name: str, partition_names: Sequence[str] = (), *, timeout: float | None = LOAD_TIMEOUT
) -> Operation[None]:
    """Wait until a collection, or partitions of it, is in memory.

    Raises:
        MilvusException: Code 100 if it was dropped meanwhile.
        TransportError: If it was not there in time; the server goes on loading it.
    """

    def look() -> Operation[str | None]:
        state = yield from get_load_state(name, partition_names)
        if state is LoadState.NotExist:
            raise MilvusException(
                f"collection {name!r} was dropped while it was loaded", code=100, method="GetLoadState"
            )
        return None if state is LoadState.Loaded else f"state {state.name}"

    remedy = "wait longer, or check the memory of the server's query nodes"
    yield from until(look, where=f"collection {name!r}", expected="in memory", remedy=remedy, timeout=timeout)


def wait_until_refreshed(
    name: str, partition_names: Sequence[str] = (), *, timeout: float | None = LOAD_TIMEOUT
) -> Operation[None]:
    """Wait until what a refresh finds is in memory too. Milvus Lite tells no progress, and has nothing to wait for.

    Raises:
        TransportError: If it was not there in time; the server goes on loading it.
    """
    try:
        version = yield from get_server_version()
    except RpcError as error:
        if error.status != "UNIMPLEMENTED":
            raise
        # Milvus Lite 2.5 tells no version either.
        return
    if LITE in version:
        return
    request = admin_pb2.GetLoadingProgressRequest(collection_name=name, partition_names=partition_names)

    def look() -> Operation[str | None]:
        answer = yield from ask("GetLoadingProgress", request, admin_pb2.GetLoadingProgressResponse, DEFAULT_TIMEOUT)
        return None if answer.refresh_progress >= _ALL else f"{answer.refresh_progress} % of it"

    yield from until(look, where=f"collection {name!r}", expected="refreshed", remedy="wait longer", timeout=timeout)


def release_collection(name: str, *, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[None]:
    """Let a collection go from memory; its rows stay stored."""
    request = milvus_pb2.ReleaseCollectionRequest(collection_name=name)
    yield from ask("ReleaseCollection", request, common_pb2.Status, timeout)
