"""Directories of loads: where they are, and who finds which again."""

from __future__ import annotations

import os

import pytest

from headrace.config import Endpoint
from headrace.errors import ConfigError
from headrace.state import fresh_name, open_state_dir, state_home, target_name

SERVER = Endpoint(uri="http://localhost:19530")


def test_the_same_target_has_the_same_directory_and_no_other_has_it():
    name = target_name(SERVER, "docs", "")
    assert name == target_name(Endpoint(uri="http://LOCALHOST:19530", token="a:b"), "docs", "")
    others = {
        target_name(SERVER, "docs", "part"),
        target_name(SERVER, "dogs", ""),
        target_name(Endpoint(uri="http://localhost:19531"), "docs", ""),
        target_name(Endpoint(uri="http://localhost:19530", db_name="other"), "docs", ""),
        target_name(Endpoint(uri="docs.db"), "docs", ""),
    }
    assert len({name, *others}) == 6


def test_a_database_file_is_known_by_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert target_name(Endpoint(uri="a.db"), "c", "") == target_name(Endpoint(uri=str(tmp_path / "a.db")), "c", "")


def test_names_of_directories_are_never_too_long(tmp_path):
    for name in (target_name(SERVER, "c" * 255, ""), fresh_name("c" * 255)):
        assert open_state_dir(None, name).parent == state_home()
        assert len(name) < 120


def test_other_rows_have_a_directory_of_their_own():
    assert fresh_name("docs") != fresh_name("docs")


def test_a_directory_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--state-dir"):
        open_state_dir(tmp_path / "file" / "below", "any")


def removed_before(monkeypatch, directory, name):
    """Another loader removes the directory, which it had made, right before the first call of ``os.<name>`` for it."""
    called, ends = getattr(os, name), iter([True])

    def raced(path, *args, **options):
        if os.fspath(path) == str(directory) and next(ends, False):
            directory.rmdir()
        return called(path, *args, **options)

    monkeypatch.setattr(os, name, raced)


@pytest.mark.parametrize("name", ["stat", "access"])
def test_a_directory_that_another_loader_removes_meanwhile_is_made_again(tmp_path, monkeypatch, name):
    directory = tmp_path / "state"
    directory.mkdir()
    removed_before(monkeypatch, directory, name)
    assert open_state_dir(directory, "any").is_dir()


def test_a_file_of_that_name_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="to be a directory, found File exists"):
        open_state_dir(tmp_path / "file", "any")


def test_a_directory_of_others_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="to be writable, found no permission"):
        open_state_dir(tmp_path, "any")
