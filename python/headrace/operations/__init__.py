"""Every client call once, without I/O: generators that yield RPCs and return parsed results.

Run them with :func:`drive_sync` or :func:`drive_async`, or from another operation with ``yield from``. Each raises
:class:`~headrace.errors.MilvusException` where the server refuses and lets a
:class:`~headrace.errors.TransportError` pass; ``timeout`` is the deadline of each RPC in seconds.
"""

from __future__ import annotations

from headrace.calls import Operation, Rpc, Sleep, drive_async, drive_sync
from headrace.operations.base import DEFAULT_TIMEOUT, ROWS_TIMEOUT, Scope
from headrace.operations.collections import (
    create_collection,
    describe_collection,
    drop_collection,
    flush,
    has_collection,
    list_collections,
)
from headrace.operations.data import (
    ask_query,
    count,
    delete,
    get_by_keys,
    keys_between,
    keys_filter,
    query,
    query_request,
    query_result,
)
from headrace.operations.indexes import (
    METRICS,
    IndexInfo,
    check_indexes,
    create_index,
    describe_index,
    index_descriptions,
    index_state,
    metric_for,
    wait_for_index,
    wait_for_indexes,
)
from headrace.operations.loading import (
    LoadState,
    get_load_state,
    is_loaded,
    load_collection,
    release_collection,
    wait_until_loaded,
    wait_until_refreshed,
)
from headrace.operations.partitions import create_partition, list_partitions
from headrace.operations.patience import patiently
from headrace.operations.query_pages import QueryPages
from headrace.operations.ranking import Ranking, RRFRanker, WeightedRanker, order_text
from headrace.operations.search import (
    AnnSearchRequest,
    ask_search,
    hybrid_search,
    search,
    search_request,
)
from headrace.operations.search_pages import SearchPages
from headrace.operations.server import Health, check_health, get_server_version
from headrace.operations.writes import Request, Written, write

__all__ = [
    "DEFAULT_TIMEOUT",
    "METRICS",
    "ROWS_TIMEOUT",
    "AnnSearchRequest",
    "Health",
    "IndexInfo",
    "LoadState",
    "Operation",
    "QueryPages",
    "RRFRanker",
    "Ranking",
    "Request",
    "Rpc",
    "Scope",
    "SearchPages",
    "Sleep",
    "WeightedRanker",
    "Written",
    "ask_query",
    "ask_search",
    "check_health",
    "check_indexes",
    "count",
    "create_collection",
    "create_index",
    "create_partition",
    "delete",
    "describe_collection",
    "describe_index",
    "drive_async",
    "drive_sync",
    "drop_collection",
    "flush",
    "get_by_keys",
    "get_load_state",
    "get_server_version",
    "has_collection",
    "hybrid_search",
    "index_descriptions",
    "index_state",
    "is_loaded",
    "keys_between",
    "keys_filter",
    "list_collections",
    "list_partitions",
    "load_collection",
    "metric_for",
    "order_text",
    "patiently",
    "query",
    "query_request",
    "query_result",
    "release_collection",
    "search",
    "search_request",
    "wait_for_index",
    "wait_for_indexes",
    "wait_until_loaded",
    "wait_until_refreshed",
    "write",
]
