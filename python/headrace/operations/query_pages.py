"""All rows that a filter chooses, page by page in the order of their keys."""

from __future__ import annotations

from dataclasses import replace

from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.errors import ConfigError, explain
from headrace.operations.base import Scope, consistency_fields
from headrace.operations.data import ask_query, key_literal, query_request, query_result
from headrace.results import QueryResult

__all__ = ["MOST_ROWS", "QueryPages", "check_batch_size"]

#: The most rows of one query or search (``quotaAndLimits.limits.topK`` and ``maxQueryResultWindow``).
MOST_ROWS = 16_384


def check_batch_size(batch_size: int) -> None:
    """Refuse a page that no query or search brings.

    Raises:
        ConfigError: If it is not from 1 to 16,384.
    """
    if not 1 <= batch_size <= MOST_ROWS:
        raise ConfigError(explain("batch_size", f"a number from 1 to {MOST_ROWS}", repr(batch_size), "choose another"))


class QueryPages:
    """The pages of one query. Each begins after the last key of the one before.

    All of them see the rows as the first one did, where the server says as of when that was (real servers).

    Args:
        info: The collection.
        name: The name that requests carry.
        scope: The filter, empty for all rows; the fields, with the key always among them; where and for how long.
        batch_size: Rows of a page.
        limit: Rows of all pages; None for every one.
        offset: Rows to skip first.
    """

    def __init__(
        self,
        info: CollectionInfo,
        name: str,
        scope: Scope,
        *,
        batch_size: int = 1000,
        limit: int | None = None,
        offset: int = 0,
    ) -> None:
        check_batch_size(batch_size)
        self._info = info
        self._name = name
        self._scope = scope
        self._batch_size = batch_size
        self._left = limit
        self._offset = offset
        self._consistency = consistency_fields(scope.consistency_level)
        self._last: int | str | None = None
        self._ended = False

    def next(self) -> Operation[QueryResult]:
        """The next page; empty after the last one."""
        while self._offset > 0 and not self._ended:
            skipped = yield from self._page(
                replace(self._scope, output_fields=[self._key]), min(self._offset, MOST_ROWS)
            )
            self._offset -= len(skipped)
        size = self._batch_size if self._left is None else min(self._batch_size, self._left)
        page = yield from self._page(self._scope, 0 if self._ended else size)
        if self._left is not None:
            self._left -= len(page)
        return page

    @property
    def _key(self) -> str:
        return self._info.schema.primary_key.name

    @property
    def _id(self) -> int | None:
        return self._info.collection_id or None

    def _page(self, scope: Scope, size: int) -> Operation[QueryResult]:
        if size == 0:
            return QueryResult.empty()
        params = {"limit": size, "iterator": True, "reduce_stop_for_best": True, "collection_id": self._id}
        request = query_request(self._name, replace(scope, filter=self._condition()), params)
        scope.put_into(request, self._consistency)
        batch, answer = yield from ask_query(request, scope.timeout)
        # A server that stops early for the best may bring more.
        batch = batch.slice(0, size)
        self._ended = batch.num_rows == 0
        if not self._ended:
            self._last = batch.column(batch.schema.get_field_index(self._key))[-1].as_py()
        if answer.session_ts:
            self._consistency = {"guarantee_timestamp": answer.session_ts, "use_default_consistency": True}
        return query_result(batch, answer)

    def _condition(self) -> str:
        if self._last is None:
            return self._scope.filter
        after = f"{self._key} > {key_literal(self._last)}"
        return f"{after} and ({self._scope.filter})" if self._scope.filter else after
