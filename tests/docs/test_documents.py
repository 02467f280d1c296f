"""What the documents tell people to type works as written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.fs as pafs
import pytest

import headrace
from headrace.cli import main
from tests.docs.files import ROWS, write_all
from tests.servers.s3 import s3_server

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_PYTHON = re.compile(r"<!-- run by the tests -->\n```python\n(.*?)```", re.S)
_ANY_PYTHON = re.compile(r"```python\n(.*?)```", re.S)
_SHELL = re.compile(r"```sh\n(.*?)```", re.S)
_LINK = re.compile(r"\]\(([^)#:]+)\)")


def headrace_commands(text):
    lines = [line.split("  #")[0].strip() for block in _SHELL.findall(text) for line in block.splitlines()]
    return [line for line in lines if line.startswith("headrace ")]


def run(command, folder):
    environ = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    """An empty folder in which the examples can be reached as from the repository's root."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_examples_run(document, folder):
    for block in _PYTHON.findall(document.read_text()):
        printed = run([sys.executable, "-c", block], folder).splitlines()
        promised = re.findall(r"^ *print\(.*\)  # (\S.*)$", block, re.M)
        assert printed == promised


def test_the_commands_of_the_readme_run(folder):
    commands = headrace_commands((ROOT / "README.md").read_text())
    assert len(commands) >= 3
    for command in commands:
        program = [str(Path(sys.executable).with_name("headrace")), *shlex.split(command)[1:]]
        assert run(program, folder).startswith("{")


@pytest.mark.parametrize("command", headrace_commands((ROOT / "docs" / "formats.md").read_text()))
def test_the_commands_of_the_formats_load_every_row(fake, tmp_path, monkeypatch, capfd, command):
    write_all(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MILVUS_URI", fake.uri)
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command)[1:])
    assert ended.value.code == 0
    assert json.loads(capfd.readouterr().out)["rows_stored"] == ROWS


def test_the_python_for_object_stores_loads_from_one(fake, tmp_path, monkeypatch):
    write_all(tmp_path)
    (block,) = [text for text in _ANY_PYTHON.findall((ROOT / "docs" / "formats.md").read_text()) if "s3://" in text]
    monkeypatch.setenv("MILVUS_URI", fake.uri)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    headrace.load(tmp_path / "docs.parquet", collection="docs", create=True)
    with s3_server() as store:
        store.put(tmp_path / "docs.parquet", "embeddings/docs.parquet")
        bucket = pafs.SubTreeFileSystem("bucket", store.filesystem)
        sent = len(fake.calls_of("Insert", "Upsert"))
        exec(
            block.replace("https://store.example.com", store.address),
            {"headrace": headrace, "any_pyarrow_filesystem": bucket},
        )
    assert sum(call.request.num_rows for call in fake.calls_of("Insert", "Upsert")[sent:]) == 2 * ROWS


def test_the_figures_for_files_far_away_are_those_that_were_measured():
    measured = (ROOT / "benches" / "results" / "latency.md").read_text()
    table = "\n".join(line for line in measured.splitlines() if line.startswith("|"))
    text = (ROOT / "docs" / "formats.md").read_text()
    assert table in text
    for promised in re.search(
        r"With (\d+ ms) before each answer,? one request\s+at a time would give (\d+ MB/s)", text
    ).groups():
        assert promised in measured


def test_every_file_of_the_examples_has_a_command(tmp_path):
    write_all(tmp_path)
    named = "\n".join(headrace_commands((ROOT / "docs" / "formats.md").read_text()))
    files = {path.name.replace("_a.", "_{part}.").replace("_b.", "_{part}.") for path in tmp_path.iterdir()}
    assert {name for name in files if name not in named} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in _LINK.findall(document.read_text()):
        assert (document.parent / link).exists(), f"{document.name}: {link}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_tests_that_are_named_as_guards_exist(document):
    for name in re.findall(r"`((?:tests/)?[\w/*]*test_\w*\*?\.py)`", document.read_text()):
        where = name if name.startswith("tests/") else f"tests/**/{name}"
        assert list(ROOT.glob(where)), f"{document.name}: {name}"


def test_the_readme_lists_every_document():
    listed = (ROOT / "README.md").read_text()
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f"](docs/{path.name})" not in listed] == []
