"""The main path with the runtime dependencies alone; `make wheel` runs it against the oldest and the newest of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import headrace
from headrace import _core
from headrace._proto import milvus_pb2
from headrace.decoding import decode_request

ROWS, DIM = 300, 8


def columns():
    """Columns with equal values in every run."""
    vectors = np.random.default_rng(7).standard_normal((ROWS, DIM), dtype=np.float32)
    sparse = [[{"index": row, "value": 0.5}, {"index": row + 9, "value": 1.5}] for row in range(ROWS)]
    return {
        "id": pa.array(range(ROWS), pa.int64()),
        "text": pa.array([f"row {row}" for row in range(ROWS)]),
        "dense": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM),
        "sparse": pa.array(sparse, pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))),
    }


def schema():
    kind = headrace.DataType
    return headrace.CollectionSchema(
        [
            headrace.FieldSchema("id", kind.INT64, is_primary=True),
            headrace.FieldSchema("text", kind.VARCHAR, max_length=100),
            headrace.FieldSchema("dense", kind.FLOAT_VECTOR, dim=DIM),
            headrace.FieldSchema("sparse", kind.SPARSE_FLOAT_VECTOR),
        ]
    )


def test_the_extension_is_of_this_version_and_a_release_build():
    info = _core.build_info()
    assert info["version"] == version("headrace")
    assert info["profile"] == "release"


def test_a_batch_packs_and_parses_back():
    batch = pa.record_batch(columns())
    packed = headrace.packing.pack_insert(batch, schema(), collection_name="docs")
    assert milvus_pb2.InsertRequest.FromString(packed).num_rows == ROWS
    assert decode_request(packed).to_pylist() == batch.to_pylist()


def test_numpy_columns_pack_like_arrow_columns():
    given = columns()
    vectors = given["dense"].flatten().to_numpy().reshape(ROWS, DIM)
    arrow = headrace.packing.pack_insert(pa.record_batch(given), schema(), collection_name="docs")
    mixed = {**given, "id": np.arange(ROWS), "dense": vectors}
    assert headrace.packing.pack_insert(mixed, schema(), collection_name="docs") == arrow


def test_a_file_is_loaded_and_read_back(fake, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns()), path)
    report = headrace.load(str(path), collection="docs", uri=fake.uri, create=True, verify="full")
    assert (report.rows_stored, report.verify["status"]) == (ROWS, "ok")
    assert fake.collections["docs"].keys() == Counter(range(ROWS))


def test_the_command_line_loads_and_reports(fake, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns()), path)
    command = [
        sys.executable,
        "-m",
        "headrace",
        "load",
        str(path),
        "--collection",
        "docs",
        "--uri",
        fake.uri,
        "--create",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows_stored"] == ROWS
