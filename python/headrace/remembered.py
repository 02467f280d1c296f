"""The schema that a dump remembers: a load that creates a collection from it makes the one that was dumped."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from headrace.config import LoadOptions
from headrace.schema import CollectionSchema
from headrace.schema_files import schema_of

__all__ = ["MEMORY", "memory_of", "remembered_schema"]

#: Key of a dump's Arrow metadata whose value describes the collection, as JSON.
MEMORY = b"headrace.collection"
#: Options by which somebody says what the collection is to be.
_SAY_OTHERWISE = ("key", "auto_id", "vector", "dim", "partition_key", "dynamic")


def memory_of(described: dict[str, Any]) -> dict[bytes, bytes]:
    """Arrow metadata for a dump of the collection that ``describe_collection`` describes so."""
    return {MEMORY: json.dumps(described, ensure_ascii=False).encode()}


def remembered_schema(columns: pa.Schema, options: LoadOptions) -> CollectionSchema | None:
    """The schema of the collection that these columns were dumped from, with keys that the rows carry.

    None where the columns are no dump, or not all of one, or options say what the collection is to be.

    Raises:
        SchemaError: If the memory is damaged.
    """
    memory = (columns.metadata or {}).get(MEMORY)
    if memory is None or any(getattr(options, name) for name in _SAY_OTHERWISE):
        return None
    schema = schema_of(_own_keys(json.loads(memory)), "headrace.collection in the file's metadata")
    return schema if {field.name for field in schema.sent_fields} == set(columns.names) else None


def _own_keys(described: Any) -> Any:
    """The same for rows that carry their keys, without what marks a collection that headrace made."""
    if not isinstance(described, dict) or not isinstance(described.get("fields"), list):
        return described
    properties = described.get("properties") or {}
    return {
        **described,
        "auto_id": False,
        "fields": [{**item, "auto_id": False} if item.get("is_primary") else item for item in described["fields"]],
        "properties": {name: value for name, value in properties.items() if not name.startswith("headrace.")},
    }
