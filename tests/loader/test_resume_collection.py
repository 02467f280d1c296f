"""The same load again into another collection: what was stored is proven before it is passed over."""

from __future__ import annotations

from collections import Counter

import grpc
import pyarrow.parquet as pq
import pytest

from headrace import JournalError
from tests.fake.behaviours import abort, ok, refuse
from tests.loader.rows import counts, interrupted, load, table, write_parquet, writes


def test_a_collection_that_was_made_again_gets_every_row(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    load(fake, path)
    del fake.collections["docs"]
    report = load(fake, path)
    assert (counts(report), report.rows_resumed, report.created) == ({"stored": 300}, 0, True)
    assert fake.collections["docs"].keys() == Counter(range(300))


def test_an_emptied_collection_gets_every_row_and_the_report_says_so(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    load(fake, path)
    fake.collections["docs"].rows.clear()
    report = load(fake, path)
    assert (counts(report), report.rows_resumed) == ({"stored": 300}, 0)
    assert any("earlier runs stored 300 rows" in note for note in report.notes)
    assert fake.collections["docs"].keys() == Counter(range(300))


def test_missing_rows_are_found_before_anything_is_passed_over(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    load(fake, path)
    sent = len(writes(fake))
    fake.collections["docs"].delete(range(150))
    with pytest.raises(JournalError, match=r"sampled keys missing.*--again"):
        load(fake, path)
    assert len(writes(fake)) == sent
    assert counts(load(fake, path, again=True)) == {"stored": 300}
    assert fake.collections["docs"].keys() == Counter(range(300))


def test_missing_rows_with_server_made_keys_are_found_by_their_number(fake, tmp_path):
    pq.write_table(table(300).drop_columns(["id"]), tmp_path / "a.parquet")
    load(fake, tmp_path / "a.parquet", auto_id=True)
    docs = fake.collections["docs"]
    docs.delete(list(docs.rows)[:1])
    with pytest.raises(JournalError, match="299 rows of at least 300"):
        load(fake, tmp_path / "a.parquet", auto_id=True)


def test_a_collection_that_waits_to_be_loaded_is_read_back_and_released_again(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)
    interrupted(fake, path)
    assert not fake.collections["docs"].loaded
    before = len(fake.calls)
    load(fake, path)
    methods = [call.method for call in fake.calls[before:]]
    assert methods.index("LoadCollection") < methods.index("ReleaseCollection") < methods.index("Upsert")
    assert fake.collections["docs"].loaded


def test_a_foreign_collection_that_cannot_be_read_is_resumed_with_a_note(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    load(fake, table(1, start=900))
    fake.collections["docs"].loaded = False
    first = interrupted(fake, path, create=False)
    report = load(fake, path, create=False)
    assert report.rows_resumed == first.rows_stored
    assert any("not read back" in note for note in report.notes)
    assert fake.collections["docs"].keys() == Counter([*range(300), 900])


def test_a_collection_that_is_made_again_in_the_middle_leaves_unknown_rows(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)

    async def drop_and_make_again(call):
        old = fake.collections["docs"]
        old.rows.clear()
        old.created_timestamp += 1
        return await ok(call)

    fake.script("Insert", ok, ok, drop_and_make_again)
    report = load(fake, path, max_in_flight=1, check=False)
    assert counts(report) == {"unknown": 1000}
    assert report.exit_status == 4
    assert "made since" in report.failure
    again = load(fake, path)
    assert (counts(again), again.rows_resumed) == ({"stored": 1000}, 0)
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_a_lost_connection_is_reason_to_ask_whether_it_is_still_the_same(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)

    async def made_again(call):
        fake.collections["docs"].created_timestamp += 1
        fake.always("Insert", refuse(8, "rate limit exceeded", legacy=49))
        fake.always("Upsert", refuse(8, "rate limit exceeded", legacy=49))
        await abort_unavailable(call)

    abort_unavailable = abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    fake.script("Insert", ok, made_again)
    report = load(fake, path, max_in_flight=1, check=False)
    assert "made since" in report.failure
    assert report.rows_stored == 0
    assert report.rows_unknown > 0


def test_rows_go_to_the_collection_that_an_alias_named_at_the_start(fake, tmp_path):
    load(fake, table(1, start=900))
    fake.collections["now"] = fake.collections["docs"]
    load(fake, table(1, start=901), collection="other")
    moved = fake.collections["other"]

    async def move(call):
        fake.collections["now"] = moved
        return await ok(call)

    fake.script("Upsert", move)
    report = load(fake, write_parquet(tmp_path / "a.parquet", 500), collection="now", create=False)
    assert counts(report) == {"stored": 500}
    assert fake.collections["docs"].count() == 501
    assert moved.count() == 1
