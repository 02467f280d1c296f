"""Collections: describe, create, drop, list, flush."""

from __future__ import annotations

from collections.abc import Mapping

from headrace._proto import common_pb2, milvus_pb2
from headrace.calls import Operation, Rpc
from headrace.collection_messages import CollectionInfo, collection_info, schema_to_proto
from headrace.operations.base import DEFAULT_TIMEOUT, ask
from headrace.protocol import is_missing_collection, property_pairs, status_error
from headrace.schema import CollectionSchema, ConsistencyLevel, check_name

__all__ = [
    "create_collection",
    "describe_collection",
    "drop_collection",
    "flush",
    "has_collection",
    "list_collections",
]


def _describe(name: str, timeout: float | None) -> Operation[milvus_pb2.DescribeCollectionResponse | None]:
    request = milvus_pb2.DescribeCollectionRequest(collection_name=name)
    answer = yield Rpc("DescribeCollection", request, milvus_pb2.DescribeCollectionResponse, timeout)
    if is_missing_collection(answer.status):
        return None
    if refusal := status_error(answer.status, "DescribeCollection"):
        raise refusal
    found: milvus_pb2.DescribeCollectionResponse = answer
    return found


def describe_collection(name: str, *, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[CollectionInfo | None]:
    """What the server knows of a collection, by name or alias; None where there is none.

    Raises:
        SchemaError: If it has struct array fields, which headrace cannot write.
    """
    answer = yield from _describe(name, timeout)
    return None if answer is None else collection_info(answer)


def has_collection(name: str, *, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[bool]:
    """Whether there is a collection or alias of that name."""
    # Asked by DescribeCollection, as pymilvus does: HasCollection does not know aliases everywhere.
    return (yield from _describe(name, timeout)) is not None


def list_collections(*, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[list[str]]:
    """The names of the database's collections, in the server's order."""
    request = milvus_pb2.ShowCollectionsRequest()
    answer = yield from ask("ShowCollections", request, milvus_pb2.ShowCollectionsResponse, timeout)
    return list(answer.collection_names)


def create_collection(
    name: str,
    schema: CollectionSchema,
    *,
    num_shards: int | None = None,
    num_partitions: int | None = None,
    consistency_level: ConsistencyLevel | None = None,
    properties: Mapping[str, str] | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Operation[None]:
    """Create a collection, without indexes.

    Args:
        name: Its name.
        schema: Its fields.
        num_shards: How many shards its writes are spread over; None for the server's default.
        num_partitions: How many partitions a partition key is spread over; None for the server's default.
        consistency_level: What reads wait for by default; None for BOUNDED, as pymilvus has it.
        properties: Collection properties.
        timeout: Seconds for the call.

    Raises:
        SchemaError: If the name or a default value cannot be used.
    """
    check_name("collection", name)
    level = ConsistencyLevel.BOUNDED if consistency_level is None else consistency_level
    request = milvus_pb2.CreateCollectionRequest(
        collection_name=name,
        schema=schema_to_proto(schema, name).SerializeToString(),
        shards_num=num_shards or 0,
        num_partitions=num_partitions or 0,
        # The wire's default is STRONG, so the level is always said.
        consistency_level=int(level),
        properties=property_pairs(properties or {}),
    )
    yield from ask("CreateCollection", request, common_pb2.Status, timeout)


def drop_collection(name: str, *, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[None]:
    """Drop a collection; one that does not exist is no error, on real servers and here."""
    request = milvus_pb2.DropCollectionRequest(collection_name=name)
    answer = yield Rpc("DropCollection", request, common_pb2.Status, timeout)
    if not is_missing_collection(answer) and (refusal := status_error(answer, "DropCollection")):
        raise refusal


def flush(name: str, *, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[None]:
    """Seal what was written so far. An acknowledged write is durable without it; servers allow one in ten seconds."""
    request = milvus_pb2.FlushRequest(collection_names=[name])
    yield from ask("Flush", request, milvus_pb2.FlushResponse, timeout)
