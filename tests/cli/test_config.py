"""Where options come from: the command line, the environment, the settings file, in this order."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from headrace import cli


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Writes the settings file of a user of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "headrace").mkdir()
    return (tmp_path / "headrace" / "config.toml").write_text


@pytest.fixture
def given(monkeypatch):
    """Runs a command of no effect under the name of ``status`` and returns what it was given."""

    def run(*arguments, **environ):
        @click.command()
        @click.option("--older-than", type=float, default=1.0)
        @click.option("--uri")
        @click.option("--db", "db_name")
        @click.option("--vector", multiple=True)
        def status(**values):
            click.echo(json.dumps(values))

        monkeypatch.setitem(cli.command.commands, "status", status)
        ended = CliRunner().invoke(cli.command, arguments, env=environ, prog_name="headrace")
        return json.loads(ended.stdout) if ended.exit_code == 0 else ended

    return run


def test_the_command_line_is_before_the_environment_before_the_file_before_the_default(given, settings):
    assert given("status")["older_than"] == 1.0
    settings("[status]\nolder_than = 2\n")
    assert given("status")["older_than"] == 2.0
    assert given("status", HEADRACE_STATUS_OLDER_THAN="3")["older_than"] == 3.0
    assert given("status", "--older-than", "4", HEADRACE_STATUS_OLDER_THAN="3")["older_than"] == 4.0


def test_a_key_outside_of_tables_is_for_every_command_and_a_table_is_before_it(given, settings):
    settings('uri = "a"\ndb = "b"\nvector = ["v", "w"]\n[status]\nuri = "c"\n')
    assert given("status") == {"older_than": 1.0, "uri": "c", "db_name": "b", "vector": ["v", "w"]}


def test_the_variables_of_milvus_are_before_the_file(given, settings):
    settings('uri = "a"\ndb = "b"\n')
    # Endpoint reads them itself, where no option says anything.
    found = given("status", MILVUS_URI="http://x:1")
    assert (found["uri"], found["db_name"]) == (None, "b")


def test_another_file_can_be_named(given, tmp_path):
    (tmp_path / "other.toml").write_text("[status]\nolder_than = 5\n")
    assert given("--config", str(tmp_path / "other.toml"), "status")["older_than"] == 5.0
    assert given("status", HEADRACE_CONFIG=str(tmp_path / "other.toml"))["older_than"] == 5.0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("older_then = 1\n", "older_then: expected an option's name, with underscores; did you mean 'older_than'?"),
        ("[status]\nmax = 1\n", "[status] max: expected an option's name"),
        ("status = 1\n", "status: expected a table, [status]"),
        ("uri = \n", "Invalid value"),
    ],
)
def test_what_is_no_setting_is_refused_by_name(given, settings, text, complaint):
    settings(text)
    ended = given("status")
    assert ended.exit_code == 2
    assert complaint in ended.output.replace("\n", " ")


def test_a_file_that_was_named_has_to_be_there(given):
    assert given("--config", "none.toml", "status").exit_code == 2


def test_a_mistyped_command_is_told_its_likes(given):
    ended = given("sttus")
    assert (ended.exit_code, "Did you mean 'status'?" in ended.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["load", "a.parquet", "--colection", "docs"], "'--collection'"),
        (["--collection", "docs", "load", "a.parquet"], "Did you mean '--collection' behind it?"),
        (["--colection", "docs", "load", "a.parquet"], "Did you mean '--collection' behind it?"),
    ],
)
def test_a_mistyped_or_misplaced_option_is_told_its_like(arguments, hint):
    ended = CliRunner().invoke(cli.command, arguments)
    assert (ended.exit_code, hint in ended.output) == (2, True)
