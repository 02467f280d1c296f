"""Collections and partitions in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace import operations as ops
from headrace._proto import admin_pb2, common_pb2, milvus_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import flag, name_of, names_of, number, seconds
from headrace.operations import LoadState
from headrace.operations.base import ask

__all__ = [
    "get_load_state",
    "load_collection",
    "load_partitions",
    "refresh_load",
    "release_collection",
    "release_partitions",
]


def load_collection(
    collection_name: str,
    timeout: float | None = None,
    *,
    replica_number: int = 1,
    resource_groups: Sequence[str] = (),
    load_fields: Sequence[str] = (),
    skip_load_dynamic_field: bool = False,
    refresh: bool = False,
) -> Operation[None]:
    """Load a collection into memory and wait until it is there.

    Args:
        collection_name: The collection, which needs an index on every vector field.
        timeout: Seconds until it must be there; None waits without end.
        replica_number: How many copies are held in memory.
        resource_groups: Which groups of query nodes hold them.
        load_fields: Only these fields (Milvus 2.5); empty for all.
        skip_load_dynamic_field: Leave the dynamic field out (Milvus 2.5).
        refresh: Load what was imported since it was loaded.

    Raises:
        MilvusException: If the server refuses (code 700 without an index).
        TransportError: If it was not there in time; the server goes on loading it.
    """
    name, limit = name_of("collection_name", collection_name), seconds(timeout)
    request = milvus_pb2.LoadCollectionRequest(
        collection_name=name,
        replica_number=number("replica_number", replica_number),
        resource_groups=resource_groups and names_of("resource_groups", resource_groups),
        load_fields=load_fields and names_of("load_fields", load_fields),
        skip_load_dynamic_field=flag("skip_load_dynamic_field", skip_load_dynamic_field),
        refresh=flag("refresh", refresh),
    )
    # Milvus Lite loads, and builds its indexes, before it answers.
    yield from ask("LoadCollection", request, common_pb2.Status, limit)
    yield from _wait(name, [], refresh=refresh, timeout=limit)


def refresh_load(
    collection_name: str, timeout: float | None = None, *, partition_names: str | Sequence[str] | None = None
) -> Operation[None]:
    """Load what was imported since the collection, or partitions of it, were loaded, and wait until it is there."""
    if partition_names:
        yield from load_partitions(collection_name, partition_names, timeout, refresh=True)
    else:
        yield from load_collection(collection_name, timeout, refresh=True)


def load_partitions(
    collection_name: str,
    partition_names: str | Sequence[str],
    timeout: float | None = None,
    *,
    replica_number: int = 1,
    resource_groups: Sequence[str] = (),
    load_fields: Sequence[str] = (),
    skip_load_dynamic_field: bool = False,
    refresh: bool = False,
) -> Operation[None]:
    """Load partitions into memory and wait until they are there; see :func:`load_collection`."""
    name, limit = name_of("collection_name", collection_name), seconds(timeout)
    partitions = names_of("partition_names", partition_names)
    request = admin_pb2.LoadPartitionsRequest(
        collection_name=name,
        partition_names=partitions,
        replica_number=number("replica_number", replica_number),
        resource_groups=resource_groups and names_of("resource_groups", resource_groups),
        load_fields=load_fields and names_of("load_fields", load_fields),
        skip_load_dynamic_field=flag("skip_load_dynamic_field", skip_load_dynamic_field),
        refresh=flag("refresh", refresh),
    )
    yield from ask("LoadPartitions", request, common_pb2.Status, limit)
    yield from _wait(name, partitions, refresh=refresh, timeout=limit)


def _wait(name: str, partitions: list[str], *, refresh: bool, timeout: float | None) -> Operation[None]:
    yield from ops.wait_until_loaded(name, partitions, timeout=timeout)
    if refresh:
        yield from ops.wait_until_refreshed(name, partitions, timeout=timeout)


def release_collection(collection_name: str, timeout: float | None = None) -> Operation[None]:
    """Let a collection go from memory; its rows stay stored."""
    yield from ops.release_collection(name_of("collection_name", collection_name), timeout=rpc_timeout(timeout))


def release_partitions(
    collection_name: str, partition_names: str | Sequence[str], timeout: float | None = None
) -> Operation[None]:
    """Let partitions go from memory; their rows stay stored."""
    request = admin_pb2.ReleasePartitionsRequest(
        collection_name=name_of("collection_name", collection_name),
        partition_names=names_of("partition_names", partition_names),
    )
    yield from ask("ReleasePartitions", request, common_pb2.Status, rpc_timeout(timeout))


def get_load_state(
    collection_name: str,
    partition_name: str | Sequence[str] = "",
    timeout: float | None = None,
    *,
    partition_names: Sequence[str] | None = None,
) -> Operation[dict[str, Any]]:
    """Whether a collection is in memory: ``{'state': <LoadState: Loaded>}``, with ``progress`` while it is loading.

    Args:
        collection_name: The collection.
        partition_name: A partition of it, or several; empty for all of it.
        timeout: Seconds for each call.
        partition_names: The same, as pymilvus's awaited client calls it.
    """
    name = name_of("collection_name", collection_name)
    wanted = partition_names if partition_names is not None else partition_name
    partitions = names_of("partition_name", wanted) if wanted else []
    state = yield from ops.get_load_state(name, partitions, timeout=rpc_timeout(timeout))
    if state is not LoadState.Loading:
        return {"state": state}
    request = admin_pb2.GetLoadingProgressRequest(collection_name=name, partition_names=partitions)
    answer = yield from ask("GetLoadingProgress", request, admin_pb2.GetLoadingProgressResponse, rpc_timeout(timeout))
    return {"state": state, "progress": answer.progress}
