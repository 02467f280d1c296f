"""Arrow batches as rows for people: what a query or a search hands back.

JSON becomes Python objects, keys of the dynamic field stand beside the declared ones, a sparse vector is a dict of
index to value, a dense one a list of floats.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from headrace.decoding import data_type_of
from headrace.schema import DYNAMIC_FIELD_NAME, DataType

__all__ = ["rows_of"]


def _json(value: str | bytes | None) -> Any:
    if value is None:
        return None
    try:
        return json.loads(value)
    except ValueError:
        # Engines that do not parse JSON store any text; the reader gets it as it is.
        return value


def _sparse(value: list[dict[str, Any]] | None) -> dict[int, float] | None:
    return None if value is None else {pair["index"]: pair["value"] for pair in value}


_CONVERSIONS: dict[DataType, Callable[[Any], Any]] = {
    DataType.JSON: _json,
    DataType.SPARSE_FLOAT_VECTOR: _sparse,
}


def rows_of(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch made by :func:`headrace.decoding.decode_fields`, as dicts."""
    rows: list[dict[str, Any]] = [{} for _ in range(batch.num_rows)]
    for field, column in zip(batch.schema, batch.columns, strict=True):
        convert = _CONVERSIONS.get(data_type_of(field))
        for row, cell in zip(rows, column.to_pylist(), strict=True):
            value = cell if convert is None else convert(cell)
            if field.name == DYNAMIC_FIELD_NAME and isinstance(value, dict):
                row.update(value)
            else:
                row[field.name] = value
    return rows
