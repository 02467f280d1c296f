"""Rows out: by filter and by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.client_calls.base import Keys, Level, known, listed, scope_of
from headrace.client_calls.checks import name_of, number
from headrace.errors import ConfigError, explain
from headrace.results import QueryResult

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
    offset: int | None = None,
    filter_params: Mapping[str, Any] | None = None,
    consistency_level: Level = None,
    ignore_growing: bool = False,
    timezone: str | None = None,
    time_fields: str | None = None,
) -> Operation[QueryResult]:
    """Rows that a filter chooses, or those with the given ids.

    Args:
        collection_name: The collection or an alias; it must be loaded.
        filter: Milvus's expression; empty only with a limit or ids.
        output_fields: Fields to return, None for all; ``["count(*)"]`` counts.
        timeout: Seconds for the call.
        ids: The keys of the rows, instead of a filter.
        partition_names: Partitions to read; None for all.
        limit: At most so many rows; with the offset at most 16,384.
        offset: Rows to skip.
        filter_params: The values of what the filter names in braces (``"id in {ids}"``, Milvus 2.5).
        consistency_level: A name or number; None for the collection's own.
        ignore_growing: Whether rows that are not yet sealed are left out.
        timezone: The zone in which times are shown (Milvus 2.6).
        time_fields: Parts of times to show (Milvus 2.6).

    Returns:
        A list of dicts, which also gives its columns (``to_arrow()``, ``to_numpy(field)``).

    Raises:
        ConfigError: If both ids and filter are given, or a parameter cannot be used.
    """
    if ids is not None:
        if filter:
            raise ConfigError(explain("ids and filter", "one of them", "both", "leave one out"))
        keys = listed(ids)
        info = yield from known(collection_name, timeout)
        filter = ops.keys_filter(info.schema.primary_key.name, keys)  # noqa: A001 - pymilvus's name
    scope = scope_of(filter, filter_params, output_fields or ["*"], partition_names, consistency_level, timeout)
    params = {"limit": _count("limit", limit), "offset": _count("offset", offset), "timezone": timezone}
    params |= {"time_fields": time_fields, "ignore_growing": ignore_growing, "reduce_stop_for_best": False}
    request = ops.query_request(name_of("collection_name", collection_name), scope, params)
    scope.put_into(request)
    batch, answer = yield from ops.ask_query(request, scope.timeout)
    return ops.query_result(batch, answer)


def get(
    collection_name: str,
    ids: Keys,
    output_fields: Sequence[str] | None = None,
    timeout: float | None = None,
    partition_names: Sequence[str] | None = None,
    *,
    consistency_level: Level = None,
) -> Operation[list[dict[str, Any]]]:
    """The rows with these keys as :func:`query` gives them, in the server's order; an empty list of ids has none."""
    if not listed(ids):
        return []
    return (
        yield from query(
            collection_name,
            "",
            output_fields,
            timeout,
            ids,
            partition_names,
            consistency_level=consistency_level,
        )
    )


def _count(name: str, value: int | None) -> int | None:
    return None if value is None else number(name, value, least=0)
