"""Help, version and usage errors: fast, on the right stream, with the right status."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headrace import _core

SLOW = ("pyarrow", "numpy", "grpc", "google.protobuf", "rich", "headrace._core")


@pytest.mark.parametrize(
    "arguments",
    [[], ["load"], ["inspect"], ["verify"], ["status"], ["report"]],
    ids=["headrace", "load", "inspect", "verify", "status", "report"],
)
def test_help_is_on_standard_output(headrace, arguments):
    ended = headrace.run(*arguments, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Usage: headrace")
    # One example a line, as it is typed.
    assert "Examples:\n    headrace " in ended.out


@pytest.mark.parametrize("arguments", [["--help"], ["load", "--help"]])
def test_help_imports_nothing_slow(arguments):
    code = f"""
import sys
from headrace.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print(sorted(set(sys.modules) & {set(SLOW)!r}), file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == "[]\n"


def test_the_token_option_warns_of_who_can_see_it(headrace):
    text = " ".join(headrace.run("load", "--help").out.split())
    assert "Visible to other users of this machine" in text


def test_version_says_how_it_was_built(headrace):
    build = _core.build_info()
    ended = headrace.run("--version")
    assert ended.status == 0
    assert ended.out.startswith(f"headrace {build['version']} ({build['profile']} build for {build['target']}, ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["load", "--collection", "c"], "Missing argument 'SOURCE...'"),
        (["load", "rows.parquet"], "Missing option '--collection'"),
        (["load", "rows.parquet", "--collection", "c", "--mode", "replace"], "'replace' is not one of"),
        (["load", "rows.parquet", "--collection", "c", "--limit", "-1"], "Invalid value for '--limit'"),
        (["load", "rows.parquet", "--collection", "c", "--batch-bytes", "many"], "expected a size such as 4MiB"),
        (["load", "rows.parquet", "--collection", "c", "--changed", "ignore"], "'ignore' is not one of"),
        (["status", "--older-than", "30"], "expected an age such as 12h"),
        (["status", "--remove"], "name journals, or give --older-than"),
        (["load", "rows.parquet", "--collection", "c", "--colection", "d"], "--collection"),
        (["load", "rows.parquet", "--collection", "c", "--token", "a", "--token-file", "f"], "give one of them"),
        (["lod"], "No such command 'lod'"),
    ],
)
def test_usage_errors_are_on_standard_error_with_status_2(headrace, arguments, complaint):
    ended = headrace.run(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert complaint in ended.err
    assert "Traceback" not in ended.err
