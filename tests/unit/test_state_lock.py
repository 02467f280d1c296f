"""A directory belongs to one loader at a time, whoever makes and removes it meanwhile."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from headrace.errors import JournalError
from headrace.state import StateLock


def test_a_short_run_does_not_forget_what_the_one_before_it_has_on_its_way(tmp_path):
    first = StateLock(tmp_path)
    first.beat(60.0)
    first.release()
    second = StateLock(tmp_path)
    second.release()
    third = StateLock(tmp_path)
    third.release()
    assert third.may_land_until == second.may_land_until > first.may_land_until + 50.0


def test_the_lock_does_not_stay_with_processes_that_were_forked_meanwhile(tmp_path):
    lock = StateLock(tmp_path)
    # What a forked process has: another number for the same open file.
    inherited = os.dup(lock._descriptor)
    lock.release()
    StateLock(tmp_path).release()
    os.close(inherited)


def test_a_forked_process_cannot_give_its_parents_lock_away(tmp_path, monkeypatch):
    lock = StateLock(tmp_path)
    inherited, number = os.dup(lock._descriptor), os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: number + 1)
    lock.release()
    with pytest.raises(JournalError, match="no other loader"):
        StateLock(tmp_path)
    os.close(inherited)


def test_who_only_looks_stops_no_loader(tmp_path, monkeypatch):
    flock, looks = fcntl.flock, iter([True])

    def busy_at_first(descriptor, how):
        if next(looks, False):
            raise BlockingIOError
        return flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", busy_at_first)
    StateLock(tmp_path).release()


@pytest.mark.parametrize("left", [True, False], ids=["directory stays", "directory too"])
def test_a_lock_that_was_removed_while_it_was_waited_for_is_made_again(tmp_path, monkeypatch, left):
    """Two loaders would have one directory otherwise: the second one locks a file that the third does not find."""
    directory = tmp_path / "state"
    first = StateLock(directory)
    flock = fcntl.flock

    def removed_just_before(descriptor, how):
        if how & fcntl.LOCK_EX and first.owned:
            first.clear()
            if not left:
                directory.rmdir()
            first.release()
        return flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", removed_just_before)
    second = StateLock(directory)
    with pytest.raises(JournalError, match=rf"found process {os.getpid()} on "):
        StateLock(directory)
    second.release()


def test_a_directory_that_is_removed_time_and_again_is_named(tmp_path, monkeypatch):
    flock, directory = fcntl.flock, tmp_path / "state"

    def removed_just_before(descriptor, how):
        (directory / "journal.lock").unlink(missing_ok=True)
        return flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", removed_just_before)
    with pytest.raises(JournalError, match="expected a directory that stays, found one that was just removed"):
        StateLock(directory)


def test_the_directory_may_be_gone_before_its_lock_is_made(tmp_path, monkeypatch):
    """A loader that has nothing to keep there removes it as it ends."""
    opened, directory = os.open, tmp_path / "state"
    ends = iter([True])

    def removed_just_before(path, *args, **options):
        if next(ends, False):
            directory.rmdir()
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", removed_just_before)
    StateLock(directory).release()
    assert (directory / "journal.lock").exists()


def test_what_is_cleared_is_named_and_the_lock_goes_last(tmp_path, monkeypatch):
    """Files of the next loader, which makes a lock of its own, are not taken for those of the last one."""
    for name in ("a.parquet", "b.parquet", "other"):
        (tmp_path / name).write_text("")
    lock, unlink, seen = StateLock(tmp_path), Path.unlink, []

    def noted(path, **options):
        seen.append(path.name)
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", noted)
    lock.clear("*.lock", "*.parquet")
    lock.release()
    assert (sorted(seen[:-1]), seen[-1]) == (["a.parquet", "b.parquet"], "journal.lock")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
