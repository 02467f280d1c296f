"""Rows out: by filter and by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.client_calls.base import Keys, Level, known, level_of, listed, rpc_timeout
from headrace.errors import ConfigError, explain
from headrace.rows import rows_of

__all__ = ["get", "query"]


def query(  # noqa: PLR0917 - pymilvus's order
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
        consistency_level=level_of(consistency_level),
        timeout=rpc_timeout(timeout),
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
    keys = listed(ids)
    if not keys:
        return []
    info = yield from known(collection_name, timeout)
    batch = yield from ops.get_by_keys(
        collection_name,
        info.schema.primary_key.name,
        keys,
        list(output_fields or ["*"]),
        partition_names=partition_names or (),
        consistency_level=level_of(consistency_level),
        timeout=rpc_timeout(timeout),
    )
    return rows_of(batch)
