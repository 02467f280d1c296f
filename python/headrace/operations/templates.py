"""Values that a filter names in braces (``"id in {ids}"``), as servers take them since 2.5."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace._proto import schema_pb2
from headrace.errors import ConfigError, explain

__all__ = ["template_values"]

_KINDS = (bool, int, float, str, list)


def template_values(params: Mapping[str, Any] | None) -> dict[str, schema_pb2.TemplateValue]:
    """The message for each value: bools, integers, floats, texts, and lists of these (arrays and tuples too).

    Raises:
        ConfigError: If a value is none of these; the message names it.
    """
    return {name: _value(name, _plain(value)) for name, value in (params or {}).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _value(name: str, value: Any) -> schema_pb2.TemplateValue:
    kind = _kind(name, value)
    if kind is list:
        return schema_pb2.TemplateValue(array_val=_array(name, value))
    slot = {bool: "bool_val", int: "int64_val", float: "float_val", str: "string_val"}[kind]
    try:
        return schema_pb2.TemplateValue(**{slot: value})
    except ValueError as error:
        raise _refused(name, str(error)) from error


def _array(name: str, values: Sequence[Any]) -> schema_pb2.TemplateArrayValue:
    items = [_plain(value) for value in values]
    kinds = {_kind(name, item) for item in items}
    if not kinds:
        return schema_pb2.TemplateArrayValue()
    if kinds == {list}:
        rows = [_array(name, item) for item in items]
        return schema_pb2.TemplateArrayValue(array_data=schema_pb2.TemplateArrayValueArray(data=rows))
    if kinds == {int, float}:
        kinds = {float}
    try:
        if len(kinds) > 1:
            documents = [json.dumps(item).encode() for item in items]
            return schema_pb2.TemplateArrayValue(json_data=schema_pb2.JSONArray(data=documents))
        slot, message = {
            bool: ("bool_data", schema_pb2.BoolArray),
            int: ("long_data", schema_pb2.LongArray),
            float: ("double_data", schema_pb2.DoubleArray),
            str: ("string_data", schema_pb2.StringArray),
        }[kinds.pop()]
        return schema_pb2.TemplateArrayValue(**{slot: message(data=items)})
    except ValueError as error:
        raise _refused(name, str(error)) from error


def _kind(name: str, value: Any) -> type:
    for kind in _KINDS:
        if isinstance(value, kind):
            return kind
    raise _refused(name, f"{type(value).__name__} ({value!r})")


def _refused(name: str, found: str) -> ConfigError:
    expected = "a bool, a 64-bit integer, a float, a text or a list of these"
    return ConfigError(explain(f"filter_params[{name!r}]", expected, found, "convert the value"))
