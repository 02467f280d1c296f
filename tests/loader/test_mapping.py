"""Loads of shaped columns: what was asked for arrives, and another shape is another load."""

from __future__ import annotations

import json
import shlex
import uuid
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.cli import main
from headrace.errors import SchemaError, SourceError
from tests.loader.rows import age, counts, interrupted, load, table
from tests.uuids import uuids

OPTIONS = {
    "map": {"dense": "vector", "meta.lang": "lang"},
    "drop": "sparse",
    "cast": {"text": "varchar"},
    "set": {"year": 7},
}


@pytest.fixture
def path(tmp_path):
    rows = table(500)
    meta = pa.array([{"lang": ("en", "de")[row % 2], "n": row} for row in range(500)])
    pq.write_table(rows.append_column("meta", meta), tmp_path / "a.parquet", row_group_size=100)
    return tmp_path / "a.parquet"


def test_shaped_columns_arrive(fake, path):
    report = load(fake, path, verify="full", **OPTIONS)
    assert (counts(report), report.verify["status"]) == ({"stored": 500}, "ok")
    rows = fake.collections["docs"].dicts()
    assert {frozenset(row) for row in rows} == {frozenset({"id", "text", "vector", "lang", "year"})}
    assert {(row["lang"], row["year"]) for row in rows} == {("en", 7), ("de", 7)}


@pytest.mark.parametrize("key", ["@row", "@file_row", "text"])
def test_the_key_that_is_named_is_loaded_beside_the_only_columns(fake, path, key):
    report = load(fake, path, only=("dense",), key=key, verify="full")
    assert (counts(report), report.verify["status"]) == ({"stored": 500}, "ok")


def test_an_interrupted_load_goes_on_in_the_same_shape_only(fake, path):
    state = interrupted(fake, path, **OPTIONS).state_dir
    with pytest.raises(SourceError, match="columns that go to other fields"):
        load(fake, path, **{**OPTIONS, "set": {"year": 8}})
    age(state)
    report = load(fake, path, **OPTIONS)
    assert counts(report) == {"stored": 500}
    assert {row["year"] for row in fake.collections["docs"].dicts()} == {7}


def test_an_interrupted_load_goes_on_with_the_same_cut_only(fake, path):
    options = {"truncate": {"text": 5}, "drop": "sparse"}
    state = interrupted(fake, path, **options).state_dir
    for other in ({"truncate": {}}, {"truncate": {"text": 4}}):
        with pytest.raises(SourceError, match=r"cut elsewhere.*use the options of that run"):
            load(fake, path, **{**options, **other})
    age(state)
    assert counts(load(fake, path, **options)) == {"stored": 500}
    assert {len(row["text"]) for row in fake.collections["docs"].dicts()} == {5}


def test_rows_that_cannot_be_cast_are_rejected_with_their_own_columns(fake, tmp_path):
    rows = table(20).set_column(1, "text", pa.array([str(row) if row != 7 else "seven" for row in range(20)]))
    pq.write_table(rows, tmp_path / "a.parquet")
    report = load(fake, tmp_path / "a.parquet", cast={"text": "int64"}, map={"text": "number"}, check=False)
    assert counts(report) == {"stored": 19, "rejected": 1}
    rejected = pq.read_table(report.rejects_file).to_pylist()[0]
    assert (rejected["_row"], rejected["_field"], rejected["text"]) == (7, "number", "seven")


def test_rows_of_a_program_are_shaped_too(fake):
    rows = [{"id": row, "emb": [0.5] * 8, "meta": {"lang": "en"}} for row in range(30)]
    report = load(fake, iter(rows), map={"emb": "vector", "meta.lang": "lang"}, set={"year": 7})
    assert counts(report) == {"stored": 30}
    assert {(row["lang"], row["year"]) for row in fake.collections["docs"].dicts()} == {("en", 7)}


