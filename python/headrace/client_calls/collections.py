"""Collections: their life, their description, whether they are in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.client_calls.base import Level, described, level_of, rpc_timeout
from headrace.client_calls.indexes import create_index
from headrace.operations import LoadState
from headrace.schema import CollectionSchema, FieldSchema, IndexParam

__all__ = [
    "create_collection",
    "describe_collection",
    "drop_collection",
    "flush",
    "get_load_state",
    "has_collection",
    "list_collections",
    "load_collection",
]


def create_collection(
    collection_name: str,
    *,
    schema: CollectionSchema,
    index_params: Sequence[IndexParam] | None = None,
    consistency_level: Level = None,
    num_shards: int | None = None,
    num_partitions: int | None = None,
    properties: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Operation[None]:
    """Create a collection; with ``index_params`` it is also indexed and loaded, ready to be searched."""
    deadline = rpc_timeout(timeout)
    yield from ops.create_collection(
        collection_name,
        schema,
        num_shards=num_shards,
        num_partitions=num_partitions,
        consistency_level=level_of(consistency_level),
        properties=properties,
        timeout=deadline,
    )
    if index_params:
        yield from create_index(collection_name, index_params, timeout=timeout)
        yield from load_collection(collection_name, timeout=timeout)


def has_collection(collection_name: str, timeout: float | None = None) -> Operation[bool]:
    """Whether there is a collection or alias of that name."""
    return (yield from ops.has_collection(collection_name, timeout=rpc_timeout(timeout)))


def list_collections(timeout: float | None = None) -> Operation[list[str]]:
    """The names of the database's collections."""
    return (yield from ops.list_collections(timeout=rpc_timeout(timeout)))


def describe_collection(collection_name: str, timeout: float | None = None) -> Operation[dict[str, Any]]:
    """What the server knows of a collection.

    :raises MilvusException: code 100 where there is none.
    """
    info = yield from described(collection_name, timeout)
    return {
        "collection_name": info.name,
        "auto_id": info.schema.auto_id,
        "num_shards": info.shards_num,
        "description": info.schema.description,
        "fields": [_field_dict(item) for item in info.schema.fields],
        "aliases": list(info.aliases),
        "collection_id": info.collection_id,
        "consistency_level": int(info.consistency_level),
        "properties": dict(info.properties),
        "num_partitions": info.num_partitions,
        "enable_dynamic_field": info.schema.enable_dynamic_field,
        "created_timestamp": info.created_timestamp,
        "update_timestamp": info.update_timestamp,
    }


def _field_dict(item: FieldSchema) -> dict[str, Any]:
    params = {
        key: getattr(item, key) for key in ("dim", "max_length", "max_capacity") if getattr(item, key) is not None
    }
    shown: dict[str, Any] = {
        "name": item.name,
        "description": item.description,
        "type": item.dtype,
        "params": params | dict(item.type_params),
    }
    flags = ("auto_id", "is_primary", "is_partition_key", "nullable", "is_dynamic", "is_function_output")
    shown |= {key: True for key in flags if getattr(item, key)}
    if item.element_type is not None:
        shown["element_type"] = item.element_type
    if item.default_value is not None:
        shown["default_value"] = item.default_value
    return shown


def drop_collection(collection_name: str, timeout: float | None = None) -> Operation[None]:
    """Drop a collection; one that does not exist is no error."""
    yield from ops.drop_collection(collection_name, timeout=rpc_timeout(timeout))


def load_collection(collection_name: str, timeout: float | None = None) -> Operation[None]:
    """Load a collection into memory and wait until it is there, at most ``timeout`` seconds where given."""
    if timeout is None:
        yield from ops.load_collection(collection_name)
    else:
        yield from ops.load_collection(collection_name, timeout=timeout)


def get_load_state(collection_name: str, timeout: float | None = None) -> Operation[dict[str, LoadState]]:
    """Whether a collection is in memory: ``{'state': <LoadState: Loaded>}``."""
    return {"state": (yield from ops.get_load_state(collection_name, timeout=rpc_timeout(timeout)))}


def flush(collection_name: str, timeout: float | None = None) -> Operation[None]:
    """Seal what was written so far; acknowledged writes are durable without it."""
    yield from ops.flush(collection_name, timeout=rpc_timeout(timeout))
