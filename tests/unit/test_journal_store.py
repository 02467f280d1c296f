"""The journal's file: what it keeps, who may have it, and what it says when it cannot be written."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.errors import JournalError
from headrace.intervals import IntervalSet
from headrace.journal_records import JOURNAL, JournalReader, Place
from headrace.journal_store import JournalStore
from headrace.report import Verdict
from headrace.sources import FileIdentity
from headrace.state import StateLock, is_on_network

PLACE = Place("localhost:19530", "", "docs", "", "7 1 mark")
FILE = FileIdentity("a.parquet", 10, 1, "", "d")


def begin(store, rows=1000):
    with store.transaction(durable=True):
        target = store.begin_target(PLACE, 0)
        return target, store.begin_run(target.id), store.begin_file(target.id, FILE, "plan", rows)


def settled(record):
    return {verdict: rows.intervals() for verdict, rows in record.settled.items()}


def test_a_journal_in_which_nothing_was_begun_goes_away(tmp_path):
    store = JournalStore(tmp_path)
    assert (tmp_path / JOURNAL).exists()
    for _ in range(2):
        store.close()
        assert list(tmp_path.iterdir()) == []
    with JournalStore(tmp_path) as store:
        target, *_ = begin(store)
    with JournalStore(tmp_path) as store:
        assert [it.id for it in store.targets()] == [target.id]


def test_what_goes_away_with_an_unused_journal_is_its_own_files_only(tmp_path):
    copies = {tmp_path / f"{JOURNAL}.bak", tmp_path / f"{JOURNAL}-2026.copy"}
    for copy in copies:
        copy.write_text("somebody's")
    JournalStore(tmp_path).close()
    assert set(tmp_path.iterdir()) == copies


def test_an_unused_journal_stays_while_what_was_sent_may_be_applied(tmp_path):
    with JournalStore(tmp_path) as store:
        target, *_ = begin(store)
        store.beat(3600.0)
        store.forget_target(target.id)
    for _ in range(2):
        with JournalStore(tmp_path) as store:
            assert store.may_land_until > time.time() + 1800


def test_a_forked_process_leaves_an_unused_journal_to_its_parent(tmp_path, monkeypatch):
    store = JournalStore(tmp_path)
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: 0)
        store.close()
    assert (tmp_path / JOURNAL).exists()


def test_what_is_marked_and_not_settled_is_open(tmp_path):
    with JournalStore(tmp_path) as store:
        target, _, file = begin(store)
        with store.transaction(durable=True):
            store.mark(file.id, 0, 500)
            store.settle([(file.id, 0, 100, "stored", None), (file.id, 200, 250, "superseded", None)])
    with JournalStore(tmp_path) as store:
        (record,) = store.files(target.id)
        assert (record.identity, record.plan, record.rows) == (FILE, "plan", 1000)
        assert record.open.intervals() == [(100, 200), (250, 500)]
        assert settled(record) == {Verdict.STORED: [(0, 100)], Verdict.SUPERSEDED: [(200, 250)]}
        assert not record.finished


def test_condensing_changes_nothing_but_the_number_of_rows(tmp_path):
    with JournalStore(tmp_path) as store:
        target, _, file = begin(store, rows=30)
        with store.transaction(durable=False):
            store.mark(file.id, 0, 30)
            store.settle([(file.id, row, row + 1, "stored", None) for row in range(0, 30, 2)])
            store.settle([(file.id, row, row + 1, "stored", None) for row in range(1, 20, 2)])
        before = store.files(target.id)
        with store.transaction(durable=True):
            store.condense(file.id, before[0].open)
        after = store.files(target.id)
        assert (settled(after[0]), after[0].open.intervals()) == (settled(before[0]), before[0].open.intervals())


def test_a_rejected_row_of_a_run_that_never_ended_was_never_read(tmp_path):
    with JournalStore(tmp_path) as store:
        target, run, file = begin(store)
        with store.transaction(durable=True):
            store.mark(file.id, 0, 100)
            store.settle([(file.id, 5, 6, "rejected", run), (file.id, 0, 5, "stored", None)])
        (record,) = store.files(target.id)
        assert settled(record) == {Verdict.STORED: [(0, 5)]}
        assert record.open.intervals() == [(6, 100)], "certainly not stored"
        with store.transaction(durable=True):
            store.end_run(run, status="done", rejects=["rejects.parquet"])
        (record,) = store.files(target.id)
        assert settled(record)[Verdict.REJECTED] == [(5, 6)]


def test_another_life_of_a_collection_is_another_target(tmp_path):
    with JournalStore(tmp_path) as store:
        target, _, _ = begin(store)
        with store.transaction(durable=True):
            assert store.begin_target(PLACE, 99) == target
            other = store.begin_target(replace(PLACE, identity="8 2 mark"), None)
        assert other.id != target.id
        assert store.files(other.id) == []
        with store.transaction(durable=True):
            store.forget_target(target.id)
        assert [it.id for it in store.targets()] == [other.id]


def test_a_file_that_is_begun_again_starts_from_nothing(tmp_path):
    with JournalStore(tmp_path) as store:
        target, _, file = begin(store)
        with store.transaction(durable=True):
            store.mark(file.id, 0, 10)
            store.sample([(target.id, 0, file.id, 3, "key")])
            store.begin_file(target.id, FILE, "other", None)
        (record,) = store.files(target.id)
        assert (record.plan, record.settled, len(record.open)) == ("other", {}, 0)
        assert store.sampled(target.id) == []


def test_the_journal_is_private(tmp_path):
    with JournalStore(tmp_path) as store:
        begin(store)
        files = [path for path in tmp_path.iterdir() if path.name != "journal.lock"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        assert len(files) == 3, "the log and its index too"


def test_a_second_loader_is_told_who_has_it(tmp_path):
    with JournalStore(tmp_path):
        assert str(os.getpid()) in StateLock.holder(tmp_path)
        with pytest.raises(JournalError, match=rf"found process {os.getpid()} on .* since ") as caught:
            JournalStore(tmp_path)
        assert caught.value.path == str(tmp_path)
    assert StateLock.holder(tmp_path) is None
    JournalStore(tmp_path).close()


def test_the_lock_goes_with_the_process_that_had_it(tmp_path):
    program = (
        f"from headrace.journal_store import *; from pathlib import Path; s = JournalStore(Path({str(tmp_path)!r}))"
    )
    program += "; print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(JournalError, match=rf"process {process.pid} on "):
            JournalStore(tmp_path)
        process.kill()
        process.wait()
        JournalStore(tmp_path).close()


def test_who_reads_a_journal_without_a_log_of_its_own_holds_its_loader_up_and_no_more(tmp_path):
    """A minute, as long as an answer of the server may take."""
    with JournalStore(tmp_path, network=True) as store:
        assert store._connection.execute("PRAGMA busy_timeout").fetchone()[0] == 60_000


def test_readers_look_while_a_loader_is_at_work_and_leave_nothing_behind(tmp_path):
    with JournalStore(tmp_path) as store:
        begin(store)
        with JournalReader(tmp_path) as reader:
            assert reader.targets()[0].place == PLACE
    before = sorted(tmp_path.iterdir())
    with JournalReader(tmp_path) as reader:
        assert reader.targets()[0].place == PLACE
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda path: path.write_bytes(b"x" * 5000), "damage .*remove it: everything is then sent again"),
        (lambda path: os.truncate(path, path.stat().st_size // 2), "damage"),
        (lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\0" * 9000), "damage"),
    ],
    ids=["something else", "torn", "zeroes"],
)
def test_a_damaged_file_is_named(tmp_path, damage, complaint):
    with JournalStore(tmp_path) as store:
        begin(store)
    damage(tmp_path / JOURNAL)
    for kind in (JournalStore, JournalReader):
        with pytest.raises(JournalError, match=complaint):
            kind(tmp_path)
    assert StateLock.holder(tmp_path) is None


def test_a_torn_log_keeps_what_was_committed_before(tmp_path):
    with JournalStore(tmp_path) as store:
        target, _, file = begin(store)
        whole = (tmp_path / JOURNAL).read_bytes()
        log = (tmp_path / f"{JOURNAL}-wal").read_bytes()
        with store.transaction(durable=True):
            store.mark(file.id, 0, 100)
        more = (tmp_path / f"{JOURNAL}-wal").read_bytes()
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / JOURNAL).write_bytes(whole)
    (torn / f"{JOURNAL}-wal").write_bytes(more[: (len(log) + len(more)) // 2])
    with JournalStore(torn) as store:
        assert [len(record.open) for record in store.files(target.id)] == [0]


def test_another_database_or_a_newer_journal_is_refused(tmp_path):
    for statement, found in (("PRAGMA user_version=9", "format 9"), ("PRAGMA application_id=1", "something else")):
        with JournalStore(tmp_path) as store:
            begin(store)
        connection = sqlite3.connect(tmp_path / JOURNAL)
        connection.execute(statement)
        connection.commit()
        connection.close()
        with pytest.raises(JournalError, match=found):
            JournalStore(tmp_path)
        (tmp_path / JOURNAL).unlink()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / JOURNAL).mkdir()
    with pytest.raises(JournalError, match=r"expected a journal that can be written.*--state-dir"):
        JournalStore(tmp_path)
    with pytest.raises(JournalError, match="No such file"):
        JournalStore(tmp_path / "missing" / "below")


def test_a_file_that_became_read_only_is_named(tmp_path):
    with JournalStore(tmp_path) as store:
        _, _, file = begin(store)
        store._connection.execute("PRAGMA query_only=1")
        with pytest.raises(JournalError, match="readonly database"), store.transaction(durable=True):
            store.mark(file.id, 0, 1)


@pytest.mark.parametrize("network", [False, True], ids=["log", "rollback journal"])
def test_a_full_disk_is_named_and_what_was_noted_before_stays(tmp_path, network):
    store = JournalStore(tmp_path, network=network)
    target, _, file = begin(store)
    with store.transaction(durable=True):
        store.mark(file.id, 0, 100)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What a full disk looks like to one process: a write past this point fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, limits[1]))
    try:
        with pytest.raises(JournalError, match="free space there and run the same command again"):
            for start in range(1 << 20):
                with store.transaction(durable=True):
                    store.settle(
                        [(file.id, start * 100 + it, start * 100 + it + 1, "stored", None) for it in range(99)]
                    )
        # The same place answers the same again, and nothing half-written is seen.
        (record,) = store.files(target.id)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        store.close()
    with JournalStore(tmp_path, network=network) as store:
        (after,) = store.files(target.id)
        assert settled(after) == settled(record)
        assert len(after.settled[Verdict.STORED]) % 99 == 0, "all of a transaction, or nothing"


def test_on_a_network_file_system_there_is_no_shared_memory(tmp_path):
    with JournalStore(tmp_path, network=True) as store:
        begin(store)
        assert not (tmp_path / f"{JOURNAL}-shm").exists()
    with JournalStore(tmp_path, network=True) as store:
        assert store.targets()[0].place == PLACE


def test_the_kind_of_file_system_is_that_of_the_deepest_mount(tmp_path):
    mounts = tmp_path / "mounts"
    inner = tmp_path / "in ner"
    inner.mkdir()
    root = "/dev/a / ext4 rw 0 0\n"
    escaped = str(inner).replace(" ", "\\040")
    mounts.write_text(f"{root}host:/x {escaped} nfs4 rw 0 0\n")
    assert is_on_network(inner, mounts)
    assert not is_on_network(tmp_path, mounts)
    mounts.write_text(f"{root}host:/x {tmp_path} nfs rw 0 0\ntmp {inner} tmpfs rw 0 0\n".replace(str(inner), escaped))
    assert not is_on_network(inner, mounts)
    assert is_on_network(tmp_path, mounts)
    assert not is_on_network(tmp_path, Path("no such table"))


def test_an_interval_set_is_finished_when_every_row_is_settled(tmp_path):
    with JournalStore(tmp_path) as store:
        target, _, file = begin(store, rows=None)
        with store.transaction(durable=True):
            store.settle([(file.id, 0, 10, "stored", None)])
        assert not store.files(target.id)[0].finished, "nobody knows how many rows there are"
        with store.transaction(durable=True):
            store.set_rows(file.id, 10)
        assert store.files(target.id)[0].finished
        assert store.files(target.id)[0].settled[Verdict.STORED].intervals() == IntervalSet([(0, 10)]).intervals()
