"""The nearest rows of one query vector, page by page from near to far.

Servers since 2.5.2 keep the search's place themselves. Before them, each page is a search between the distance of the
last hit and a wider one, without the rows at that distance that were found already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from headrace._proto import milvus_pb2
from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.errors import ConfigError, explain
from headrace.operations.base import Scope, consistency_fields
from headrace.operations.data import key_literal
from headrace.operations.indexes import describe_index
from headrace.operations.query_pages import MOST_ROWS, check_batch_size
from headrace.operations.search import ask_search, search_request
from headrace.results import Hit, Hits, SearchPage

__all__ = ["SearchPages"]

#: Metrics whose smaller values are nearer.
_DISTANCES = frozenset({"L2", "HAMMING", "JACCARD", "TANIMOTO"})
#: How many times a ring is widened before a page is given up as the last.
_MOST_RINGS = 20
#: How many hits of a ring are asked for, in pages.
_RING = 10
#: The width of a ring where all hits of a page are equally far.
_LEAST_WIDTH = 0.05
_EVERYTHING = Scope()


class SearchPages:
    """The pages of one search.

    Args:
        info: The collection.
        name: The name that requests carry.
        data: One query vector, in any form that a search takes.
        scope: The filter, the fields of each hit's ``entity``, where and for how long.
        anns_field: The vector field; may be empty where the collection has one.
        search_params: As a search takes them.
        batch_size: Hits of a page.
        limit: Hits of all pages; None for as many as there are.
        round_decimal: Decimal places of distances; -1 for all.
        external_filter: What remains of a page's hits; pages are filled up with later ones.
    """

    def __init__(
        self,
        info: CollectionInfo,
        name: str,
        data: Any,
        scope: Scope = _EVERYTHING,
        *,
        anns_field: str = "",
        search_params: Mapping[str, Any] | None = None,
        batch_size: int = 1000,
        limit: int | None = None,
        round_decimal: int = -1,
        external_filter: Callable[[Hits], Iterable[Hit]] | None = None,
    ) -> None:
        check_batch_size(batch_size)
        self._info = info
        self._name = name
        self._data = data
        self._scope = scope
        self._field = anns_field or _only_vector(info)
        self._params = dict(search_params or {})
        self._batch_size = batch_size
        self._left = limit
        self._round = round_decimal
        self._external = external_filter or (lambda hits: hits)
        self._consistency = consistency_fields(scope.consistency_level)
        self._found: list[Hit] = []
        self._ended = False
        #: Where a server goes on that keeps the place itself; None where it does not, or has not been asked.
        self._place: dict[str, Any] | None = None
        self._rings: _Rings | None = None

    def next(self) -> Operation[SearchPage]:
        """The next page; empty after the last one."""
        size = self._batch_size if self._left is None else min(self._batch_size, self._left)
        while len(self._found) < size and not self._ended:
            hits = yield from self._more()
            if not hits:
                self._ended = True
            self._found.extend(self._external(hits))
        page, self._found = self._found[:size], self._found[size:]
        if self._left is not None:
            self._left -= len(page)
        return SearchPage(page)

    def _more(self) -> Operation[Hits]:
        if self._rings is not None:
            return (yield from self._from_rings(self._rings))
        hits, answer = yield from self._search(self._batch_size, options=self._options())
        told = answer.results.search_iterator_v2_results
        if told.token:
            self._place = {"search_iter_id": told.token, "search_iter_last_bound": told.last_bound}
        elif len(hits) < self._batch_size:
            self._ended = True
        else:
            self._rings = _Rings((yield from self._metric()), self._params, hits)
        return hits

    def _options(self) -> dict[str, Any]:
        asked = {"iterator": True, "search_iter_v2": True, "search_iter_batch_size": self._batch_size}
        return {**asked, "collection_id": self._info.collection_id or None, **(self._place or {})}

    def _from_rings(self, rings: _Rings) -> Operation[Hits]:
        """The hits of the next ring that has any."""
        hits = Hits.none()
        for widening in range(1, _MOST_RINGS + 1):
            if rings.ended:
                break
            condition = rings.condition(self._info.schema.primary_key.name, self._scope.filter)
            size = min(MOST_ROWS, self._batch_size * _RING)
            options = {"iterator": True, "collection_id": self._info.collection_id or None}
            hits, _ = yield from self._search(size, options=options, params=rings.params(widening), condition=condition)
            if hits:
                rings.found(hits)
                break
        return hits

    def _search(
        self,
        size: int,
        *,
        options: Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
        condition: str | None = None,
    ) -> Operation[tuple[Hits, milvus_pb2.SearchResults]]:
        scope = self._scope if condition is None else replace(self._scope, filter=condition)
        request = yield from search_request(
            self._name,
            self._data,
            scope,
            anns_field=self._field,
            limit=size,
            params=self._params if params is None else params,
            options={"round_decimal": self._round, **options},
        )
        if request.nq != 1:
            raise ConfigError(explain("data", "one query vector", str(request.nq), "make an iterator for each"))
        scope.put_into(request, self._consistency)
        result, answer = yield from ask_search("Search", request, round_decimal=self._round, timeout=scope.timeout)
        if answer.session_ts:
            self._consistency = {"guarantee_timestamp": answer.session_ts, "use_default_consistency": True}
        return (result[0] if result else Hits.none()), answer

    def _metric(self) -> Operation[str]:
        if given := self._params.get("metric_type"):
            return str(given).upper()
        for index in (yield from describe_index(self._name, self._field)):
            if index.metric_type:
                return index.metric_type.upper()
        expected = "a metric_type, because the field has no index that tells"
        raise ConfigError(explain("search_params", expected, "none", "give {'metric_type': ...}"))


class _Rings:
    """Where a search between two distances stands."""

    def __init__(self, metric: str, given: Mapping[str, Any], hits: Hits) -> None:
        self._nearer_is_less = metric in _DISTANCES
        self._given = dict(given)
        inner = {**given.get("params", {}), **given}
        self._bound: float | None = inner.get("radius")
        self._metric = metric
        self._tail = hits.distances[-1]
        self._width = abs(hits.distances[-1] - hits.distances[0]) or _LEAST_WIDTH
        self._at_tail: list[int | str] = []
        self.ended = False
        self.found(hits)

    def found(self, hits: Hits) -> None:
        """Go on after these hits."""
        if hits.distances[-1] != self._tail:
            self._at_tail.clear()
            self._tail = hits.distances[-1]
        # The next ring begins with the tail's own distance.
        self._at_tail += [key for key, at in zip(hits.ids, hits.distances, strict=True) if at == self._tail]

    def condition(self, key_name: str, condition: str) -> str:
        """The filter without the rows that were found at the tail's distance."""
        others = f"{key_name} not in [{', '.join(map(key_literal, self._at_tail))}]"
        return f"({condition}) and {others}" if condition else others

    def params(self, widening: int) -> dict[str, Any]:
        """The parameters of a search from the tail further out, at most to the caller's own radius.

        Each widening doubles the ring: after twenty of them a gap a million times as wide as a page has been crossed.
        """
        step = self._width * 2 ** (widening - 1)
        radius = self._tail + step if self._nearer_is_less else self._tail - step
        bound = self._bound
        if bound is not None and (radius >= bound if self._nearer_is_less else radius <= bound):
            radius = bound
            # Nothing lies further out.
            self.ended = True
        inner = {**self._given.get("params", {}), "radius": radius, "range_filter": self._tail}
        outer = {key: value for key, value in self._given.items() if key not in ("params", "radius", "range_filter")}
        return {**outer, "metric_type": self._metric, "params": inner}


def _only_vector(info: CollectionInfo) -> str:
    fields = info.schema.vector_fields
    if len(fields) != 1:
        names = ", ".join(field.name for field in fields)
        raise ConfigError(explain("anns_field", f"one of {names}", "none", "say which vectors to search"))
    return fields[0].name
