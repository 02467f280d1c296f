"""Connections, columns, files and assets as operators take them, run by Airflow's own interpreter."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import fsspec
import pytest

from headrace import ConfigError
from headrace.airflow import storage
from headrace.airflow.assets import sanitize_uri
from headrace.airflow.compat import AirflowFailException, Asset, ObjectStoragePath
from headrace.airflow.hooks import MilvusHook, endpoint_of
from headrace.airflow.operators import MilvusFinishOperator, MilvusLoadOperator, MilvusPlanOperator
from headrace.airflow.sensors import MilvusCollectionSensor
from headrace.airflow.storage import split_paths
from tests.airflow.inside.surroundings import NOBODY, SMALL, Connection, attach, context, load

S3_SOURCE = "s3://bucket/rows.parquet"


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
