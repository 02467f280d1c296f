"""The same command again, and ``headrace status``."""

from __future__ import annotations

import os
import signal
import time

import pytest

from headrace.journal_records import JournalReader
from headrace.report import Verdict
from tests.cli.conftest import table
from tests.cli.test_load import account, arguments
from tests.fake.behaviours import ok, stall, stall_forever
from tests.loader.rows import eventually

WEEK = 7 * 86_400


def hold_after(fake, requests):
    for method in ("Insert", "Upsert"):
        fake.script(method, *[ok] * requests)
        fake.always(method, stall)


def let_go(fake):
    for method in ("Insert", "Upsert"):
        fake._scripts[method].clear()
        fake.always(method, ok)


def stored_rows(journal):
    with JournalReader(journal.parent) as reader:
        files = reader.files(reader.targets()[0].id)
        return sum(len(record.settled.get(Verdict.STORED, ())) for record in files)


def killed_load(headrace, fake, source):
    """A load that was killed with a request unanswered."""
    hold_after(fake, 2)
    process = headrace.start(*arguments(fake, source, "--batch-bytes", "1KB", "--max-in-flight", "1"))
    fake.wait_for(lambda: len(fake.calls_of("Insert", "Upsert")) == 3)
    (journal,) = headrace.state.glob("headrace/c-*/journal.sqlite")
    # What was acknowledged is noted a moment later.
    eventually(lambda: stored_rows(journal) == fake.collections["c"].count())
    process.kill()
    headrace.wait(process)
    let_go(fake)
    # An hour ago, so that nothing of it can be on its way any more.
    age(journal.parent, 3600)


def age(directory, seconds):
    then = time.time() - seconds
    for path in directory.iterdir():
        os.utime(path, (then, then))


def test_the_same_command_again_answers_already_complete(headrace, fake, source):
    first = headrace.run(*arguments(fake, source))
    again = headrace.run(*arguments(fake, source))
    assert again.status == 0, again.err
    report = again.document
    assert account(report) == {"stored": 100}
    assert (report["already_complete"], report["rows_resumed"]) == (True, 100)
    assert again.err.splitlines()[0] == first.err.splitlines()[0], "the same state directory"
    assert "already complete" in again.err
    assert "resumed" in again.err


def test_again_sends_all(headrace, fake, source):
    headrace.run(*arguments(fake, source))
    again = headrace.run(*arguments(fake, source, "--again"))
    assert again.status == 0, again.err
    assert (again.document["already_complete"], again.document["rows_resumed"]) == (False, 0)
    assert fake.collections["c"].count() == 100


def test_a_changed_file_is_refused_with_the_remedy(headrace, fake, source):
    import pyarrow.parquet as pq

    killed_load(headrace, fake, source)
    pq.write_table(table(150), source)
    refused = headrace.run(*arguments(fake, source))
    assert refused.status == 2
    assert "--changed reload" in refused.err
    assert "--changed skip" in refused.err
    reloaded = headrace.run(*arguments(fake, source, "--changed", "reload"))
    assert reloaded.status == 0, reloaded.err
    assert fake.collections["c"].keys() == dict.fromkeys(range(150), 1)


def test_a_killed_command_goes_on_a_week_later(headrace, fake, source):
    killed_load(headrace, fake, source)
    stored = fake.collections["c"].count()
    (journal,) = headrace.state.glob("headrace/c-*/journal.sqlite")
    age(journal.parent, WEEK)
    listed = headrace.run("status", "--older-than", "6d").document["journals"]
    assert [(it["collection"], it["finished"]) for it in listed] == [("c", False)]
    again = headrace.run(*arguments(fake, source, "--batch-bytes", "1KB"))
    assert again.status == 0, again.err
    assert account(again.document) == {"stored": 100}
    assert again.document["rows_resumed"] == stored
    assert fake.collections["c"].keys() == dict.fromkeys(range(100), 1)


def test_two_commands_on_one_target_do_not_mix(headrace, fake, source):
    fake.always("Insert", stall_forever)
    process = headrace.start(*arguments(fake, source))
    fake.wait_for(lambda: fake.calls_of("Insert"))
    second = headrace.run(*arguments(fake, source))
    assert second.status == 2
    assert f"process {process.pid} on " in second.err
    running = headrace.run("status", "c").document["journals"][0]["running"]
    assert f"process {process.pid} on " in running
    kept = headrace.run("status", "c", "--remove")
    assert kept.status == 2
    assert kept.document["removed"] == []
    process.send_signal(signal.SIGKILL)
    headrace.wait(process)


def test_status_tells_what_became_of_the_rows(headrace, fake, source):
    empty = headrace.run("status")
    assert (empty.status, empty.document["journals"]) == (0, [])
    assert empty.err == "headrace: no journals\n"
    killed_load(headrace, fake, source)
    stored = fake.collections["c"].count()
    ended = headrace.run("status", "c")
    assert ended.status == 0, ended.err
    (journal,) = ended.document["journals"]
    assert (journal["status"], journal["running"], journal["finished"]) == ("interrupted", None, False)
    assert journal["verdicts"] == {"stored": stored, "unclear": 100 - stored}
    assert [file["path"] for file in journal["files"]] == [str(source)]
    assert str(source) in ended.err
    headrace.run(*arguments(fake, source))
    (journal,) = headrace.run("status", journal["directory"]).document["journals"]
    assert (journal["status"], journal["finished"], journal["runs"]) == ("done", True, 2)
    assert journal["verdicts"] == {"stored": 100}


def test_old_journals_are_removed_where_that_was_asked_for(headrace, fake, source):
    headrace.run(*arguments(fake, source))
    (journal,) = headrace.state.glob("headrace/c-*/journal.sqlite")
    (journal.parent / "notes.txt").write_text("mine")
    assert headrace.run("status", "--remove").status == 2, "all of them by accident"
    assert headrace.run("status", "--older-than", "1w", "--remove").document["removed"] == []
    age(journal.parent, 2 * WEEK)
    removed = headrace.run("status", "--older-than", "1w", "--remove")
    assert removed.document["removed"] == [str(journal.parent)]
    assert [path.name for path in journal.parent.iterdir()] == ["notes.txt"]
    assert headrace.run("status", "--quiet").err == ""
    unknown = headrace.run("status", "c")
    assert unknown.status == 2
    assert "name a collection or a state directory" in unknown.err


@pytest.mark.parametrize("damage", [b"not a database", None], ids=["another file", "a torn one"])
def test_a_damaged_journal_is_named_with_what_to_do(headrace, fake, source, damage):
    headrace.run(*arguments(fake, source))
    (journal,) = headrace.state.glob("headrace/c-*/journal.sqlite")
    whole = journal.read_bytes()
    journal.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    refused = headrace.run(*arguments(fake, source))
    assert refused.status == 2
    assert "remove it" in refused.err
    (listed,) = headrace.run("status").document["journals"]
    assert "damage" in listed["problem"]
    assert headrace.run("status", "c", "--remove").status == 0
    assert headrace.run(*arguments(fake, source)).status == 0
    assert fake.collections["c"].keys() == dict.fromkeys(range(100), 1)
