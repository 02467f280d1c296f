"""Parts of one source, loaded at once into real engines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest

import headrace
from tests.loader.rows import table


@pytest.fixture
def plan(tmp_path):
    """Three parts of 600 rows; without sparse vectors, which Milvus 2.3.5 does not survive."""
    pq.write_table(table(600).drop_columns(["sparse"]), tmp_path / "a.parquet", row_group_size=100)
    return headrace.plan(tmp_path / "a.parquet", parts=3)


def at_once(call, values):
    """``call`` of every value, each in a thread of its own."""
    with ThreadPoolExecutor(len(values)) as workers:
        return list(workers.map(call, values))


@pytest.mark.parametrize("server", ["lite322", "milvus235"], indirect=True)
def test_parts_that_are_prepared_and_loaded_at_once_are_all_there(server, collection, plan):
    where = {"collection": collection, "uri": server.uri}
    prepared = at_once(lambda _: headrace.prepare(plan, **where), range(3))
    assert [one.created for one in prepared].count(True) == 1
    assert {one.plan for one in prepared} == {plan.id}
    reports = at_once(lambda part: headrace.load(part, **where, first_attempt=True), plan.parts)
    assert {report.mode for report in reports} == {"insert"}
    found = headrace.finish(plan, **where, verify="full", reports=reports)
    assert (found.rows, found.verify["status"], found.report.rows_stored, found.exit_status) == (600, "ok", 600, 0)


def test_parts_that_are_loaded_again_replace_their_rows(milvus235, collection, plan):
    where = {"collection": collection, "uri": milvus235.uri}
    headrace.prepare(plan, **where)
    for _ in range(2):
        reports = at_once(lambda part: headrace.load(part, **where, again=True), plan.parts)
        assert {report.mode for report in reports} == {"upsert"}
    # count(*) shows doubles, which a query would hide.
    assert headrace.finish(**where).rows == 600
