"""Schemas in files: JSON or YAML in the words of ``describe_collection``, for ``headrace load --schema``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.errors import MissingExtraError, SchemaError, explain
from headrace.schema import MAX_VARCHAR_BYTES, CollectionSchema, DataType, FieldSchema, Function, FunctionType

__all__ = ["read_schema", "schema_of"]

_FLAGS = frozenset(
    {"is_primary", "auto_id", "is_partition_key", "is_clustering_key", "nullable", "is_dynamic", "is_function_output"}
)
_FIELD_WORDS = frozenset({"name", "description", "type", "params", "element_type", "default_value"}) | _FLAGS
#: What a description says beside the schema: it belongs to one collection and is left alone.
_IGNORED = frozenset(
    {
        "aliases",
        "collection_id",
        "collection_name",
        "consistency_level",
        "consistency_level_name",
        "created_timestamp",
        "enable_namespace",
        "num_partitions",
        "num_shards",
        "schema_version",
        "update_timestamp",
    }
)
_WORDS = frozenset({"auto_id", "description", "enable_dynamic_field", "fields", "functions", "properties"}) | _IGNORED
#: What servers say of a field beside what it is.
_IGNORED_OF_FIELDS = frozenset({"field_id", "external_field"})


def read_schema(path: Path) -> CollectionSchema:
    """The schema that a file describes.

    Raises:
        SchemaError: If it cannot be read, or describes none.
        MissingExtraError: If it is YAML, and PyYAML is not installed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        described = _yaml(path, text) if path.suffix in (".yaml", ".yml") else json.loads(text)
    except (OSError, ValueError) as error:
        raise _error(str(path), "a schema in JSON or YAML", str(error), "check the file") from error
    return schema_of(described, str(path))


def schema_of(described: object, where: str) -> CollectionSchema:
    """The schema that a value of JSON describes: a dict with ``fields``, as ``describe_collection`` returns it.

    Args:
        described: The value.
        where: Where it is from, for messages.

    Raises:
        SchemaError: If it is no such dict, has a word that means nothing, or its fields cannot be.
    """
    if not isinstance(described, Mapping) or not isinstance(described.get("fields"), list):
        raise _error(where, 'an object with "fields"', type(described).__name__, "write it as describe_collection does")
    _check_words(described, _WORDS, where)
    fields = [_field(item, where, number) for number, item in enumerate(described["fields"])]
    return CollectionSchema(
        [field for field in fields if not field.is_dynamic],
        description=described.get("description", ""),
        enable_dynamic_field=bool(described.get("enable_dynamic_field", False)),
        properties=described.get("properties"),
        functions=[_function(item, where) for item in described.get("functions", ())],
    )


def _field(item: object, where: str, number: int) -> FieldSchema:
    place = f"{where}, field {number + 1}"
    if not isinstance(item, Mapping) or not {"name", "type"} <= item.keys():
        raise _error(place, 'an object with "name" and "type"', repr(item), "describe the field")
    place = f"{where}, field {item['name']!r}"
    _check_words(item, _FIELD_WORDS | _IGNORED_OF_FIELDS, place)
    facts: dict[str, Any] = {
        **(item.get("params") or {}),
        **{flag: bool(item[flag]) for flag in _FLAGS if flag in item},
    }
    element = _type(item["element_type"], place) if item.get("element_type") else None
    if element is DataType.VARCHAR:
        # Milvus Lite 3.2 keeps no length of the elements of an array, and does not describe any.
        facts.setdefault("max_length", MAX_VARCHAR_BYTES)
    return FieldSchema(
        str(item["name"]),
        _type(item["type"], place),
        description=item.get("description", ""),
        element_type=element,
        default_value=item.get("default_value"),
        **facts,
    )


def _function(item: Any, where: str) -> Function:
    try:
        kind = item["type"]
        return Function(
            item["name"],
            FunctionType[kind] if isinstance(kind, str) else kind,
            item["input_field_names"],
            item["output_field_names"],
            description=item.get("description", ""),
            params=item.get("params"),
        )
    except (KeyError, TypeError) as error:
        expected = "a function with name, type, input_field_names and output_field_names"
        raise _error(where, expected, repr(item), "write it as describe_collection does") from error


def _type(given: Any, place: str) -> DataType:
    """A type by its name (``"FLOAT_VECTOR"``, ``"DataType.FLOAT_VECTOR"``) or its number."""
    try:
        if isinstance(given, str):
            return DataType[given.rpartition(".")[2].upper()]
        return DataType(given)
    except (KeyError, ValueError):
        names = [kind.name for kind in DataType if kind is not DataType.NONE]
        raise _error(place, f"one of {', '.join(names)}", repr(given), "choose one") from None


def _check_words(item: Mapping[Any, Any], known: frozenset[str], place: str) -> None:
    for word in item:
        if word not in known:
            allowed = ", ".join(sorted(known - _IGNORED - _IGNORED_OF_FIELDS))
            guess = difflib.get_close_matches(str(word), sorted(known), n=1)
            remedy = f"did you mean {guess[0]!r}?" if guess else "leave it out"
            raise _error(place, f"one of {allowed}", repr(word), remedy)


def _yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        remedy = "install PyYAML, or write the schema as JSON"
        raise MissingExtraError(explain(str(path), "PyYAML to read it", "it is not installed", remedy)) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from error


def _error(where: str, expected: str, found: str, remedy: str) -> SchemaError:
    return SchemaError(explain(where, expected, found, remedy))
