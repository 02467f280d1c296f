"""Nearest rows: one search, or several merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace._proto import common_pb2, milvus_pb2, schema_pb2
from headrace.calls import Operation
from headrace.decoding import Columns, decode_ids
from headrace.errors import ConfigError, explain
from headrace.operations.base import DEFAULT_TIMEOUT, ask_columns, consistency_fields
from headrace.operations.collections import describe_collection
from headrace.protocol import key_values
from headrace.rows import rows_of
from headrace.schema import ConsistencyLevel, DataType
from headrace.vectors import depends_on_field, encode_query_vectors

__all__ = ["AnnSearchRequest", "Hit", "RRFRanker", "WeightedRanker", "hybrid_search", "search"]

#: ``dsl_type`` of an expression (``common.DslType``, BoolExprV1).
_EXPRESSION = 1

#: One result: ``id``, ``distance`` and, where output fields were asked for, ``entity``.
Hit = dict[str, Any]


@dataclass(frozen=True)
class AnnSearchRequest:
    """One part of a hybrid search.

    Attributes:
        data: Query vectors; all parts have equally many.
        anns_field: The vector field to search.
        param: ``{"metric_type": ..., "params": {...}}``, or empty for the index's own.
        limit: How many candidates this part brings.
        expr: A filter, or None.
    """

    data: Any
    anns_field: str
    param: Mapping[str, Any] = field(default_factory=dict)
    limit: int = 10
    expr: str | None = None


class RRFRanker:
    """Merges by reciprocal rank: a row's score is the sum of ``1 / (k + rank)`` over the parts that found it."""

    def __init__(self, k: int = 60) -> None:
        if not 0 < k < 16384:
            raise ConfigError(explain("k", "a number above 0 and below 16384", repr(k), "60 is usual"))
        self.k = k

    def rank_params(self) -> dict[str, Any]:
        """Strategy and parameters as HybridSearch takes them."""
        return {"strategy": "rrf", "params": {"k": self.k}}


class WeightedRanker:
    """Merges by the weighted sum of scores, one weight from 0 to 1 for each part in order."""

    def __init__(self, *weights: float, norm_score: bool = True) -> None:
        for weight in weights:
            if not 0 <= weight <= 1:
                raise ConfigError(explain("weights", "numbers from 0 to 1", repr(weight), "scale them"))
        self.weights = weights
        self.norm_score = norm_score

    def rank_params(self) -> dict[str, Any]:
        """Strategy and parameters as HybridSearch takes them."""
        return {"strategy": "weighted", "params": {"weights": list(self.weights), "norm_score": self.norm_score}}