def test_the_command_line_says_the_same(fake, path, monkeypatch, capfd):
    monkeypatch.setenv("MILVUS_URI", fake.uri)
    shape = "--map dense:vector --map meta.lang:lang --drop sparse --cast text:varchar --set year=7 --set 'zip=\"007\"'"
    for command in ("load --create", "verify"):
        with pytest.raises(SystemExit) as ended:
            main([*shlex.split(command), str(path), "--collection", "docs", *shlex.split(shape)])
        assert ended.value.code == 0
        document = json.loads(capfd.readouterr().out)
    assert (document["status"], document["checked"]) == ("ok", 500)
    assert {(row["year"], row["zip"]) for row in fake.collections["docs"].dicts()} == {(7, "007")}


def test_uuid_keys_are_stored_as_their_text(fake):
    keys = [uuid.UUID(int=number**20) for number in range(1, 51)]
    rows = table(50).set_column(0, "id", uuids(keys))
    for options in ({}, {"cast": {"id": "varchar"}}):
        report = load(fake, rows, verify="full", mode="upsert", **options)
        assert (counts(report), report.verify["status"]) == ({"stored": 50}, "ok")
        assert fake.collections["docs"].keys() == Counter(map(str, keys))


def test_times_arrive_as_the_moments_that_they_are(fake):
    texts = ["2024-01-01T00:00:00Z", "2024-01-01T02:00:00+02:00", "2024-01-01"]
    rows = table(3).append_column("written", [texts]).append_column("counted", pa.array([1704067200000] * 3))
    report = load(fake, rows, cast={"written": "timestamp", "counted": "timestamp[ms]"})
    assert counts(report) == {"stored": 3}
    stored = fake.collections["docs"].dicts()
    assert {(row["written"], row["counted"]) for row in stored} == {(1704067200000000,) * 2}
    notes = {entry["source"]: entry["note"] for entry in report.mapping}
    assert notes["written"].startswith("cast from string (by the offset of each value; UTC for one that has none); ")
    assert notes["counted"].startswith("cast from int64 (milliseconds since 1970-01-01 UTC); ")


def test_integers_without_a_unit_are_no_times_and_nothing_is_sent(fake):
    rows = table(3).append_column("counted", pa.array([1704067200000] * 3))
    with pytest.raises(SchemaError, match=r"--cast counted:timestamp: expected a unit, one of timestamp\[s\], "):
        load(fake, rows, cast={"counted": "timestamp"})
    assert fake.calls_of("CreateCollection", "Insert", "Upsert") == []


@pytest.mark.parametrize("option", ["--map emb", "--set year", "--cast :int64", "--source-option region"])
def test_halves_of_pairs_are_usage_errors(path, option, capfd):
    with pytest.raises(SystemExit) as ended:
        main(["load", str(path), "--collection", "docs", *option.split()])
    assert ended.value.code == 2
    assert "expected " in capfd.readouterr().err


def test_cut_values_are_counted(fake, path):
    report = load(fake, path, truncate={"text": 5}, verify="full")
    assert (counts(report), report.verify["status"]) == ({"stored": 500}, "ok")
    assert "490 values of 'text' were cut to 5 bytes" in report.notes
    assert {len(row["text"]) for row in fake.collections["docs"].dicts()} == {5}


def test_a_schema_in_a_file_makes_the_collection(fake, path, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MILVUS_URI", fake.uri)
    fields = [
        {"name": "id", "type": "INT64", "is_primary": True},
        {"name": "text", "type": "VARCHAR", "params": {"max_length": 30}},
        {"name": "dense", "type": "FLOAT_VECTOR", "params": {"dim": 8}},
    ]
    (tmp_path / "schema.json").write_text(json.dumps({"fields": fields, "enable_dynamic_field": True}))
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "load",
                str(path),
                "--collection",
                "docs",
                "--schema",
                str(tmp_path / "schema.json"),
                "--drop",
                "sparse,meta",
            ]
        )
    assert ended.value.code == 0, capfd.readouterr().err
    assert [field.name for field in fake.collections["docs"].schema.fields][:3] == ["id", "text", "dense"]
    with pytest.raises(SystemExit) as ended:
        main(["inspect", str(path), "--schema", str(tmp_path / "schema.json"), "--drop", "sparse,meta"])
    assert ended.value.code == 0
