"""Partitions of a collection."""

from __future__ import annotations

from headrace._proto import admin_pb2, common_pb2
from headrace.calls import Operation
from headrace.operations.base import DEFAULT_TIMEOUT, ask

__all__ = ["create_partition", "list_partitions"]


def create_partition(name: str, partition: str, *, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[None]:
    """Create a partition of the collection ``name``; one that exists is no error."""
    request = admin_pb2.PartitionRequest(collection_name=name, partition_name=partition)
    yield from ask("CreatePartition", request, common_pb2.Status, timeout)


def list_partitions(name: str, *, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[list[str]]:
    """The names of the partitions of the collection ``name``, in the server's order."""
    request = admin_pb2.ShowPartitionsRequest(collection_name=name)
    answer = yield from ask("ShowPartitions", request, admin_pb2.ShowPartitionsResponse, timeout)
    return list(answer.partition_names)
