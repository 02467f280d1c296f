"""Nearest rows: one search, or several merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from headrace._proto import common_pb2, milvus_pb2
from headrace.calls import Operation, Recall
from headrace.collection_messages import CollectionInfo
from headrace.decoding import decode_ids, encode_ids
from headrace.errors import ConfigError, explain
from headrace.operations.base import Scope, ask_columns, extra_info
from headrace.operations.collections import describe_collection
from headrace.operations.ranking import Ranking, RRFRanker, WeightedRanker, function_score, order_text
from headrace.operations.templates import template_values
from headrace.protocol import key_values
from headrace.results import SearchResult, dynamic_keys
from headrace.schema import DataType, Function
from headrace.vectors import depends_on_field, encode_query_vectors

__all__ = [
    "AnnSearchRequest",
    "ask_search",
    "hybrid_search",
    "search",
    "search_request",
]

#: ``dsl_type`` of an expression (``common.DslType``, BoolExprV1).
_EXPRESSION = 1
#: What a search takes beside the index's parameters, whether it is given as one of these or apart.
_OPTIONS = {
    *("group_by_fields", "ignore_growing", "offset", "order_by_fields", "page_retain_order", "time_fields", "timezone")
}
#: What servers read outside of ``params``.
_OUTSIDE = {"analyzer_name", "hints", "metric_type"}
_EVERYTHING, _AS_FOUND = Scope(), Ranking()


@dataclass(frozen=True)
class AnnSearchRequest:
    """One part of a hybrid search.

    Attributes:
        data: Query vectors; all parts have equally many.
        anns_field: The vector field to search.
        param: As ``search_params`` of a search, or empty for the index's own.
        limit: How many candidates this part brings.
        expr: A filter, or None.
        expr_params: The values of what the filter names in braces.
        filter: The same as ``expr``.

    Raises:
        ConfigError: If both ``expr`` and ``filter`` are given.
    """

    data: Any
    anns_field: str
    param: Mapping[str, Any] = field(default_factory=dict)
    limit: int = 10
    expr: str | None = None
    expr_params: Mapping[str, Any] | None = None
    filter: str | None = None

    def __post_init__(self) -> None:
        if self.expr is not None and self.filter is not None:
            raise ConfigError(explain("expr and filter", "one of them", "both", "leave one out"))
        object.__setattr__(self, "expr", self.filter if self.expr is None else self.expr)


def search(
    name: str,
    data: Any,
    scope: Scope = _EVERYTHING,
    *,
    anns_field: str = "",
    limit: int = 10,
    search_params: Mapping[str, Any] | None = None,
    round_decimal: int = -1,
    options: Mapping[str, Any] | None = None,
    vector_type: DataType | None = None,
    ids: Sequence[int | str] | None = None,
    ranking: Ranking = _AS_FOUND,
) -> Operation[SearchResult]:
    """The nearest rows of each query vector, nearest first; arguments and errors as :func:`search_request`.

    Args:
        name: The collection, which must be loaded.
        data: Query vectors.
        scope: What is looked at; of its fields those of each hit's ``entity``.
        anns_field: The vector field.
        limit: Hits per query vector.
        search_params: The index's parameters.
        round_decimal: Decimal places of distances; -1 for all.
        options: What a search takes beside them.
        vector_type: The field's type, where it is known.
        ids: Keys of rows whose vectors are searched for, instead of ``data``.
        ranking: What orders and marks the hits beside their distance.
    """
    options = {"round_decimal": round_decimal, **(options or {})}
    request = yield from search_request(
        name,
        data,
        scope,
        anns_field=anns_field,
        limit=limit,
        params=search_params,
        options=options,
        vector_type=vector_type,
        ids=ids,
    )
    ranking.put_into(request)
    scope.put_into(request)
    result, _ = yield from ask_search("Search", request, round_decimal=round_decimal, timeout=scope.timeout)
    return result


def hybrid_search(
    name: str,
    reqs: Sequence[AnnSearchRequest],
    ranker: RRFRanker | WeightedRanker | Function,
    scope: Scope = _EVERYTHING,
    *,
    limit: int = 10,
    round_decimal: int = -1,
    options: Mapping[str, Any] | None = None,
) -> Operation[SearchResult]:
    """The best rows of several searches, merged by a ranker; servers have it since 2.4.

    Args:
        name: The collection, which must be loaded.
        reqs: The searches, with filters of their own.
        ranker: How their hits are merged; a Function of the type RERANK from 2.6 on.
        scope: What is looked at; of its fields those of each hit's ``entity``. Its filter means nothing.
        limit: Merged hits per query vector.
        round_decimal: Decimal places of scores; -1 for all.
        options: ``offset``, ``group_by_field`` and the like.

    Raises:
        InputError: If query vectors cannot be used.
        RpcError: With the status UNIMPLEMENTED on older servers.
    """
    _check_limit(limit)
    parts = []
    for part in reqs:
        own = Scope(part.expr or "", part.expr_params, timeout=scope.timeout)
        parts.append(
            (
                yield from search_request(
                    name, part.data, own, anns_field=part.anns_field, limit=part.limit, params=part.param
                )
            )
        )
    merging = {} if isinstance(ranker, Function) else ranker.rank_params()
    merging |= {"limit": limit, "round_decimal": round_decimal, "offset": 0}
    request = milvus_pb2.HybridSearchRequest(
        collection_name=name, requests=parts, rank_params=key_values(merging | _given(options or {}))
    )
    if isinstance(ranker, Function):
        request.function_score.CopyFrom(function_score(ranker))
    scope.put_into(request)
    result, _ = yield from ask_search("HybridSearch", request, round_decimal=round_decimal, timeout=scope.timeout)
    return result


def search_request(
    name: str,
    data: Any,
    scope: Scope,
    *,
    anns_field: str,
    limit: int,
    params: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    vector_type: DataType | None = None,
    ids: Sequence[int | str] | None = None,
) -> Operation[milvus_pb2.SearchRequest]:
    """One search as a message, without output fields, partitions and consistency.

    For bytes and numpy arrays of float16, bfloat16, int8, uint8 or bool the collection is asked for its field's type.

    Args:
        name: The collection.
        data: Query vectors, dense or sparse (see :mod:`headrace.vectors`).
        scope: Its filter is put in.
        anns_field: The vector field; may be empty where the collection has one.
        limit: Hits per query vector.
        params: ``{"metric_type": ..., "params": {...}}``, or all of them side by side; the index's own where left out.
        options: What a search takes beside the index's parameters: ``offset``, ``group_by_field`` ...
        vector_type: The field's type, where the caller knows it and the collection need not be asked.
        ids: Keys of rows whose vectors are searched for, instead of ``data`` (Milvus 3.0).

    Raises:
        InputError: If the query vectors cannot be used, or are not of the field's type.
        ConfigError: If a parameter cannot be used.
    """
    _check_limit(limit)
    sent = _parameters(params or {}, options or {})
    request = milvus_pb2.SearchRequest(
        collection_name=name,
        dsl=scope.filter,
        dsl_type=_EXPRESSION,
        search_params=key_values({"topk": limit, **({"anns_field": anns_field} if anns_field else {}), **sent}),
        expr_template_values=template_values(scope.filter_params),
    )
    if ids is not None:
        request.ids.CopyFrom(encode_ids(ids))
        request.nq = len(ids)
        return request
    if vector_type is None and depends_on_field(data):
        vector_type = (yield from _vector_types(name, scope.timeout)).get(anns_field)
    dtype, values = encode_query_vectors(data, vector_type)
    placeholder = common_pb2.PlaceholderValue(tag="$0", type=int(dtype), values=values)
    request.placeholder_group = common_pb2.PlaceholderGroup(placeholders=[placeholder]).SerializeToString()
    request.nq = len(values)
    return request


def ask_search(
    method: str, request: Message, *, round_decimal: int = -1, timeout: float | None
) -> Operation[tuple[SearchResult, milvus_pb2.SearchResults]]:
    """Send a search; its hits, and the answer without their fields.

    Raises:
        MilvusException: If the server refuses.
    """
    answer, columns = yield from ask_columns(method, request, milvus_pb2.SearchResults, [2, 3], timeout)
    results = answer.results
    ids = decode_ids(results.ids)
    scores = list(results.scores)
    if round_decimal > 0:
        # Engines that do not round are helped.
        scores = [round(score, round_decimal) for score in scores]
    result = SearchResult(
        results.primary_field_name or "id",
        ids,
        scores,
        results.topks,
        fields=columns.batch(len(ids)),
        dynamic_keys=dynamic_keys(results.output_fields, columns.names),
        recalls=list(results.recalls) or None,
        highlights=_highlights(results.highlight_results, len(ids)),
        extra=extra_info(answer.status),
    )
    return result, answer


def _highlights(found: Sequence[common_pb2.HighlightResult], count: int) -> list[dict[str, Any]] | None:
    """What was marked in each hit, by field; None where nothing was asked for."""
    if not found:
        return None
    fields = {
        field.field_name: [{"fragments": list(data.fragments), "scores": list(data.scores)} for data in field.datas]
        for field in found
    }
    return [{name: datas[at] for name, datas in fields.items()} for at in range(count)]


def _vector_types(name: str, timeout: float | None) -> Operation[dict[str, DataType]]:
    """The types of the vector fields; under the empty name that of the only one."""
    info: CollectionInfo | None = yield Recall(name, lambda: describe_collection(name, timeout=timeout))
    fields = () if info is None else info.schema.vector_fields
    types = {field.name: field.dtype for field in fields}
    return types | ({"": fields[0].dtype} if len(fields) == 1 else {})


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ConfigError(explain("limit", "a number of at least 1", repr(limit), "give a positive number"))


def _parameters(params: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """What a search is told beside limit and field: options at the top, and the index's parameters in ``params``.

    Servers before 2.5.2 read the index's parameters only there.
    """
    inner = params.get("params", {})
    if not isinstance(inner, Mapping):
        remedy = "give {'metric_type': ..., 'params': {...}}"
        raise ConfigError(explain("search_params['params']", "a dict", type(inner).__name__, remedy))
    twice = [key for key in params if key in inner and params[key] != inner[key]]
    if twice:
        found = f"{twice[0]}={params[twice[0]]!r} and {twice[0]}={inner[twice[0]]!r} in 'params'"
        raise ConfigError(explain("search_params", "each parameter once", found, "leave one out"))
    given = _given(options)
    for key in _OPTIONS & params.keys():
        if given.setdefault(key, params[key]) != params[key]:
            found = f"{given[key]!r}, and {params[key]!r} in search_params"
            raise ConfigError(explain(key, "one value", found, "leave one out"))
    given |= {key: order_text(given[key]) for key in ("group_by_fields", "order_by_fields") if key in given}
    flat = {**inner, **{key: value for key, value in params.items() if key != "params"}}
    return {
        "round_decimal": -1,
        "ignore_growing": False,
        **given,
        **{key: flat[key] for key in sorted(_OUTSIDE & flat.keys())},
        "params": {key: value for key, value in flat.items() if key not in _OPTIONS | _OUTSIDE},
    }


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
