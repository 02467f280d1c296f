"""Undeclared columns as the dynamic field: one JSON object a row, without the keys whose value is null."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from headrace.casts.base import Refusal
from headrace.casts.jsontext import dumps, to_json_values
from headrace.casts.scalars import json_text
from headrace.schema import DYNAMIC_FIELD_NAME

__all__ = ["dynamic_column"]


def dynamic_column(columns: Sequence[tuple[str, pa.Array]]) -> tuple[pa.Array, list[Refusal]]:
    """The ``$meta`` column (large_utf8, never null) of these named columns of equal length.

    The columns are of types for which :func:`headrace.casts.jsontext.has_json_form` holds. Refused are rows with
    text that is not UTF-8, or with a number that JSON cannot say; the refusal names the column.
    """
    names = [name for name, _ in columns]
    texts: list[str] = []
    refused: list[Refusal] = []
    for row, values in enumerate(zip(*(to_json_values(array) for _, array in columns), strict=True)):
        document = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        try:
            texts.append(dumps(document))
        except (ValueError, TypeError):
            texts.append("{}")
            refused.append(_refusal(row, document))
    return pa.array(texts, pa.large_utf8()), refused


def _refusal(row: int, document: dict[str, object]) -> Refusal:
    for name, value in document.items():
        _, problem = json_text(value)
        if problem:
            expected, found, remedy = problem
            return Refusal(row, DYNAMIC_FIELD_NAME, expected, f"{found} in column {name!r}", remedy)
    return Refusal(row, DYNAMIC_FIELD_NAME, "values with a JSON form", repr(document), "correct the row")
