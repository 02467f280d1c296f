"""Files of every format: every value arrives, and an interrupted load of them goes on."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from headrace.errors import SchemaError, SourceError
from tests.fake_milvus import FakeMilvus
from tests.formats import WRITERS, WRITERS_OF_INTEGERS, WRITERS_OF_TYPES, as_written
from tests.hostile import FILES, TABLE
from tests.loader.rows import counts, interrupted, load, rows_sent, writes

ROWS = 400


def check_stored(fake, written, collection="docs"):
    """Every value of the files is in the server, and nothing else."""
    collection = fake.collections[collection]
    stored = {row[collection.key_name]: row for row in collection.dicts()}
    keys = [key if isinstance(key, str) else int(key) for key in written.columns[collection.key_name]]
    assert collection.keys() == Counter(keys)
    for name, values in written.columns.items():
        for key, value in zip(keys, values, strict=True):
            found = as_written(stored[key][name], value)
            assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value, name


@pytest.mark.parametrize("write", (WRITERS | WRITERS_OF_INTEGERS | WRITERS_OF_TYPES).values())
def test_every_value_arrives(fake, tmp_path, write):
    written = write(tmp_path, ROWS)
    report = load(fake, written.source, verify="full", **written.options)
    assert counts(report) == {"stored": ROWS}
    assert report.verify["status"] == "ok"
    check_stored(fake, written)


def test_vectors_of_int8_are_floats_where_a_server_does_not_have_them(tmp_path):
    with FakeMilvus(version="v2.5.0") as old:
        written = WRITERS_OF_INTEGERS["i8bin"](tmp_path, ROWS)
        with pytest.raises(SchemaError, match=r"INT8_VECTOR.*with --cast COLUMN:float$"):
            load(old, written.source, **written.options)
        report = load(old, written.source, key="@row", cast={"vector": "float"}, verify="full")
        assert (counts(report), report.verify["status"]) == ({"stored": ROWS}, "ok")
        assert [field.dtype.name for field in old.collections["docs"].schema.vector_fields] == ["FLOAT_VECTOR"]
        check_stored(old, written)


@pytest.mark.parametrize("write", WRITERS.values())
def test_an_interrupted_load_goes_on(fake, tmp_path, write):
    written = write(tmp_path, ROWS)
    report = interrupted(fake, written.source, **written.options)
    assert 0 < report.rows_stored < ROWS
    sent = len(writes(fake))
    again = load(fake, written.source, **written.options)
    assert counts(again) == {"stored": ROWS}
    assert again.rows_resumed == report.rows_stored
    assert rows_sent(writes(fake)[sent:]) == ROWS - report.rows_stored
    check_stored(fake, written)


@pytest.mark.parametrize(
    "name",
    [
        "JSON lines, broken",
        "CSV, a word",
        "parquet, page",
        "arrow, packed, in the middle",
        "arrow stream, cut",
        "npz, packed, in the middle",
        "HDF5, a chunk",
        "gzip, cut",
        "zstd, cut",
    ],
)
def test_damage_in_the_middle_ends_the_load_with_the_account_intact(fake, tmp_path, monkeypatch, name):
    monkeypatch.setattr("headrace.sources.text._BLOCK_BYTES", 4000)
    file, data, text = FILES[name]
    (tmp_path / file).write_bytes(data)
    if name == "parquet, page":
        pq.write_table(TABLE, tmp_path / "0.parquet")
    report = load(fake, tmp_path, check=False)
    assert (report.exit_status, report.unreadable) == (4, str(tmp_path / file))
    assert text in report.failure
    assert 0 < report.rows_stored == report.rows_read == fake.collections["docs"].count()


@pytest.mark.parametrize("name", ["npy, cut", "torch", "CSV, UTF-16", "arrow, footer"])
def test_what_a_head_tells_is_refused_before_anything_is_sent(fake, tmp_path, name):
    file, data, text = FILES[name]
    (tmp_path / file).write_bytes(data)
    with pytest.raises(SourceError) as caught:
        load(fake, tmp_path)
    assert text in str(caught.value)
    assert fake.calls_of("CreateCollection", "Insert", "Upsert") == []


def write_later(path):
    """JSON lines of which one has a column that none before it has."""
    rows = [{"id": row, "v": [0.5] * 8, **({"new": "x"} if row == 900 else {})} for row in range(1000)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_column_of_later_lines_goes_to_the_dynamic_field(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("headrace.sources.text._BLOCK_BYTES", 4000)
    report = load(fake, write_later(tmp_path / "a.jsonl"), dynamic=True, verify="full")
    assert (counts(report), report.verify["status"]) == ({"stored": 1000}, "ok")
    stored = {row["id"]: row for row in fake.collections["docs"].dicts()}
    assert json.loads(stored[900]["$meta"]) == {"new": "x"}


def test_a_column_of_later_lines_without_a_field_ends_the_load_with_its_place(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("headrace.sources.text._BLOCK_BYTES", 4000)
    path = write_later(tmp_path / "a.jsonl")
    report = load(fake, path, check=False)
    assert report.exit_status == 4
    assert re.search(rf"{path}, from row 8\d\d on: column 'new': expected a field of the collection", report.failure)
    assert counts(report)["stored"] == fake.collections["docs"].count() > 700
    again = load(fake, path, drop="new", verify="full")
    assert (counts(again), again.rows_resumed) == ({"stored": 1000}, report.rows_stored)


def test_lists_that_only_later_lines_fill_are_json(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("headrace.sources.text._BLOCK_BYTES", 4000)
    lists = [[], ["x"], [], ["y", "z"]]
    rows = [{"id": row, "v": [0.5] * 8, "note": None, "tags": lists[row // 250]} for row in range(1000)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(SchemaError, match=r"column .note.: .* leave it out with --drop note, or give it a type"):
        load(fake, tmp_path / "a.jsonl")
    report = load(fake, tmp_path / "a.jsonl", drop="note", verify="full")
    assert (counts(report), report.verify["status"]) == ({"stored": 1000}, "ok")
    stored = {row["id"]: json.loads(row["tags"]) for row in fake.collections["docs"].dicts()}
    assert stored == {row["id"]: row["tags"] for row in rows}
