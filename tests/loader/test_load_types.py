"""Every data type through a whole load: read, conformed, packed, sent, read back and compared."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import DataType, FieldSchema
from tests.fake_milvus import FakeMilvus

ROWS = 40
KEY = FieldSchema("id", DataType.INT64, is_primary=True)
FIELDS = [
    KEY,
    FieldSchema("half", DataType.FLOAT16_VECTOR, dim=8),
    FieldSchema("brain", DataType.BFLOAT16_VECTOR, dim=8),
    FieldSchema("int8", DataType.INT8_VECTOR, dim=8),
    FieldSchema("bits", DataType.BINARY_VECTOR, dim=16),
    FieldSchema("dense", DataType.FLOAT_VECTOR, dim=2, nullable=True),
    FieldSchema("place", DataType.GEOMETRY, nullable=True),
    FieldSchema("at", DataType.TIMESTAMPTZ),
    FieldSchema("seen", DataType.TIMESTAMPTZ, default_value="2025-01-01T00:00:00Z"),
    FieldSchema("essay", DataType.TEXT, nullable=True),
    FieldSchema("word", DataType.VARCHAR, max_length=20),
]
MATRIX = np.random.default_rng(5).standard_normal((ROWS, 8))


@pytest.fixture
def columns():
    numbers = range(ROWS)
    return {
        "id": np.arange(ROWS),
        "half": MATRIX.astype(np.float16),
        "brain": MATRIX.astype(ml_dtypes.bfloat16),
        "int8": (MATRIX * 20).astype(np.int64),
        "bits": np.tile(MATRIX > 0, 2),
        "dense": [None if n % 4 == 0 else [1.0, float(n)] for n in numbers],
        "place": pa.array([None if n % 7 == 0 else f"POINT({n} 0.50)" for n in numbers], pa.string_view()),
        "at": np.arange(ROWS).astype("M8[s]"),
        "seen": pa.array([None if n % 3 == 0 else f"2025-05-01T00:00:{n:02d}+08:00" for n in numbers]),
        "essay": ["é" * 40_000 if n == 1 else None if n % 5 == 0 else f"essay {n}" for n in numbers],
        "word": pa.array([f"word {n % 3}" for n in numbers]).dictionary_encode(),
    }


@pytest.fixture
def server():
    with FakeMilvus(version="v3.0.0") as server:
        yield server


def load(server, columns, **options):
    schema = headrace.CollectionSchema(FIELDS)
    return headrace.load(columns, collection="docs", uri=server.uri, schema=schema, create=True, **options)


def test_every_type_is_stored_and_proven_bit_for_bit(server, columns):
    report = load(server, columns, verify="full")
    assert (report.rows_stored, report.exit_status) == (ROWS, 0)
    assert (report.verify["status"], report.verify["checked"]) == ("ok", ROWS)
    stored = sorted(server.collections["docs"].dicts(), key=lambda row: row["id"])
    assert [bytes(row["brain"]) for row in stored] == [row.tobytes() for row in columns["brain"]]
    assert [bytes(row["bits"]) for row in stored] == [row.tobytes() for row in np.packbits(columns["bits"], axis=1)]
    assert [row["int8"] for row in stored] == columns["int8"].tolist()
    assert [row["essay"] for row in stored] == columns["essay"]
    assert [row["word"] for row in stored] == columns["word"].to_pylist()


def test_every_vector_field_has_the_index_of_its_type(server, columns):
    load(server, columns)
    indexes = {name: params["metric_type"] for name, (_, params) in server.collections["docs"].indexes.items()}
    assert indexes == {**dict.fromkeys(["half", "brain", "int8", "dense"], "COSINE"), "bits": "HAMMING"}


def test_cells_that_do_not_fit_are_rejected_with_their_row(server, columns):
    columns["int8"][3, 2] = 300
    columns["half"][5, 1] = np.nan
    columns["seen"] = [*columns["seen"].to_pylist()[:-1], "yesterday"]
    report = load(server, columns, check=False, verify="full")
    assert (report.rows_stored, report.rows_rejected, report.exit_status) == (ROWS - 3, 3, 3)
    assert report.verify["status"] == "ok"
    # What was refused before and after it was conformed has other columns, and a file of its own.
    files = Path(report.state_dir).glob("rejects*.parquet")
    rejects = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert sorted((row["_row"], row["_field"]) for row in rejects) == [(3, "int8"), (5, "half"), (ROWS - 1, "seen")]
    assert {row["_row"]: row["place"] for row in rejects}[3] == "POINT(3 0.50)"
