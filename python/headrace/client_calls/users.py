"""Users: who may come in. Milvus Lite has none."""

from __future__ import annotations

import base64
from typing import Any

from headrace._proto import admin_pb2, common_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import name_of, text_of
from headrace.errors import ConfigError, explain
from headrace.operations.base import ask

__all__ = ["create_user", "describe_user", "drop_user", "list_users", "update_password"]


def _hidden(parameter: str, password: Any) -> str:
    """A password as it travels; it never stands in an error."""
    if isinstance(password, str) and password:
        return base64.b64encode(password.encode()).decode()
    found = "an empty one" if password == "" else f"one of type {type(password).__name__}"
    raise ConfigError(explain(parameter, "a text that is not empty", found, "give a password"))


def create_user(
    user_name: str, password: str, timeout: float | None = None, description: str | None = None
) -> Operation[None]:
    """Make a user; real servers want 6 to 256 characters for a password, and take a description from 3.0 on."""
    request = admin_pb2.CreateCredentialRequest(
        username=name_of("user_name", user_name),
        password=_hidden("password", password),
        description=text_of("description", description),
    )
    yield from ask("CreateCredential", request, common_pb2.Status, rpc_timeout(timeout))


def update_password(
    user_name: str,
    old_password: str,
    new_password: str,
    timeout: float | None = None,
    description: str | None = None,
) -> Operation[None]:
    """Change a user's password."""
    request = admin_pb2.UpdateCredentialRequest(
        username=name_of("user_name", user_name),
        oldPassword=_hidden("old_password", old_password),
        newPassword=_hidden("new_password", new_password),
        description=text_of("description", description),
    )
    yield from ask("UpdateCredential", request, common_pb2.Status, rpc_timeout(timeout))


def drop_user(user_name: str, timeout: float | None = None) -> Operation[None]:
    """Remove a user; one that does not exist is no error."""
    request = admin_pb2.DeleteCredentialRequest(username=name_of("user_name", user_name))
    yield from ask("DeleteCredential", request, common_pb2.Status, rpc_timeout(timeout))


def list_users(timeout: float | None = None) -> Operation[list[str]]:
    """The users' names."""
    request = admin_pb2.ListCredUsersRequest()
    answer = yield from ask("ListCredUsers", request, admin_pb2.ListCredUsersResponse, rpc_timeout(timeout))
    return list(answer.usernames)


def describe_user(user_name: str, timeout: float | None = None) -> Operation[dict[str, Any]]:
    """A user's roles: ``{"user_name": ..., "roles": (...), "description": ...}``; empty where there is none."""
    name = name_of("user_name", user_name)
    request = admin_pb2.SelectUserRequest(user=admin_pb2.UserEntity(name=name), include_role_info=True)
    answer = yield from ask("SelectUser", request, admin_pb2.SelectUserResponse, rpc_timeout(timeout))
    for item in answer.results:
        roles = tuple(role.name for role in item.roles)
        return {"user_name": name, "roles": roles, "description": item.description}
    return {}
