"""Loads by tasks, run by Airflow's own interpreter (see test_operators.py)."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from headrace.airflow import loading
from headrace.airflow.compat import AirflowException, AirflowFailException
from headrace.airflow.operators import MilvusFinishOperator, MilvusLoadOperator, MilvusPlanOperator
from headrace.report import Progress
from headrace.state import StateLock
from tests.airflow.inside.surroundings import NOBODY, SMALL, context, load, states
from tests.fake.behaviours import ok, refuse_rows, stall_forever, vanish_and_die
from tests.loader.rows import age, rows_sent, writes

NUMBERS = {field.name for field in dataclasses.fields(Progress)} - {"phase", "rows_total", "seconds"}


def test_a_task_loads_and_returns_its_report(fake, source, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    report = load(tmp_path, source=source, verify="full").execute(context())
    assert (report["rows_stored"], report["exit_status"], report["verify"]["status"]) == (1000, 0, "ok")
    assert json.loads(json.dumps(report)) == report
    assert fake.collections["docs"].keys() == Counter(range(1000))
    assert states(tmp_path) == [], "nothing is left to go on from"


def test_a_cleared_task_loads_again_by_upsert(fake, source, tmp_path):
    task = load(tmp_path, source=source)
    assert task.execute(context())["mode"] == "insert"
    again = task.execute(context(try_number=2))
    assert (again["mode"], again["rows_resumed"], again["rows_stored"]) == ("upsert", 0, 1000)
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_a_retry_goes_on_where_the_task_ended(fake, source, tmp_path):
    for method in ("Insert", "Upsert"):
        fake.script(method, ok, ok, ok, vanish_and_die)
    task = load(tmp_path, source=source)
    with pytest.raises(AirflowException, match=r"unknown of [\d,]+ rows; a retry goes on from") as caught:
        task.execute(context())
    assert not isinstance(caught.value, AirflowFailException)
    for method in ("Insert", "Upsert"):
        fake._scripts[method].clear()
    fake.revive()
    (state,) = states(tmp_path)
    age(state)
    sent = len(writes(fake))
    report = load(tmp_path, source=source).execute(context(try_number=2))
    assert report["rows_resumed"] > 0
    assert rows_sent(writes(fake)[sent:]) == 1000 - report["rows_resumed"]
    assert fake.collections["docs"].keys() == Counter(range(1000))
    assert states(tmp_path) == []


def test_each_mapped_task_has_a_state_of_its_own(fake, source, tmp_path):
    parts = MilvusPlanOperator(task_id="plan", source=source, collection="docs", create=True, parts=2).execute({})
    fake.always("Insert", vanish_and_die)
    for index, part in enumerate(parts):
        with pytest.raises(AirflowException):
            load(tmp_path, part=part).execute(context(map_index=index))
        fake.revive()
    assert [path.name.rpartition("-")[0] for path in states(tmp_path)] == ["dag.load.0", "dag.load.1"]


def test_refused_rows_fail_the_task_for_good_and_are_named(fake, source, tmp_path):
    fake.always("Insert", refuse_rows(lambda row: row["id"] == 7))
    with pytest.raises(AirflowFailException, match=r"at most 0 refused rows, found 1.*rejects\.parquet"):
        load(tmp_path, source=source).execute(context())
    (rejects,) = (tmp_path / "state").glob("*/rejects.parquet")
    assert pq.read_table(rejects).column("_row").to_pylist() == [7]
    fake.always("Upsert", refuse_rows(lambda row: row["id"] == 7))
    report = load(tmp_path, source=source, max_rejects=1).execute(context(run_id="another"))
    assert (report["rows_rejected"], report["rows_stored"]) == (1, 999)
    assert Path(report["rejects_file"]).exists(), "what is left to look at"


@pytest.mark.parametrize("given", [{"options": {"metric": "NONE"}}, {"key": "nothing"}])
def test_what_a_retry_cannot_help_fails_for_good(fake, source, tmp_path, given):
    with pytest.raises(AirflowFailException):
        load(tmp_path, source=source, **given).execute(context())


def test_a_server_that_does_not_answer_is_worth_a_retry(source, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MILVUS_DEFAULT", NOBODY)
    with pytest.raises(AirflowException, match="ConnectError") as caught:
        load(tmp_path, source=source).execute(context())
    assert not isinstance(caught.value, AirflowFailException)


def test_a_killed_task_closes_its_journal_and_says_where_it_goes_on(fake, source, tmp_path):
    fake.script("Insert", ok, ok)
    fake.always("Insert", stall_forever)
    task = load(tmp_path, source=source, options={**SMALL, "give_up_after": 60.0})

    def kill():
        fake.wait_for(lambda: len(writes(fake)) == 3)
        task.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(AirflowException, match=r"stopped by SIGTERM; .* a retry goes on from"):
        task.execute(context())
    killer.join()
    (state,) = states(tmp_path)
    assert StateLock.holder(state) is None
    assert task._job is None


def test_progress_is_logged_while_it_loads(fake, source, tmp_path, monkeypatch):
    lines = []
    task = load(tmp_path, source=source, progress_interval=0.0, options={**SMALL, "max_rows_per_second": 1500.0})
    log = SimpleNamespace(info=lambda text, *args: lines.append(text % args), warning=lambda *_: None)
    monkeypatch.setattr(type(task), "log", log)
    task.execute(context())
    assert any(line.startswith("sending: ") and "of 1,000 rows stored" in line for line in lines)


def test_a_line_of_progress_is_written_every_ten_seconds(monkeypatch):
    now, lines = [0.0], []
    monkeypatch.setattr(loading, "time", SimpleNamespace(monotonic=lambda: now[0]))
    assert MilvusLoadOperator(task_id="t", collection="docs").progress_interval == 10.0
    show = loading._logged(lambda text, *args: lines.append((now[0], text % args)), 10.0)
    for quarter in range(1, 121):
        now[0] = quarter / 4
        rows = {"rows_read": 1000 * quarter, "rows_settled": 1000 * quarter, "rows_stored": 1000 * quarter}
        show(Progress(**{**dict.fromkeys(NUMBERS, 0), **rows}, phase="sending", rows_total=None, seconds=now[0]))
    assert [when for when, _ in lines] == [10.0, 20.0, 30.0]
    assert lines[0][1].startswith("sending: 40,000 rows stored, 4,000 rows/s")


def test_a_dry_run_counts_no_row_as_stored(fake, source, tmp_path, monkeypatch):
    lines = []
    log = SimpleNamespace(info=lambda text, *args: lines.append(text % args), warning=lambda *_: None)
    task = load(tmp_path, source=source, progress_interval=0.0, options={**SMALL, "dry_run": True})
    monkeypatch.setattr(type(task), "log", log)
    task.execute(context())
    assert lines[-1].startswith("dry run: nothing was sent: 1,000 rows would be stored, ")
    assert not [line for line in lines if "rows stored" in line]
    assert not writes(fake)


def test_a_task_that_is_killed_before_it_sends_sends_nothing(fake, source, tmp_path):
    task = load(tmp_path, source=source)
    task.on_kill()
    with pytest.raises(AirflowException, match="killed before anything was sent"):
        task.execute(context())
    assert not writes(fake)


def test_secrets_are_in_no_log_template_or_xcom(fake, source, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    address = fake.uri.removeprefix("http://")
    monkeypatch.setenv("AIRFLOW_CONN_MILVUS_DEFAULT", f"milvus://root:Sesame-open@{address}")
    options = {**SMALL, "source_options": {"secret_key": "Sesame-store"}}
    plan = MilvusPlanOperator(task_id="plan", source=source, collection="docs", create=True, options=options)
    (part,) = plan.execute({})
    task = load(tmp_path, part=part, create=False, options=options)
    task.render_template_fields({})
    report = task.execute(context())
    finish = MilvusFinishOperator(task_id="f", collection="docs", reports=[report], deferrable=False)
    shown = [{name: getattr(one, name) for name in one.template_fields} for one in (plan, task, finish)]
    written = json.dumps([part, report, finish.execute({}), shown]) + caplog.text
    authorization = fake.calls_of("DescribeCollection")[0].metadata["authorization"]
    assert [secret for secret in ("Sesame", authorization) if secret in written] == []


def test_a_source_or_a_part_is_needed(tmp_path):
    with pytest.raises(AirflowFailException, match="expected a source or a part"):
        load(tmp_path).execute(context())
