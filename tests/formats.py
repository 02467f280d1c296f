"""The same rows as files of every format, each written by the library that owns it; never by headrace."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import h5py
import numpy as np
import pandas as pd
import polars as pl
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


def as_written(found, value):
    """What a server gave back, in the form in which the value was written."""
    if isinstance(value, np.ndarray):
        # As pymilvus does, a client gives the bytes of small floats in a list.
        data = found[0] if isinstance(found, list) and isinstance(found[0], bytes) else found
        return np.frombuffer(data, value.dtype) if isinstance(data, bytes) else np.asarray(data, value.dtype)
    return json.loads(found) if isinstance(value, dict) and isinstance(found, str | bytes) else found


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


def write_half_npy(folder, rows):
    vectors = dense(rows).astype(np.float16)
    np.save(folder / "rows.npy", vectors)
    return Written(folder / "rows.npy", {"id": np.arange(rows), "vector": vectors}, {"key": "@row"})


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


def write_parquet(folder, rows):
    """By DuckDB, in a directory for each language."""
    columns = {"id": np.arange(rows), "vector": dense(rows), "lang": [("en", "de")[n % 2] for n in range(rows)]}
    with duckdb.connect() as connection:
        connection.register("rows", pa.table({**columns, "vector": columns["vector"].tolist()}))
        query = "select id, vector::FLOAT[8] as vector, lang from rows"
        connection.execute(f"copy ({query}) to '{folder}' (format parquet, partition_by (lang))")
    order = [n for part in (1, 0) for n in range(part, rows, 2)]
    return Written(folder, {name: [values[n] for n in order] for name, values in columns.items()})


def write_nested_parquet(folder, rows):
    """Structs with lists, texts and nulls in them, by pyarrow."""
    meta = [
        {"title": text, "tags": ["a", "b"][: row % 3], "page": None if row % 4 == 0 else {"n": row}}
        for row, text in enumerate(texts_of(rows))
    ]
    columns = {"id": np.arange(rows), "vector": dense(rows)}
    table = pa.table({**columns, "vector": columns["vector"].tolist(), "meta": meta})
    vector = pa.list_(pa.float32(), DIM)
    pq.write_table(
        table.set_column(1, "vector", table["vector"].cast(vector)), folder / "rows.parquet", row_group_size=90
    )
    return Written(folder / "rows.parquet", {**columns, "meta": meta})


def write_mapped_parquet(folder, rows):
    """The same rows, with a text out of the structs for a column."""
    written = write_nested_parquet(folder, rows)
    titles = [meta["title"] for meta in written.columns.pop("meta")]
    return Written(written.source, {**written.columns, "title": titles}, {"map": {"meta.title": "title"}})


def write_ipc(folder, rows):
    """By polars, whose text is views."""
    columns = {"id": np.arange(rows), "vector": dense(rows), "text": texts_of(rows)}
    pl.DataFrame(columns).write_ipc(folder / "rows.arrow", compression="zstd")
    return Written(folder / "rows.arrow", columns)


def write_ipc_stream(folder, rows):
    columns = {"id": np.arange(rows), "vector": dense(rows)}
    pl.DataFrame(columns).write_ipc_stream(folder / "rows.arrows")
    return Written(folder / "rows.arrows", columns)


def write_feather(folder, rows):
    columns = {"id": np.arange(rows), "vector": dense(rows), "text": texts_of(rows)}
    pd.DataFrame({**columns, "vector": list(columns["vector"])}).to_feather(folder / "rows.feather")
    return Written(folder / "rows.feather", columns)


def rows_of(columns):
    """Columns as rows of Python values."""
    lists = {name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in columns.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def texts_of(rows):
    """Text with everything in it that formats trip over."""
    odd = ["plain", 'quote " and comma,', "Größe 水車 🙂", "two\nlines", "2024-01-01", "", " spaces ", "null", "007"]
    return [f"{odd[number % len(odd)]}" for number in range(rows)]


def write_jsonl(folder, rows):
    columns = {"id": np.arange(rows), "vector": dense(rows), "text": texts_of(rows)}
    with (folder / "rows.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows_of(columns))
    return Written(folder / "rows.jsonl", columns)


def write_jsonl_of_pandas(folder, rows):
    columns = {"id": np.arange(rows), "vector": dense(rows).astype(np.float64), "text": texts_of(rows)}
    frame = pd.DataFrame({**columns, "vector": list(columns["vector"])})
    frame.to_json(folder / "rows.jsonl.gz", orient="records", lines=True, double_precision=15)
    return Written(folder / "rows.jsonl.gz", {**columns, "vector": columns["vector"].astype(np.float32)})


def write_sparse_jsonl(folder, rows):
    columns = {"id": [f"key {number}" for number in range(rows)], "vector": pairs(sparse(rows))}
    with pa.output_stream(folder / "rows.jsonl.zst", compression="zstd") as file:
        for key, row in zip(*columns.values(), strict=True):
            vector = {str(pair["index"]): pair["value"] for pair in row}
            file.write(json.dumps({"id": key, "vector": vector}).encode() + b"\n")
    return Written(folder / "rows.jsonl.zst", columns, {"vector": ("vector",)})


def write_csv(folder, rows):
    """Vectors as JSON lists, by the csv module."""
    columns = {"id": np.arange(rows), "vector": dense(rows), "text": texts_of(rows)}
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([key, json.dumps(vector), text] for key, vector, text in zip(*_lists(columns), strict=True))
    return Written(folder / "rows.csv", columns)


def write_tsv_of_pandas(folder, rows):
    """Vectors with spaces between their numbers, by pandas."""
    columns = {"id": np.arange(rows), "vector": dense(rows), "text": texts_of(rows)}
    vectors = [" ".join(map(str, vector)) for vector in columns["vector"].tolist()]
    pd.DataFrame({**columns, "vector": vectors}).to_csv(folder / "rows.tsv.gz", index=False, sep="\t")
    return Written(folder / "rows.tsv.gz", columns)


def write_hdf5(folder, rows):
    """The layout of ann-benchmarks: vectors to load, queries and answers beside them."""
    vectors = dense(rows)
    with h5py.File(folder / "rows.hdf5", "w") as file:
        file["train"], file["test"] = vectors, dense(7, seed=1)
        file["neighbors"], file["distances"] = np.zeros((7, 10), np.int32), np.zeros((7, 10), np.float32)
        file.attrs["distance"] = "angular"
    return Written(folder / "rows.hdf5", {"id": np.arange(rows), "vector": vectors}, {"key": "@row"})


def write_hdf5_columns(folder, rows):
    columns = {"id": np.arange(rows), "vector": dense(rows), "text": texts_of(rows)}
    with h5py.File(folder / "rows.h5", "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values, compression="gzip", chunks=True)
    return Written(folder / "rows.h5", columns)


def write_fbin(folder, rows):
    """As DiskANN's tools do: two counts, then the vectors; the keys as another program wrote them."""
    vectors = dense(rows)
    with (folder / "rows.fbin").open("wb") as file:
        np.array(vectors.shape, np.uint32).tofile(file)
        vectors.tofile(file)
    np.save(folder / "keys.npy", np.array([f"key {number}" for number in range(rows)]))
    columns = {"doc": [f"key {number}" for number in range(rows)], "vector": vectors}
    return Written(folder / "rows.fbin", columns, {"ids": folder / "keys.npy", "key": "doc"})


