"""The options of a load as operators take them: a mapping of columns, arguments of their own, and the rest."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from headrace.arguments import closest
from headrace.config import LoadOptions
from headrace.errors import ConfigError, explain
from headrace.schema import CollectionSchema
from headrace.schema_files import read_schema, schema_of

__all__ = ["check_names", "collection_schema", "joined", "read_mapping"]

#: The fields of :class:`headrace.LoadOptions` that say how columns become fields, and in which partition.
MAPPING = ("map", "only", "drop", "set", "cast", "truncate", "vector", "dim", "key", "partition_name")
_FORM = "write it such as {'map': {'emb': 'vector'}, 'drop': ['raw']}"


def check_names(mapping: Any, options: Mapping[str, Any] | None, own: Collection[str]) -> None:
    """Refuse names that mean nothing, as far as they are known before templates are rendered.

    Args:
        mapping: An operator's ``mapping``; anything but a dict is left for later.
        options: An operator's ``options``.
        own: The fields of LoadOptions that the operator has arguments for.

    Raises:
        ConfigError: If a name is none of a mapping's, or of LoadOptions', or is an argument's.
    """
    for name in mapping if isinstance(mapping, Mapping) else ():
        if name not in MAPPING:
            raise ConfigError(explain("mapping", f"some of {', '.join(MAPPING)}", repr(name), _FORM))
    known = [item.name for item in fields(LoadOptions)]
    for name in options or ():
        if name in own:
            remedy = f"give {name}= to the operator itself"
            raise ConfigError(explain("options", "what the operator has no argument for", repr(name), remedy))
        if name not in known:
            match = closest(str(name), known)
            remedy = f"did you mean {match!r}?" if match else "take names of headrace.LoadOptions"
            raise ConfigError(explain("options", "fields of LoadOptions", repr(name), remedy))


def read_mapping(given: Any) -> Mapping[str, Any]:
    """A ``mapping`` whose templates are rendered: a dict, its JSON text, or None for an empty one.

    Raises:
        ConfigError: If it is something else, or has a name that means nothing.
    """
    found = given or {}
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            found = None
    if not isinstance(found, Mapping):
        raise ConfigError(explain("mapping", "a dict, or one as JSON text", repr(given), _FORM))
    check_names(found, None, ())
    return found


def joined(*groups: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of :class:`headrace.LoadOptions` from several places; ``source_options`` may be in several of them.

    Raises:
        ConfigError: If another one is.
    """
    found: dict[str, Any] = {}
    for group in groups:
        for name, value in group.items():
            if name == "source_options":
                value = {**found.get(name, {}), **value}  # noqa: PLW2901 - what it becomes with those before
            elif name in found:
                remedy = "give it as an argument, in mapping or in options"
                raise ConfigError(explain(name, "one place that says it", "several", remedy))
            found[name] = value
    return found


def collection_schema(given: str | Mapping[str, Any] | None) -> CollectionSchema | None:
    """The schema that a dict describes, or the file of this path.

    Raises:
        SchemaError: If it describes none.
    """
    if given is None:
        return None
    return read_schema(Path(given)) if isinstance(given, str) else schema_of(given, "schema")
