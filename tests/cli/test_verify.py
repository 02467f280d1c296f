"""``headrace verify``: what is missing, doubled or different, by level."""

from __future__ import annotations

import signal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import table
from tests.fake.behaviours import stall
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


def test_a_repair_tells_what_it_found_sent_and_left(headrace, loaded, source):
    loaded.collections["c"].delete([17])
    store_again(loaded, 30)
    ended = verify(headrace, loaded, source, "--repair")
    assert ended.status == 0, ended.err
    document = ended.document
    assert (document["status"], document["mismatches"], document["exit_status"]) == ("ok", [], 0)
    repair = document["repair"]
    assert [repair[name] for name in ("rows", "missing", "doubled", "different")] == [2, 1, 1, 0]
    assert (repair["report"]["rows_read"], repair["report"]["rows_stored"]) == (2, 2)
    assert loaded.collections["c"].keys() == dict.fromkeys(range(100), 1)
    lines = ended.err.splitlines()
    assert lines[0] == "headrace: verify full: mismatch (2 differences in 2 rows); sent again:"
    assert "key 17, field 'id': expected 1 row, found no row" in lines[1]
    assert "  rows       2 read = 2 stored" in lines
    assert lines[-1].startswith("headrace: verify full: ok, 100 rows of ")
    assert lines[-1].endswith("(2 rows were sent again)")


def test_a_repair_that_is_interrupted_ends_in_order_and_is_run_again(headrace, loaded, source):
    loaded.collections["c"].delete(range(20))
    loaded.script("Upsert", stall)
    process = headrace.start("verify", source, "--collection", "c", "--uri", loaded.uri, "--repair")
    loaded.wait_for(lambda: loaded.calls_of("Upsert"))
    process.send_signal(signal.SIGTERM)
    while "finishing what is in flight" not in process.stderr.readline():
        assert process.poll() is None
    loaded.release()
    ended = headrace.wait(process)
    assert ended.status == 143, ended.err
    report = ended.document["repair"]["report"]
    assert (report["interrupted"], report["rows_stored"]) == ("SIGTERM", 20)
    again = verify(headrace, loaded, source, "--repair")
    assert (again.status, again.document["repair"]) == (0, None)


def test_the_journal_proves_the_count_when_the_source_is_gone(headrace, loaded, source):
    source.unlink()
    ended = headrace.run("verify", "--journal", "--collection", "c", "--uri", loaded.uri)
    assert ended.status == 0, ended.err
    document = ended.document
    assert (document["status"], document["checked"], document["rows_stored"]) == ("ok", 100, 100)
    assert "  proven     count(*) is 100: the 0 rows from before and the 100 that were stored\n" in ended.err
    assert "  open       what the rows hold: verify the source for that\n" in ended.err
    loaded.collections["c"].delete([17])
    ended = headrace.run("verify", "--journal", "--collection", "c", "--uri", loaded.uri)
    assert ended.status == 5
    assert "expected 100 rows, found 99 rows" in ended.err


def test_each_file_has_its_line_the_worst_first(headrace, fake, tmp_path):
    for number in range(12):
        pq.write_table(table(10, start=10 * number), tmp_path / f"part-{number:02}.parquet")
    headrace.run("load", "part-*.parquet", "--collection", "c", "--uri", fake.uri, "--create")
    fake.collections["c"].delete([95])
    ended = verify(headrace, fake, "part-*.parquet")
    assert ended.status == 5
    assert [line["verified"] for line in ended.document["files"]] == [10] * 9 + [9] + [10] * 2
    lines = ended.err.splitlines()
    assert lines[1] == "  files      12, 1 of them with rows to look into"
    assert lines[2].strip() == "part-09.parquet: 10 read; 9 verified, 1 missing"
    assert lines[12].strip() == "and 2 more in the report, 0 of them with such rows"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "name what was loaded, or give --journal"),
        (["a.parquet", "--journal"], "--journal goes without SOURCE"),
        (["--journal", "--repair", "--level", "full"], "--journal goes without --level, --repair"),
        (["--journal", "--drop", "text", "--limit", "0"], "--journal goes without --drop, --limit"),
    ],
)
def test_options_that_do_not_go_together_are_status_2(headrace, arguments, complaint):
    ended = headrace.run("verify", "--collection", "c", *arguments)
    assert ended.status == 2
    assert complaint in ended.err
