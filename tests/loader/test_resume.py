"""The same load again: what was stored is proven and passed over, the rest is sent, and the account adds up."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import JournalError, RowsUnsentError, SourceError
from headrace.journal_store import JournalStore
from tests.fake.behaviours import abort, apply_then, ok, refuse, refuse_rows, stall_forever, vanish_and_die
from tests.loader.rows import counts, load, table, write_parquet


def interrupted(fake, source, *, after=3, lost=vanish_and_die, **options):
    """A load that ended early: some requests are stored, one was never answered."""
    options = {"max_in_flight": 1, "give_up_after": 0.3, "check": False, **options}
    for method in ("Insert", "Upsert"):
        fake.script(method, *[ok] * after, lost)
    report = load(fake, source, **options)
    assert report.exit_status == 4
    for method in ("Insert", "Upsert"):
        fake._scripts[method].clear()
    fake.revive()
    age(report.state_dir)
    return report


def age(directory, seconds=3600):
    """Let the run that used a state directory have ended an hour ago: nothing of it is on the way any more."""
    then = time.time() - seconds
    os.utime(Path(directory) / "journal.lock", (then, then))


def writes(fake):
    return fake.calls_of("Insert", "Upsert")


def rows_sent(calls):
    return sum(call.num_rows for call in calls)


def test_a_finished_load_answers_already_complete(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 500)
    first = load(fake, path)
    assert (first.guarantee, first.rows_resumed, first.already_complete) == ("effectively-once", 0, False)
    sent = len(writes(fake))
    again = load(fake, path)
    assert counts(again) == {"stored": 500}
    assert (again.rows_resumed, again.exit_status) == (500, 0)
    assert (again.already_complete, again.status) == (True, "already complete")
    assert len(writes(fake)) == sent, "nothing was sent"
    assert again.state_dir == first.state_dir
    assert again.journal == str(Path(first.state_dir) / "journal.sqlite")
    assert again.files[0]["resumed"] == 500


def test_again_sends_every_row(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 500)
    load(fake, path)
    sent = len(writes(fake))
    again = load(fake, path, again=True)
    assert counts(again) == {"stored": 500}
    assert (again.rows_resumed, again.already_complete, again.mode) == (0, False, "upsert")
    assert rows_sent(writes(fake)[sent:]) == 500
    assert fake.collections["docs"].keys() == Counter(range(500))
    assert load(fake, path).already_complete


def test_an_interrupted_load_sends_only_what_is_not_stored(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)
    first = interrupted(fake, path)
    assert first.rows_unknown > 0
    sent = len(writes(fake))
    second = load(fake, path, verify="full")
    assert counts(second) == {"stored": 1000}
    assert second.rows_resumed == first.rows_stored > 0
    assert rows_sent(writes(fake)[sent:]) == 1000 - first.rows_stored
    assert fake.collections["docs"].keys() == Counter(range(1000))
    assert second.guarantee == "effectively-once"
    assert second.verify["status"] == "ok"
    assert second.verify["checked"] == 1000


def test_rows_of_an_unanswered_request_go_again_as_an_upsert(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)
    first = interrupted(fake, path, lost=apply_then(vanish_and_die), mode="insert")
    sent = len(writes(fake))
    fake.collections["docs"].loaded = True
    report = load(fake, path, mode="insert", verify="count")
    assert report.verify["status"] == "not applicable", "rows in doubt may have replaced themselves"
    upserts = [call for call in writes(fake)[sent:] if call.method == "Upsert"]
    assert rows_sent(upserts) == first.rows_unknown
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_with_server_made_keys_the_rows_in_doubt_are_counted(fake, tmp_path):
    pq.write_table(table(1000).drop_columns(["id"]), tmp_path / "a.parquet")
    first = interrupted(fake, tmp_path / "a.parquet", lost=apply_then(vanish_and_die), auto_id=True)
    second = load(fake, tmp_path / "a.parquet", auto_id=True)
    assert counts(second) == {"stored": 1000}
    assert second.rows_possibly_duplicated == first.rows_unknown
    assert second.guarantee == "at-least-once"
    assert fake.collections["docs"].count() == 1000 + first.rows_unknown


def test_at_most_once_never_sends_a_row_in_doubt_again(fake, tmp_path):
    pq.write_table(table(1000).drop_columns(["id"]), tmp_path / "a.parquet")
    options = {"auto_id": True, "at_most_once": True, "check": False}
    first = interrupted(fake, tmp_path / "a.parquet", lost=apply_then(vanish_and_die), **options)
    second = load(fake, tmp_path / "a.parquet", **options)
    assert counts(second) == {"stored": 1000 - first.rows_unknown, "unknown": first.rows_unknown}
    assert (second.rows_possibly_duplicated, second.exit_status) == (0, 4)
    texts = Counter(row["text"] for row in fake.collections["docs"].dicts())
    assert max(texts.values()) == 1
    assert len(texts) >= 1000 - first.rows_unknown
    third = load(fake, tmp_path / "a.parquet", **options)
    assert counts(third) == counts(second), "still unknown, and still not sent"


def test_new_files_are_loaded_and_finished_ones_passed_over(fake, tmp_path):
    write_parquet(tmp_path / "a.parquet", 300)
    load(fake, tmp_path)
    write_parquet(tmp_path / "b.parquet", 200, start=300)
    sent = len(writes(fake))
    report = load(fake, tmp_path)
    assert counts(report) == {"stored": 500}
    assert report.rows_resumed == 300
    assert rows_sent(writes(fake)[sent:]) == 200
    assert fake.collections["docs"].keys() == Counter(range(500))


def test_a_file_is_known_by_its_place_not_by_how_it_was_named(fake, tmp_path, monkeypatch):
    write_parquet(tmp_path / "a.parquet", 100)
    load(fake, tmp_path / "a.parquet")
    monkeypatch.chdir(tmp_path)
    assert load(fake, "a.parquet").already_complete
    assert load(fake, "*.parquet").already_complete


def test_a_limit_counts_the_rows_that_were_resumed(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)
    assert counts(load(fake, path, limit=250)) == {"stored": 250}
    again = load(fake, path, limit=250)
    assert (again.already_complete, again.rows_resumed, again.exit_status) == (True, 250, 0)
    more = load(fake, path, limit=400)
    assert (counts(more), more.rows_resumed) == ({"stored": 400}, 250)
    less = load(fake, path, limit=100)
    assert (counts(less), less.rows_resumed) == ({"stored": 100}, 100)
    whole = load(fake, path)
    assert (counts(whole), whole.rows_resumed) == ({"stored": 1000}, 400)
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_a_stream_whose_length_nobody_tells_is_finished_at_its_end(fake, tmp_path):
    rows = table(300)
    with pa.OSFile(str(tmp_path / "a.arrows"), "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=50)
    first = interrupted(fake, tmp_path / "a.arrows")
    second = load(fake, tmp_path / "a.arrows")
    assert (counts(second), second.rows_resumed) == ({"stored": 300}, first.rows_stored)
    again = load(fake, tmp_path / "a.arrows")
    assert (again.already_complete, again.rows_resumed) == (True, 300)
    assert fake.collections["docs"].keys() == Counter(range(300))


# -- changed files -----------------------------------------------------------------------------------------------------


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
    interrupted(fake, tmp_path / "a.parquet", schema=schema, key="one")
    with pytest.raises(SourceError, match="columns that go to other fields"):
        load(fake, tmp_path / "a.parquet", key="two")
    assert counts(load(fake, tmp_path / "a.parquet", key="one")) == {"stored": 1000}


def test_a_file_that_changes_while_it_is_read_is_noticed(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 1000)

    async def touch(call):
        os.utime(path, ns=(1, 1))
        return await ok(call)

    fake.script("Insert", touch)
    report = load(fake, path, check=False)
    assert report.exit_status == 4
    assert "a file that stays as it is while it is loaded" in report.failure
    assert report.rows_stored == fake.collections["docs"].count()
    again = load(fake, path, verify="full")
    assert counts(again) == {"stored": 1000}
    assert fake.collections["docs"].keys() == Counter(range(1000))


# -- the collection ----------------------------------------------------------------------------------------------------


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


# -- keys of row numbers -----------------------------------------------------------------------------------------------


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


# -- rejects -----------------------------------------------------------------------------------------------------------


def test_rejected_rows_stay_rejected_and_their_file_stays(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    fake.always("Insert", refuse_rows(lambda row: row["id"] in (7, 211)))
    first = load(fake, path, check=False)
    assert counts(first) == {"stored": 298, "rejected": 2}
    again = load(fake, path, check=False)
    assert counts(again) == counts(first)
    assert (again.exit_status, again.rejects_file, again.already_complete) == (3, first.rejects_file, True)
    assert pq.read_table(again.rejects_file)["_row"].to_pylist() == [7, 211]


def test_rows_that_an_earlier_run_rejected_are_not_looked_for(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    fake.always("Insert", refuse_rows(lambda row: row["id"] in (7, 211)))
    load(fake, path, check=False)
    report = load(fake, path, check=False, verify="full")
    assert (report.exit_status, report.verify["status"], report.verify["checked"]) == (3, "ok", 298)


def test_rejects_of_a_later_run_go_to_a_file_of_their_own(fake, tmp_path):
    write_parquet(tmp_path / "a.parquet", 100)
    fake.always("Insert", refuse_rows(lambda row: row["id"] in (7, 211)))
    fake.always("Upsert", refuse_rows(lambda row: row["id"] in (7, 211)))
    first = load(fake, tmp_path, check=False)
    write_parquet(tmp_path / "b.parquet", 200, start=100)
    second = load(fake, tmp_path, check=False)
    assert counts(second) == {"stored": 298, "rejected": 2}
    assert second.rejects_file == first.rejects_file
    assert pq.read_table(first.rejects_file)["id"].to_pylist() == [7]
    (other,) = [note.split()[-1] for note in second.notes if "more refused rows" in note]
    assert pq.read_table(other)["id"].to_pylist() == [211]


# -- the journal -------------------------------------------------------------------------------------------------------


def test_two_loaders_cannot_share_a_journal(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 100)
    first = load(fake, path)
    with JournalStore(Path(first.state_dir)), pytest.raises(JournalError, match=rf"process {os.getpid()} on "):
        load(fake, path)
    other = load(fake, path, state_dir=tmp_path / "own")
    assert counts(other) == {"stored": 100}


def test_a_journal_that_cannot_be_written_stops_the_load_with_its_account(fake, tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "a.parquet", 1000)
    marked = JournalStore.mark

    def full(self, file, start, stop):
        if start:
            raise JournalError("journal.sqlite: expected space, found none; free some")
        marked(self, file, start, min(stop, 200))

    monkeypatch.setattr(JournalStore, "mark", full)
    monkeypatch.setattr(headrace.journal, "MARK_REQUESTS", 4)
    report = load(fake, path, max_in_flight=1, check=False)
    assert report.exit_status == 4
    assert "found none; free some" in report.failure
    assert report.rows_stored == fake.collections["docs"].count() < 1000
    assert any("the journal is not complete" in note for note in report.notes)
    monkeypatch.undo()
    again = load(fake, path)
    assert counts(again) == {"stored": 1000}
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_a_source_in_memory_has_no_journal(fake):
    report = load(fake, table(10))
    assert report.journal is None
    assert load(fake, table(10)).rows_resumed == 0


def test_a_dry_run_leaves_the_journal_alone(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 100)
    load(fake, path)
    dry = load(fake, path, dry_run=True)
    assert (counts(dry), dry.journal) == ({"skipped": 100}, None)


def test_an_unanswered_end_is_resumed_by_the_advice_of_its_error(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 100)
    fake.always("Insert", stall_forever)
    fake.always("Upsert", stall_forever)
    with pytest.raises(RowsUnsentError, match="load again"):
        load(fake, path, rpc_timeout=0.2, give_up_after=0.3)
    fake.always("Insert", ok)
    fake.always("Upsert", ok)
    assert counts(load(fake, path)) == {"stored": 100}
    assert fake.collections["docs"].keys() == Counter(range(100))


@pytest.mark.parametrize("level", ["count", "full"])
def test_a_resumed_load_is_proven_too(fake, tmp_path, level):
    path = write_parquet(tmp_path / "a.parquet", 600)
    interrupted(fake, path)
    fake.collections["docs"].loaded = True
    report = load(fake, path, verify=level)
    assert report.exit_status == 0
    assert report.verify["status"] in ("ok", "not applicable")
    again = load(fake, path, verify=level)
    assert (again.already_complete, again.verify["status"]) == (True, "ok")


def test_rows_that_were_changed_since_are_found_though_they_were_resumed(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 600)
    load(fake, path)
    docs = fake.collections["docs"]
    docs.rows[5] = docs.rows[6]
    report = load(fake, path, verify="full", check=False)
    assert report.exit_status == 5
