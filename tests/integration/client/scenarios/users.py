"""Users and roles."""

from __future__ import annotations

from tests.integration.client.harness import GUARDED, LITE, outcome, printed, scenario

__all__: list[str] = []


@scenario(engines=(GUARDED,))
def users_and_roles(lib, client, name):
    yield client.create_user(user_name="ann", password="first-word")
    yield outcome(client.create_user, "ann", "first-word")
    yield outcome(client.create_user, "bob", "short")
    yield sorted(client.list_users())
    yield client.update_password("ann", old_password="first-word", new_password="second-word")
    yield outcome(client.update_password, "ann", "first-word", "third-word")
    yield client.create_role(role_name="reader")
    yield sorted(client.list_roles())
    yield client.grant_role(user_name="ann", role_name="reader")
    yield printed(client.describe_user("ann"))
    yield client.grant_privilege(role_name="reader", object_type="Collection", privilege="Search", object_name="books")
    yield client.describe_role("reader")
    yield outcome(client.drop_role, "reader")
    yield client.revoke_privilege("reader", "Collection", "Search", "books")
    yield client.revoke_role("ann", "reader")
    yield client.describe_user(user_name="ann")
    yield client.drop_role("reader")
    yield client.drop_user(user_name="ann")
    yield outcome(client.describe_user, "ann")
    yield sorted(client.list_users())
    yield outcome(client.grant_privilege_v2, "reader", "Search", "books")


@scenario(engines=(LITE,))
def an_engine_without_users(lib, client, name):
    yield outcome(client.create_user, "ann", "first-word")
    yield outcome(client.list_users)
    yield outcome(client.load_partitions, name, ["a"])
    yield outcome(client.alter_index_properties, name, "v", {"mmap.enabled": True})
