"""Nearest rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.client_calls.base import Level, level_of, rpc_timeout
from headrace.operations import AnnSearchRequest, RRFRanker, WeightedRanker
from headrace.results import SearchResult

__all__ = ["hybrid_search", "search"]


def search(  # noqa: PLR0917 - pymilvus's order
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
    offset: int | None = None,
    round_decimal: int = -1,
    filter_params: Mapping[str, Any] | None = None,
    group_by_field: str | None = None,
    group_size: int | None = None,
    strict_group_size: bool | None = None,
    ignore_growing: bool | None = None,
    page_retain_order: bool | None = None,
    consistency_level: Level = None,
) -> Operation[SearchResult]:
    """The nearest rows of each query vector.

    Args:
        collection_name: The collection or an alias; it must be loaded.
        data: Query vectors: a list of vectors, a numpy array, a sparse matrix, dicts of index to value (see
            :mod:`headrace.vectors`).
        filter: Milvus's expression; empty for none.
        limit: Hits per query vector; with the offset at most 16,384.
        output_fields: Fields to return in each hit's ``entity``; None for none.
        search_params: ``{"metric_type": ..., "params": {...}}``, or all of them side by side: ``ef``, ``nprobe``,
            ``radius``, ``range_filter`` ...
        timeout: Seconds for the call.
        partition_names: Partitions to search; None for all.
        anns_field: The vector field; may be left out where the collection has one.
        offset: Hits to skip.
        round_decimal: Decimal places of distances; -1 for all.
        filter_params: The values of what the filter names in braces (``"id in {ids}"``, Milvus 2.5).
        group_by_field: A scalar field of whose values each is found once.
        group_size: Hits for each of its values.
        strict_group_size: Whether every group has to have as many.
        ignore_growing: Whether rows that are not yet sealed are left out.
        page_retain_order: Whether pages keep one order (Milvus 2.6).
        consistency_level: A name or number; None for the collection's own.

    Returns:
        A list for each query vector of hits: dicts of key, ``distance`` and ``entity``. It also gives columns
        (``to_arrow()``, ``to_numpy(field)``).

    Raises:
        InputError: If the query vectors cannot be used.
        ConfigError: If a parameter cannot be used.
    """
    return (
        yield from ops.search(
            collection_name,
            data,
            anns_field=anns_field or "",
            limit=limit,
            filter=filter or "",
            filter_params=filter_params,
            output_fields=output_fields or (),
            search_params=search_params,
            partition_names=partition_names or (),
            offset=offset or 0,
            round_decimal=round_decimal,
            options={
                "group_by_field": group_by_field,
                "group_size": group_size,
                "strict_group_size": strict_group_size,
                "ignore_growing": ignore_growing,
                "page_retain_order": page_retain_order,
            },
            consistency_level=level_of(consistency_level),
            timeout=rpc_timeout(timeout),
        )
    )


def hybrid_search(  # noqa: PLR0917 - pymilvus's order
    collection_name: str,
    reqs: Sequence[AnnSearchRequest],
    ranker: RRFRanker | WeightedRanker,
    limit: int = 10,
    output_fields: Sequence[str] | None = None,
    timeout: float | None = None,
    partition_names: Sequence[str] | None = None,
    *,
    offset: int | None = None,
    round_decimal: int = -1,
    group_by_field: str | None = None,
    group_size: int | None = None,
    strict_group_size: bool | None = None,
    consistency_level: Level = None,
) -> Operation[SearchResult]:
    """The best rows of several searches, merged by a ranker (Milvus 2.4).

    Args:
        collection_name: The collection or an alias; it must be loaded.
        reqs: The searches, each with equally many query vectors.
        ranker: How their hits are merged.
        limit: Merged hits per query vector.
        output_fields: Fields to return in each hit's ``entity``; None for none.
        timeout: Seconds for the call.
        partition_names: Partitions to search; None for all.
        offset: Merged hits to skip.
        round_decimal: Decimal places of scores; -1 for all.
        group_by_field: A scalar field of whose values each is found once.
        group_size: Hits for each of its values.
        strict_group_size: Whether every group has to have as many.
        consistency_level: A name or number; None for the collection's own.

    Returns:
        As :func:`search`.

    Raises:
        RpcError: With the status UNIMPLEMENTED on older servers.
    """
    return (
        yield from ops.hybrid_search(
            collection_name,
            reqs,
            ranker,
            limit=limit,
            output_fields=output_fields or (),
            partition_names=partition_names or (),
            offset=offset or 0,
            round_decimal=round_decimal,
            options={
                "group_by_field": group_by_field,
                "group_size": group_size,
                "strict_group_size": strict_group_size,
            },
            consistency_level=level_of(consistency_level),
            timeout=rpc_timeout(timeout),
        )
    )
