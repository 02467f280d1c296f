"""Directories of loads: where they are, and who finds which again."""

from __future__ import annotations

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
