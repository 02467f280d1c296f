"""Every client method once, as an operation: what the two clients of :mod:`headrace.client` drive.

Names, parameters and results are pymilvus's. Parameters that pymilvus takes and that mean nothing here are not
taken: a wrong name is an error, not silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.errors import ConfigError, MilvusException, explain
from headrace.operations import AnnSearchRequest, Hit, LoadState, RRFRanker, WeightedRanker
from headrace.protocol import CollectionInfo
from headrace.rows import rows_of
from headrace.schema import CollectionSchema, ConsistencyLevel, FieldSchema, IndexParam

__all__: list[str] = []

Level = ConsistencyLevel | str | int | None
Keys = int | str | Sequence[int] | Sequence[str]


def _level(level: Level) -> ConsistencyLevel | None:
    if level is None:
        return None
    try:
        return ConsistencyLevel[level.upper()] if isinstance(level, str) else ConsistencyLevel(level)
    except (KeyError, ValueError):
        allowed = ", ".join(item.name.capitalize() for item in ConsistencyLevel)
        raise ConfigError(explain("consistency_level", f"one of {allowed}", repr(level), "choose one")) from None


def _rpc_timeout(timeout: float | None) -> float | None:
    return ops.DEFAULT_TIMEOUT if timeout is None else timeout


def _listed(keys: Keys) -> list[int] | list[str]:
    return [keys] if isinstance(keys, int | str) else list(keys)  # type: ignore[return-value]


def _described(name: str, timeout: float | None) -> Operation[CollectionInfo]:
    info = yield from ops.describe_collection(name, timeout=_rpc_timeout(timeout))
    if info is None:
        raise MilvusException(f"can't find collection {name!r}", code=100, method="DescribeCollection")
    return info


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
    deadline = _rpc_timeout(timeout)
    yield from ops.create_collection(
        collection_name,
        schema,
        num_shards=num_shards,
        num_partitions=num_partitions,
        consistency_level=_level(consistency_level),
        properties=properties,
        timeout=deadline,
    )
    if index_params:
        yield from create_index(collection_name, index_params, timeout=timeout)
        yield from load_collection(collection_name, timeout=timeout)


def has_collection(collection_name: str, timeout: float | None = None) -> Operation[bool]:
    """Whether there is a collection or alias of that name."""
    return (yield from ops.has_collection(collection_name, timeout=_rpc_timeout(timeout)))


def list_collections(timeout: float | None = None) -> Operation[list[str]]:
    """The names of the database's collections."""
    return (yield from ops.list_collections(timeout=_rpc_timeout(timeout)))


def describe_collection(collection_name: str, timeout: float | None = None) -> Operation[dict[str, Any]]:
    """What the server knows of a collection.

    :raises MilvusException: code 100 where there is none.
    """
    info = yield from _described(collection_name, timeout)
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
    yield from ops.drop_collection(collection_name, timeout=_rpc_timeout(timeout))


def create_index(
    collection_name: str, index_params: Sequence[IndexParam], timeout: float | None = None
) -> Operation[None]:
    """Define indexes. AUTOINDEX works for every field type on every server."""
    for param in index_params:
        yield from ops.create_index(collection_name, param, timeout=_rpc_timeout(timeout))


def list_indexes(collection_name: str, field_name: str = "", timeout: float | None = None) -> Operation[list[str]]:
    """The names of a collection's indexes, or of one field's."""
    found = yield from ops.describe_index(collection_name, field_name, timeout=_rpc_timeout(timeout))
    return [item.index_name for item in found]


def describe_index(
    collection_name: str, index_name: str, timeout: float | None = None
) -> Operation[dict[str, Any] | None]:
    """One index by name; None where there is none."""
    found = yield from ops.describe_index(collection_name, timeout=_rpc_timeout(timeout))
    for item in found:
        if item.index_name == index_name:
            return {
                **item.params,
                "index_type": item.index_type,
                "metric_type": item.metric_type,
                "field_name": item.field_name,
                "index_name": item.index_name,
                "total_rows": item.total_rows,
                "indexed_rows": item.indexed_rows,
                "pending_index_rows": item.pending_rows,
                "state": item.state,
            }
    return None


def load_collection(collection_name: str, timeout: float | None = None) -> Operation[None]:
    """Load a collection into memory and wait until it is there, at most ``timeout`` seconds where given."""
    if timeout is None:
        yield from ops.load_collection(collection_name)
    else:
        yield from ops.load_collection(collection_name, timeout=timeout)


def get_load_state(collection_name: str, timeout: float | None = None) -> Operation[dict[str, LoadState]]:
    """Whether a collection is in memory: ``{'state': <LoadState: Loaded>}``."""
    return {"state": (yield from ops.get_load_state(collection_name, timeout=_rpc_timeout(timeout)))}


