"""Casts to scalar and JSON fields. Nothing here works row by row but the way to JSON and the wording of refusals."""

from __future__ import annotations

import pyarrow as pa

from headrace.casts import jsontext
from headrace.casts.base import Cast, Refusal, canonical_type, misfit, type_text
from headrace.casts.layouts import is_bytes, is_list, is_text
from headrace.casts.numeric import always_fits, convert_numbers, is_number, number_note, number_rule
from headrace.casts.texts import has_text, microseconds_cast, text_cast
from headrace.casts.times import timestamptz_cast
from headrace.schema import DataType, FieldSchema

__all__ = ["json_text", "scalar_cast"]

_TEXTS = frozenset({DataType.VARCHAR, DataType.TEXT, DataType.GEOMETRY})
#: What a field that takes no numbers wants, and what to do where a column is something else.
_WANTED = {
    DataType.BOOL: ("a column of bool", "cast the column with --cast, or in the source"),
    DataType.VARCHAR: ("a column of strings", "cast the column with --cast, or in the source"),
    DataType.TEXT: ("a column of strings", "cast the column with --cast, or in the source"),
    DataType.GEOMETRY: ("a column of strings in WKT", "write the geometries as WKT in the source"),
    DataType.TIMESTAMPTZ: (
        "a column of timestamps, or of strings in ISO 8601",
        "say what the column is with --cast, as COLUMN:timestamp[ms] for integers, or cast it in the source",
    ),
}


def scalar_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    """The cast of a column of ``source`` to a scalar or JSON field.

    Raises:
        SchemaError: If there is no safe one.
    """
    if field.dtype is DataType.JSON:
        return _json_cast(source, field)
    target = canonical_type(field)
    if source == target and field.dtype is not DataType.TIMESTAMPTZ:
        return Cast()
    if is_number(source) and is_number(target):
        return _number_cast(source, target, field)
    if field.dtype is DataType.TIMESTAMPTZ and (is_text(source) or pa.types.is_timestamp(source)):
        return timestamptz_cast(source, field)
    if field.dtype in _TEXTS and is_text(source):
        return Cast()
    if field.dtype is DataType.VARCHAR and has_text(source):
        return text_cast(source)
    if field.dtype is DataType.INT64 and pa.types.is_timestamp(source):
        return microseconds_cast(field)
    expected, remedy = _WANTED.get(
        field.dtype, ("a column of numbers", "cast the column with --cast, or in the source")
    )
    raise misfit(field, f"{expected} for {type_text(field)}", source, remedy)


def _number_cast(source: pa.DataType, target: pa.DataType, field: FieldSchema) -> Cast:
    def run(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        converted, bad = convert_numbers(array, target)
        if bad is None:
            return converted, []
        expected, remedy = number_rule(target, source)
        values = array.take(pa.array(bad)).to_pylist()
        return converted, [
            Refusal(int(row), field.name, expected, repr(value), remedy) for row, value in zip(bad, values, strict=True)
        ]

    return Cast(run, number_note(source, target), lossless=always_fits(source, target))


def _json_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    if is_text(source) or is_bytes(source):
        return Cast(note="taken as JSON documents")
    if not jsontext.has_json_form(source):
        raise misfit(
            field, "a column with a JSON form", source, "leave it out with --drop, or convert it in the source"
        )

    def run(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        texts: list[str | None] = []
        refused: list[Refusal] = []
        for row, value in enumerate(jsontext.to_json_values(array)):
            text, problem = json_text(value)
            texts.append(text)
            if problem:
                refused.append(Refusal(row, field.name, *problem))
        return pa.array(texts, pa.large_utf8()), refused

    unknown = is_list(source) and pa.types.is_null(source.value_type)
    return Cast(run, "written as JSON text" + (": its first rows have no elements" if unknown else ""))


def json_text(value: object) -> tuple[str | None, tuple[str, str, str] | None]:
    """One value as JSON text (None for null), or expected, found and remedy of why it has none."""
    if value is None:
        return None, None
    if isinstance(value, UnicodeDecodeError):
        return None, ("text in valid UTF-8", "bytes that are not", "correct the value")
    try:
        return jsontext.dumps(value), None
    except ValueError:
        return None, ("numbers that JSON can say", "NaN or infinity", "replace it by null or a number")
