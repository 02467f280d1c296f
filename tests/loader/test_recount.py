"""``verify_journal``: what a journal and a count prove together, and what they leave open; never ok without proof."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import ConfigError, MismatchError, SchemaError, distinct
from headrace.journal_store import JournalStore
from tests.fake.behaviours import apply_then, vanish_and_die
from tests.loader.rows import DIM, interrupted, load, somebody_stores, table, write_parquet

DOCS = "docs"
VALUES = "what the rows hold: verify the source for that"


def recount(fake, **options):
    return headrace.verify_journal(**{"collection": DOCS, "uri": fake.uri, "check": False, **options})


def keyed(keys, path):
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(len(keys) * DIM, np.float32)), DIM)
    pq.write_table(pa.table({"id": keys, "dense": vectors}), path, row_group_size=100)
    return path


def test_a_finished_load_is_proven_without_its_source(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    load(fake, path)
    path.unlink()
    found = recount(fake)
    assert (found.ok, found.result.status, found.exit_status) == (True, "ok", 0)
    assert (found.rows_stored, found.keys_distinct, found.rows_before) == (300, 300, 0)
    assert (found.least, found.most, found.result.checked) == (300, 300, 300)
    assert found.proven == [
        f"{found.keys_checked} sampled keys of stored rows are there, each once",
        "count(*) is 300: the 0 rows from before and the 300 that were stored",
    ]
    assert 0 < found.keys_checked <= 256
    assert found.open == [VALUES]
    assert found.files == [{"source": str(path), "rows": 300, "stored": 300}]


@pytest.mark.parametrize(
    "keys",
    [
        pa.array([f"doc-{number:04}" for number in range(300)]),
        pa.array(range(1000, 700, -1), pa.int64()),
    ],
    ids=["texts", "descending"],
)
def test_keys_that_are_certainly_different_are_proven_whatever_their_order(fake, tmp_path, keys):
    load(fake, keyed(keys, tmp_path / "a.parquet"), batch_bytes=3700)
    found = recount(fake)
    assert (found.keys_distinct, found.result.status) == (300, "ok")


def test_files_may_have_their_keys_in_any_order(fake, tmp_path):
    for name, first in (("a", 200), ("b", 0), ("c", 100)):
        write_parquet(tmp_path / f"{name}.parquet", 100, start=first)
    load(fake, tmp_path)
    found = recount(fake)
    assert (found.keys_distinct, found.result.status) == (300, "ok")
    assert [line["stored"] for line in found.files] == [100, 100, 100]


def test_a_killed_and_resumed_load_is_proven(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 600)
    interrupted(fake, path)
    fake.collections[DOCS].loaded = True
    half = recount(fake)
    assert half.result.status == "not applicable"
    assert half.rows_unclear > 0
    assert f"whether {half.rows_unclear} rows are stored" in half.open[0]
    load(fake, path)
    assert recount(fake).result.status == "ok"


def test_a_missing_row_is_a_difference(fake, tmp_path):
    load(fake, write_parquet(tmp_path / "a.parquet", 300))
    fake.collections[DOCS].delete([17])
    with pytest.raises(MismatchError, match="rows were deleted or lost") as raised:
        recount(fake, check=True)
    found = raised.value.found
    assert found.exit_status == 5
    assert {"key": None, "field": "count(*)", "expected": "300 rows", "found": "299 rows"} in found.result.mismatches


def test_a_missing_and_a_foreign_row_are_told_apart_by_the_sampled_keys(fake, tmp_path):
    load(fake, write_parquet(tmp_path / "a.parquet", 50))
    docs = fake.collections[DOCS]
    docs.delete(range(50))
    load(fake, table(50, start=500), create=False)
    found = recount(fake)
    assert found.result.status == "mismatch"
    assert all(mismatch["found"] == "no row" for mismatch in found.result.mismatches)


def test_a_row_more_is_named_as_a_suspicion(fake, tmp_path):
    load(fake, write_parquet(tmp_path / "a.parquet", 300))
    somebody_stores(fake.collections[DOCS], 9000)
    found = recount(fake)
    assert (found.result.status, found.exit_status) == ("mismatch", 5)
    assert found.result.note == "another writer may be at work, or rows are doubled"
    assert len(found.proven) == 1


def test_over_rows_from_before_only_bounds_are_proven(fake, tmp_path):
    load(fake, table(100))
    load(fake, write_parquet(tmp_path / "a.parquet", 300, start=50))
    found = recount(fake)
    assert (found.rows_before, found.least, found.most) == (100, 300, 400)
    assert (found.result.status, found.result.checked) == ("not applicable", 350)
    assert "how many of the stored rows replaced one of the 100 from before" in found.open
    assert "count(*) is 350, within the 300 to 400 rows that there may be" in found.proven
    fake.collections[DOCS].delete(range(60))
    assert recount(fake).result.status == "mismatch"


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()], ids=str)
def test_keys_in_no_order_are_counted_by_the_run_that_stores_them(fake, tmp_path, kind):
    keys = pa.array(np.random.default_rng(1).permutation(300)).cast(kind)
    path = keyed(keys, tmp_path / "a.parquet")
    report = load(fake, path, batch_bytes=3700)
    assert report.batches > 2
    assert (recount(fake).keys_distinct, recount(fake).result.status) == (300, "ok")
    # Later runs that store nothing, or the same rows once more, change nothing.
    load(fake, path)
    fake.collections[DOCS].delete([keys[5].as_py()])
    assert headrace.verify(path, collection=DOCS, uri=fake.uri, repair=True).ok
    assert recount(fake).result.status == "ok"


def test_keys_that_no_run_counted_prove_nothing_but_bounds(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(distinct, "MOST_KEPT", 100)
    keys = np.random.default_rng(1).permutation(300)
    load(fake, keyed(pa.array(keys), tmp_path / "a.parquet"), batch_bytes=3700)
    found = recount(fake)
    assert (found.keys_distinct, found.result.status) == (None, "not applicable")
    assert "how many different keys the stored rows have" in found.open[0]
    assert "sampled keys of stored rows are there, each once" in found.proven[0]


def test_what_two_runs_stored_was_counted_by_neither(fake, tmp_path):
    keys = np.random.default_rng(1).permutation(600)
    keyed(pa.array(keys[:300]), tmp_path / "a.parquet")
    load(fake, tmp_path, batch_bytes=3700)
    keyed(pa.array(keys[300:]), tmp_path / "b.parquet")
    load(fake, tmp_path, batch_bytes=3700)
    assert (recount(fake).keys_distinct, recount(fake).result.status) == (None, "not applicable")


def test_a_key_that_stands_twice_is_one_row(fake, tmp_path):
    path = keyed(pa.array([*range(200), 7, *range(201, 300)]), tmp_path / "a.parquet")
    load(fake, path, batch_bytes=3700)
    found = recount(fake)
    assert (found.rows_stored, found.keys_distinct, found.result.status) == (300, 299, "ok")
    assert (
        "count(*) is 299: the 0 rows from before and the 299 different keys of the 300 that were stored" in found.proven
    )
    fake.collections[DOCS].delete([3])
    assert recount(fake).result.status == "mismatch"


def test_with_server_made_keys_their_number_is_proven_and_nothing_else(fake, tmp_path):
    pq.write_table(table(100).drop_columns(["id"]), tmp_path / "a.parquet")
    load(fake, tmp_path / "a.parquet", auto_id=True)
    found = recount(fake)
    assert (found.result.status, found.keys_checked) == ("ok", 0)
    assert "which rows are there: the server made their keys" in found.open
    load(fake, tmp_path / "a.parquet", auto_id=True, again=True)
    assert (recount(fake).result.status, recount(fake).most) == ("not applicable", 200)


def test_rows_that_may_be_doubled_under_keys_of_the_server_leave_their_number_open(fake, tmp_path):
    pq.write_table(table(300).drop_columns(["id"]), tmp_path / "a.parquet", row_group_size=100)
    interrupted(fake, tmp_path / "a.parquet", auto_id=True, lost=apply_then(vanish_and_die))
    report = load(fake, tmp_path / "a.parquet", auto_id=True)
    found = recount(fake)
    assert (found.rows_stored, found.most) == (300, 300 + report.rows_possibly_duplicated)
    assert found.result.checked > 300
    assert found.result.status == "not applicable"
    assert f"whether {report.rows_possibly_duplicated} rows are there twice" in found.open[0]


def test_files_that_were_loaded_again_are_counted_once_or_as_what_may_be_left(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    load(fake, path)
    load(fake, path, again=True)
    assert (recount(fake).result.status, recount(fake).rows_stored) == ("ok", 300)
    write_parquet(path, 200, start=150)
    load(fake, path)
    found = recount(fake)
    assert (found.rows_stored, found.most, found.result.checked) == (200, 500, 350)
    assert found.result.status == "not applicable"
    assert "how many of 300 rows are left from files that were loaded again" in found.open


def test_a_collection_that_was_made_again_holds_nothing_of_the_former_one(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    load(fake, path)
    del fake.collections[DOCS]
    load(fake, table(300))
    found = recount(fake)
    assert found.result.status == "mismatch"
    assert found.result.mismatches[0]["expected"] == "the one that the rows were stored in"
    assert found.proven == []


def test_a_loader_at_work_is_named(fake, tmp_path):
    report = load(fake, write_parquet(tmp_path / "a.parquet", 300))
    store = JournalStore(Path(report.state_dir))
    try:
        assert "a loader is at work: process" in recount(fake).result.note
    finally:
        store.close()


def test_what_cannot_be_asked_is_refused(fake, tmp_path):
    with pytest.raises(ConfigError, match="--journal: expected a journal in"):
        recount(fake)
    load(fake, write_parquet(tmp_path / "a.parquet", 300), state_dir=tmp_path / "state")
    assert recount(fake, state_dir=tmp_path / "state").ok
    fake.collections["others"] = fake.collections[DOCS]
    with pytest.raises(ConfigError, match="one of other loads"):
        recount(fake, state_dir=tmp_path / "state", partition_name="p")
    fake.collections[DOCS].loaded = False
    with pytest.raises(ConfigError, match="in memory"):
        recount(fake, state_dir=tmp_path / "state")
    del fake.collections[DOCS]
    with pytest.raises(SchemaError, match="an existing collection"):
        recount(fake, state_dir=tmp_path / "state")
