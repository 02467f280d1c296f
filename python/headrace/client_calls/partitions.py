"""Partitions: parts of a collection that are loaded, searched and dropped by themselves."""

from __future__ import annotations

from headrace import operations as ops
from headrace._proto import admin_pb2, common_pb2, milvus_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import name_of
from headrace.operations.base import ask
from headrace.protocol import mapping

__all__ = ["create_partition", "drop_partition", "get_partition_stats", "has_partition", "list_partitions"]


def _named(collection_name: str, partition_name: str) -> admin_pb2.PartitionRequest:
    return admin_pb2.PartitionRequest(
        collection_name=name_of("collection_name", collection_name),
        partition_name=name_of("partition_name", partition_name),
    )


def create_partition(collection_name: str, partition_name: str, timeout: float | None = None) -> Operation[None]:
    """Create a partition; one that exists is no error."""
    names = name_of("collection_name", collection_name), name_of("partition_name", partition_name)
    yield from ops.create_partition(*names, timeout=rpc_timeout(timeout))


def drop_partition(collection_name: str, partition_name: str, timeout: float | None = None) -> Operation[None]:
    """Drop a partition and its rows; it has to be released first where the collection is loaded."""
    request = _named(collection_name, partition_name)
    yield from ask("DropPartition", request, common_pb2.Status, rpc_timeout(timeout))


def has_partition(collection_name: str, partition_name: str, timeout: float | None = None) -> Operation[bool]:
    """Whether a collection has a partition of that name."""
    request = _named(collection_name, partition_name)
    answer = yield from ask("HasPartition", request, milvus_pb2.BoolResponse, rpc_timeout(timeout))
    return bool(answer.value)


def list_partitions(collection_name: str, timeout: float | None = None) -> Operation[list[str]]:
    """The names of a collection's partitions, in the server's order."""
    name = name_of("collection_name", collection_name)
    return (yield from ops.list_partitions(name, timeout=rpc_timeout(timeout)))


def get_partition_stats(
    collection_name: str, partition_name: str, timeout: float | None = None
) -> Operation[dict[str, int | str]]:
    """The server's statistics of a partition: ``row_count``, of sealed rows, deletions not counted."""
    request = admin_pb2.GetPartitionStatisticsRequest(
        collection_name=name_of("collection_name", collection_name),
        partition_name=name_of("partition_name", partition_name),
    )
    answer = yield from ask("GetPartitionStatistics", request, admin_pb2.StatisticsResponse, rpc_timeout(timeout))
    return {key: int(value) if key == "row_count" else value for key, value in mapping(answer.stats).items()}
