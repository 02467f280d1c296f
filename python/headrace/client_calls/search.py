"""Nearest rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.client_calls.base import Level, level_of, rpc_timeout
from headrace.operations import AnnSearchRequest, Hit, RRFRanker, WeightedRanker

__all__ = ["hybrid_search", "search"]


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
            consistency_level=level_of(consistency_level),
            timeout=rpc_timeout(timeout),
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
            consistency_level=level_of(consistency_level),
            timeout=rpc_timeout(timeout),
        )
    )
