"""What ``inspect`` says of rows, before a load of them says the same."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

import headrace
import headrace.inspection
import headrace.sources.text
from headrace.config import Endpoint, LoadOptions
from headrace.inspection import inspect_source
from headrace.inspection_text import inspection_lines
from headrace.sources.text import TextReader
from headrace.zeros import zeros_text

ROWS = 50
VECTORS = np.arange(1, ROWS * 4 + 1, dtype=np.float32).reshape(ROWS, 4).tolist()
FIXED, LISTS = pa.list_(pa.float32(), 4), pa.list_(pa.float32())


def lost(*rows, value=None, of=VECTORS):
    return [value if row in rows else cell for row, cell in enumerate(of)]


def columns(vectors=VECTORS, kind=FIXED, **more):
    return {"id": range(ROWS), **more, "emb": pa.array(vectors, kind)}


LOSSES = {
    "nulls": (columns(lost(3, 7, 8)), {}, {"emb": 3}, "row 3 of PATH: expected a value (emb is not nullable)"),
    "another length": (
        columns(lost(9, value=[1.0, 2.0]), LISTS),
        {"vector": "emb", "dim": 4},
        {"emb": 1},
        "row 9 of PATH: expected a vector of 4 numbers, found 2 numbers",
    ),
    "no int64": (
        columns(big=pa.array(lost(5, 6, value=2**63, of=range(ROWS)), pa.uint64())),
        {},
        {"big": 2},
        "row 5 of PATH: expected an integer from -9223372036854775808 to",
    ),
    "no time": (
        columns(seen=[f"2024-13-{row:02}" for row in range(ROWS)]),
        {"cast": {"seen": "timestamp"}},
        {"seen": 50},
        "row 0 of PATH: expected a value that becomes timestamp",
    ),
    # What the cast leaves is checked where rows are packed: row numbers are those of the file all the same.
    "two fields": (
        columns(lost(2, value=[np.inf] * 4), big=pa.array(lost(0, value=2**63, of=range(ROWS)), pa.uint64())),
        {},
        {"big": 1, "emb": 1},
        "row 2 of PATH: expected finite",
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_that_a_load_would_reject_are_counted_by_field(fake, tmp_path, loss):
    table, options, rejected, example = LOSSES[loss]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(table), path)
    found = inspect_source(path, options=LoadOptions(**options))
    assert (found.profile["rows"], found.profile["rejected"]) == (ROWS, sum(rejected.values()))
    assert {it["field"]: it["rejected"] for it in found.profile["fields"] if it["rejected"]} == rejected
    assert any(example.replace("PATH", str(path)) in note for note in found.notes)
    assert f"{ROWS} rows looked at, {sum(rejected.values())} of which would be rejected" in "\n".join(
        inspection_lines(found)
    )
    words = {"collection": "c", "uri": fake.uri, "create": True, "dry_run": True, "check": False, "max_rejects": ROWS}
    assert headrace.load(path, **words, **options).rows_rejected == sum(rejected.values())


def test_nulls_of_rejected_rows_are_nulls_all_the_same(tmp_path):
    pq.write_table(pa.table(columns(lost(3, 7), note=lost(3, 4, 5, of=["x"] * ROWS))), tmp_path / "rows.parquet")
    found = inspect_source(tmp_path / "rows.parquet", options=LoadOptions())
    assert [it["nulls"] for it in found.profile["fields"]] == [0, 3, 2]


def test_vectors_of_zeros_are_noted_where_their_metric_minds_them_as_a_load_does(fake, tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(columns(lost(3, 7, value=[0.0] * 4))), path)
    note = f"2 {zeros_text('emb')}"
    for metric, noted in (("COSINE", [note]), ("L2", [])):
        words = {"collection": metric, "uri": fake.uri}
        options = {"options": LoadOptions(metric=metric)}
        assert inspect_source(path, **options).notes == noted
        assert headrace.load(path, create=True, metric=metric, **words).notes == noted
        existing = inspect_source(path, collection=metric, endpoint=Endpoint(uri=fake.uri), options=LoadOptions())
        assert existing.notes == noted
        assert headrace.load(path, again=True, **words).notes == noted


def test_bytes_on_the_wire_are_those_of_rows_that_would_be_stored(tmp_path):
    whole, part = tmp_path / "whole.parquet", tmp_path / "part.parquet"
    pq.write_table(pa.table(columns()), whole)
    pq.write_table(pa.table(columns(lost(*range(1, ROWS)))), part)
    of_all, of_one = (inspect_source(path, options=LoadOptions()).request_bytes_per_row for path in (whole, part))
    # The request's head is of one row there.
    assert of_one > of_all > 16
    pq.write_table(pa.table(columns(lost(*range(ROWS)))), part)
    assert inspect_source(part, options=LoadOptions()).request_bytes_per_row is None


def line(row, name):
    vector = [round(float(value), 6) for value in (np.arange(16) + 16 * row) * 0.6180339887 % 1]
    return f'{row},"{vector}"' if ".csv" in name else json.dumps({"id": row, "emb": vector})


def write(path, rows):
    lines = [*(["id,emb"] if ".csv" in path.name else []), *(line(row, path.name) for row in range(rows))]
    text = "\n".join([*lines, ""])
    path.write_bytes(gzip.compress(text.encode(), 1) if path.suffix == ".gz" else text.encode())


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.csv.gz", "rows.jsonl.gz"])
def test_text_is_said_to_have_about_so_many_rows(tmp_path, name):
    write(tmp_path / name, 18_000)
    found = inspect_source(tmp_path / name, options=LoadOptions(vector="emb"))
    assert found.rows is None
    assert found.rows_about == pytest.approx(18_000, rel=0.05)
    text = list(inspection_lines(found))
    assert text[0].startswith(f"{tmp_path / name}: about {found.rows_about:,} rows, 1 file of ")
    assert any(" per row on the wire, " in line and line.endswith(" in all") for line in text)
    assert any("in the server's memory" in line for line in text)


def test_text_is_not_read_to_its_end(tmp_path, monkeypatch):
    write(tmp_path / "rows.jsonl", 300)
    monkeypatch.setattr(headrace.sources.text, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(headrace.inspection, "PROFILE_BYTES", 2000)
    read, blocks = [], TextReader.blocks
    monkeypatch.setattr(TextReader, "blocks", lambda reader: (read.append(it) or it for it in blocks(reader)))
    found = inspect_source(tmp_path / "rows.jsonl", options=LoadOptions())
    assert 0 < found.profile["rows"] < 50
    assert max(block.row for block in read) < 150


def test_text_of_one_block_is_counted(tmp_path):
    write(tmp_path / "rows.csv", 300)
    assert inspect_source(tmp_path / "rows.csv", options=LoadOptions()).rows_about == 300


def test_of_many_files_of_text_some_are_looked_at(tmp_path):
    for number in range(20):
        write(tmp_path / f"rows-{number:02}.jsonl", 100)
    pq.write_table(pa.table(columns()), tmp_path / "more.parquet")
    (tmp_path / "rows-07.jsonl").write_text((tmp_path / "rows-07.jsonl").read_text() * 10)
    found = inspect_source(tmp_path, options=LoadOptions())
    assert found.rows_about == pytest.approx(2900 + ROWS, rel=0.01)


def test_what_is_not_on_this_machine_has_a_size(tmp_path):
    write(tmp_path / "rows.csv", 300)
    there = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    found = inspect_source("rows.csv", options=LoadOptions(filesystem=there))
    assert found.files == [{"path": "rows.csv", "rows": None, "bytes": (tmp_path / "rows.csv").stat().st_size}]
    assert found.rows_about == 300


def test_what_is_in_memory_is_no_file():
    found = inspect_source(pa.table(columns()), options=LoadOptions())
    assert (found.rows, found.rows_about) == (ROWS, None)
    assert next(inspection_lines(found)).endswith(f": {ROWS} rows")