def search(
    name: str,
    data: Any,
    *,
    anns_field: str = "",
    limit: int = 10,
    filter: str = "",  # noqa: A002 - pymilvus's name
    output_fields: Sequence[str] = (),
    search_params: Mapping[str, Any] | None = None,
    partition_names: Sequence[str] = (),
    offset: int = 0,
    consistency_level: ConsistencyLevel | None = None,
    vector_type: DataType | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Operation[list[list[Hit]]]:
    """The nearest rows of each query vector, nearest first.

    For bytes and numpy arrays of float16, bfloat16, int8, uint8 or bool the collection is asked for its field's type.

    Args:
        name: The collection, which must be loaded.
        data: Query vectors, dense or sparse (see :mod:`headrace.vectors`).
        anns_field: The vector field; may be empty where the collection has one.
        limit: Hits per query vector.
        filter: Milvus's expression; empty for none.
        output_fields: Fields to return in each hit's ``entity``.
        search_params: ``{"metric_type": ..., "params": {...}}``; the index's own where left out.
        partition_names: Partitions to search; empty for all.
        offset: Hits to skip.
        consistency_level: None for the collection's own.
        vector_type: The field's type, where the caller knows it and the collection need not be asked.
        timeout: Seconds for the call.

    :raises InputError: if the query vectors cannot be used, or are not of the field's type.
    """
    if vector_type is None and depends_on_field(data):
        vector_type = (yield from _vector_types(name, timeout)).get(anns_field)
    vectors = encode_query_vectors(data, vector_type)
    request = _request(
        name, vectors, anns_field, limit=limit, params=search_params or {}, expression=filter, offset=offset
    )
    request.partition_names.extend(partition_names)
    request.output_fields.extend(output_fields)
    for key, value in consistency_fields(consistency_level).items():
        setattr(request, key, value)
    answer, columns = yield from ask_columns("Search", request, milvus_pb2.SearchResults, [2, 3], timeout)
    return _hits(answer.results, columns)


def hybrid_search(
    name: str,
    reqs: Sequence[AnnSearchRequest],
    ranker: RRFRanker | WeightedRanker,
    *,
    limit: int = 10,
    output_fields: Sequence[str] = (),
    partition_names: Sequence[str] = (),
    consistency_level: ConsistencyLevel | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Operation[list[list[Hit]]]:
    """The best rows of several searches, merged by a ranker; servers have it since 2.4.

    :raises InputError: if query vectors cannot be used.
    :raises RpcError: with the status UNIMPLEMENTED on older servers.
    """
    types: dict[str, DataType] = {}
    if any(depends_on_field(part.data) for part in reqs):
        types = yield from _vector_types(name, timeout)
    parts = [
        _request(
            name,
            encode_query_vectors(part.data, types.get(part.anns_field) if depends_on_field(part.data) else None),
            part.anns_field,
            limit=part.limit,
            params=part.param,
            expression=part.expr or "",
        )
        for part in reqs
    ]
    ranking = ranker.rank_params() | {"limit": limit, "round_decimal": -1, "offset": 0}
    request = milvus_pb2.HybridSearchRequest(
        collection_name=name,
        requests=parts,
        rank_params=key_values(ranking),
        output_fields=output_fields,
        partition_names=partition_names,
        **consistency_fields(consistency_level),
    )
    answer, columns = yield from ask_columns("HybridSearch", request, milvus_pb2.SearchResults, [2, 3], timeout)
    return _hits(answer.results, columns)


def _vector_types(name: str, timeout: float | None) -> Operation[dict[str, DataType]]:
    """The types of the vector fields; under the empty name that of the only one."""
    info = yield from describe_collection(name, timeout=timeout)
    fields = () if info is None else info.schema.vector_fields
    types = {field.name: field.dtype for field in fields}
    return types | ({"": fields[0].dtype} if len(fields) == 1 else {})


def _request(
    name: str,
    vectors: tuple[DataType, list[bytes]],
    anns_field: str,
    *,
    limit: int,
    params: Mapping[str, Any],
    expression: str,
    offset: int = 0,
) -> milvus_pb2.SearchRequest:
    if limit < 1:
        raise ConfigError(explain("limit", "a number of at least 1", repr(limit), "give a positive number"))
    dtype, values = vectors
    placeholder = common_pb2.PlaceholderValue(tag="$0", type=int(dtype), values=values)
    sent: dict[str, Any] = {
        "topk": limit,
        "params": dict(params.get("params", {})),
        "round_decimal": -1,
        **{key: value for key, value in params.items() if key not in ("params", "offset")},
    }
    if anns_field:
        sent["anns_field"] = anns_field
    if offset or "offset" in params:
        sent["offset"] = offset or params["offset"]
    return milvus_pb2.SearchRequest(
        collection_name=name,
        dsl=expression,
        dsl_type=_EXPRESSION,
        placeholder_group=common_pb2.PlaceholderGroup(placeholders=[placeholder]).SerializeToString(),
        search_params=key_values(sent),
        nq=len(values),
    )


def _hits(results: schema_pb2.SearchResultData, columns: Columns) -> list[list[Hit]]:
    """Results are flat: each query takes its ``topks`` entries from ids, scores and fields."""
    ids = decode_ids(results.ids)
    scores = list(results.scores)
    entities = rows_of(columns.batch(len(ids))) if columns.found else [{} for _ in ids]
    hits: list[list[Hit]] = []
    start = 0
    for size in results.topks:
        end = start + size
        part = zip(ids[start:end], scores[start:end], entities[start:end], strict=True)
        hits.append([{"id": key, "distance": score, "entity": entity} for key, score, entity in part])
        start = end
    return hits
