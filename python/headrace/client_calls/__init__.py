"""Every client method once, as an operation: what the two clients of :mod:`headrace.client` drive.

Names, parameters and results are pymilvus's. Parameters that pymilvus takes and that mean nothing here are not
taken: a wrong name is an error, not silence.
"""

from __future__ import annotations

from headrace.client_calls.collections import (
    create_collection,
    describe_collection,
    drop_collection,
    flush,
    get_load_state,
    has_collection,
    list_collections,
    load_collection,
)
from headrace.client_calls.data import get, query
from headrace.client_calls.indexes import create_index, describe_index, list_indexes
from headrace.client_calls.search import hybrid_search, search
from headrace.client_calls.server import get_server_version
from headrace.client_calls.writes import delete, insert, upsert

__all__ = [
    "create_collection",
    "create_index",
    "delete",
    "describe_collection",
    "describe_index",
    "drop_collection",
    "flush",
    "get",
    "get_load_state",
    "get_server_version",
    "has_collection",
    "hybrid_search",
    "insert",
    "list_collections",
    "list_indexes",
    "load_collection",
    "query",
    "search",
    "upsert",
]
