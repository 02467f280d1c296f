"""Every client call once, without I/O: generators that yield RPCs and return parsed results.

Run them with :func:`drive_sync` or :func:`drive_async`, or from another operation with ``yield from``. Each raises
:class:`~headrace.errors.MilvusException` where the server refuses and lets a
:class:`~headrace.errors.TransportError` pass; ``timeout`` is the deadline of each RPC in seconds.
"""

from __future__ import annotations

from headrace.calls import Operation, Rpc, Sleep, drive_async, drive_sync
from headrace.operations.base import DEFAULT_TIMEOUT
from headrace.operations.collections import (
    LoadState,
    create_collection,
    describe_collection,
    drop_collection,
    flush,
    get_load_state,
    has_collection,
    is_loaded,
    list_collections,
    load_collection,
    release_collection,
)
from headrace.operations.data import count, delete, get_by_keys, keys_between, keys_filter, query
from headrace.operations.indexes import METRICS, IndexInfo, create_index, describe_index, metric_for
from headrace.operations.patience import patiently
from headrace.operations.search import (
    AnnSearchRequest,
    Hit,
    RRFRanker,
    WeightedRanker,
    hybrid_search,
    search,
)
from headrace.operations.server import Health, check_health, get_server_version

__all__ = [
    "DEFAULT_TIMEOUT",
    "METRICS",
    "AnnSearchRequest",
    "Health",
    "Hit",
    "IndexInfo",
    "LoadState",
    "Operation",
    "RRFRanker",
    "Rpc",
    "Sleep",
    "WeightedRanker",
    "check_health",
    "count",
    "create_collection",
    "create_index",
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
    "is_loaded",
    "keys_between",
    "keys_filter",
    "list_collections",
    "load_collection",
    "metric_for",
    "patiently",
    "query",
    "release_collection",
    "search",
]
