"""Rows of every type that Milvus 2.3.5 has and headrace writes, with the extremes of each."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

__all__ = ["DIM", "everything", "simple"]

DIM = 32
_TEXTS = ("", "plain", "Größe, naïve", "水車", "🙂 " * 20, 'tab\tquote"back\\slash\nline', "x" * 5000)
_INT_TYPES = {"i8": pa.int8(), "i16": pa.int16(), "i32": pa.int32(), "i64": pa.int64()}


def simple(rows, *, start=0, dim=DIM, seed=0):
    """Keyed rows with a vector: ``id`` counts from ``start``, ``number`` is the key times ten."""
    keys = np.arange(start, start + rows)
    return pa.table({"id": keys, "number": keys * 10, "vector": _vectors(rows, dim, seed + start)})


def everything(rows, *, seed=0):
    """Keyed rows with a column of every type; ``$meta`` holds undeclared ones."""
    rng = np.random.default_rng(seed)
    columns = {"id": pa.array(rng.permutation(rows) - rows // 2, pa.int64())}
    columns["flag"] = pa.array(rng.random(rows) < 0.5)
    for name, kind in _INT_TYPES.items():
        columns[name] = _integers(rng, rows, kind)
    columns["f32"] = pa.array(_with_extremes(rng.standard_normal(rows, np.float32), np.float32))
    columns["f64"] = pa.array(_with_extremes(rng.standard_normal(rows), np.float64))
    columns["text"] = pa.array([_TEXTS[i % len(_TEXTS)] for i in range(rows)])
    columns["doc"] = pa.array([{"n": i, "s": f"ü{i}", "list": [i, i + 1], "deep": {"x": i / 8}} for i in range(rows)])
    columns["tags"] = pa.array([[f"t{i}", "é"][: i % 3] for i in range(rows)], pa.list_(pa.string()))
    columns["numbers"] = pa.array([list(range(i, i + i % 5)) for i in range(rows)], pa.list_(pa.int64()))
    columns["shares"] = pa.array([[i / 3, -i / 7][: 1 + i % 2] for i in range(rows)], pa.list_(pa.float32()))
    columns["$meta"] = pa.array([json.dumps({"extra": i, "note": "free"} if i % 2 else {}) for i in range(rows)])
    columns["vector"] = _vectors(rows, DIM, seed)
    return pa.table(columns)


def _vectors(rows, dim, seed):
    values = np.random.default_rng(seed).standard_normal(rows * dim, dtype=np.float32)
    if values.size:
        values[:3] = [-0.0, np.finfo(np.float32).tiny / 2, np.finfo(np.float32).max / 4]
    return pa.FixedSizeListArray.from_arrays(pa.array(values), dim)


def _integers(rng, rows, kind):
    limits = np.iinfo(kind.to_pandas_dtype())
    values = rng.integers(limits.min, limits.max, rows, dtype=limits.dtype, endpoint=True)
    values[:2] = [limits.min, limits.max]
    return pa.array(values)


def _with_extremes(values, kind):
    limits = np.finfo(kind)
    values[:5] = [-0.0, limits.max, limits.min, limits.tiny, limits.smallest_subnormal]
    return values
