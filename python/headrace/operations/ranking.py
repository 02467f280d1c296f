"""What orders the hits of a search beside their distance, and what marks parts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace._proto import common_pb2, milvus_pb2, schema_pb2
from headrace.errors import ConfigError, explain
from headrace.protocol import property_pairs
from headrace.schema import Function, FunctionScore, LexicalHighlighter, SemanticHighlighter

__all__ = ["RRFRanker", "Ranking", "WeightedRanker", "function_score", "order_text"]


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


@dataclass(frozen=True)
class Ranking:
    """What a search does with its hits.

    Attributes:
        ranker: Functions of the type RERANK that rank them (boost, decay, models; Milvus 2.6).
        highlighter: What marks parts of their texts (Milvus 3.0).
    """

    ranker: Function | FunctionScore | None = None
    highlighter: LexicalHighlighter | SemanticHighlighter | None = None

    def put_into(self, request: milvus_pb2.SearchRequest) -> None:
        """Write it into a request."""
        if self.ranker is not None:
            request.function_score.CopyFrom(function_score(self.ranker))
        if (marks := self.highlighter) is not None:
            pairs = property_pairs(marks.params)
            request.highlighter.CopyFrom(common_pb2.Highlighter(type=marks.type, params=pairs))


def function_score(ranker: Function | FunctionScore) -> schema_pb2.FunctionScore:
    """Rankers as a message; of their fields they have inputs only."""
    score = ranker if isinstance(ranker, FunctionScore) else FunctionScore(ranker)
    functions = [
        schema_pb2.FunctionSchema(
            name=item.name,
            type=int(item.type),
            description=item.description,
            input_field_names=item.input_field_names,
            params=property_pairs(item.params),
        )
        for item in score.functions
    ]
    return schema_pb2.FunctionScore(functions=functions, params=property_pairs(score.params))


def order_text(fields: Sequence[Mapping[str, str] | str] | str | None) -> str | None:
    """``[{"field": ..., "order": "asc"}]``, or names, as ``field:asc,...``; None for no order.

    Raises:
        ConfigError: If one is neither.
    """
    if fields is None or isinstance(fields, str):
        return fields
    return ",".join(_ordered(item) for item in fields)


def _ordered(item: Any) -> str:
    if isinstance(item, str) and item:
        return item
    if isinstance(item, Mapping) and isinstance(item.get("field"), str) and item["field"]:
        return f"{item['field']}:{item.get('order', 'asc')}"
    remedy = "give {'field': 'year', 'order': 'asc'}"
    raise ConfigError(explain("order_by_fields", "dicts of 'field' and 'order'", repr(item), remedy))
