"""The main job on a real engine: the sample into an embedded Milvus Lite, proven by headrace and by pymilvus."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import headrace

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "wordnet-2k.parquet"
EQUALS = Path(__file__).with_name("pymilvus_equals.py")


def test_the_sample_is_stored_value_by_value(tmp_path):
    database = tmp_path / "words.db"
    report = headrace.load(SAMPLE, collection="words", uri=database, create=True, verify="full")
    assert (report.rows_stored, report.exit_status) == (2000, 0)
    assert (report.verify["level"], report.verify["status"], report.verify["checked"]) == ("full", "ok", 2000)
    command = [sys.executable, str(EQUALS), str(database), "words", str(SAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path)
    assert done.stdout == "2000 rows are equal\n", done.stderr


def test_a_second_load_finds_the_collection_and_replaces_its_rows(tmp_path):
    database = tmp_path / "words.db"
    headrace.load(SAMPLE, collection="words", uri=database, create=True, limit=300)
    report = headrace.load(SAMPLE, collection="words", uri=database, limit=300, verify="sample")
    assert (report.mode, report.rows_stored, report.already_complete) == ("upsert", 300, True)
    assert (report.verify["status"], report.verify["checked"]) == ("ok", 200)
    report = headrace.load(SAMPLE, collection="words", uri=database, limit=400, again=True, verify="sample")
    assert (report.mode, report.rows_stored, report.rows_resumed) == ("upsert", 400, 0)
    report = headrace.load(SAMPLE, collection="words", uri=database, limit=700, verify="full")
    assert (report.rows_stored, report.rows_resumed, report.verify["checked"]) == (700, 400, 700)


def test_a_database_that_was_made_again_gets_every_row(tmp_path):
    database = tmp_path / "words.db"
    headrace.load(SAMPLE, collection="words", uri=database, create=True, limit=300)
    kept = headrace.MilvusClient(database)
    kept.drop_collection("words")
    kept.close()
    report = headrace.load(SAMPLE, collection="words", uri=database, create=True, limit=300, verify="count")
    assert (report.rows_stored, report.rows_resumed, report.verify["status"]) == (300, 0, "ok")


def test_documents_that_milvus_lite_cannot_hold_are_refused_row_by_row(tmp_path):
    documents = ['{"a": 1}'] * 300
    for row, text in ((3, "7"), (150, "true"), (299, "7.5")):
        documents[row] = text
    schema = headrace.CollectionSchema(
        [
            headrace.FieldSchema("id", headrace.DataType.INT64, is_primary=True, auto_id=True),
            headrace.FieldSchema("document", headrace.DataType.JSON),
            headrace.FieldSchema("v", headrace.DataType.FLOAT_VECTOR, dim=4),
        ]
    )
    rows = {"document": documents, "v": np.ones((300, 4), np.float32)}
    report = headrace.load(rows, collection="d", uri=tmp_path / "d.db", schema=schema, verify="count", check=False)
    assert (report.exit_status, report.rows_stored, report.rows_rejected) == (3, 297, 3)
    assert set(report.retries) == {"reject"}, "no attempt was unclear"
    assert (report.rows_possibly_duplicated, report.verify["status"]) == (0, "ok")
    assert sorted(pq.read_table(report.rejects_file).column("_row").to_pylist()) == [3, 150, 299]


def test_a_loader_stores_what_a_program_makes(tmp_path):
    schema = headrace.CollectionSchema(
        [
            headrace.FieldSchema("id", headrace.DataType.INT64, is_primary=True),
            headrace.FieldSchema("v", headrace.DataType.FLOAT_VECTOR, dim=16),
        ]
    )
    random = np.random.default_rng(3)
    with headrace.Loader("points", uri=tmp_path / "p.db", schema=schema, verify="sample") as loader:
        for start in range(0, 1000, 50):
            vectors = random.standard_normal((50, 16)).astype(np.float32)
            loader.put({"id": np.arange(start, start + 50), "v": vectors})
    assert loader.report.rows_stored == 1000
    assert loader.report.verify["status"] == "ok"
