"""Run by Airflow's own interpreter (see test_operators.py): operators and the like against a scripted server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pyarrow.parquet as pq
import pytest

from headrace import ConfigError
from headrace.airflow import loading, storage
from headrace.airflow.assets import sanitize_uri
from headrace.airflow.compat import AirflowException, AirflowFailException, Asset, ObjectStoragePath
from headrace.airflow.hooks import MilvusHook, endpoint_of
from headrace.airflow.operators import MilvusFinishOperator, MilvusLoadOperator, MilvusPlanOperator
from headrace.airflow.sensors import MilvusCollectionSensor
from headrace.airflow.storage import split_paths
from headrace.airflow.triggers import MilvusCollectionTrigger
from headrace.state import StateLock
from tests.fake.behaviours import ok, refuse_rows, stall_forever, vanish_and_die
from tests.fake_milvus import FakeMilvus
from tests.loader.rows import age, rows_sent, table, writes

try:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import TaskDeferred
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2
    from airflow.exceptions import TaskDeferred
    from airflow.io.store import attach
    from airflow.models import Connection

SMALL = {"batch_bytes": 4096, "rpc_timeout": 20.0, "max_in_flight": 1, "give_up_after": 0.3}

S3_SOURCE = "s3://bucket/rows.parquet"
NOBODY = json.dumps({"conn_type": "milvus", "host": "127.0.0.1", "port": 1, "extra": {"timeout": 0.1}})


@pytest.fixture
def fake(monkeypatch):
    with FakeMilvus() as server:
        address = server.uri.removeprefix("http://")
        monkeypatch.setenv("AIRFLOW_CONN_MILVUS_DEFAULT", f"milvus://root:Milvus@{address}")
        yield server


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(table(1000), path, row_group_size=100)
    return str(path)


def context(map_index=-1, try_number=1, run_id="run"):
    instance = SimpleNamespace(dag_id="dag", task_id="load", run_id=run_id, map_index=map_index, try_number=try_number)
    return {"ti": instance}


def load(tmp_path, **given):
    given = {"collection": "docs", "create": True, "options": SMALL, **given}
    return MilvusLoadOperator(task_id="load", state_dir=str(tmp_path / "state"), **given)


def states(tmp_path):
    return sorted((tmp_path / "state").glob("*"))


# -- connections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "uri", "token"),
    [
        ({"host": "a", "port": 1953, "login": "root", "password": "Milvus"}, "http://a:1953", "root:Milvus"),
        ({"host": "a"}, "http://a:19530", None),
        ({"host": "a", "password": "key"}, "http://a:19530", "key"),
        ({"host": "a", "extra": json.dumps({"secure": True, "token": "key"})}, "https://a:19530", "key"),
        ({"host": "https://a.example", "port": 443}, "https://a.example:443", None),
        ({"host": "relative/docs.db"}, "relative/docs.db", None),
    ],
)
def test_a_connection_is_an_endpoint(monkeypatch, fields, uri, token):
    monkeypatch.setenv("MILVUS_URI", "http://another")
    monkeypatch.setenv("MILVUS_TOKEN", "another")
    endpoint = endpoint_of(Connection(conn_id="c", conn_type="milvus", schema="db", **fields))
    assert (endpoint.uri, endpoint.token, endpoint.db_name) == (uri, token, "db")
    assert "token" not in repr(endpoint)


def test_the_hook_gives_a_client_and_tests_a_connection(fake, monkeypatch):
    hook = MilvusHook()
    with hook.get_conn() as client:
        assert client.list_collections() == []
    assert hook.test_connection() == (True, f"Milvus {fake.version} answers")
    assert fake.calls_of("GetVersion")[0].metadata["authorization"]
    monkeypatch.setenv("AIRFLOW_CONN_GONE", NOBODY)
    answers, why = MilvusHook("gone").test_connection()
    assert not answers
    assert "127.0.0.1:1" in why


# -- loads -----------------------------------------------------------------------------------------------------------


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
    with pytest.raises(AirflowException, match=r"unknown of \d+ rows; a retry goes on from") as caught:
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
        show(SimpleNamespace(phase="sending", rows_stored=1000 * quarter, rows_total=None, seconds=now[0]))
    assert [when for when, _ in lines] == [10.0, 20.0, 30.0]
    assert lines[0][1] == "sending: 40,000 rows stored, 4,000 rows/s"


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


# -- how columns become fields ---------------------------------------------------------------------------------------

MAPPING = {
    "map": {"text": "title"},
    "drop": ["sparse"],
    "set": {"lang": "{{ lang }}"},
    "cast": {"id": "varchar"},
    "truncate": {"title": 5},
    "partition_name": "_default",
}


@pytest.mark.parametrize("form", [lambda mapping: mapping, json.dumps])
def test_a_mapping_is_rendered_and_followed_from_the_plan_to_the_end(fake, source, tmp_path, form):
    given = {"collection": "docs", "mapping": form(MAPPING)}
    plan = MilvusPlanOperator(task_id="plan", source=source, create=True, parts=2, **given)
    plan.render_template_fields({"lang": "en"})
    parts = plan.execute({})
    schema = fake.collections["docs"].schema
    assert [(field.name, field.dtype.name) for field in schema.fields] == [
        ("id", "VARCHAR"),
        ("title", "VARCHAR"),
        ("dense", "FLOAT_VECTOR"),
        ("lang", "VARCHAR"),
    ]
    reports = []
    for index, part in enumerate(parts):
        task = load(tmp_path, part=part, create=False, **given)
        task.render_template_fields({"lang": "en"})
        reports.append(task.execute(context(index)))
    assert {(row["title"], row["lang"]) for row in fake.collections["docs"].dicts()} == {
        (f"row {number}"[:5], "en") for number in range(10)
    }
    finish = MilvusFinishOperator(task_id="f", source=source, verify="full", reports=reports, deferrable=False, **given)
    finish.render_template_fields({"lang": "en"})
    assert finish.execute({})["verify"]["status"] == "ok"


def test_a_schema_that_is_given_is_the_collections(fake, source, tmp_path):
    fields = [
        {"name": "id", "type": "INT64", "is_primary": True},
        {"name": "text", "type": "VARCHAR", "params": {"max_length": 77}},
        {"name": "dense", "type": "FLOAT_VECTOR", "params": {"dim": 8}},
    ]
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"fields": fields}))
    given = {"source": source, "create": True, "mapping": {"drop": ["sparse"]}}
    load(tmp_path, collection="docs", schema={"fields": fields}, **given).execute(context())
    load(tmp_path, collection="others", schema=str(path), **given).execute(context())
    MilvusPlanOperator(task_id="plan", collection="planned", schema=str(path), **given).execute({})
    for collection in ("docs", "others", "planned"):
        assert {it.name: it.max_length for it in fake.collections[collection].schema.fields}["text"] == 77


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mapping": {"emb": "vector"}}, r"mapping: expected some of map, only, .*, found 'emb'; write it such as"),
        (
            {"options": {"metrc": "L2"}},
            r"options: expected fields of LoadOptions, found 'metrc'; did you mean 'metric'",
        ),
        ({"options": {"max_rejects": 1}}, r"'max_rejects'; give max_rejects= to the operator itself"),
    ],
)
def test_names_that_mean_nothing_are_refused_when_the_dag_is_read(given, said):
    with pytest.raises(ConfigError, match=said):
        MilvusLoadOperator(task_id="load", collection="docs", source="a", **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mapping": "emb:vector"}, "mapping: expected a dict, or one as JSON text, found 'emb:vector'"),
        ({"mapping": '{"emb": "vector"}'}, "mapping: expected some of map"),
        ({"mapping": {"key": "id"}, "key": "id"}, "key: expected one place that says it, found several"),
        ({"mapping": {"dim": 8}, "options": {"dim": 8}}, "dim: expected one place"),
        ({"schema": {"fields": []}}, "SchemaError"),
    ],
)
def test_what_a_mapping_cannot_be_fails_for_good(fake, source, tmp_path, given, said):
    with pytest.raises(AirflowFailException, match=said):
        load(tmp_path, source=source, **{"options": SMALL, **given}).execute(context())
    assert "docs" not in fake.collections


# -- parts and their end ---------------------------------------------------------------------------------------------


def test_parts_are_inserted_at_the_first_try_and_upserted_later(fake, source, tmp_path):
    plan = MilvusPlanOperator(task_id="plan", source=source, collection="docs", create=True, parts=2)
    parts = plan.execute({})
    assert json.loads(json.dumps(parts)) == parts
    first = load(tmp_path, part=parts[0], create=False).execute(context(0))
    second = load(tmp_path, part=parts[1], create=False).execute(context(1, try_number=2))
    assert (first["mode"], second["mode"]) == ("insert", "upsert")
    finish = MilvusFinishOperator(
        task_id="finish", collection="docs", reports=[first, second], source=source, verify="full", deferrable=False
    )
    done = finish.execute({})
    assert (done["rows"], done["loaded"], done["report"]["rows_stored"]) == (1000, True, 1000)
    incomplete = MilvusFinishOperator(task_id="f", collection="docs", reports=[first], deferrable=False)
    with pytest.raises(AirflowFailException, match="no report of part 2"):
        incomplete.execute({})


def test_the_report_of_one_load_is_enough_and_that_of_none_is_not(fake, source, tmp_path):
    report = load(tmp_path, source=source).execute(context())
    finish = {"task_id": "f", "collection": "docs", "deferrable": False}
    assert MilvusFinishOperator(reports=report, **finish).execute({})["report"]["rows_stored"] == 1000
    with pytest.raises(AirflowFailException, match="reports: expected what the loads returned, found none"):
        MilvusFinishOperator(reports=[], **finish).execute({})


def test_a_plan_has_at_most_as_many_parts_as_airflow_maps(fake, source, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    assert len(MilvusPlanOperator(task_id="plan", source=source, collection="docs", parts=10).execute({})) == 3
    assert "docs" not in fake.collections


def test_a_difference_fails_the_end_for_good(fake, source, tmp_path):
    load(tmp_path, source=source, options={**SMALL, "limit": 500}).execute(context())
    finish = MilvusFinishOperator(task_id="f", collection="docs", source=source, verify="count", deferrable=False)
    with pytest.raises(AirflowFailException, match="differs"):
        finish.execute({})


def fired(trigger):
    async def first():
        return await anext(trigger.run())

    return asyncio.run(first()).payload


def test_the_end_waits_in_the_triggerer_where_that_is_wanted(fake, source, tmp_path):
    load(tmp_path, source=source).execute(context())
    finish = MilvusFinishOperator(task_id="f", collection="docs", deferrable=True, poll_interval=0.01)
    with pytest.raises(TaskDeferred) as deferred:
        finish.execute({})
    assert len(fake.calls_of("Flush")) == 1
    path, arguments = deferred.value.trigger.serialize()
    assert path == "headrace.airflow.triggers.MilvusCollectionTrigger"
    event = fired(MilvusCollectionTrigger(**arguments))
    assert (event["status"], event["state"]["indexed"]) == ("ready", True)
    assert finish.execute_complete({}, event)["rows"] == 1000
    assert len(fake.calls_of("Flush")) == 1
    with pytest.raises(AirflowException, match="gone"):
        finish.execute_complete({}, {"status": "error", "message": "gone"})


def test_files_behind_an_aws_connection_are_read_with_its_credentials_alone(fake, tmp_path):
    assert not [name for name in os.environ if name.startswith("AWS_")]
    given = {"source": S3_SOURCE, "source_conn_id": "store", "collection": "docs"}
    parts = MilvusPlanOperator(task_id="plan", create=True, parts=2, **given).execute({})
    assert {file["path"] for part in parts for file in part["files"]} == {S3_SOURCE}
    assert "secret" not in json.dumps(parts)
    reports = [load(tmp_path, part=part, source_conn_id="store").execute(context(n)) for n, part in enumerate(parts)]
    done = MilvusFinishOperator(task_id="f", reports=reports, verify="count", deferrable=False, **given).execute({})
    assert (done["rows"], done["verify"]["status"]) == (1000, "ok")
    assert load(tmp_path, source=S3_SOURCE, source_conn_id="store").execute(context())["rows_stored"] == 1000


def test_paths_of_airflows_own_name_their_connection(fake, source, tmp_path):
    path = ObjectStoragePath("memory://c@bucket/rows.parquet")
    plain = str(path).replace("c@", "")
    assert plain.startswith("memory://")
    assert split_paths(path, None) == (plain, "c")
    assert split_paths([path, "memory://bucket/b"], "c") == ([plain, "memory://bucket/b"], "c")
    assert split_paths(None, "c") == (None, "c")
    with pytest.raises(ConfigError, match="source_conn_id: expected one connection, found 'c', 'd'"):
        split_paths([path], "d")
    local = load(tmp_path, source=ObjectStoragePath(f"file://{source}"))
    local.render_template_fields({})
    assert local.execute(context())["rows_stored"] == 1000


def test_files_of_other_stores_are_read_through_airflows_file_systems(fake, source, tmp_path, monkeypatch):
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/rows.parquet", Path(source).read_bytes())
    monkeypatch.setitem(storage._SCHEMES, "memories", "memory")
    monkeypatch.setenv("AIRFLOW_CONN_MEMORIES", json.dumps({"conn_type": "memories"}))
    attach("memory", "memories", fs=memory)
    given = {"source": "memory://bucket/rows.parquet", "source_conn_id": "memories", "collection": "docs"}
    parts = MilvusPlanOperator(task_id="plan", create=True, parts=2, **given).execute({})
    for index, part in enumerate(parts):
        load(tmp_path, part=part, source_conn_id="memories").execute(context(index))
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_a_connection_that_is_no_object_store_is_refused(fake, tmp_path):
    with pytest.raises(AirflowFailException, match="source_conn_id 'milvus_default': expected an aws connection"):
        load(tmp_path, source="s3://bucket/a", source_conn_id="milvus_default").execute(context())


# -- waiting ---------------------------------------------------------------------------------------------------------


def test_the_sensor_waits_for_rows_index_and_memory(fake, source, tmp_path):
    sensor = MilvusCollectionSensor(task_id="s", collection="docs", rows=1000, indexed=True, loaded=True)
    assert not sensor.poke({})
    load(tmp_path, source=source).execute(context())
    assert sensor.poke({})
    assert not MilvusCollectionSensor(task_id="s", collection="docs", rows=1001).poke({})
    fake.collections["docs"].loaded = False
    assert not sensor.poke({})


def test_the_sensor_defers_where_that_is_wanted(fake, source, tmp_path):
    sensor = MilvusCollectionSensor(task_id="s", collection="docs", rows=1, deferrable=True, poke_interval=0.01)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    load(tmp_path, source=source).execute(context())
    event = fired(deferred.value.trigger)
    assert event["state"]["rows"] == 1000
    assert sensor.execute_complete({}, event) is None
    assert sensor.execute({}) is None, "nothing to wait for any more"


def test_a_server_that_refuses_ends_the_wait(fake):
    trigger = MilvusCollectionTrigger("no such name!", "milvus_default", rows=1)
    fake.always("DescribeCollection", refuse_description)
    assert fired(trigger)["status"] == "error"


async def refuse_description(call):
    from tests.fake.behaviours import refuse

    return await refuse(1100, "invalid collection name")(call)


# -- assets ----------------------------------------------------------------------------------------------------------


def test_tasks_that_complete_a_collection_tell_its_asset(source):
    expected = [Asset("milvus://milvus_default/docs")]
    assert load(Path(), source=source).outlets == expected
    assert MilvusFinishOperator(task_id="f", collection="docs").outlets == expected
    assert load(Path(), part={}).outlets == [], "a part does not complete it"
    assert MilvusFinishOperator(task_id="f", collection="{{ params.name }}").outlets == []
    mine = [Asset("milvus://prod/mine")]
    assert MilvusFinishOperator(task_id="f", collection="docs", outlets=mine).outlets == mine


def test_an_asset_names_a_connection_and_a_collection():
    from urllib.parse import urlsplit

    assert sanitize_uri(urlsplit("milvus://a/docs")).geturl() == "milvus://a/docs"
    for wrong in ("milvus://a", "milvus:///docs", "milvus://a/b/c"):
        with pytest.raises(ValueError, match="expected milvus://CONNECTION/COLLECTION"):
            sanitize_uri(urlsplit(wrong))


@pytest.mark.parametrize(
    "operator", [MilvusPlanOperator, MilvusLoadOperator, MilvusFinishOperator, MilvusCollectionSensor]
)
def test_templated_fields_are_arguments(operator):
    import inspect

    assert set(operator.template_fields) <= set(inspect.signature(operator.__init__.__wrapped__).parameters)
    assert all(f":param {name}:" in operator.__doc__ for name in operator.template_fields)
