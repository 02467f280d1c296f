"""Results too large for one answer, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from headrace.calls import Operation
from headrace.client_calls.base import Level, known, scope_of
from headrace.client_calls.checks import number, text_of
from headrace.errors import ConfigError, explain
from headrace.operations import QueryPages, SearchPages
from headrace.results import Hit, Hits

__all__ = ["query_iterator", "search_iterator"]

#: What pymilvus calls no limit.
_UNLIMITED = -1


def query_iterator(  # noqa: PLR0917 - pymilvus's order
    collection_name: str,
    batch_size: int = 1000,
    limit: int | None = None,
    filter: str | None = "",  # noqa: A002 - pymilvus's name
    output_fields: Sequence[str] | None = None,
    partition_names: Sequence[str] | None = None,
    timeout: float | None = None,
    *,
    offset: int | None = None,
    filter_params: Mapping[str, Any] | None = None,
    consistency_level: Level = None,
) -> Operation[QueryPages]:
    """Walk through all rows that a filter chooses, in the order of their keys.

    Args:
        collection_name: The collection or an alias; it must be loaded.
        batch_size: Rows of a page, 1 to 16,384.
        limit: Rows of all pages; None or -1 for every one.
        filter: Milvus's expression; empty for all rows.
        output_fields: Fields to return beside the key; None for none, where Milvus Lite returns all.
        partition_names: Partitions to read; None for all.
        timeout: Seconds for each request.
        offset: Rows to skip first.
        filter_params: The values of what the filter names in braces (``"id in {ids}"``, Milvus 2.5).
        consistency_level: A name or number; None for the collection's own.

    Returns:
        An iterator over pages, each a list as :meth:`query` gives it; ``next()`` gives the next one, empty at the end.

    Raises:
        ConfigError: If a parameter cannot be used.
    """
    info = yield from known(collection_name, timeout)
    return QueryPages(
        info,
        collection_name,
        scope_of(filter, filter_params, output_fields, partition_names, consistency_level, timeout),
        batch_size=number("batch_size", batch_size),
        limit=_limit(limit),
        offset=0 if offset is None else number("offset", offset, least=0),
    )


def search_iterator(  # noqa: PLR0917 - pymilvus's order
    collection_name: str,
    data: Any,
    batch_size: int = 1000,
    filter: str | None = None,  # noqa: A002 - pymilvus's name
    limit: int | None = None,
    output_fields: Sequence[str] | None = None,
    search_params: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    partition_names: Sequence[str] | None = None,
    anns_field: str | None = None,
    round_decimal: int = -1,
    *,
    external_filter_func: Callable[[Hits], Iterable[Hit]] | None = None,
    filter_params: Mapping[str, Any] | None = None,
    consistency_level: Level = None,
) -> Operation[SearchPages]:
    """Walk through the rows around one query vector, from near to far.

    Args:
        collection_name: The collection or an alias; it must be loaded.
        data: One query vector, in any form that a search takes.
        batch_size: Hits of a page, 1 to 16,384.
        filter: Milvus's expression; empty for none.
        limit: Hits of all pages; None or -1 for as many as there are.
        output_fields: Fields to return in each hit's ``entity``; None for none.
        search_params: As :meth:`search` takes them.
        timeout: Seconds for each request.
        partition_names: Partitions to search; None for all.
        anns_field: The vector field; may be left out where the collection has one.
        round_decimal: Decimal places of distances; -1 for all.
        external_filter_func: Is given the hits of each answer and returns those that are wanted.
        filter_params: The values of what the filter names in braces (``"id in {ids}"``, Milvus 2.5).
        consistency_level: A name or number; None for the collection's own.

    Returns:
        An iterator over pages, each a list of hits; ``next()`` gives the next one, empty at the end.

    Raises:
        ConfigError: If a parameter cannot be used.
    """
    info = yield from known(collection_name, timeout)
    return SearchPages(
        info,
        collection_name,
        data,
        scope_of(filter, filter_params, output_fields, partition_names, consistency_level, timeout),
        anns_field=text_of("anns_field", anns_field),
        search_params=search_params,
        batch_size=number("batch_size", batch_size),
        limit=_limit(limit),
        round_decimal=number("round_decimal", round_decimal, least=-1),
        external_filter=external_filter_func,
    )


def _limit(limit: int | None) -> int | None:
    if limit is not None and limit < _UNLIMITED:
        raise ConfigError(explain("limit", "a number of at least 0, or -1 for all", repr(limit), "give one of these"))
    return None if limit == _UNLIMITED else limit
