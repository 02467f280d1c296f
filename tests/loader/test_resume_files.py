"""The same load again with other files: changed ones, and those whose rows have their numbers for keys."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import SourceError, job
from headrace.journal_store import JournalStore
from tests.fake.behaviours import ok
from tests.loader.rows import age, counts, interrupted, load, table, write_parquet, writes


def test_an_unfinished_file_that_changed_is_refused_before_anything_is_sent(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)
    interrupted(fake, path)
    write_parquet(path, 900, seed=1)
    sent = len(writes(fake))
    with pytest.raises(SourceError, match=r"bytes instead of .*--changed reload.*--changed skip") as caught:
        load(fake, path)
    assert caught.value.source == str(path)
    assert len(writes(fake)) == sent


def test_a_changed_file_is_reloaded_where_that_was_asked_for(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)
    interrupted(fake, path)
    write_parquet(path, 1200, seed=1)
    report = load(fake, path, changed="reload", verify="full")
    assert (counts(report), report.rows_resumed) == ({"stored": 1200}, 0)
    assert fake.collections["docs"].keys() == Counter(range(1200))
    assert report.verify["status"] == "ok"


def test_a_changed_file_is_left_out_where_that_was_asked_for(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)
    interrupted(fake, path)
    write_parquet(path, 1200, seed=1)
    write_parquet(tmp_path / "b.parquet", 100, start=5000)
    report = load(fake, tmp_path, changed="skip")
    assert (counts(report), report.rows_total) == ({"stored": 100}, 100)
    assert any("a.parquet was left out" in note for note in report.notes)


def test_a_finished_file_that_changed_is_a_new_load(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    load(fake, path)
    write_parquet(path, 300, seed=1)
    report = load(fake, path, verify="full")
    assert (counts(report), report.rows_resumed, report.mode) == ({"stored": 300}, 0, "upsert")
    assert report.verify["status"] == "ok"
    assert fake.collections["docs"].keys() == Counter(range(300))


def test_a_file_that_goes_to_other_fields_counts_as_changed(fake, tmp_path):
    numbers = pa.array(range(1000), pa.int64())
    rows = pa.table({"one": numbers, "two": numbers, "dense": table(1000)["dense"]})
    pq.write_table(rows, tmp_path / "a.parquet")
    schema = headrace.CollectionSchema(
        [
            headrace.FieldSchema("id", headrace.DataType.INT64, is_primary=True),
            headrace.FieldSchema("dense", headrace.DataType.FLOAT_VECTOR, dim=8),
        ],
        enable_dynamic_field=True,
    )
    first = interrupted(fake, tmp_path / "a.parquet", schema=schema, key="one")
    with pytest.raises(SourceError, match="columns that go to other fields"):
        load(fake, tmp_path / "a.parquet", key="two")
    age(first.state_dir)
    assert counts(load(fake, tmp_path / "a.parquet", key="one")) == {"stored": 1000}


def test_a_file_that_changes_while_it_is_read_is_noticed(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)

    async def touch(call):
        os.utime(path, ns=(1, 1))
        return await ok(call)

    fake.script("Insert", touch)
    # The file does not fit into the window, so it cannot be read to its end before the first request is answered.
    report = load(fake, path, check=False, window_bytes=16_000)
    assert report.exit_status == 4
    assert "a file that stays as it is while it is loaded" in report.failure
    assert report.rows_stored == fake.collections["docs"].count()
    again = load(fake, path, verify="full")
    assert counts(again) == {"stored": 1000}
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_a_file_that_is_replaced_between_two_looks_at_it_is_noticed(fake, tmp_path, monkeypatch):
    """Where its rows lie was read of the first one; those of the second one after them would never be read."""
    path = tmp_path / "a.npy"
    np.save(path, np.ones((300, 8), np.float32))

    def replaced_meanwhile(directory):
        np.save(path, np.ones((400, 8), np.float32))
        return JournalStore(directory)

    monkeypatch.setattr(job, "JournalStore", replaced_meanwhile)
    with pytest.raises(SourceError, match=r"a file that stays as it is .* found 12928 bytes instead of 9728"):
        load(fake, path, key="@row")
    assert not writes(fake)


def numbered(rows):
    return pa.table({"text": [f"{rows.start}..{row}" for row in rows], "dense": table(len(rows))["dense"]})


def test_a_file_before_others_moves_the_numbers_of_their_rows(fake, tmp_path):
    pq.write_table(numbered(range(100, 200)), tmp_path / "b.parquet")
    load(fake, tmp_path, key="@row")
    key = fake.collections["docs"].key_name
    pq.write_table(numbered(range(100)), tmp_path / "a.parquet")
    report = load(fake, tmp_path, key="@row", create=False)
    assert (counts(report), report.rows_resumed) == ({"stored": 200}, 0), "every row has another key"
    found = {row[key]: row["text"] for row in fake.collections["docs"].dicts()}
    assert found == {row: f"{0 if row < 100 else 100}..{row}" for row in range(200)}


def write_stream(path, rows):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, numbered(rows).schema) as writer:
        writer.write_table(numbered(rows), max_chunksize=30)


def test_a_stream_that_grew_moves_the_numbers_of_the_rows_after_it(fake, tmp_path):
    write_stream(tmp_path / "a.arrows", range(100))
    write_stream(tmp_path / "b.arrows", range(100, 200))
    load(fake, tmp_path, key="@row")
    write_stream(tmp_path / "a.arrows", range(150))
    report = load(fake, tmp_path, key="@row")
    assert (counts(report), report.rows_resumed) == ({"stored": 250}, 0)
    key = fake.collections["docs"].key_name
    found = {row[key]: row["text"] for row in fake.collections["docs"].dicts()}
    assert found == {row: f"0..{row}" if row < 150 else f"100..{row - 50}" for row in range(250)}


def test_no_file_can_be_left_out_of_the_numbers(fake, tmp_path):
    write_stream(tmp_path / "a.arrows", range(1000))
    interrupted(fake, tmp_path, key="@row")
    write_stream(tmp_path / "a.arrows", range(1001))
    with pytest.raises(SourceError, match="files that all have their place in the numbers"):
        load(fake, tmp_path, key="@row", changed="skip")


def test_rows_after_a_stream_of_unknown_length_keep_their_numbers(fake, tmp_path):
    write_stream(tmp_path / "a.arrows", range(100))
    write_stream(tmp_path / "b.arrows", range(100, 200))
    load(fake, tmp_path, key="@row", limit=130)
    report = load(fake, tmp_path, key="@row")
    assert (counts(report), report.rows_resumed) == ({"stored": 200}, 130)
    key = fake.collections["docs"].key_name
    found = {row[key]: row["text"] for row in fake.collections["docs"].dicts()}
    assert found == {row: f"{0 if row < 100 else 100}..{row}" for row in range(200)}
