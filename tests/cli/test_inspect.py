"""``headrace inspect``: what a load would do, with nothing written anywhere."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.config import Endpoint, LoadOptions
from headrace.inspection import inspect_source
from tests.cli.conftest import table

WRITES = ("CreateCollection", "CreateIndex", "Insert", "Upsert", "LoadCollection", "Flush", "Delete")


def test_shows_files_rows_columns_and_what_create_would_make(headrace, source):
    ended = headrace.run("inspect", source)
    assert ended.status == 0, ended.err
    found = ended.document
    assert found["files"] == [{"path": str(source), "rows": 100, "bytes": source.stat().st_size}]
    assert found["primary_key"] == "id"
    assert {m["source"]: m["field_type"] for m in found["mapping"]} == {
        "id": "INT64",
        "text": "VARCHAR(65535)",
        "vector": "FLOAT_VECTOR(4)",
    }
    assert found["indexes"] == [{"field": "vector", "metric": "COSINE"}]
    assert found["request_bytes_per_row"] > 16
    assert (found["profile"]["rows"], found["profile"]["key_repeats"]) == (100, 0)
    assert [entry["field"] for entry in found["profile"]["fields"]] == ["id", "text", "vector"]
    assert "\n'vector' is not normalised: IP favours long vectors; COSINE, or L2 where the model" in ended.err
    assert "--create would make a collection with the key 'id', indexed: vector (COSINE)" in ended.err
    assert not headrace.state.exists()


def test_quiet_prints_only_the_document(headrace, source):
    ended = headrace.run("inspect", source, "--quiet")
    assert (ended.status, ended.err) == (0, "")


def test_compares_with_a_collection_that_exists(headrace, fake, source):
    assert headrace.run("load", source, "--collection", "c", "--uri", fake.uri, "--create").status == 0
    fake.calls.clear()
    ended = headrace.run("inspect", source, "--collection", "c", "--uri", fake.uri)
    assert ended.status == 0, ended.err
    assert (ended.document["exists"], ended.document["rows_before"]) == (True, 100)
    assert "collection 'c' exists and holds 100 rows; its key is 'id'" in ended.err
    assert fake.calls_of(*WRITES) == []


def test_a_collection_that_does_not_exist_is_not_created(headrace, fake, source):
    ended = headrace.run("inspect", source, "--collection", "c", "--uri", fake.uri)
    assert ended.status == 0, ended.err
    assert (ended.document["exists"], ended.document["like"]) == (False, [])
    assert fake.collections == {}


@pytest.mark.parametrize(("version", "kind"), [("2.6.6", "TIMESTAMPTZ"), ("2.5.4", "INT64")])
def test_times_are_what_the_server_has_for_them(fake, tmp_path, version, kind):
    fake.version = version
    rows = table().append_column("seen", pa.array(range(100), pa.timestamp("us")))
    pq.write_table(rows, tmp_path / "times.parquet")
    where = Endpoint(uri=fake.uri)
    found = inspect_source(tmp_path / "times.parquet", options=LoadOptions(), collection="c", endpoint=where)
    assert {entry["source"]: entry["field_type"] for entry in found.mapping}["seen"] == kind


def test_an_embedded_database_that_does_not_exist_is_not_created(headrace, source, tmp_path):
    ended = headrace.run("inspect", source, "--collection", "c", "--uri", "./none.db")
    assert ended.status == 0, ended.err
    assert not (tmp_path / "none.db").exists()


def test_what_would_be_refused_is_shown_with_status_2(headrace, tmp_path):
    pq.write_table(table().rename_columns(["number", "text", "vector"]), tmp_path / "rows.parquet")
    ended = headrace.run("inspect", "rows.parquet")
    assert ended.status == 2
    assert [column["name"] for column in ended.document["columns"]] == ["number", "text", "vector"]
    assert "--key" in ended.document["problem"]
    assert ended.err.splitlines()[-1].startswith("headrace: primary key: ")


def test_rows_that_would_be_rejected_are_noted(headrace, tmp_path):
    rows = table(10)
    vectors = rows["vector"].combine_chunks().flatten().to_numpy().copy()
    vectors[8] = np.nan
    bad = rows.set_column(2, "vector", pa.FixedSizeListArray.from_arrays(pa.array(vectors), 4))
    pq.write_table(bad, tmp_path / "nan.parquet")
    ended = headrace.run("inspect", "nan.parquet")
    assert ended.status == 0, ended.err
    assert [entry["not_finite"] for entry in ended.document["profile"]["fields"]] == [0, 0, 1]
    assert ended.document["notes"][0].startswith(
        "1 of the 10 rows that were looked at would be rejected for 'vector', for example row 2 of nan.parquet: "
    )
    assert "10 rows looked at, 1 of which would be rejected; 0 of them have a key" in ended.err


def test_several_files_are_listed(headrace, tmp_path):
    for number in range(2):
        pq.write_table(table(10, start=number * 10), tmp_path / f"part-{number}.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    ended = headrace.run("inspect", tmp_path)
    assert ended.status == 0, ended.err
    assert ended.document["rows"] == 20
    assert len(ended.document["files"]) == 2
    assert any("_SUCCESS" in path for path in ended.document["skipped"])
