"""Verifying beside another writer: what is somebody else's is named as a suspicion, and never as an error of ours."""

from __future__ import annotations

import pytest

import headrace
from headrace.schema import ConsistencyLevel
from tests.fake.behaviours import ok
from tests.loader.rows import load, somebody_stores, table, write_parquet

DOCS = "docs"


def writer(fake, keys, *, after=0):
    """Somebody stores rows of their own under ``keys``, one with each query from the ``after``-th on."""
    left = list(keys)
    seen = []

    async def behave(call):
        seen.append(call)
        if len(seen) > after and left:
            somebody_stores(fake.collections[DOCS], left.pop(0))
        return call.apply()

    fake.always("Query", behave)
    return left


def deleter(fake, keys, *, after=0):
    """Somebody deletes rows before every query from the ``after``-th on."""
    seen = []

    async def behave(call):
        seen.append(call)
        if len(seen) > after:
            fake.collections[DOCS].delete(keys)
        return call.apply()

    fake.always("Query", behave)


@pytest.mark.parametrize("level", ["count", "full"])
def test_a_load_beside_a_writer_of_other_rows_is_done_and_names_the_suspicion(fake, tmp_path, level):
    path = write_parquet(tmp_path / "a.parquet", 300)
    left = writer(fake, range(5000, 5003))
    report = load(fake, path, verify=level)
    assert left == []
    assert (report.exit_status, report.verify["status"], report.verify["level"]) == (0, "ok", level)
    note = report.verify["note"]
    assert "301 rows where 300 rows were expected, but every row of this load is there once" in note
    assert "another writer may be at work" in note
    assert "count(*) went from" in note


@pytest.mark.parametrize("level", ["count", "full"])
def test_rows_of_others_that_vanish_are_no_loss_of_ours(fake, tmp_path, level):
    load(fake, table(200, start=1000))
    path = write_parquet(tmp_path / "a.parquet", 50)
    deleter(fake, range(1000, 1160), after=1)
    report = load(fake, path, verify=level)
    assert (report.exit_status, report.verify["status"]) == (0, "ok")
    assert report.verify["mismatches"] == []


@pytest.mark.parametrize("level", ["count", "full"])
def test_a_row_of_ours_that_somebody_deletes_is_a_difference(fake, tmp_path, level):
    path = write_parquet(tmp_path / "a.parquet", 150)
    deleter(fake, [7])
    report = load(fake, path, verify=level, check=False)
    assert (report.exit_status, report.verify["status"]) == (5, "mismatch")
    assert [mismatch["key"] for mismatch in report.verify["mismatches"]] == [None, 7]


@pytest.mark.parametrize("level", ["count", "full"])
def test_a_row_of_ours_that_is_there_twice_is_a_difference(fake, tmp_path, level):
    path = write_parquet(tmp_path / "a.parquet", 150)
    writer(fake, [7])
    report = load(fake, path, verify=level, check=False)
    assert (report.exit_status, report.verify["status"]) == (5, "mismatch")
    assert {"key": 7, "field": "id", "expected": "1 row", "found": "2 rows"} in report.verify["mismatches"]


def test_what_cannot_be_read_again_leaves_the_count_undecided_as_a_difference(fake):
    writer(fake, [5000])
    report = load(fake, iter(table(100).to_batches()), verify="count", check=False)
    assert (report.exit_status, report.verify["status"]) == (5, "mismatch")
    assert report.verify["note"] == "another writer may be at work"


@pytest.mark.parametrize("level", ["count", "full"])
def test_rows_from_before_are_no_difference(fake, tmp_path, level):
    load(fake, table(200, start=100))
    report = load(fake, write_parquet(tmp_path / "a.parquet", 150), verify=level)
    assert (report.exit_status, report.mode) == (0, "upsert")
    # Fifty keys were there before; how many, a count cannot know.
    assert report.verify["status"] == ("not applicable" if level == "count" else "ok")
    found = headrace.verify(tmp_path / "a.parquet", collection=DOCS, uri=fake.uri, level=level)
    assert (found.ok, found.result.note) == (True, "")


@pytest.mark.parametrize("level", ["count", "full"])
def test_a_verification_beside_a_writer_says_so(fake, tmp_path, level):
    path = write_parquet(tmp_path / "a.parquet", 300)
    load(fake, path)
    writer(fake, [7000], after=1)
    found = headrace.verify(path, collection=DOCS, uri=fake.uri, level=level)
    assert found.ok
    assert found.result.note == "count(*) went from 300 to 301 rows meanwhile: another writer is at work"


def test_counts_are_strongly_consistent(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 100)
    load(fake, path)
    fake.always("Query", ok)
    before = len(fake.calls_of("Query"))
    headrace.verify(path, collection=DOCS, uri=fake.uri)
    asked = [call.request for call in fake.calls_of("Query")[before:]]
    assert {request.consistency_level for request in asked} == {int(ConsistencyLevel.STRONG)}
