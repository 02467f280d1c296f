"""``headrace dump``: a collection into a file, and what the command says of it."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from headrace import load
from tests.cli.conftest import table
from tests.fake.behaviours import ok, stall, stall_forever


@pytest.fixture
def filled(fake, tmp_path):
    """The fake server with a collection ``c`` of 600 rows."""
    load(table(600), collection="c", uri=fake.uri, create=True, state_dir=tmp_path / "state")
    return fake


def test_dumps_every_row_and_says_so_on_both_streams(headrace, filled, tmp_path):
    ended = headrace.run("dump", "c", "out.parquet", "--uri", filled.uri)
    assert ended.status == 0, ended.err
    assert (ended.document["rows"], ended.document["rows_counted"], ended.document["status"]) == (600, 600, "done")
    assert ended.document["bytes"] == (tmp_path / "out.parquet").stat().st_size
    assert ended.document["metrics"] == {"vector": "COSINE"}
    assert ended.err.splitlines()[0] == "headrace: done: 600 rows of c in out.parquet"
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == table(600).to_pylist()


def test_a_killed_dump_is_gone_on_with(headrace, filled, tmp_path):
    before = len(filled.calls_of("Query"))
    filled.script("Query", ok, ok, ok, stall_forever)
    process = headrace.start("dump", "c", "out.parquet", "--uri", filled.uri)
    filled.wait_for(lambda: len(filled.calls_of("Query")) >= before + 4)
    process.kill()
    headrace.wait(process)
    assert not (tmp_path / "out.parquet").exists()
    ended = headrace.run("dump", "c", "out.parquet", "--uri", filled.uri)
    assert ended.status == 0, ended.err
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == table(600).to_pylist()
    assert not (tmp_path / "out.parquet.part").exists()


def test_a_signal_ends_a_dump_after_the_range_that_is_read(headrace, filled, tmp_path):
    before = len(filled.calls_of("Query"))
    filled.script("Query", ok, ok, stall)
    process = headrace.start("dump", "c", "out.parquet", "--uri", filled.uri)
    filled.wait_for(lambda: len(filled.calls_of("Query")) >= before + 3)
    process.terminate()
    for line in process.stderr:
        if "once more to leave at once" in line:
            break
    filled.release()
    ended = headrace.wait(process)
    assert (ended.status, ended.document["rows"]) == (143, 256)
    record = json.loads((tmp_path / "out.parquet.part" / "dump.json").read_text())
    assert [(segment["rows"], segment["last_key"]) for segment in record["segments"]] == [(256, 255)]


@pytest.mark.parametrize(
    ("path", "recipe"),
    [
        ("-", "headrace dump c c.parquet, then: headrace load c.parquet"),
        ("s3://b/o.parquet", "headrace dump c o.parquet, then: aws s3 cp o.parquet s3://b/o.parquet"),
        ("gs://b/", "headrace dump c c.parquet, then: gcloud storage cp c.parquet gs://b/"),
    ],
)
def test_what_is_no_local_file_is_refused_with_two_commands(headrace, fake, tmp_path, path, recipe):
    ended = headrace.run("dump", "c", path, "--uri", fake.uri)
    assert ended.status == 2
    assert ended.err.startswith(f"headrace: {path}: expected a local file")
    assert ended.err.endswith(f"{recipe}\n")
    assert [it.name for it in tmp_path.iterdir()] == []


def test_a_collection_that_is_not_there_ends_with_status_2(headrace, fake, tmp_path):
    ended = headrace.run("dump", "c", "out.parquet", "--uri", fake.uri)
    assert ended.status == 2
    assert ended.err.startswith("headrace: collection 'c': expected an existing collection, found none of that name")
    assert list(tmp_path.glob("out*")) == []
