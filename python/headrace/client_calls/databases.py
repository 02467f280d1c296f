"""Databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace._proto import admin_pb2, common_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import mapping_of, name_of, names_of
from headrace.errors import MilvusException, RpcError
from headrace.operations.base import ask
from headrace.protocol import mapping, property_pairs

__all__ = [
    "alter_database_properties",
    "create_database",
    "describe_database",
    "drop_database",
    "drop_database_properties",
    "list_databases",
]

#: merr.ErrDatabaseNotFound.
_NOT_FOUND = 800


def create_database(
    db_name: str, properties: Mapping[str, Any] | None = None, timeout: float | None = None
) -> Operation[None]:
    """Create a database; one that exists is refused."""
    pairs = property_pairs(mapping_of("properties", properties)) if properties else []
    request = admin_pb2.CreateDatabaseRequest(db_name=name_of("db_name", db_name), properties=pairs)
    yield from ask("CreateDatabase", request, common_pb2.Status, rpc_timeout(timeout))


def drop_database(db_name: str, timeout: float | None = None) -> Operation[None]:
    """Drop a database, which must be empty; one that does not exist is no error."""
    request = admin_pb2.DropDatabaseRequest(db_name=name_of("db_name", db_name))
    yield from ask("DropDatabase", request, common_pb2.Status, rpc_timeout(timeout))


def list_databases(timeout: float | None = None) -> Operation[list[str]]:
    """The names of the server's databases, in its order."""
    request = admin_pb2.ListDatabasesRequest()
    answer = yield from ask("ListDatabases", request, admin_pb2.ListDatabasesResponse, rpc_timeout(timeout))
    return list(answer.db_names)


def describe_database(db_name: str, timeout: float | None = None) -> Operation[dict[str, Any]]:
    """A database's name and its properties. Servers without that call tell only that it is there.

    Raises:
        MilvusException: Code 800 where there is none.
    """
    name = name_of("db_name", db_name)
    request = admin_pb2.DescribeDatabaseRequest(db_name=name)
    try:
        answer = yield from ask("DescribeDatabase", request, admin_pb2.DescribeDatabaseResponse, rpc_timeout(timeout))
    except RpcError as error:
        if error.status != "UNIMPLEMENTED":
            raise
        if name not in (yield from list_databases(timeout)):
            raise MilvusException(
                f"database not found[database={name}]", code=_NOT_FOUND, method="DescribeDatabase"
            ) from None
        return {"name": name}
    return {"name": answer.db_name, **mapping(answer.properties)}


def alter_database_properties(
    db_name: str, properties: Mapping[str, Any], timeout: float | None = None
) -> Operation[None]:
    """Set properties of a database."""
    pairs = property_pairs(mapping_of("properties", properties))
    request = admin_pb2.AlterDatabaseRequest(db_name=name_of("db_name", db_name), properties=pairs)
    yield from ask("AlterDatabase", request, common_pb2.Status, rpc_timeout(timeout))


def drop_database_properties(db_name: str, property_keys: list[str], timeout: float | None = None) -> Operation[None]:
    """Take properties of a database back."""
    request = admin_pb2.AlterDatabaseRequest(
        db_name=name_of("db_name", db_name), delete_keys=names_of("property_keys", property_keys)
    )
    yield from ask("AlterDatabase", request, common_pb2.Status, rpc_timeout(timeout))
