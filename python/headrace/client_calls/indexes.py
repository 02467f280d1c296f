"""Indexes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.schema import IndexParam

__all__ = ["create_index", "describe_index", "list_indexes"]


def create_index(
    collection_name: str, index_params: Sequence[IndexParam], timeout: float | None = None
) -> Operation[None]:
    """Define indexes. AUTOINDEX works for every field type on every server."""
    for param in index_params:
        yield from ops.create_index(collection_name, param, timeout=rpc_timeout(timeout))


def list_indexes(collection_name: str, field_name: str = "", timeout: float | None = None) -> Operation[list[str]]:
    """The names of a collection's indexes, or of one field's."""
    found = yield from ops.describe_index(collection_name, field_name, timeout=rpc_timeout(timeout))
    return [item.index_name for item in found]


def describe_index(
    collection_name: str, index_name: str, timeout: float | None = None
) -> Operation[dict[str, Any] | None]:
    """One index by name; None where there is none."""
    found = yield from ops.describe_index(collection_name, timeout=rpc_timeout(timeout))
    for item in found:
        if item.index_name == index_name:
            return {
                **item.params,
                "index_type": item.index_type,
                "metric_type": item.metric_type,
                "field_name": item.field_name,
                "index_name": item.index_name,
                "total_rows": item.total_rows,
                "indexed_rows": item.indexed_rows,
                "pending_index_rows": item.pending_rows,
                "state": item.state,
            }
    return None
