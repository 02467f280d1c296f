"""``headrace.load`` against the fake server: sources, modes, what is left behind."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from headrace import Endpoint, LoadOptions
from headrace.loader import LoadJob
from tests.loader.rows import DIM, counts, load, table, write_parquet


def test_loads_a_parquet_file_and_makes_it_searchable(fake, tmp_path):
    report = load(fake, write_parquet(tmp_path / "a.parquet", 1000), verify="full")
    assert counts(report) == {"stored": 1000}
    assert (report.ok, report.exit_status, report.status) == (True, 0, "done")
    assert (report.created, report.mode, report.rows_total, report.source_exhausted) == (True, "insert", 1000, True)
    assert report.verify["status"] == "ok"
    assert report.verify["checked"] == 1000
    docs = fake.collections["docs"]
    assert docs.keys() == Counter(range(1000))
    assert docs.loaded
    assert set(docs.indexes) == {"dense", "sparse"}
    expected = table(1000).to_pylist()
    for row, stored in zip(expected, sorted(docs.dicts(), key=lambda r: r["id"]), strict=True):
        assert stored["text"] == row["text"]
        assert stored["dense"] == row["dense"]
    (line,) = report.files
    assert line["identity"]["size"] == (tmp_path / "a.parquet").stat().st_size
    assert {**line, "identity": ...} == {
        "source": str(tmp_path / "a.parquet"),
        "rows": 1000,
        "stored": 1000,
        "verified": 1000,
        "identity": ...,
    }


def test_the_report_is_kept_privately_in_the_state_directory(fake, tmp_path):
    report = load(fake, table(10), state_dir=tmp_path / "state")
    path = Path(report.state_dir) / "report.json"
    assert path.parent == tmp_path / "state"
    assert json.loads(path.read_text())["rows_stored"] == 10
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


SOURCES = {
    "table": lambda tmp: table(50),
    "record batch": lambda tmp: table(50).combine_chunks().to_batches()[0],
    "reader": lambda tmp: table(50).to_reader(max_chunksize=7),
    "dict of columns": lambda tmp: {
        "id": np.arange(50),
        "text": [f"row {i}" for i in range(50)],
        "dense": np.ones((50, DIM), np.float32),
    },
    "list of dicts": lambda tmp: [{"id": i, "text": f"row {i}", "dense": [0.5] * DIM} for i in range(50)],
    "iterator of batches": lambda tmp: iter(table(50).to_batches(max_chunksize=9)),
    "iterator of lists of dicts": lambda tmp: (
        [{"id": i, "dense": [0.5] * DIM} for i in range(start, start + 10)] for start in range(0, 50, 10)
    ),
    "parquet": lambda tmp: write_parquet(tmp / "a.parquet", 50),
    "list of paths": lambda tmp: [
        write_parquet(tmp / "a.parquet", 20),
        str(write_parquet(tmp / "b.parquet", 30, start=20)),
    ],
}


@pytest.mark.parametrize("kind", SOURCES)
def test_loads_every_kind_of_source(fake, tmp_path, kind):
    report = load(fake, SOURCES[kind](tmp_path), vector=("dense",))
    assert counts(report) == {"stored": 50}
    assert fake.collections["docs"].keys() == Counter(range(50))


def test_an_existing_empty_collection_is_inserted_into_and_a_filled_one_upserted(fake):
    load(fake, table(20))
    again = load(fake, table(20, seed=1), create=False)
    assert (again.created, again.mode) == (False, "upsert")
    assert again.mode_reason == "the collection already holds 20 rows"
    assert fake.collections["docs"].keys() == Counter(range(20))
    assert load(fake, table(5, start=100), mode="insert").mode == "insert"


def test_auto_ids_are_made_by_the_server(fake):
    report = load(fake, table(20).drop_columns(["id"]), auto_id=True)
    assert counts(report) == {"stored": 20}
    assert report.mode == "insert"
    assert fake.collections["docs"].schema.auto_id


def test_a_limit_ends_the_source(fake, tmp_path):
    report = load(fake, write_parquet(tmp_path / "a.parquet", 300), limit=123)
    assert counts(report) == {"stored": 123}
    assert (report.rows_total, report.source_exhausted, report.exit_status) == (123, True, 0)


def test_an_empty_source_is_done(fake):
    report = load(fake, table(0))
    assert (report.rows_read, report.exit_status) == (0, 0)


def test_a_dry_run_sends_nothing(fake, tmp_path):
    source = table(100).to_pylist()
    source[3]["dense"][0] = float("nan")
    report = load(fake, source, dry_run=True, vector=("dense",), check=False)
    assert counts(report) == {"skipped": 99, "rejected": 1}
    assert report.dry_run
    assert report.status == "dry run: nothing was sent; 1 row would be rejected"
    assert (report.would_store["rows"], report.reject_reasons) == (99, {"dense: expected finite values": 1})
    assert fake.calls_of("Insert", "Upsert", "CreateCollection") == []


def test_the_files_at_work_are_those_that_are_partly_settled(fake, tmp_path):
    write_parquet(tmp_path / "a.parquet", 100)
    write_parquet(tmp_path / "b.parquet", 300, start=100)
    seen = []

    async def look(call):
        seen.append([(Path(file.source).name, file.rows) for file in job.files_at_work()])
        return call.apply()

    fake.always("Insert", look)
    options = LoadOptions(create=True, batch_bytes=4096, max_in_flight=1, state_dir=tmp_path / "state")
    job = LoadJob(str(tmp_path / "*.parquet"), collection="docs", endpoint=Endpoint.resolve(fake.uri), options=options)
    assert job.run().rows_stored == 400
    assert seen[0] == []
    assert [("b.parquet", 300)] in seen
    assert job.files_at_work() == []


def test_a_dry_run_packs_the_bytes_that_a_load_sends(fake):
    # A key that stands twice in a request is superseded in both.
    source = pa.concat_tables([table(300), table(5)])
    dry = load(fake, source, dry_run=True)
    wet = load(fake, source)
    assert (dry.rows_superseded, dry.would_store["rows"]) == (wet.rows_superseded, wet.rows_stored)
    assert (dry.would_store["bytes"], dry.would_store["requests"]) == (wet.bytes_sent, wet.batches)


def test_requests_are_of_their_size_whatever_rows_take_in_memory(fake):
    # 12 bytes a term in memory, 8 in a request: batches that are cut by the former make requests of two thirds.
    rows, terms = 8000, 120
    indices = np.tile(np.arange(terms, dtype=np.int64), rows)
    matrix = sp.csr_array((np.ones(rows * terms, np.float32), indices, np.arange(rows + 1) * terms))
    assert matrix.indices.dtype == np.int64
    report = load(fake, {"id": np.arange(rows), "v": matrix}, batch_bytes=1 << 20)
    assert report.bytes_sent > 7_000_000
    assert report.bytes_sent / report.batches > 0.85 * (1 << 20)
