"""The command against the embedded engine, with the sample that examples/ ships, read back by pymilvus too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pymilvus
import pytest

from headrace.embedded import acquire

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "wordnet-2k.parquet"


@pytest.fixture
def loaded(headrace):
    """A database that the sample was loaded into; its engine has ended."""
    ended = headrace.run("load", SAMPLE, "--collection", "w", "--uri", "./w.db", "--create", "--verify", "full")
    assert ended.status == 0, ended.err
    assert ended.document["rows_stored"] == 2000
    assert ended.document["verify"]["checked"] == 2000
    return headrace.directory / "w.db"


@pytest.mark.parametrize(
    "command",
    [
        ("dump", "w", "out.parquet"),
        ("finish", "--collection", "w"),
        ("load", SAMPLE, "--collection", "w"),
        ("verify", SAMPLE, "--collection", "w"),
    ],
    ids=lambda command: command[0],
)
def test_a_database_that_is_not_there_is_made_by_nobody_who_only_wants_one(headrace, command):
    ended = headrace.run(*command, "--uri", "./absent.db")
    assert (ended.status, "uri ./absent.db: expected an embedded database that exists" in ended.err) == (2, True)
    assert list(headrace.directory.glob("absent*")) == []


def test_a_dry_run_makes_no_database(headrace):
    elsewhere = headrace.directory / "tmp"
    elsewhere.mkdir()
    where = ("--collection", "w", "--uri", "./absent.db", "--create", "--dry-run")
    ended = headrace.run("load", SAMPLE, *where, environ={"TMPDIR": str(elsewhere)})
    assert ended.status == 0, ended.err
    assert (ended.document["uri"], ended.document["would_store"]["rows"]) == ("./absent.db", 2000)
    assert [*headrace.directory.glob("absent*"), *elsewhere.iterdir()] == []


def test_what_was_loaded_is_there_after_a_restart(headrace, loaded):
    ended = headrace.run("verify", SAMPLE, "--collection", "w", "--uri", "./w.db", "--level", "full")
    assert ended.status == 0, ended.err
    assert ended.document["checked"] == 2000


def test_loading_again_upserts_and_leaves_the_same_rows(headrace, loaded):
    ended = headrace.run(
        "load", SAMPLE, "--collection", "w", "--uri", "./w.db", "--searchable", "before", "--verify", "sample"
    )
    assert ended.status == 0, ended.err
    assert ended.document["mode"] == "upsert"
    assert ended.document["verify"]["status"] == "ok"


def test_pymilvus_reads_back_every_value(loaded):
    table = pq.read_table(SAMPLE)
    lease = acquire(loaded)
    try:
        client = pymilvus.MilvusClient(uri=f"http://{lease.address}")
        client.load_collection("w")
        found = {}
        for start in range(0, 2000, 500):
            ids = table["id"][start : start + 500].to_pylist()
            found.update({row["id"]: row for row in client.get("w", ids=ids, output_fields=["*"])})
        client.close()
    finally:
        lease.release()
    for row in table.to_pylist():
        stored = found[row["id"]]
        assert np.float32(stored["embedding"]).tobytes() == np.float32(row["embedding"]).tobytes()
        sparse = dict(zip(row["bm25"]["indices"], row["bm25"]["values"], strict=True))
        assert {i: np.float32(v) for i, v in stored["bm25"].items()} == {i: np.float32(v) for i, v in sparse.items()}
        assert list(stored["lemmas"]) == row["lemmas"]
        assert (stored["pos"], stored["lexfile"], stored["gloss"]) == (row["pos"], row["lexfile"], row["gloss"])


@pytest.mark.long
def test_a_collection_moves_from_one_database_to_another(headrace, loaded):
    dumped = headrace.run("dump", "w", "w.parquet", "--uri", "./w.db")
    assert dumped.status == 0, dumped.err
    assert (dumped.document["rows"], dumped.document["rows_counted"]) == (2000, 2000)
    moved = headrace.run("load", "w.parquet", "--collection", "w", "--uri", "./x.db", "--create", "--verify", "full")
    assert moved.status == 0, moved.err
    assert (moved.document["rows_stored"], moved.document["verify"]["checked"]) == (2000, 2000)
