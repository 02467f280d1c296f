"""``headrace report``: a load's report, and a page of it."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from headrace import ConfigError, load
from headrace.report_files import read_report
from tests.cli.conftest import table


@pytest.fixture
def loaded(headrace, fake, monkeypatch):
    """The report of a load of 100 rows into collection ``c``, in the state directory of the command."""
    monkeypatch.setenv("XDG_STATE_HOME", str(headrace.state))
    return load(table(100), collection="c", uri=fake.uri, create=True).to_json()


def test_a_page_is_written_of_a_report_by_file_collection_or_directory(headrace, loaded, tmp_path):
    (tmp_path / "load.json").write_text(loaded)
    for number, name in enumerate(["load.json", "c", json.loads(loaded)["state_dir"]]):
        ended = headrace.run("report", name, "--html", f"{number}.html")
        assert (ended.status, ended.out) == (0, ""), ended.err
        assert ended.err == f"headrace: wrote {number}.html\n"
        assert "100 stored" in (tmp_path / f"{number}.html").read_text()


@pytest.mark.parametrize(("name", "page"), [("folder/load.json", "folder/load.html"), ("c", "c.html")])
def test_without_a_name_the_page_has_that_of_the_report(headrace, loaded, tmp_path, name, page):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "load.json").write_text(loaded)
    for _ in range(2):
        ended = headrace.run("report", name)
        assert (ended.status, ended.out, ended.err) == (0, "", f"headrace: wrote {page}\n")
    assert "100 stored" in (tmp_path / page).read_text()


def test_only_a_page_is_replaced_by_one_that_nobody_named(headrace, loaded, tmp_path):
    (tmp_path / "c.html").write_text("<p>somebody's")
    ended = headrace.run("report", "c")
    assert (ended.status, "name the page with --html" in ended.err) == (2, True)
    assert (tmp_path / "c.html").read_text() == "<p>somebody's"
    assert headrace.run("report", "c", "--html", "c.html").status == 0


@pytest.mark.parametrize("options", [("--html", "-"), ()])
def test_a_load_can_be_piped_into_its_page(headrace, loaded, options):
    process = headrace.start("report", "-", *options, "-q", stdin=subprocess.PIPE)
    out, err = process.communicate(loaded, timeout=200)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("<!doctype html>")


def test_the_report_has_its_trace_on_few_lines(headrace, loaded):
    ended = headrace.run("report", "c", "--json")
    assert ended.status == 0
    assert ended.document == json.loads(loaded)
    columns = ended.document["trace"]["columns"]
    assert columns["rows_stored"][-1] == 100
    assert f'"rows_stored": [{columns["rows_stored"][0]}' in loaded


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "expected a load's report, found no such file"),
        ("{", "expected a load's report as JSON"),
        ("[]", "a document without collection, uri, database"),
        ('{"status": "failed", "message": "no server"}', "a load that sent nothing: no server"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, content, complaint):
    path = tmp_path / "load.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        read_report(str(path))


def test_a_page_that_cannot_be_written_ends_with_status_2(headrace, loaded, tmp_path):
    (tmp_path / "load.json").write_text(loaded)
    ended = headrace.run("report", "load.json", "--html", "no/such/folder.html")
    assert (ended.status, "expected a file that can be written" in ended.err) == (2, True)


def test_a_report_is_not_replaced_by_its_page(headrace, loaded, tmp_path):
    (tmp_path / "load.json").write_text(loaded)
    ended = headrace.run("report", "load.json", "--html", "./load.json")
    assert (ended.status, "name another file for its page" in ended.err) == (2, True)
    assert (tmp_path / "load.json").read_text() == loaded
