"""The files that docs/formats.md loads, under the names that it gives them."""

from __future__ import annotations

import gzip
import json

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import scipy.sparse

ROWS, DIM = 40, 8


def write_all(folder):
    """Every file, in ``folder``."""
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIM), dtype=np.float32)
    ids, texts = np.arange(ROWS), [f"text {row}" for row in range(ROWS)]
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
    table = pa.table({"id": ids, "text": texts, "vector": column})
    pq.write_table(table, folder / "docs.parquet")
    languages = table.append_column("lang", [["en", "de"] * (ROWS // 2)])
    pq.write_to_dataset(languages, folder / "docs_by_language", partition_cols=["lang"])
    pyarrow.feather.write_feather(table, str(folder / "docs.feather"))
    with pa.OSFile(str(folder / "docs.arrows"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    for part, rows in (("a", slice(0, 25)), ("b", slice(25, ROWS))):
        np.save(folder / f"vectors_{part}.npy", vectors[rows])
        np.save(folder / f"ids_{part}.npy", ids[rows])
        pq.write_table(pa.table({"text": texts[rows]}), folder / f"meta_{part}.parquet")
    np.savez(folder / "docs.npz", id=ids, vector=vectors)
    np.savez(folder / "search.npz", id=ids, embeddings=vectors, queries=vectors[:5], model="minilm")
    with h5py.File(folder / "search.h5", "w") as file:
        file["embeddings"], file["queries"], file["dim"] = vectors, vectors[:5], DIM
    matrix = scipy.sparse.random(ROWS, 500, density=0.05, format="csr", dtype=np.float32, rng=0)
    scipy.sparse.save_npz(folder / "sparse.npz", matrix)
    rows = [{"id": row, "text": texts[row], "vector": vectors[row].tolist()} for row in range(ROWS)]
    (folder / "docs.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    written = [json.dumps(vector) for vector in vectors.tolist()]
    pd.DataFrame({"id": ids, "text": texts, "vector": written}).to_csv(folder / "docs.csv", index=False)
    with h5py.File(folder / "glove.hdf5", "w") as file:
        file["train"], file["test"], file["neighbors"] = vectors, vectors[:3], np.zeros((3, 5), np.int32)
    head = np.array(vectors.shape, np.uint32)
    (folder / "base.fbin").write_bytes(head.tobytes() + vectors.tobytes())
    for suffix, dtype in (("u8bin", np.uint8), ("i8bin", np.int8), ("ibin", np.int32)):
        (folder / f"base.{suffix}").write_bytes(head.tobytes() + (vectors * 10).astype(np.int8).astype(dtype).tobytes())
    np.save(folder / "keys.npy", ids)
    parts = [
        np.array([*matrix.shape, matrix.nnz], np.int64),
        matrix.indptr.astype(np.int64),
        matrix.indices,
        matrix.data,
    ]
    (folder / "base.csr").write_bytes(b"".join(part.tobytes() for part in parts))