def write_u8bin(folder, rows):
    """Whole numbers of which each is an element, as of SIFT."""
    return _counted(folder / "rows.u8bin", np.random.default_rng(0).integers(0, 256, (rows, DIM), np.uint8))


def write_i8bin(folder, rows):
    """Vectors that were quantised, as of SpaceV."""
    return _counted(folder / "rows.i8bin", np.random.default_rng(0).integers(-128, 128, (rows, DIM), np.int8))


def write_ibin(folder, rows):
    return _counted(folder / "rows.ibin", np.random.default_rng(0).integers(-(2**24), 2**24, (rows, DIM), np.int32))


def _counted(path, vectors):
    path.write_bytes(np.array(vectors.shape, np.uint32).tobytes() + vectors.tobytes())
    columns = {"id": np.arange(len(vectors)), "vector": vectors}
    return Written(path, columns, {"key": "@row", "vector": ("vector",)})


def write_bigann_csr(folder, rows):
    """As big-ann's sparse track does: three counts, then indptr, indices and data."""
    matrix = sparse(rows)
    with (folder / "rows.csr").open("wb") as file:
        np.array([*matrix.shape, matrix.nnz], np.int64).tofile(file)
        matrix.indptr.astype(np.int64).tofile(file)
        matrix.indices.astype(np.int32).tofile(file)
        matrix.data.astype(np.float32).tofile(file)
    return Written(folder / "rows.csr", {"id": np.arange(rows), "vector": pairs(matrix)}, {"key": "@row"})


def _lists(columns):
    return [values.tolist() if isinstance(values, np.ndarray) else values for values in columns.values()]


WRITERS = {
    "Parquet of DuckDB": write_parquet,
    "Arrow IPC of polars": write_ipc,
    "Arrow stream of polars": write_ipc_stream,
    "Feather of pandas": write_feather,
    "npy": write_npy,
    "npz": write_npz,
    "packed npz": write_packed_npz,
    "sparse npz": write_sparse_npz,
    "JSON lines": write_jsonl,
    "JSON lines of pandas": write_jsonl_of_pandas,
    "sparse JSON lines": write_sparse_jsonl,
    "CSV": write_csv,
    "TSV of pandas": write_tsv_of_pandas,
    "HDF5 of ann-benchmarks": write_hdf5,
    "HDF5": write_hdf5_columns,
    "fbin": write_fbin,
    "csr of big-ann": write_bigann_csr,
}
#: Of formats above, with values that are vectors only where they are named.
WRITERS_OF_INTEGERS = {"u8bin": write_u8bin, "i8bin": write_i8bin, "ibin": write_ibin}
#: Of formats above, with types that hold other values.
WRITERS_OF_TYPES = {
    "npy of float16": write_half_npy,
    "Parquet of structs": write_nested_parquet,
    "Parquet of structs, mapped": write_mapped_parquet,
}
