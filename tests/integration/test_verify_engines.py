"""Verification and repair on real engines: what was lost, doubled or changed behind headrace's back, and by whom."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from tests.integration.readback import connect, count, stored_rows
from tests.integration.rows235 import simple

ROWS = 1200


@pytest.fixture
def path(tmp_path):
    pq.write_table(simple(ROWS), tmp_path / "a.parquet", row_group_size=100)
    return tmp_path / "a.parquet"


def load(server, source, collection, **options):
    return headrace.load(source, collection=collection, uri=server.uri, create=True, **options)


def verify(server, source, collection, **options):
    return headrace.verify(source, collection=collection, uri=server.uri, **options)


def changed(keys):
    """Rows of these keys with other values."""
    rows = simple(ROWS).take(pa.array(keys))
    return rows.set_column(1, "number", pa.array([-1] * len(keys)))


@contextmanager
def another_writer(server, collection):
    """Somebody who upserts rows of their own the whole time."""
    begun, stop = threading.Event(), threading.Event()

    def write():
        start = 10 * ROWS
        while not stop.is_set():
            rows = simple(10, start=start)
            headrace.load(rows, collection=collection, uri=server.uri, mode="upsert")
            begun.set()
            start += 10

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert begun.wait(60)
        yield
    finally:
        stop.set()
        thread.join()


def test_a_repair_sends_exactly_what_was_deleted_or_changed(lite322, collection, path):
    report = load(lite322, path, collection)
    client = headrace.MilvusClient(lite322.uri)
    client.delete(collection, ids=[0, 7, 1100])
    client.close()
    load(lite322, changed([3, 500]), collection, mode="upsert")
    found = verify(lite322, path, collection, repair=True)
    assert found.ok
    assert (found.files[0]["missing"], found.files[0]["different"]) == (3, 2)
    assert found.repair.report.rows_stored == 5
    for level in ("count", "sample", "full"):
        assert verify(lite322, path, collection, level=level).ok
    again = headrace.verify_journal(collection=collection, uri=lite322.uri)
    assert (again.ok, again.journal, again.rows_stored) == (True, report.journal, ROWS)


@pytest.mark.parametrize("level", ["sample", "full"])
def test_another_writer_is_no_difference(lite322, collection, path, level):
    load(lite322, simple(100, start=5 * ROWS), collection)
    with another_writer(lite322, collection):
        report = load(lite322, path, collection, verify=level)
        found = verify(lite322, path, collection, level=level)
    assert (report.exit_status, report.verify["status"], report.verify["mismatches"]) == (0, "ok", [])
    assert found.ok


@pytest.mark.long
@pytest.mark.parametrize("level", ["count", "full"])
def test_upserts_bring_doubled_rows_back_to_one(milvus235, collection, path, level):
    load(milvus235, path, collection)
    load(milvus235, simple(ROWS).slice(300, 20), collection, mode="insert")
    with connect(milvus235) as client:
        client.delete(collection, ids=[1, 2, 3])
        assert count(client, collection) == ROWS - 3 + 20
        before = headrace.verify_journal(collection=collection, uri=milvus235.uri, check=False)
        assert before.result.status == "mismatch"
        found = verify(milvus235, path, collection, level=level, repair=True)
        assert found.ok, found.to_dict()
        assert found.files == [{"source": str(path), "rows": ROWS, "verified": ROWS - 23, "missing": 3, "doubled": 20}]
        assert found.repair.report.rows_stored == 23
        assert count(client, collection) == ROWS
        assert [row["number"] for row in stored_rows(client, collection)] == [key * 10 for key in range(ROWS)]
    assert headrace.verify_journal(collection=collection, uri=milvus235.uri).ok


@pytest.mark.long
def test_on_the_real_server_another_writer_is_no_difference(milvus235, collection, path):
    load(milvus235, simple(100, start=5 * ROWS), collection)
    with another_writer(milvus235, collection):
        report = load(milvus235, path, collection, verify="full")
        found = verify(milvus235, path, collection)
    assert (report.exit_status, report.verify["status"]) == (0, "ok")
    assert found.ok
