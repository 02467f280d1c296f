"""Indexes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from headrace import operations as ops
from headrace._proto import admin_pb2, common_pb2, milvus_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import flag, name_of, seconds, text_of
from headrace.errors import ConfigError, explain
from headrace.operations.base import ask
from headrace.protocol import mapping
from headrace.schema import IndexParam, IndexParams

__all__ = ["create_index", "describe_index", "drop_index", "list_indexes"]


def create_index(
    collection_name: str,
    index_params: Iterable[IndexParam | Mapping[str, Any]],
    timeout: float | None = None,
    *,
    sync: bool = True,
) -> Operation[None]:
    """Define indexes. AUTOINDEX works for every field type on every server.

    Args:
        collection_name: The collection.
        index_params: The indexes, from :meth:`prepare_index_params`.
        timeout: Seconds for each call, and until each index is built; None waits without end.
        sync: Wait until the indexes are built.

    Raises:
        MilvusException: If the server refuses one, or cannot build it.
        TransportError: If one was not built in time; the server goes on building it.
    """
    name, wait = name_of("collection_name", collection_name), flag("sync", sync)
    params = IndexParams.of(index_params)
    for param in params:
        yield from ops.create_index(name, param, timeout=rpc_timeout(timeout))
    for param in params if wait else ():
        yield from ops.wait_for_index(name, param, timeout=seconds(timeout))


def drop_index(collection_name: str, index_name: str, timeout: float | None = None) -> Operation[None]:
    """Drop an index by its name; the collection has to be released first."""
    request = admin_pb2.DropIndexRequest(
        collection_name=name_of("collection_name", collection_name), index_name=name_of("index_name", index_name)
    )
    yield from ask("DropIndex", request, common_pb2.Status, rpc_timeout(timeout))


def list_indexes(collection_name: str, field_name: str = "", timeout: float | None = None) -> Operation[list[str]]:
    """The names of a collection's indexes, or of one field's."""
    wanted = text_of("field_name", field_name)
    found = yield from ops.describe_index(name_of("collection_name", collection_name), timeout=rpc_timeout(timeout))
    return [item.index_name for item in found if not wanted or item.field_name == wanted]


def describe_index(
    collection_name: str, index_name: str = "", timeout: float | None = None
) -> Operation[dict[str, Any] | None]:
    """One index by name, as the server says it: parameters, field, state and how far it is; None where there is none.

    Raises:
        ConfigError: If no name is given and there are several.
    """
    name, wanted = name_of("collection_name", collection_name), text_of("index_name", index_name)
    found = yield from ops.index_descriptions(name, index_name=wanted, timeout=rpc_timeout(timeout))
    # Milvus Lite 3.2 lists all of them, whichever is asked for, and gives each its field's name.
    named = found if len(found) == 1 else [item for item in found if item.index_name == wanted]
    if found and not named:
        names = ", ".join(repr(item.index_name) for item in found)
        raise ConfigError(explain("index_name", f"one of {names}", repr(index_name), "say which"))
    return _described(named[0]) if named else None


def _described(item: milvus_pb2.IndexDescription) -> dict[str, Any]:
    shown: dict[str, Any] = mapping(item.params)
    if "params" in shown:
        shown["params"] = json.loads(shown["params"] or "{}")
    return {
        **shown,
        "field_name": item.field_name,
        "index_name": item.index_name,
        "total_rows": item.total_rows,
        "indexed_rows": item.indexed_rows,
        "pending_index_rows": item.pending_index_rows,
        "state": ops.index_state(item.state),
    }
