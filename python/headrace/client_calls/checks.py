"""Values that calls take, refused by their parameter's name before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.errors import ConfigError, explain

__all__ = ["flag", "mapping_of", "name_of", "names_of", "number", "seconds", "text_of"]


def _refuse(parameter: str, expected: str, value: Any, remedy: str) -> ConfigError:
    return ConfigError(explain(parameter, expected, repr(value), remedy))


def name_of(parameter: str, value: Any) -> str:
    """A name: a text that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise _refuse(parameter, "a text that is not empty", value, "give a name")


def text_of(parameter: str, value: Any) -> str:
    """A text, which may be empty; None is an empty one."""
    if value is None or isinstance(value, str):
        return value or ""
    raise _refuse(parameter, "a text", value, "give a text")


def names_of(parameter: str, value: Any) -> list[str]:
    """Several names, or one alone."""
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
    if not names:
        raise _refuse(parameter, "at least one name", value, "give a list of names")
    return [name_of(parameter, name) for name in names]


def mapping_of(parameter: str, value: Any) -> dict[str, Any]:
    """Properties by their names, at least one."""
    if isinstance(value, Mapping) and value:
        return {name_of(parameter, key): item for key, item in value.items()}
    raise _refuse(parameter, "a dict that is not empty", value, "give properties by their names")


def flag(parameter: str, value: Any) -> bool:
    """True or False."""
    if isinstance(value, bool):
        return value
    raise _refuse(parameter, "True or False", value, "give one of them")


def number(parameter: str, value: Any, *, least: int = 1) -> int:
    """A whole number."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise _refuse(parameter, f"a whole number of at least {least}", value, "give one")


def seconds(value: Any) -> float | None:
    """A call's ``timeout``; None for none."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf):
        return value
    raise _refuse("timeout", "seconds above 0", value, "give a positive number, or None")
