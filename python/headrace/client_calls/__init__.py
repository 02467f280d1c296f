"""Every client method once, as an operation: what the two clients of :mod:`headrace.client` drive.

Names, parameters and results are pymilvus's. Parameters that pymilvus takes and that mean nothing here are not
taken: a wrong name is an error, not silence.
"""

from __future__ import annotations

from headrace.client_calls.aliases import alter_alias, create_alias, describe_alias, drop_alias, list_aliases
from headrace.client_calls.collections import (
    add_collection_field,
    create_collection,
    drop_collection,
    get_collection_stats,
    has_collection,
    list_collections,
    rename_collection,
    truncate_collection,
)
from headrace.client_calls.data import get, query
from headrace.client_calls.databases import (
    alter_database_properties,
    create_database,
    describe_database,
    drop_database,
    drop_database_properties,
    list_databases,
)
from headrace.client_calls.descriptions import describe_collection
from headrace.client_calls.indexes import create_index, describe_index, drop_index, list_indexes
from headrace.client_calls.iterators import query_iterator, search_iterator
from headrace.client_calls.loading import (
    get_load_state,
    load_collection,
    load_partitions,
    refresh_load,
    release_collection,
    release_partitions,
)
from headrace.client_calls.maintenance import compact, flush, get_compaction_state
from headrace.client_calls.partitions import (
    create_partition,
    drop_partition,
    get_partition_stats,
    has_partition,
    list_partitions,
)
from headrace.client_calls.properties import (
    alter_collection_field,
    alter_collection_properties,
    alter_index_properties,
    drop_collection_properties,
    drop_index_properties,
)
from headrace.client_calls.roles import (
    create_role,
    describe_role,
    drop_role,
    grant_privilege,
    grant_privilege_v2,
    grant_role,
    list_roles,
    revoke_privilege,
    revoke_privilege_v2,
    revoke_role,
)
from headrace.client_calls.search import hybrid_search, search
from headrace.client_calls.server import get_server_version
from headrace.client_calls.users import create_user, describe_user, drop_user, list_users, update_password
from headrace.client_calls.writes import delete, insert, upsert

__all__ = [
    "add_collection_field",
    "alter_alias",
    "alter_collection_field",
    "alter_collection_properties",
    "alter_database_properties",
    "alter_index_properties",
    "compact",
    "create_alias",
    "create_collection",
    "create_database",
    "create_index",
    "create_partition",
    "create_role",
    "create_user",
    "delete",
    "describe_alias",
    "describe_collection",
    "describe_database",
    "describe_index",
    "describe_role",
    "describe_user",
    "drop_alias",
    "drop_collection",
    "drop_collection_properties",
    "drop_database",
    "drop_database_properties",
    "drop_index",
    "drop_index_properties",
    "drop_partition",
    "drop_role",
    "drop_user",
    "flush",
    "get",
    "get_collection_stats",
    "get_compaction_state",
    "get_load_state",
    "get_partition_stats",
    "get_server_version",
    "grant_privilege",
    "grant_privilege_v2",
    "grant_role",
    "has_collection",
    "has_partition",
    "hybrid_search",
    "insert",
    "list_aliases",
    "list_collections",
    "list_databases",
    "list_indexes",
    "list_partitions",
    "list_roles",
    "list_users",
    "load_collection",
    "load_partitions",
    "query",
    "query_iterator",
    "refresh_load",
    "release_collection",
    "release_partitions",
    "rename_collection",
    "revoke_privilege",
    "revoke_privilege_v2",
    "revoke_role",
    "search",
    "search_iterator",
    "truncate_collection",
    "update_password",
    "upsert",
]
