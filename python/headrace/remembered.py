"""The schema and the indexes that a dump remembers: a load that creates a collection from it makes the dumped one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from headrace.config import LoadOptions
from headrace.errors import ConfigError, SchemaError, explain
from headrace.schema import CollectionSchema, IndexParam
from headrace.schema_files import schema_of

__all__ = ["MEMORY", "memory_of", "remembered_indexes", "remembered_schema"]

#: Key of a dump's Arrow metadata whose value describes the collection, as JSON.
MEMORY = b"headrace.collection"
_INDEXES = "indexes"
#: Options by which somebody says what the collection is to be.
_SAY_OTHERWISE = ("key", "auto_id", "vector", "dim", "partition_key", "dynamic")


def memory_of(described: dict[str, Any], indexes: Sequence[IndexParam]) -> dict[bytes, bytes]:
    """Arrow metadata for a dump of the collection that ``describe_collection`` describes so, with these indexes."""
    lines = [{**asdict(index), "params": dict(index.params)} for index in indexes]
    return {MEMORY: json.dumps({**described, _INDEXES: lines}, ensure_ascii=False).encode()}


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


def remembered_indexes(columns: pa.Schema, options: LoadOptions) -> list[IndexParam]:
    """The indexes of the collection that these columns were dumped from; none where :func:`remembered_schema` is None.

    Raises:
        SchemaError: If the memory is damaged.
    """
    if remembered_schema(columns, options) is None:
        return []
    lines = json.loads(columns.metadata[MEMORY]).get(_INDEXES, [])
    try:
        return [IndexParam(**line) for line in lines]
    except (TypeError, ConfigError) as error:
        expected, remedy = "indexes as a dump writes them", "say --metric and create the collection first"
        raise SchemaError(
            explain("headrace.collection in the file's metadata", expected, str(error), remedy)
        ) from error


def _own_keys(described: Any) -> Any:
    """The same for rows that carry their keys, without what marks a collection that headrace made."""
    if not isinstance(described, dict) or not isinstance(described.get("fields"), list):
        return described
    properties = described.get("properties") or {}
    return {
        **{word: value for word, value in described.items() if word != _INDEXES},
        "auto_id": False,
        "fields": [{**item, "auto_id": False} if item.get("is_primary") else item for item in described["fields"]],
        "properties": {name: value for name, value in properties.items() if not name.startswith("headrace.")},
    }
