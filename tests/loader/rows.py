"""Rows for the loader's tests."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DIM = 8


def table(rows, *, start=0, dim=DIM, seed=0):
    """``rows`` keyed rows: id, text, a dense and a sparse vector."""
    rng = np.random.default_rng(seed + start)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rng.standard_normal(rows * dim, dtype=np.float32)), dim)
    offsets = pa.array(range(0, 2 * rows + 1, 2), pa.int32())
    pairs = pa.StructArray.from_arrays(
        [pa.array(np.tile([3, 9], rows).astype(np.int32)), pa.array(rng.random(2 * rows, dtype=np.float32))],
        ["index", "value"],
    )
    return pa.table(
        {
            "id": pa.array(range(start, start + rows), pa.int64()),
            "text": pa.array([f"row {i}" for i in range(start, start + rows)], pa.string()),
            "dense": vectors,
            "sparse": pa.ListArray.from_arrays(offsets, pairs),
        }
    )


def write_parquet(path, rows, *, row_group_size=100, **kwargs):
    """The same as a Parquet file; returns its path."""
    pq.write_table(table(rows, **kwargs), path, row_group_size=row_group_size)
    return path
