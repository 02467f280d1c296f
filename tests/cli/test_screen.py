"""What a person reads on a screen of 80 columns: nothing that was guessed is cut off."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.test_terminal import Terminal

GUESSES = (
    "the key, by its name",
    "uint64 becomes int64 where it fits exactly, other rows are rejected",
    "a vector, as the only lists of one length (8 numbers) in the first rows; double is narrowed to float: values are "
    "rounded, rows out of range are rejected",
)


@pytest.fixture
def guessed(tmp_path):
    """Columns of which each becomes a field for some reason that a person should read."""
    vectors = (np.arange(400.0) + 1).reshape(50, 8).tolist()
    columns = {
        "ID": range(50),
        "population": pa.array(range(50), pa.uint64()),
        "embedding": pa.array(vectors, pa.list_(pa.float64())),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def seen(headrace, *arguments):
    """The document, and the lines of a terminal of 80 columns."""
    terminal = Terminal()
    terminal.resize(80)
    process = headrace.start(*arguments, stderr=terminal.theirs)
    terminal.watch()
    ended = headrace.wait(process)
    terminal.close()
    assert ended.status == 0, terminal.text
    return json.loads(ended.out), terminal.text.replace("\r", "").splitlines()


def check(mapping, lines):
    """Whether every reason is there, whole, beside or below its column, and no line of the table is too long."""
    header = next(number for number, line in enumerate(lines) if line.startswith("column "))
    last = next(number for number, line in enumerate(lines) if line.startswith("embedding "))
    assert max(map(len, lines[header : last + 4])) <= 80
    text = " ".join(" ".join(lines).split())
    assert tuple(entry["note"] for entry in mapping) == GUESSES
    for note in GUESSES:
        assert note in text
    assert "..." not in text
    return text


def test_inspect_shows_why_at_80_columns(headrace, guessed):
    found, lines = seen(headrace, "inspect", guessed)
    text = check(found["mapping"], lines)
    advice = next(entry["advice"] for entry in found["profile"]["fields"] if entry["advice"])
    assert f"'embedding' is {advice}" in text


def test_load_shows_why_at_80_columns(headrace, fake, guessed):
    report, lines = seen(headrace, "load", guessed, "--collection", "c", "--uri", fake.uri, "--create")
    text = check(report["mapping"], lines)
    assert "collection 'c' is created with the key 'ID', indexed: embedding (COSINE)" in text
