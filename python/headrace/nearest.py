"""Proves that stored rows can be searched: each vector must find its own row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace import operations as ops
from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.compare import SparseRows
from headrace.ndarrays import vector_bytes, widened
from headrace.schema import ConsistencyLevel, DataType, FieldSchema

__all__ = ["verify_nearest"]

#: Hits of a search among which a row's own key must be.
HITS = 10
#: Query vectors of one search.
QUERIES = 64
#: How far a server's float32 distance may be from the exact one, relative to the size of the terms summed.
TOLERANCE = 1e-4
#: The same where the vectors have 11 or 8 significant bits, and indexes may add up in as few.
_COARSE_TOLERANCE = 1e-2
#: Metrics by which a larger value is nearer.
_SIMILARITIES = frozenset({"COSINE", "IP"})
#: Metrics by which a smaller value is nearer, and a row's distance from itself is 0.
_DISTANCES = frozenset({"L2", "HAMMING", "JACCARD"})
#: How the bytes of a dense vector are read as numbers.
_NUMBERS: dict[DataType, Callable[[npt.NDArray[np.uint8]], npt.NDArray[Any]]] = {
    DataType.FLOAT_VECTOR: lambda rows: rows.view("<f4"),
    DataType.FLOAT16_VECTOR: lambda rows: rows.view("<f2"),
    DataType.BFLOAT16_VECTOR: lambda rows: widened(rows.view("<u2")),
    DataType.INT8_VECTOR: lambda rows: rows.view("i1"),
    # As many bits as are set: none is the vector without a direction.
    DataType.BINARY_VECTOR: lambda rows: np.unpackbits(rows, axis=1),
}

Mismatch = dict[str, Any]


def verify_nearest(
    info: CollectionInfo, batch: pa.RecordBatch, *, partition_name: str = ""
) -> Operation[list[Mismatch]]:
    """Search every vector of ``batch``; name the rows that do not find themselves.

    A row that is not among the first hits is one that the index lost, unless all hits are as near as the row itself
    (many equal vectors) or nearer (inner products of vectors that are not normalised). Vectors without a direction
    (all zero, empty) and null ones are not searched, nor fields without an index or with a metric of another kind.

    Args:
        info: The collection, loaded.
        batch: Conformed rows that are stored, with their keys.
        partition_name: Search in this partition only.
    """
    if batch.num_rows == 0:
        return []
    indexes = yield from ops.describe_index(info.name)
    metrics = {index.field_name: index.metric_type.upper() for index in indexes}
    keys = batch.column(info.schema.primary_key.name).to_pylist()
    partitions = [partition_name] if partition_name else []
    scope = ops.Scope(partition_names=partitions, consistency_level=ConsistencyLevel.STRONG)
    mismatches: list[Mismatch] = []
    for field in info.schema.vector_fields:
        metric = metrics.get(field.name, "")
        if field.name not in batch.schema.names or metric not in ops.METRICS[field.dtype]:
            continue
        if metric not in _SIMILARITIES | _DISTANCES:
            continue
        vectors = _queries(batch.column(field.name), field)
        rows = [row for row, (_, norm) in enumerate(vectors) if norm > 0]
        for start in range(0, len(rows), QUERIES):
            part = rows[start : start + QUERIES]
            answers = yield from ops.search(
                info.name,
                [vectors[row][0] for row in part],
                scope,
                anns_field=field.name,
                limit=HITS,
                search_params={"metric_type": metric},
                vector_type=field.dtype,
            )
            for row, hits in zip(part, answers, strict=True):
                if _lost(keys[row], vectors[row][1], metric, hits, _tolerance(field)):
                    mismatches.append(_mismatch(keys[row], field, metric, hits))
    return mismatches


def _queries(column: pa.Array, field: FieldSchema) -> list[tuple[Any, float]]:
    """Each row's vector as a query, with its squared norm; norm 0 for null."""
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        rows = SparseRows.of(column)
        found: list[tuple[Any, float]] = []
        for number in range(len(column)):
            indices, values = rows.row(number)
            found.append((dict(zip(indices.tolist(), values.tolist(), strict=True)), _squared(values)))
        return found
    valid, matrix = column.is_valid().to_pylist(), vector_bytes(column)
    numbers = _NUMBERS[field.dtype](matrix)
    return [
        (vector.tobytes(), _squared(values) if ok else 0.0)
        for vector, values, ok in zip(matrix, numbers, valid, strict=True)
    ]


def _tolerance(field: FieldSchema) -> float:
    return _COARSE_TOLERANCE if field.dtype in (DataType.FLOAT16_VECTOR, DataType.BFLOAT16_VECTOR) else TOLERANCE


def _squared(values: npt.NDArray[Any]) -> float:
    wide = values.astype(np.float64)
    return float(wide @ wide)


def _lost(key: Any, squared_norm: float, metric: str, hits: Sequence[Mapping[str, Any]], relative: float) -> bool:
    if any(hit["id"] == key for hit in hits):
        return False
    if len(hits) < HITS:
        return True
    own = {"COSINE": 1.0, "IP": squared_norm}.get(metric, 0.0)
    last = float(hits[-1]["distance"])
    tolerance = relative * max(1.0, squared_norm)
    return last < own - tolerance if metric in _SIMILARITIES else last > own + tolerance


def _mismatch(key: Any, field: FieldSchema, metric: str, hits: Sequence[Mapping[str, Any]]) -> Mismatch:
    found = f"{len(hits)} others, from {hits[0]['id']!r} at {hits[0]['distance']:.6g}" if hits else "no hit"
    return {"key": key, "field": field.name, "expected": f"its own row among {HITS} hits by {metric}", "found": found}
