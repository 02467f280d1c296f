"""Values that travel as text: JSON documents, WKT geometries, times in ISO 8601. Two texts may be one value."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["json_equal", "micros_of", "same_document", "same_geometry", "text_of_micros", "zone_named"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WKT_TOKEN = re.compile(r"\s*(?:([A-Za-z]+)|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|([(),]))\s*")
#: Coordinates with a height, a measure or both may be written as one word with the geometry's name.
_WKT_NAME = re.compile(r"(?!Z?M?\Z)([A-Z]+?)(ZM|Z|M)?\Z")


def json_equal(left: Any, right: Any) -> bool:
    """Whether two parsed JSON documents are the same value: ``1`` is not ``true``, the order of keys is no matter."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(json_equal(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(json_equal, left, right))
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return False
    return bool(left == right)


def same_document(left: str | bytes, right: str | bytes) -> bool:
    """Whether two JSON texts are the same value; False where one is no JSON."""
    try:
        return json_equal(json.loads(left), json.loads(right))
    except ValueError:
        return False


def same_geometry(left: str, right: str) -> bool:
    """Whether two WKT texts are the same geometry, coordinate by coordinate in the same order.

    Spaces, upper and lower case, the way a number is written and the inner brackets of MULTIPOINT are no matter. Texts
    that are no WKT are the same only where they are equal.
    """
    return left == right or ((parsed := _geometry(left)) is not None and parsed == _geometry(right))


def _geometry(text: str) -> list[str | float] | None:
    """Names, numbers and brackets in one way of writing; None where something else stands between."""
    tokens: list[str | float] = []
    position = depth = 0
    points_at: int | None = None
    while position < len(text):
        match = _WKT_TOKEN.match(text, position)
        if match is None:
            return None
        position = match.end()
        word, number, mark = match.groups()
        if word is not None:
            parts = _WKT_NAME.match(word.upper())
            tokens += [part for part in parts.groups() if part] if parts else [word.upper()]
            points_at = depth if "MULTIPOINT" in tokens[-2:] else None
        elif number is not None:
            tokens.append(float(number))
        else:
            depth += (mark == "(") - (mark == ")")
            # The depth outside the bracket that opens or closes here.
            outside = depth - (mark == "(")
            if mark == "," or points_at is None or outside <= points_at:
                tokens.append(mark)
    return tokens


def zone_named(name: str) -> tzinfo:
    """The time zone of a collection's property ``timezone``; UTC for none and where this machine does not know it."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def micros_of(text: str, zone: tzinfo = UTC) -> int | None:
    """Microseconds since 1970 in UTC of a time in ISO 8601; None where it is none.

    A time without an offset is one of ``zone``. Digits past the microsecond are dropped, as Milvus drops them.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((time if time.tzinfo else time.replace(tzinfo=zone)) - _EPOCH) // _MICROSECOND


def text_of_micros(micros: int) -> str:
    """Microseconds since 1970 in UTC as ISO 8601, as in ``2025-05-01T15:59:59Z``.

    Raises:
        OverflowError: For years before 1 and after 9999.
    """
    return (_EPOCH + micros * _MICROSECOND).isoformat().replace("+00:00", "Z")
