"""The same rows as files of every format, each written by the library that owns it; never by headrace."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse

DIM = 8


@dataclass
class Written:
    """Files and how to load them.

    Attributes:
        source: What to load.
        columns: What the rows are, by field.
        options: Options of the load.
    """

    source: str | Path | list
    columns: dict[str, np.ndarray | list]
    options: dict = field(default_factory=dict)


def dense(rows, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, DIM), dtype=np.float32)


def sparse(rows, seed=0):
    return scipy.sparse.random(rows, 1000, density=0.01, format="csr", dtype=np.float32, rng=seed)


def pairs(matrix):
    """The rows of a sparse matrix as the fake server gives them back."""
    bounds = zip(matrix.indptr[:-1].tolist(), matrix.indptr[1:].tolist(), strict=True)
    index, value = matrix.indices.tolist(), matrix.data.tolist()
    return [[{"index": index[at], "value": value[at]} for at in range(*span)] for span in bounds]


def write_npy(folder, rows):
    """Vectors, keys and metadata in files of three kinds, each in two."""
    vectors, ids = dense(rows), np.arange(rows) * 3 + 1
    texts = [f"text {number}" for number in range(rows)]
    for part, chosen in (("a", slice(0, rows // 3)), ("b", slice(rows // 3, None))):
        np.save(folder / f"vec_{part}.npy", vectors[chosen])
        np.save(folder / f"ids_{part}.npy", ids[chosen])
        pq.write_table(pa.table({"text": texts[chosen]}), folder / f"meta_{part}.parquet", row_group_size=50)
    options = {"ids": folder / "ids_{part}.npy", "metadata": folder / "meta_{part}.parquet"}
    return Written(folder / "vec_{part}.npy", {"id": ids, "vector": vectors, "text": texts}, options)


def write_npz(folder, rows):
    columns = {"id": np.arange(rows), "vector": dense(rows), "text": np.array([f"text {n}" for n in range(rows)])}
    np.savez(folder / "rows.npz", **columns)
    return Written(folder / "rows.npz", columns)


def write_packed_npz(folder, rows):
    columns = {"id": np.arange(rows), "vector": dense(rows)}
    np.savez_compressed(folder / "rows.npz", **columns)
    return Written(folder / "rows.npz", columns)


def write_sparse_npz(folder, rows):
    matrix = sparse(rows)
    scipy.sparse.save_npz(folder / "rows.npz", matrix)
    np.save(folder / "ids.npy", np.arange(rows) + 5)
    columns = {"id": np.arange(rows) + 5, "vector": pairs(matrix)}
    return Written(folder / "rows.npz", columns, {"ids": folder / "ids.npy"})


WRITERS = {
    "npy": write_npy,
    "npz": write_npz,
    "packed npz": write_packed_npz,
    "sparse npz": write_sparse_npz,
}
