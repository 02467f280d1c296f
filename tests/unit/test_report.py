"""The account's invariant and the exit statuses."""

from __future__ import annotations

import dataclasses
import json

import pytest

from headrace.errors import InternalError
from headrace.report import Account, LoadReport, Measurements, Verdict

DONE = LoadReport(
    collection="c",
    uri="http://localhost:19530",
    database="",
    status="done",
    rows_read=10,
    rows_stored=10,
    rows_superseded=0,
    rows_skipped=0,
    rows_rejected=0,
    rows_unknown=0,
    rows_unsent=0,
    rows_resumed=0,
    rows_possibly_duplicated=0,
    rows_total=10,
    source_exhausted=True,
    guarantee="at-least-once",
    mode="insert",
    mode_reason="",
    created=True,
    dry_run=False,
    batches=1,
    bytes_sent=100,
    retries={},
    throttled_seconds=0.0,
    seconds=1.0,
    rows_per_second=10.0,
    client_cpu_seconds=0.1,
    peak_in_flight_bytes=100,
    batch_rows={},
    latency_ms={},
    files=[],
    state_dir="s",
    rejects_file=None,
    journal=None,
    already_complete=False,
    verify=None,
    concurrency={"in_flight": 1, "request_bytes": 100, "request_rows": 10},
    interrupted=None,
    failure=None,
    mapping=[],
    notes=[],
)
MISMATCH = {"status": "mismatch"}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 0),
        ({"verify": {"status": "ok"}}, 0),
        ({"failure": "the collection could not be loaded"}, 1),
        ({"rows_rejected": 1}, 3),
        ({"rows_unsent": 1}, 4),
        ({"rows_unknown": 1}, 4),
        ({"source_exhausted": False}, 4),
        ({"verify": MISMATCH}, 5),
        ({"verify": MISMATCH, "rows_rejected": 1}, 5),
        ({"verify": MISMATCH, "rows_unknown": 1}, 4),
        ({"rows_unsent": 1, "rows_rejected": 1}, 4),
        ({"rows_unsent": 1, "interrupted": "SIGINT"}, 130),
        ({"interrupted": "SIGTERM"}, 143),
    ],
)
def test_the_exit_status_follows_the_worst_ending(changes, status):
    report = dataclasses.replace(DONE, **changes)
    assert report.exit_status == status
    assert report.ok is (status == 0)
    assert json.loads(report.to_json())["exit_status"] == status


def test_the_account_proves_that_every_row_has_one_verdict():
    account = Account()
    account.read(5)
    account.add(Verdict.STORED, 3)
    account.add(Verdict.REJECTED, 2)
    account.check()


@pytest.mark.parametrize("verdicts", [{Verdict.STORED: 4}, {Verdict.STORED: 5, Verdict.UNSENT: 1}])
def test_the_account_refuses_a_lost_or_doubled_row(verdicts):
    account = Account()
    account.read(5)
    for verdict, rows in verdicts.items():
        account.add(verdict, rows)
    with pytest.raises(InternalError, match="expected verdicts for 5 rows"):
        account.check()


def test_measurements_of_nothing_are_empty():
    assert Measurements().batch_rows_summary() == {}
    assert Measurements().latency_summary() == {}


def test_measurements_summarise_requests():
    measured = Measurements()
    for rows, seconds in ((10, 0.1), (30, 0.2), (20, 0.3)):
        measured.stored(rows, seconds)
    assert measured.batch_rows_summary() == {"smallest": 10, "median": 20, "largest": 30}
    assert measured.latency_summary()["p50"] == 200.0
