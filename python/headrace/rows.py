"""Arrow batches as rows for people: what a query or a search hands back.

JSON becomes Python objects, keys of the dynamic field stand beside the declared ones, a sparse vector is a dict of
index to value, a float vector a list of floats, an int8 vector a numpy array; float16, bfloat16 and binary vectors are
their bytes, as pymilvus has them. A search takes all of them back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.decoding import data_type_of
from headrace.ndarrays import vector_bytes
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


def _int8_vectors(column: pa.Array) -> list[Any]:
    rows = vector_bytes(column).view(np.int8)
    return [row if valid else None for row, valid in zip(rows, column.is_valid().to_pylist(), strict=True)]


def _bytes_vectors(column: pa.Array) -> list[Any]:
    rows = vector_bytes(column)
    return [row.tobytes() if valid else None for row, valid in zip(rows, column.is_valid().to_pylist(), strict=True)]


#: Whole columns of vectors that Python has no numbers for.
_VECTORS: dict[DataType, Callable[[pa.Array], list[Any]]] = {
    DataType.FLOAT16_VECTOR: _bytes_vectors,
    DataType.BFLOAT16_VECTOR: _bytes_vectors,
    DataType.BINARY_VECTOR: _bytes_vectors,
    DataType.INT8_VECTOR: _int8_vectors,
}


def rows_of(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch made by :class:`headrace.decoding.Columns`, as dicts."""
    rows: list[dict[str, Any]] = [{} for _ in range(batch.num_rows)]
    for field, column in zip(batch.schema, batch.columns, strict=True):
        dtype = data_type_of(field)
        convert = _CONVERSIONS.get(dtype)
        for row, cell in zip(rows, _VECTORS.get(dtype, pa.Array.to_pylist)(column), strict=True):
            value = cell if convert is None else convert(cell)
            if field.name == DYNAMIC_FIELD_NAME and isinstance(value, dict):
                row.update(value)
            else:
                row[field.name] = value
    return rows
