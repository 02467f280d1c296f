"""Roles: what users may do. Milvus Lite has none."""

from __future__ import annotations

from typing import Any

from headrace._proto import admin_pb2, common_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import flag, name_of, text_of
from headrace.operations.base import ask

__all__ = [
    "create_role",
    "describe_role",
    "drop_role",
    "grant_privilege",
    "grant_privilege_v2",
    "grant_role",
    "list_roles",
    "revoke_privilege",
    "revoke_privilege_v2",
    "revoke_role",
]

#: ``OperateUserRoleType`` and ``OperatePrivilegeType`` are 0 to give and 1 to take back.
_GIVE, _TAKE = 0, 1


def create_role(role_name: str, timeout: float | None = None, description: str = "") -> Operation[None]:
    """Make a role, without privileges."""
    entity = admin_pb2.RoleEntity(name=name_of("role_name", role_name), description=text_of("description", description))
    request = admin_pb2.CreateRoleRequest(entity=entity)
    yield from ask("CreateRole", request, common_pb2.Status, rpc_timeout(timeout))


def drop_role(role_name: str, force_drop: bool = False, timeout: float | None = None) -> Operation[None]:
    """Remove a role; ``force_drop`` takes its privileges first."""
    request = admin_pb2.DropRoleRequest(
        role_name=name_of("role_name", role_name), force_drop=flag("force_drop", force_drop)
    )
    yield from ask("DropRole", request, common_pb2.Status, rpc_timeout(timeout))


def list_roles(timeout: float | None = None) -> Operation[list[str]]:
    """The roles' names."""
    request = admin_pb2.SelectRoleRequest()
    answer = yield from ask("SelectRole", request, admin_pb2.SelectRoleResponse, rpc_timeout(timeout))
    return [item.role.name for item in answer.results]


def describe_role(role_name: str, timeout: float | None = None, *, db_name: str = "") -> Operation[dict[str, Any]]:
    """A role's privileges: ``{"role": ..., "description": ..., "privileges": [...]}``."""
    role = admin_pb2.RoleEntity(name=name_of("role_name", role_name))
    found = yield from ask(
        "SelectRole", admin_pb2.SelectRoleRequest(role=role), admin_pb2.SelectRoleResponse, rpc_timeout(timeout)
    )
    request = admin_pb2.SelectGrantRequest(entity=admin_pb2.GrantEntity(role=role, db_name=text_of("db_name", db_name)))
    answer = yield from ask("SelectGrant", request, admin_pb2.SelectGrantResponse, rpc_timeout(timeout))
    return {
        "role": role_name,
        "description": found.results[0].role.description if found.results else "",
        "privileges": [_privilege(item) for item in answer.entities],
    }


def _privilege(item: admin_pb2.GrantEntity) -> dict[str, str]:
    shown = {
        "object_type": item.object.name,
        "object_name": item.object_name,
        "db_name": item.db_name,
        "role_name": item.role.name,
        "privilege": item.grantor.privilege.name,
        "grantor_name": item.grantor.user.name,
    }
    return {key: value for key, value in shown.items() if value}


def grant_role(user_name: str, role_name: str, timeout: float | None = None) -> Operation[None]:
    """Give a user a role."""
    yield from _operate_role(user_name, role_name, _GIVE, timeout)


def revoke_role(user_name: str, role_name: str, timeout: float | None = None) -> Operation[None]:
    """Take a role from a user."""
    yield from _operate_role(user_name, role_name, _TAKE, timeout)


def _operate_role(user_name: str, role_name: str, kind: int, timeout: float | None) -> Operation[None]:
    request = admin_pb2.OperateUserRoleRequest(
        username=name_of("user_name", user_name), role_name=name_of("role_name", role_name), type=kind
    )
    yield from ask("OperateUserRole", request, common_pb2.Status, rpc_timeout(timeout))


def grant_privilege(  # noqa: PLR0917 - pymilvus's order
    role_name: str,
    object_type: str,
    privilege: str,
    object_name: str,
    db_name: str = "",
    timeout: float | None = None,
) -> Operation[None]:
    """Let a role do something: ``grant_privilege("reader", "Collection", "Search", "docs")``."""
    yield from _operate_privilege(role_name, object_type, privilege, object_name, db_name, _GIVE, timeout)


def revoke_privilege(  # noqa: PLR0917 - pymilvus's order
    role_name: str,
    object_type: str,
    privilege: str,
    object_name: str,
    db_name: str = "",
    timeout: float | None = None,
) -> Operation[None]:
    """No longer let a role do something."""
    yield from _operate_privilege(role_name, object_type, privilege, object_name, db_name, _TAKE, timeout)


def _operate_privilege(  # noqa: PLR0917 - its callers' order
    role_name: str,
    object_type: str,
    privilege: str,
    object_name: str,
    db_name: str,
    kind: int,
    timeout: float | None,
) -> Operation[None]:
    entity = admin_pb2.GrantEntity(
        role=admin_pb2.RoleEntity(name=name_of("role_name", role_name)),
        object=admin_pb2.ObjectEntity(name=name_of("object_type", object_type)),
        object_name=name_of("object_name", object_name),
        grantor=_grantor(privilege),
        db_name=text_of("db_name", db_name),
    )
    request = admin_pb2.OperatePrivilegeRequest(entity=entity, type=kind)
    yield from ask("OperatePrivilege", request, common_pb2.Status, rpc_timeout(timeout))


def _grantor(privilege: str) -> admin_pb2.GrantorEntity:
    return admin_pb2.GrantorEntity(privilege=admin_pb2.PrivilegeEntity(name=name_of("privilege", privilege)))


def grant_privilege_v2(
    role_name: str, privilege: str, collection_name: str, db_name: str | None = None, timeout: float | None = None
) -> Operation[None]:
    """Let a role do something, or a group of things, with a collection; ``"*"`` for every one (Milvus 2.5)."""
    yield from _operate_privilege_v2(role_name, privilege, collection_name, db_name, _GIVE, timeout)


def revoke_privilege_v2(
    role_name: str, privilege: str, collection_name: str, db_name: str | None = None, timeout: float | None = None
) -> Operation[None]:
    """No longer let a role do something with a collection (Milvus 2.5)."""
    yield from _operate_privilege_v2(role_name, privilege, collection_name, db_name, _TAKE, timeout)


def _operate_privilege_v2(  # noqa: PLR0917 - its callers' order
    role_name: str, privilege: str, collection_name: str, db_name: str | None, kind: int, timeout: float | None
) -> Operation[None]:
    request = admin_pb2.OperatePrivilegeV2Request(
        role=admin_pb2.RoleEntity(name=name_of("role_name", role_name)),
        grantor=_grantor(privilege),
        type=kind,
        db_name=text_of("db_name", db_name),
        collection_name=name_of("collection_name", collection_name),
    )
    yield from ask("OperatePrivilegeV2", request, common_pb2.Status, rpc_timeout(timeout))
