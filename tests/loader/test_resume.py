"""The same load again: what was stored is passed over, the rest is sent, and the account adds up."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import Endpoint, InputError, JournalError, LoadOptions, RowsUnsentError, journals
from headrace.job import LoadJob
from headrace.journal_store import JournalStore
from headrace.journals import find_journals, remove_journals
from headrace.state import StateLock
from tests.fake.behaviours import apply_then, ok, refuse_rows, stall_forever, vanish, vanish_and_die
from tests.loader.rows import counts, interrupted, load, rows_sent, table, write_parquet, writes


def test_a_finished_load_answers_already_complete(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 500)
    first = load(fake, path)
    assert (first.guarantee, first.rows_resumed, first.already_complete) == ("effectively-once", 0, False)
    sent = len(writes(fake))
    again = load(fake, path)
    assert counts(again) == {"stored": 500}
    assert (again.rows_resumed, again.exit_status) == (500, 0)
    assert (again.already_complete, again.status) == (True, "already complete")
    assert again.rows_per_second == 0.0
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


def test_rows_in_doubt_are_counted_once_and_those_that_share_a_request_with_them_too(fake, tmp_path):
    pq.write_table(table(1000).drop_columns(["id"]), tmp_path / "a.parquet")
    lost = apply_then(vanish_and_die)
    first = interrupted(fake, tmp_path / "a.parquet", lost=lost, auto_id=True, batch_bytes=512)
    assert 0 < first.rows_unknown < 50
    fake.script("Insert", apply_then(vanish))
    second = load(fake, tmp_path / "a.parquet", auto_id=True, batch_bytes=65_536)
    texts = Counter(row["text"] for row in fake.collections["docs"].dicts())
    assert second.rows_possibly_duplicated == sum(number > 1 for number in texts.values()) == 1000 - first.rows_stored


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


def test_rejected_rows_stay_rejected_and_their_file_stays(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    fake.always("Insert", refuse_rows(lambda row: row["id"] in (7, 211)))
    first = load(fake, path, check=False)
    assert counts(first) == {"stored": 298, "rejected": 2}
    again = load(fake, path, check=False)
    assert counts(again) == counts(first)
    assert (again.exit_status, again.rejects_file, again.already_complete) == (3, first.rejects_file, True)
    assert sorted(pq.read_table(again.rejects_file)["_row"].to_pylist()) == [7, 211]


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


def test_two_loaders_cannot_share_a_journal(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 100)
    first = load(fake, path)
    with JournalStore(Path(first.state_dir)), pytest.raises(JournalError, match=rf"process {os.getpid()} on "):
        load(fake, path)
    other = load(fake, path, state_dir=tmp_path / "own")
    assert counts(other) == {"stored": 100}


def test_a_load_that_fails_takes_no_directory_from_one_that_begins(fake, tmp_path):
    """Both have the same directory, and the first to end with nothing to keep removes it."""
    path = write_parquet(tmp_path / "a.parquet", 100)
    options = LoadOptions(create=True)
    job = LoadJob(path, collection="docs", endpoint=Endpoint.resolve(fake.uri), options=options)
    with pytest.raises(InputError):
        load(fake, tmp_path / "missing.parquet")
    assert not job.state_dir.exists()
    assert counts(job.run()) == {"stored": 100}
    assert (job.state_dir / "report.json").exists()


def test_a_journal_that_goes_away_while_it_is_looked_at_is_none(tmp_path, monkeypatch):
    directory = tmp_path / "state"
    store = JournalStore(directory)
    opened = journals.JournalReader

    def removed_just_before(looked_at):
        store.close()
        return opened(looked_at)

    assert [state.directory for state in find_journals([str(directory)])] == [str(directory)]
    monkeypatch.setattr(journals, "JournalReader", removed_just_before)
    assert find_journals([str(directory)]) == []


def test_what_a_loader_makes_meanwhile_is_not_removed_with_an_old_journal(fake, tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "a.parquet", 100)
    first = load(fake, path)
    directory, clear = Path(first.state_dir), StateLock.clear

    def then_somebody_comes(lock, *patterns):
        clear(lock, *patterns)
        monkeypatch.undo()
        StateLock(directory).release()

    monkeypatch.setattr(StateLock, "clear", then_somebody_comes)
    assert remove_journals(find_journals([str(directory)])) == ([str(directory)], [])
    assert [path.name for path in directory.iterdir()] == ["journal.lock"]


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


def test_a_dry_run_leaves_the_report_of_a_load_alone(fake, tmp_path):
    path, state = write_parquet(tmp_path / "a.parquet", 300), tmp_path / "state"
    load(fake, path, state_dir=state)
    before = (state / "report.json").read_text()
    dry = load(fake, path, dry_run=True, state_dir=state)
    assert "this report was not kept: that of a load is there" in dry.notes
    assert (state / "report.json").read_text() == before


def test_an_unanswered_end_is_resumed_by_the_advice_of_its_error(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 100)
    fake.always("Insert", stall_forever)
    fake.always("Upsert", stall_forever)
    with pytest.raises(RowsUnsentError, match="load again"):
        load(fake, path, rpc_timeout=0.2, give_up_after=0.3)
    fake.always("Insert", ok)
    fake.always("Upsert", ok)
    assert counts(load(fake, path, rpc_timeout=0.2)) == {"stored": 100}
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
