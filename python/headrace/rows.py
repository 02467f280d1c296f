"""Arrow batches as rows for people: what a query or a search hands back.

JSON becomes Python objects, keys of the dynamic field stand beside the declared ones, a sparse vector is a dict of
index to value, a float vector a list of floats; vectors of small numbers and of bits are their bytes, as pymilvus has
them. A search takes all of them back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pyarrow as pa

from headrace import _core
from headrace.decoding import data_type_of
from headrace.ndarrays import vector_bytes
from headrace.schema import DYNAMIC_FIELD_NAME, DataType

__all__ = ["rows_of"]


def rows_of(
    batch: pa.RecordBatch, dynamic_keys: Collection[str] = (), *, wrap_bytes: bool = False
) -> list[dict[str, Any]]:
    """The rows of a batch made by :class:`headrace.decoding.Columns`, as dicts.

    Args:
        batch: The rows.
        dynamic_keys: Keys of the dynamic field to be shown; empty for all.
        wrap_bytes: Whether vectors that are bytes stand in a list of one, as a query of pymilvus shows them.
    """
    names, values = [], []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if field.name == DYNAMIC_FIELD_NAME:
            continue
        cells = _CELLS.get(data_type_of(field), _plain)(column)
        if wrap_bytes and data_type_of(field).is_vector:
            cells = [[cell] if isinstance(cell, bytes) else cell for cell in cells]
        names.append(field.name)
        values.append(cells)
    rows = [dict(zip(names, cells, strict=True)) for cells in zip(*values, strict=True)]
    if DYNAMIC_FIELD_NAME in batch.schema.names:
        rows = rows or [{} for _ in range(batch.num_rows)]
        for row, document in zip(rows, _documents(batch.column(DYNAMIC_FIELD_NAME)), strict=True):
            _spread(row, document, dynamic_keys)
    return rows


def _spread(row: dict[str, Any], document: Any, keys: Collection[str]) -> None:
    if not isinstance(document, dict):
        row[DYNAMIC_FIELD_NAME] = document
        return
    for key, value in document.items():
        # A field that was added later has its value, not what rows had under its name before.
        if key not in row and (not keys or key in keys):
            row[key] = value


def _plain(column: pa.Array) -> list[Any]:
    if column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        cells: list[Any] = column.to_pylist()
        return cells
    # Ten times as fast as an Arrow scalar for each.
    numbers: list[Any] = column.to_numpy().tolist()
    return numbers


def _documents(column: pa.Array) -> list[Any]:
    return [_document(text) for text in column.to_pylist()]


def _document(text: str | bytes | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        # Engines that do not parse JSON store any text; the reader gets it as it is.
        return text


def _sparse(column: pa.Array) -> list[Any]:
    # flatten() takes the offset of a slice into account, and leaves out what lies under nulls.
    pairs = column.flatten()
    indices, values = (pairs.field(at).to_numpy().tolist() for at in (0, 1))
    cells: list[Any] = []
    start = 0
    for length in column.value_lengths().to_pylist():
        if length is None:
            cells.append(None)
            continue
        stop = start + length
        cells.append(dict(zip(indices[start:stop], values[start:stop], strict=True)))
        start = stop
    return cells


def _floats(column: pa.Array) -> list[Any]:
    cells: list[Any] = _core.float_lists(column)
    return _nulled(cells, column)


def _bytes(column: pa.Array) -> list[Any]:
    return _nulled([row.tobytes() for row in vector_bytes(column)], column)


def _nulled(cells: list[Any], column: pa.Array) -> list[Any]:
    if column.null_count:
        for row in np.flatnonzero(~column.is_valid().to_numpy(zero_copy_only=False)):
            cells[row] = None
    return cells


#: Columns that are not what Arrow makes of them, or not as fast.
_CELLS: dict[DataType, Callable[[pa.Array], list[Any]]] = {
    DataType.JSON: _documents,
    DataType.FLOAT_VECTOR: _floats,
    DataType.SPARSE_FLOAT_VECTOR: _sparse,
    DataType.FLOAT16_VECTOR: _bytes,
    DataType.BFLOAT16_VECTOR: _bytes,
    DataType.BINARY_VECTOR: _bytes,
    DataType.INT8_VECTOR: _bytes,
}
