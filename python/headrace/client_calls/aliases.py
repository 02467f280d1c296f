"""Aliases: other names of collections."""

from __future__ import annotations

from typing import Any

from headrace._proto import admin_pb2, common_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import name_of, text_of
from headrace.operations.base import ask

__all__ = ["alter_alias", "create_alias", "describe_alias", "drop_alias", "list_aliases"]


def _named(collection_name: str, alias: str) -> admin_pb2.AliasRequest:
    return admin_pb2.AliasRequest(
        collection_name=name_of("collection_name", collection_name), alias=name_of("alias", alias)
    )


def create_alias(collection_name: str, alias: str, timeout: float | None = None) -> Operation[None]:
    """Give a collection another name."""
    yield from ask("CreateAlias", _named(collection_name, alias), common_pb2.Status, rpc_timeout(timeout))


def alter_alias(collection_name: str, alias: str, timeout: float | None = None) -> Operation[None]:
    """Let an alias name another collection."""
    yield from ask("AlterAlias", _named(collection_name, alias), common_pb2.Status, rpc_timeout(timeout))


def drop_alias(alias: str, timeout: float | None = None) -> Operation[None]:
    """Drop an alias; its collection stays."""
    request = admin_pb2.NamedAliasRequest(alias=name_of("alias", alias))
    yield from ask("DropAlias", request, common_pb2.Status, rpc_timeout(timeout))


def describe_alias(alias: str, timeout: float | None = None) -> Operation[dict[str, str]]:
    """Which collection an alias names, and in which database: ``alias``, ``collection_name``, ``db_name``."""
    request = admin_pb2.NamedAliasRequest(alias=name_of("alias", alias))
    answer = yield from ask("DescribeAlias", request, admin_pb2.DescribeAliasResponse, rpc_timeout(timeout))
    told = {"collection_name": answer.collection, "db_name": answer.db_name}
    return {"alias": alias, **{key: value for key, value in told.items() if value}}


def list_aliases(
    collection_name: str = "", timeout: float | None = None, *, db_name: str = ""
) -> Operation[dict[str, Any]]:
    """The aliases of a collection, or of all: ``{"aliases": [...], "collection_name": ..., "db_name": ...}``."""
    request = admin_pb2.ListAliasesRequest(
        collection_name=text_of("collection_name", collection_name), db_name=text_of("db_name", db_name)
    )
    answer = yield from ask("ListAliases", request, admin_pb2.ListAliasesResponse, rpc_timeout(timeout))
    told = {"collection_name": answer.collection_name, "db_name": answer.db_name}
    return {"aliases": list(answer.aliases), **{key: value for key, value in told.items() if value}}
