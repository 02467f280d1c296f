"""Rows out: by filter and by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.client_calls.base import Keys, Level, filter_of_keys, in_session, known, listed, scope_of
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
    guarantee_timestamp: int | None = None,
    ignore_growing: bool = False,
    timezone: str | None = None,
    time_fields: str | None = None,
    order_by_fields: Sequence[Mapping[str, str] | str] | str | None = None,
    group_by_fields: Sequence[str] | None = None,
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
        guarantee_timestamp: The write to wait for where the level is Session or Customized; None for the last one.
        ignore_growing: Whether rows that are not yet sealed are left out.
        timezone: The zone in which times are shown (Milvus 2.6).
        time_fields: Parts of times to show (Milvus 2.6).
        order_by_fields: ``[{"field": ..., "order": "asc"}]``: the order of the rows (Milvus 3.0).
        group_by_fields: Fields by whose values rows are put together (Milvus 3.0).

    Returns:
        A list of dicts, which also gives its columns (``to_arrow()``, ``to_numpy(field)``).

    Raises:
        ConfigError: If both ids and filter are given, or a parameter cannot be used.
    """
    places = output_fields or ["*"], partition_names, consistency_level, timeout, guarantee_timestamp
    chosen = yield from _chosen(collection_name, filter, ids, timeout)
    scope = yield from in_session(collection_name, scope_of(chosen, filter_params, *places))
    params = {"limit": _count("limit", limit), "offset": _count("offset", offset), "timezone": timezone}
    params |= {"time_fields": time_fields, "ignore_growing": ignore_growing, "reduce_stop_for_best": False}
    params |= {"order_by_fields": ops.order_text(order_by_fields), "group_by_fields": ops.order_text(group_by_fields)}
    request = ops.query_request(name_of("collection_name", collection_name), scope, params)
    scope.put_into(request)
    return ops.query_result(*(yield from ops.ask_query(request, scope.timeout)))


def _chosen(name: str, filter: str, ids: Keys | None, timeout: float | None) -> Operation[str]:  # noqa: A002 - as above
    """The filter that chooses the rows."""
    if ids is None:
        return filter
    if filter:
        raise ConfigError(explain("ids and filter", "one of them", "both", "leave one out"))
    keys = listed(ids)
    return filter_of_keys((yield from known(name, timeout)), keys)


def get(
    collection_name: str,
    ids: Keys,
    output_fields: Sequence[str] | None = None,
    timeout: float | None = None,
    partition_names: Sequence[str] | None = None,
    *,
    consistency_level: Level = None,
    guarantee_timestamp: int | None = None,
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
            guarantee_timestamp=guarantee_timestamp,
        )
    )


def _count(name: str, value: int | None) -> int | None:
    return None if value is None else number(name, value, least=0)
