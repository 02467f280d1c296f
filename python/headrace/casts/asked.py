"""Casts that a person asks for by a type's name (``--cast``): as Arrow casts, where nothing has to be guessed.

.. code-block:: text

    integers to timestamp[ms]       milliseconds since 1970-01-01 UTC; s, us and ns alike. Without a unit: refused
    text to timestamp               ISO 8601, with an offset or Z, else in UTC; microseconds unless a unit is said
    timestamps to integers          in the unit of the timestamps, since 1970-01-01 UTC; durations alike
    UUIDs to varchar                6ba7b810-9dad-11d1-80b4-00c04fd430c8; 16 bytes alike, to uuid
    structs, lists, maps to varchar JSON
    lists of integers to float      their elements, where floats of that width hold all of them exactly

Rows that cannot be cast are refused; what stands in their place is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts.base import Cast, Refusal, Run, validity
from headrace.casts.jsontext import has_json_form, to_json_values
from headrace.casts.layouts import is_list, is_text
from headrace.casts.lists import open_list, rebuild_list
from headrace.casts.numeric import always_fits
from headrace.casts.plain import plain, plain_type
from headrace.casts.scalars import json_text
from headrace.casts.texts import is_uuid, uuid_texts
from headrace.errors import SchemaError, explain

__all__ = ["asked_cast"]

_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_TIMESTAMP, _UUID = "timestamp", "uuid"
#: Names of types, Milvus's and Arrow's.
_TYPES = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "float32": pa.float32(),
    "double": pa.float64(),
    "float64": pa.float64(),
    "varchar": pa.string(),
    "string": pa.string(),
    "date": pa.date32(),
    _UUID: pa.string(),
    _TIMESTAMP: pa.timestamp("us", "UTC"),
    **{f"{_TIMESTAMP}[{unit}]": pa.timestamp(unit, "UTC") for unit in _UNITS},
}
_DATE = r"^\d{4}-\d{2}-\d{2}$"
#: A time with an offset behind it, in the forms that Arrow reads.
_WITH_ZONE = r"[T ]\d.*(Z|[+-]\d{2}(:?\d{2})?)$"
_IN_UTC = "times without a zone are taken as UTC"
_OFFSETS = "by the offset of each value; UTC for one that has none"
_SHOWN = 60

#: A plain column in, the same rows as another type out; ArrowInvalid where one of them cannot be.
_Convert = Callable[[pa.Array], pa.Array]


def asked_cast(source: pa.DataType, name: str, column: str) -> tuple[pa.DataType, Cast]:
    """The type that ``name`` means, and the cast of a column of ``source`` to it.

    Raises:
        SchemaError: If there is no type of that name, nothing casts to it, or the name does not say how.
    """
    where, named, kind = f"--cast {column}:{name}", name.strip().lower(), plain_type(source)
    target = _TYPES.get(named)
    if target is None:
        expected, remedy = f"one of {', '.join(_TYPES)}", "choose one of them"
        raise SchemaError(explain(where, expected, repr(name), remedy), field=column)
    if pa.types.is_integer(kind) and named == _TIMESTAMP:
        units = ", ".join(f"{_TIMESTAMP}[{unit}]" for unit in _UNITS)
        remedy = f"say what they count: --cast '{column}:timestamp[ms]' where it is milliseconds since 1970-01-01 UTC"
        raise SchemaError(explain(where, f"a unit, one of {units}", f"a column of {kind}", remedy), field=column)
    if _has_such_elements(kind, target):
        target = _with_elements(kind, target)
    run = _uuid_run(source, target) if is_uuid(source) or named == _UUID else _run(kind, target, column)
    if run is None:
        expected = "UUIDs, or 16 bytes each" if named == _UUID else f"a type that becomes {target}"
        raise SchemaError(explain(where, expected, str(source), "cast it in the source"), field=column)
    unsaid = _unsaid(kind, target)
    return target, Cast(run, f"cast from {source}" + (f" ({unsaid})" if unsaid else ""), lossless=False)


def _uuid_run(source: pa.DataType, target: pa.DataType) -> Run | None:
    has_bytes = is_uuid(source) or plain_type(source) == pa.binary(16)
    return uuid_texts if has_bytes and pa.types.is_string(target) else None


def _run(kind: pa.DataType, target: pa.DataType, column: str) -> Run | None:
    if pa.types.is_string(target) and pa.types.is_nested(kind) and has_json_form(kind):
        return partial(_as_json, column)
    convert = _conversion(kind, target)
    return None if convert is None else partial(_row_by_row, convert, target, column)


@lru_cache(maxsize=256)
def _conversion(kind: pa.DataType, target: pa.DataType) -> _Convert | None:
    if is_list(target):
        return lambda values: _cast_elements(values, target)
    if pa.types.is_timestamp(target) and is_text(kind):
        return lambda values: _with_zone(values).cast(target)
    if pa.types.is_timestamp(target) and pa.types.is_integer(kind):
        # Arrow knows no way from narrower integers.
        return lambda values: values.cast(pa.int64()).cast(target)
    if pa.types.is_date(target) and pa.types.is_integer(kind):
        # Arrow takes 32 bits for days since 1970; 20240101 is not meant so.
        return None
    try:
        pa.nulls(1, kind).cast(target)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return None
    return lambda values: values.cast(target)


def _has_such_elements(kind: pa.DataType, target: pa.DataType) -> bool:
    """Whether rows are lists of integers, each of which is exactly a ``target``, a float."""
    elements = is_list(kind) and pa.types.is_integer(kind.value_type)
    return elements and pa.types.is_floating(target) and always_fits(kind.value_type, target)


def _with_elements(kind: pa.DataType, element: pa.DataType) -> pa.DataType:
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(element, kind.list_size)
    return pa.large_list(element) if pa.types.is_large_list(kind) else pa.list_(element)


def _cast_elements(lists: pa.Array, target: pa.DataType) -> pa.Array:
    offsets, child = open_list(lists)
    elements = child.cast(target.value_type)
    if not pa.types.is_fixed_size_list(target):
        return rebuild_list(lists, offsets, elements)
    return pa.Array.from_buffers(target, len(lists), [validity(lists)], lists.null_count, 0, [elements])


def _unsaid(kind: pa.DataType, target: pa.DataType) -> str:
    """What a person should know that the two types do not say."""
    if pa.types.is_timestamp(target):
        if pa.types.is_integer(kind):
            return f"{_UNITS[target.unit]} since 1970-01-01 UTC"
        if is_text(kind):
            return _OFFSETS
        return _IN_UTC if pa.types.is_timestamp(kind) and kind.tz is None else ""
    if pa.types.is_integer(target) and pa.types.is_timestamp(kind):
        return f"to {_UNITS[kind.unit]} since 1970-01-01 UTC"
    if pa.types.is_integer(target) and pa.types.is_duration(kind):
        return f"to {_UNITS[kind.unit]}"
    return ""


def _with_zone(texts: pa.Array) -> pa.Array:
    """Times with the zone that Arrow wants, where they have none."""
    utc, midnight, empty = (pa.scalar(text, texts.type) for text in ("Z", "T00Z", ""))
    is_date = pc.match_substring_regex(texts, _DATE)
    missing = pc.if_else(is_date, midnight, pc.if_else(pc.match_substring_regex(texts, _WITH_ZONE), empty, utc))
    return pc.binary_join_element_wise(texts, missing, empty)


def _as_json(column: str, array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
    rows = [json_text(value) for value in to_json_values(plain(array))]
    refused = [Refusal(row, column, *problem) for row, (_, problem) in enumerate(rows) if problem is not None]
    return pa.array([text for text, _ in rows], pa.string()), refused


def _row_by_row(convert: _Convert, target: pa.DataType, column: str, array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
    values = plain(array)
    try:
        return convert(values), []
    except pa.ArrowInvalid:
        bad = list(_bad_rows(values, convert))
    expected, remedy = f"a value that becomes {target}", "correct the row, or choose another type with --cast"
    refused = [Refusal(row, column, expected, _shown(values[row]), remedy) for row in bad]
    mask = np.zeros(len(values), bool)
    mask[bad] = True
    return convert(pc.if_else(pa.array(mask), pa.scalar(None, values.type), values)), refused


def _bad_rows(values: pa.Array, convert: _Convert, first: int = 0) -> Iterator[int]:
    """The rows that cannot be cast: by halves, so that a few of many are found soon."""
    try:
        convert(values)
    except pa.ArrowInvalid:
        if len(values) == 1:
            yield first
            return
        half = len(values) // 2
        yield from _bad_rows(values.slice(0, half), convert, first)
        yield from _bad_rows(values.slice(half), convert, first + half)


def _shown(value: pa.Scalar) -> str:
    if pa.types.is_temporal(value.type):
        # Python has no value for all of them: it counts microseconds, up to the year 9999.
        return f"{value.value} in {value.type}"[:_SHOWN]
    # As bytes, because text that cannot be cast may be no UTF-8 either.
    text = value.cast(pa.large_binary()).as_py().decode(errors="replace") if is_text(value.type) else value.as_py()
    return repr(text)[:_SHOWN]
