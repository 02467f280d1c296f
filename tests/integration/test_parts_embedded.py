"""Parts of one source, loaded at once into a real engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq

import headrace
from tests.loader.rows import table


def test_parts_that_are_loaded_at_once_are_all_there(lite322, collection, tmp_path):
    pq.write_table(table(600), tmp_path / "a.parquet", row_group_size=100)
    plan = headrace.plan(tmp_path / "a.parquet", parts=3)
    where = {"collection": collection, "uri": lite322.uri}
    with ThreadPoolExecutor(3) as workers:
        prepared = list(workers.map(lambda _: headrace.prepare(plan, **where), range(3)))
        reports = list(workers.map(lambda part: headrace.load(part, **where, first_attempt=True), plan.parts))
    assert [one.created for one in prepared].count(True) == 1
    assert {report.mode for report in reports} == {"insert"}
    found = headrace.finish(plan, **where, verify="full", reports=reports)
    assert (found.rows, found.verify["status"], found.report.rows_stored, found.exit_status) == (600, "ok", 600, 0)
