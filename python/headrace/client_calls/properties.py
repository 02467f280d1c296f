"""Properties of collections, fields and indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace._proto import admin_pb2, common_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import mapping_of, name_of, names_of
from headrace.operations.base import ask
from headrace.protocol import property_pairs

__all__ = [
    "alter_collection_field",
    "alter_collection_properties",
    "alter_index_properties",
    "drop_collection_properties",
    "drop_index_properties",
]


def alter_collection_properties(
    collection_name: str, properties: Mapping[str, Any], timeout: float | None = None
) -> Operation[None]:
    """Set properties of a collection, for example ``{"collection.ttl.seconds": 3600}``."""
    request = admin_pb2.AlterCollectionRequest(
        collection_name=name_of("collection_name", collection_name),
        properties=property_pairs(mapping_of("properties", properties)),
    )
    yield from ask("AlterCollection", request, common_pb2.Status, rpc_timeout(timeout))


def drop_collection_properties(
    collection_name: str, property_keys: Sequence[str], timeout: float | None = None
) -> Operation[None]:
    """Take properties of a collection back."""
    request = admin_pb2.AlterCollectionRequest(
        collection_name=name_of("collection_name", collection_name),
        delete_keys=names_of("property_keys", property_keys),
    )
    yield from ask("AlterCollection", request, common_pb2.Status, rpc_timeout(timeout))


def alter_collection_field(
    collection_name: str, field_name: str, field_params: Mapping[str, Any], timeout: float | None = None
) -> Operation[None]:
    """Change parameters of a field, for example ``{"max_length": 512}`` (Milvus 2.5)."""
    request = admin_pb2.AlterCollectionFieldRequest(
        collection_name=name_of("collection_name", collection_name),
        field_name=name_of("field_name", field_name),
        properties=property_pairs(mapping_of("field_params", field_params)),
    )
    yield from ask("AlterCollectionField", request, common_pb2.Status, rpc_timeout(timeout))


def alter_index_properties(
    collection_name: str, index_name: str, properties: Mapping[str, Any], timeout: float | None = None
) -> Operation[None]:
    """Set properties of an index, for example ``{"mmap.enabled": True}`` (Milvus 2.4)."""
    request = admin_pb2.AlterIndexRequest(
        collection_name=name_of("collection_name", collection_name),
        index_name=name_of("index_name", index_name),
        extra_params=property_pairs(mapping_of("properties", properties)),
    )
    yield from ask("AlterIndex", request, common_pb2.Status, rpc_timeout(timeout))


def drop_index_properties(
    collection_name: str, index_name: str, property_keys: Sequence[str], timeout: float | None = None
) -> Operation[None]:
    """Take properties of an index back (Milvus 2.5)."""
    request = admin_pb2.AlterIndexRequest(
        collection_name=name_of("collection_name", collection_name),
        index_name=name_of("index_name", index_name),
        delete_keys=names_of("property_keys", property_keys),
    )
    yield from ask("AlterIndex", request, common_pb2.Status, rpc_timeout(timeout))