def flush(collection_name: str, timeout: float | None = None) -> Operation[None]:
    """Seal what was written so far; acknowledged writes are durable without it."""
    yield from ops.flush(collection_name, timeout=_rpc_timeout(timeout))


def get_server_version(timeout: float | None = None) -> Operation[str]:
    """The server's own version text."""
    return (yield from ops.get_server_version(timeout=_rpc_timeout(timeout)))


def query(  # noqa: PLR0917 - pymilvus\'s order
    collection_name: str,
    filter: str = "",  # noqa: A002 - pymilvus's name
    output_fields: Sequence[str] | None = None,
    timeout: float | None = None,
    ids: Keys | None = None,
    partition_names: Sequence[str] | None = None,
    *,
    limit: int | None = None,
    offset: int = 0,
    consistency_level: Level = None,
) -> Operation[list[dict[str, Any]]]:
    """Rows that a filter chooses, or those with the given ids, as dicts; ``count(*)`` as the only field counts."""
    if ids is not None:
        if filter:
            raise ConfigError(explain("ids and filter", "one of them", "both", "leave one out"))
        return (yield from get(collection_name, ids, output_fields, timeout, partition_names))
    fields = list(output_fields or ["*"])
    batch = yield from ops.query(
        collection_name,
        filter,
        output_fields=fields,
        limit=limit,
        offset=offset,
        partition_names=partition_names or (),
        consistency_level=_level(consistency_level),
        timeout=_rpc_timeout(timeout),
    )
    return rows_of(batch)


def get(
    collection_name: str,
    ids: Keys,
    output_fields: Sequence[str] | None = None,
    timeout: float | None = None,
    partition_names: Sequence[str] | None = None,
    *,
    consistency_level: Level = None,
) -> Operation[list[dict[str, Any]]]:
    """The rows with these keys as dicts, in the server's order."""
    keys = _listed(ids)
    if not keys:
        return []
    info = yield from _described(collection_name, timeout)
    batch = yield from ops.get_by_keys(
        collection_name,
        info.schema.primary_key.name,
        keys,
        list(output_fields or ["*"]),
        partition_names=partition_names or (),
        consistency_level=_level(consistency_level),
        timeout=_rpc_timeout(timeout),
    )
    return rows_of(batch)


def delete(
    collection_name: str,
    ids: Keys | None = None,
    timeout: float | None = None,
    filter: str | None = None,  # noqa: A002 - pymilvus's name
    partition_name: str | None = None,
) -> Operation[dict[str, int]]:
    """Delete rows by key or by filter; the count is the server's (see :func:`headrace.operations.delete`)."""
    if (ids is None) == (not filter):
        found = "both" if filter else "neither"
        raise ConfigError(explain("ids and filter", "one of them", found, "say which rows to delete"))
    expression = filter or ""
    if ids is not None:
        info = yield from _described(collection_name, timeout)
        expression = ops.keys_filter(info.schema.primary_key.name, _listed(ids))
    count = yield from ops.delete(
        collection_name, expression, partition_name=partition_name or "", timeout=_rpc_timeout(timeout)
    )
    return {"delete_count": count}


def search(  # noqa: PLR0917 - pymilvus\'s order
    collection_name: str,
    data: Any,
    filter: str = "",  # noqa: A002 - pymilvus's name
    limit: int = 10,
    output_fields: Sequence[str] | None = None,
    search_params: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    partition_names: Sequence[str] | None = None,
    anns_field: str | None = None,
    *,
    offset: int = 0,
    consistency_level: Level = None,
) -> Operation[list[list[Hit]]]:
    """The nearest rows of each query vector: a list of hits (``id``, ``distance``, ``entity``) for each."""
    return (
        yield from ops.search(
            collection_name,
            data,
            anns_field=anns_field or "",
            limit=limit,
            filter=filter,
            output_fields=output_fields or (),
            search_params=search_params,
            partition_names=partition_names or (),
            offset=offset,
            consistency_level=_level(consistency_level),
            timeout=_rpc_timeout(timeout),
        )
    )


def hybrid_search(  # noqa: PLR0917 - pymilvus\'s order
    collection_name: str,
    reqs: Sequence[AnnSearchRequest],
    ranker: RRFRanker | WeightedRanker,
    limit: int = 10,
    output_fields: Sequence[str] | None = None,
    timeout: float | None = None,
    partition_names: Sequence[str] | None = None,
    *,
    consistency_level: Level = None,
) -> Operation[list[list[Hit]]]:
    """The best rows of several searches, merged by a ranker."""
    return (
        yield from ops.hybrid_search(
            collection_name,
            reqs,
            ranker,
            limit=limit,
            output_fields=output_fields or (),
            partition_names=partition_names or (),
            consistency_level=_level(consistency_level),
            timeout=_rpc_timeout(timeout),
        )
    )
