"""``headrace verify``: what is missing, doubled or different, by level."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import table
from tests.fake.store import Row


@pytest.fixture
def loaded(headrace, fake, source):
    """A collection that holds the rows of ``source``."""
    ended = headrace.run("load", source, "--collection", "c", "--uri", fake.uri, "--create")
    assert ended.status == 0, ended.err
    return fake


def verify(headrace, fake, source, *more):
    return headrace.run("verify", source, "--collection", "c", "--uri", fake.uri, *more)


def store_again(fake, key, **changes):
    """Store the row of ``key`` once more, changed, beside itself."""
    stored = fake.collections["c"].rows[key]
    batch = pa.RecordBatch.from_pylist([{**stored[0].as_dict(), **changes}], stored[0].batch.schema)
    stored.append(Row(99, batch, 0))


@pytest.mark.parametrize("level", ["count", "full"])
def test_a_source_that_is_there_is_status_0(headrace, loaded, source, level):
    ended = verify(headrace, loaded, source, "--level", level)
    assert ended.status == 0, ended.err
    document = ended.document
    assert (document["status"], document["checked"], document["rows_read"]) == ("ok", 100, 100)
    assert ended.err == f"headrace: verify {level}: ok, 100 rows of {source} checked against c\n"
    assert loaded.calls_of("Upsert") == []


@pytest.mark.parametrize("level", ["count", "full"])
def test_missing_and_doubled_rows_are_status_5(headrace, loaded, source, level):
    loaded.collections["c"].delete([17])
    store_again(loaded, 30)
    ended = verify(headrace, loaded, source, "--level", level)
    assert ended.status == 5, ended.err
    assert {m["key"]: m["found"] for m in ended.document["mismatches"]} == {17: "no row", 30: "2 rows"}
    assert "key 17, field 'id': expected 1 row, found no row" in ended.err


def test_a_changed_cell_is_named(headrace, loaded, source):
    store_again(loaded, 5, text="changed")
    del loaded.collections["c"].rows[5][0]
    ended = verify(headrace, loaded, source)
    assert ended.status == 5, ended.err
    assert ended.document["mismatches"] == [
        {"key": 5, "field": "text", "expected": "'text 5'", "found": "'changed'"},
    ]


def test_a_limit_leaves_the_rest_alone(headrace, loaded, source):
    loaded.collections["c"].delete([50])
    ended = verify(headrace, loaded, source, "--limit", "50", "--quiet")
    assert (ended.status, ended.err) == (0, "")
    assert ended.document["rows_read"] == 50


def test_the_last_row_counts_where_the_source_has_a_key_twice(headrace, loaded, tmp_path):
    old = table(3).set_column(1, "text", pa.array(["old"] * 3))
    pq.write_table(pa.concat_tables([old, table(100)]), tmp_path / "twice.parquet", row_group_size=3)
    ended = verify(headrace, loaded, "twice.parquet")
    # The vectors of table(3) and table(100) differ too, so that only the later rows can match.
    assert ended.status == 0, ended.err


def test_a_missing_collection_and_one_that_is_not_loaded_are_status_2(headrace, loaded, source):
    missing = headrace.run("verify", source, "--collection", "other", "--uri", loaded.uri)
    assert missing.status == 2
    assert "'other'" in missing.err
    loaded.collections["c"].loaded = False
    ended = verify(headrace, loaded, source)
    assert ended.status == 2
    assert "in memory" in ended.err
