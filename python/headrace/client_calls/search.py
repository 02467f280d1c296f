"""Nearest rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.client_calls.base import Keys, Level, in_session, listed, scope_of
from headrace.client_calls.checks import flag, mapping_of, name_of, number, text_of
from headrace.errors import ConfigError, explain
from headrace.operations import AnnSearchRequest, RRFRanker, WeightedRanker
from headrace.results import SearchResult
from headrace.schema import Function, FunctionScore, LexicalHighlighter, SemanticHighlighter

__all__ = ["hybrid_search", "search"]


def search(  # noqa: PLR0917 - pymilvus's order
    collection_name: str,
    data: Any = None,
    filter: str = "",  # noqa: A002 - pymilvus's name
    limit: int = 10,
    output_fields: Sequence[str] | None = None,
    search_params: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    partition_names: Sequence[str] | None = None,
    anns_field: str | None = None,
    ranker: Function | FunctionScore | None = None,
    highlighter: LexicalHighlighter | SemanticHighlighter | None = None,
    ids: Keys | None = None,
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
    guarantee_timestamp: int | None = None,
) -> Operation[SearchResult]:
    """The nearest rows of each query vector: a list of hits for each, which are dicts of key, ``distance``, ``entity``.

    Args:
        collection_name: The collection or an alias; it must be loaded.
        data: Query vectors: lists, numpy arrays, sparse matrices, dicts, texts (see :mod:`headrace.vectors`).
        filter: Milvus's expression; empty for none.
        limit: Hits per query vector; with the offset at most 16,384.
        output_fields: Fields to return in each hit's ``entity``; None for none.
        search_params: ``{"metric_type": ..., "params": {"ef": ..., "radius": ...}}``, or all of them side by side.
        timeout: Seconds for the call.
        partition_names: Partitions to search; None for all.
        anns_field: The vector field; may be left out where the collection has one.
        ranker: What orders the hits: functions of the type RERANK, such as boost and decay (Milvus 2.6).
        highlighter: What marks parts of texts, into each hit's ``highlight`` (Milvus 3.0).
        ids: Keys of rows whose vectors are searched for, instead of ``data`` (Milvus 3.0).
        offset: Hits to skip.
        round_decimal: Decimal places of distances; -1 for all.
        filter_params: The values of what the filter names in braces (``"id in {ids}"``, Milvus 2.5).
        group_by_field: A scalar field of whose values each is found once.
        group_size: Hits for each of its values.
        strict_group_size: Whether every group has to have as many.
        ignore_growing: Whether rows that are not yet sealed are left out.
        page_retain_order: Whether pages keep one order (Milvus 2.6).
        consistency_level: A name or number; None for the collection's own.
        guarantee_timestamp: The write to wait for where the level is Session or Customized; None for the last one.

    Raises:
        ConfigError, InputError: If a parameter, or the query vectors, cannot be used.
    """
    places = output_fields, partition_names, consistency_level, timeout, guarantee_timestamp
    scope = yield from in_session(collection_name, scope_of(filter, filter_params, *places))
    options = _options(offset, group_by_field, group_size, strict_group_size, ignore_growing, page_retain_order)
    tuning = anns_field, limit, search_params, round_decimal, options
    return (yield from _search(collection_name, data, _keys(data, ids), scope, tuning, _ranking(ranker, highlighter)))


def _search(  # noqa: PLR0917 - search's order
    name: str,
    data: Any,
    keys: list[int | str] | None,
    scope: ops.Scope,
    tuning: tuple[str | None, int, Mapping[str, Any] | None, int, dict[str, Any]],
    ranking: ops.Ranking,
) -> Operation[SearchResult]:
    anns_field, limit, params, round_decimal, options = tuning
    return (
        yield from ops.search(
            name_of("collection_name", name),
            data,
            scope,
            anns_field=text_of("anns_field", anns_field),
            limit=number("limit", limit),
            search_params=mapping_of("search_params", params) if params else None,
            round_decimal=number("round_decimal", round_decimal, least=-1),
            options=options,
            ids=keys,
            ranking=ranking,
        )
    )


def _keys(data: Any, ids: Keys | None) -> list[int | str] | None:
    """The keys to search by, where they stand for query vectors."""
    if (data is None) == (ids is None):
        found = "neither" if data is None else "both"
        raise ConfigError(explain("data and ids", "one of them", found, "say what to search for"))
    if ids is None:
        return None
    keys = listed(ids)
    if not keys or len({type(key) for key in keys}) > 1:
        raise ConfigError(explain("ids", "keys of one type", repr(ids), "give the rows' keys"))
    return keys


def _ranking(ranker: Any, highlighter: Any) -> ops.Ranking:
    if ranker is not None and not isinstance(ranker, Function | FunctionScore):
        found = f"one of type {type(ranker).__name__}"
        remedy = "a hybrid search takes RRFRanker and WeightedRanker"
        raise ConfigError(explain("ranker", "a Function or a FunctionScore", found, remedy))
    if highlighter is not None and not isinstance(highlighter, LexicalHighlighter | SemanticHighlighter):
        found = f"one of type {type(highlighter).__name__}"
        raise ConfigError(explain("highlighter", "a LexicalHighlighter or a SemanticHighlighter", found, "make one"))
    return ops.Ranking(ranker, highlighter)


def _options(  # noqa: PLR0917 - search's order
    offset: int | None,
    group_by_field: str | None,
    group_size: int | None,
    strict_group_size: bool | None,
    ignore_growing: bool | None = None,
    page_retain_order: bool | None = None,
) -> dict[str, Any]:
    return {
        "offset": None if offset is None else number("offset", offset, least=0),
        "group_by_field": text_of("group_by_field", group_by_field) or None,
        "group_size": None if group_size is None else number("group_size", group_size),
        "strict_group_size": None if strict_group_size is None else flag("strict_group_size", strict_group_size),
        "ignore_growing": ignore_growing,
        "page_retain_order": page_retain_order,
    }


def hybrid_search(  # noqa: PLR0917 - pymilvus's order
    collection_name: str,
    reqs: Sequence[AnnSearchRequest],
    ranker: RRFRanker | WeightedRanker | Function,
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
    rank_group_scorer: str | None = None,
    consistency_level: Level = None,
    guarantee_timestamp: int | None = None,
) -> Operation[SearchResult]:
    """The best rows of several searches, merged by a ranker (Milvus 2.4); the result is as that of :meth:`search`.

    Args:
        collection_name: The collection or an alias; it must be loaded.
        reqs: The searches, each with equally many query vectors.
        ranker: How their hits are merged; a Function of the type RERANK from 2.6 on.
        limit: Merged hits per query vector.
        output_fields: Fields to return in each hit's ``entity``; None for none.
        timeout: Seconds for the call.
        partition_names: Partitions to search; None for all.
        offset: Merged hits to skip.
        round_decimal: Decimal places of scores; -1 for all.
        group_by_field: A scalar field of whose values each is found once.
        group_size: Hits for each of its values.
        strict_group_size: Whether every group has to have as many.
        rank_group_scorer: How a group is ranked: ``max``, ``sum`` or ``avg`` of its scores.
        consistency_level: A name or number; None for the collection's own.
        guarantee_timestamp: The write to wait for where the level is Session or Customized; None for the last one.

    Raises:
        RpcError: With the status UNIMPLEMENTED on older servers.
    """
    _check_parts(reqs, ranker)
    given = scope_of("", None, output_fields, partition_names, consistency_level, timeout, guarantee_timestamp)
    scope = yield from in_session(collection_name, given)
    options = _options(offset, group_by_field, group_size, strict_group_size)
    options |= {"rank_group_scorer": text_of("rank_group_scorer", rank_group_scorer) or None}
    return (
        yield from ops.hybrid_search(
            name_of("collection_name", collection_name),
            reqs,
            ranker,
            scope,
            limit=number("limit", limit),
            round_decimal=number("round_decimal", round_decimal, least=-1),
            options=options,
        )
    )


def _check_parts(reqs: Any, ranker: Any) -> None:
    parts = list(reqs) if isinstance(reqs, list | tuple) else []
    if not parts or not all(isinstance(part, AnnSearchRequest) for part in parts):
        wrong = next((part for part in parts if not isinstance(part, AnnSearchRequest)), reqs)
        found = "none" if reqs == [] else f"one of type {type(wrong).__name__}"
        raise ConfigError(explain("reqs", "a list of AnnSearchRequest", found, "make one for each vector field"))
    if not isinstance(ranker, RRFRanker | WeightedRanker | Function):
        found = f"one of type {type(ranker).__name__}"
        raise ConfigError(explain("ranker", "an RRFRanker or a WeightedRanker", found, "make one of them"))
    if isinstance(ranker, WeightedRanker) and len(ranker.weights) != len(parts):
        found = f"{len(ranker.weights)} weights for {len(parts)} searches"
        raise ConfigError(explain("ranker", "a weight for each search", found, "give as many weights"))
