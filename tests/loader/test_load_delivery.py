"""The delivery promises over real gRPC: late writes, repeated keys, changes under way, rows that come back mended."""

from __future__ import annotations

import json
from collections import Counter

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import ConfigError, SchemaError
from headrace._proto import schema_pb2
from headrace.collection_messages import schema_from_proto
from tests.fake.behaviours import (
    abort,
    apply_some,
    apply_then,
    expire_and_land,
    ok,
    refuse_rows,
    resent,
    stored_again,
    vanish,
)
from tests.loader.rows import DIM, counts, load, table, write_parquet

#: Seconds after which an attempt has expired here: long enough for an answer on a busy machine.
SOON = {"rpc_timeout": 1.0}


def versioned(keys):
    """Rows with these keys; the version of a row is its number."""
    rows = len(keys)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(rows * DIM, np.float32)), DIM)
    return pa.table({"id": pa.array(keys, pa.int64()), "version": pa.array(range(rows)), "dense": vectors})


@pytest.mark.parametrize("when", [resent, stored_again], ids=["before its repeat is stored", "after"])
@pytest.mark.parametrize("searchable", ["before", "after"], ids=["counted", "not in memory"])
def test_an_insert_that_the_network_held_back_stands_once(fake, when, searchable):
    fake.script("Insert", ok, expire_and_land(when))
    report = load(fake, versioned(range(300)), searchable=searchable, verify="full", **SOON)
    assert counts(report) == {"stored": 300}
    assert report.verify["status"] == "ok"
    assert fake.collections["docs"].contents("version") == Counter((key, key) for key in range(300))
    noted = any("sent again at the end" in note for note in report.notes)
    assert noted == (searchable == "after")


def test_a_request_that_reached_some_shards_only_is_completed(fake):
    fake.script("Insert", apply_some(lambda row: row % 2 == 0, vanish))
    report = load(fake, versioned(range(300)), verify="full", **SOON)
    assert counts(report) == {"stored": 300}
    assert fake.collections["docs"].contents("version") == Counter((key, key) for key in range(300))


def test_a_connection_that_is_given_up_does_not_end_the_others(fake):
    fake.script("Insert", expire_and_land(lambda call: True))
    report = load(fake, versioned(range(3000)), channels=1, max_in_flight=4, **SOON)
    assert counts(report) == {"stored": 3000}
    assert fake.connections >= 2
    assert fake.collections["docs"].keys() == Counter(range(3000))


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_the_later_row_of_a_key_wins(fake, mode):
    keys = np.random.default_rng(3).integers(0, 700, 2000).tolist()
    report = load(fake, versioned(keys), mode=mode, verify="full")
    last = {key: row for row, key in enumerate(keys)}
    assert fake.collections["docs"].contents("version") == Counter(last.items())
    assert report.rows_stored + report.rows_superseded == 2000
    assert report.rows_superseded > 0
    assert report.verify["status"] == "ok"


def test_a_row_that_cannot_be_sent_replaces_nothing(fake):
    rows = versioned([7, 8, 7]).to_pylist()
    rows[2]["dense"][0] = float("nan")
    report = load(fake, pa.Table.from_pylist(rows, schema=versioned([7]).schema), check=False)
    assert counts(report) == {"stored": 2, "rejected": 1}
    assert fake.collections["docs"].contents("version") == Counter([(7, 0), (8, 1)])


# -- keys made of row numbers ----------------------------------------------------------------------------------------


def test_rows_without_a_key_get_their_running_number_over_all_files(fake, tmp_path):
    files = []
    for number, rows in enumerate((300, 50, 120)):
        files.append(write_parquet(tmp_path / f"{number}.parquet", rows))
        pq.write_table(pq.read_table(files[-1]).drop_columns(["id"]), files[-1], row_group_size=64)
    report = load(fake, files, key="@row", verify="full")
    assert counts(report) == {"stored": 470}
    docs = fake.collections["docs"]
    assert docs.keys() == Counter(range(470))
    assert docs.key_name == "id"
    again = load(fake, files, key="@row", verify="full")
    assert (again.mode, docs.keys()) == ("upsert", Counter(range(470)))
    assert {"source": "@row", "field": "id"}.items() <= next(m for m in report.mapping if m["field"] == "id").items()


def test_or_their_path_and_row_which_stay_when_files_are_added(fake, tmp_path):
    path = str(write_parquet(tmp_path / "b.parquet", 100))
    load(fake, path, key="@file_row")
    earlier = str(write_parquet(tmp_path / "a.parquet", 10))
    load(fake, [earlier, path], key="@file_row")
    docs = fake.collections["docs"]
    expected = [f"{path}#{row}" for row in range(100)] + [f"{earlier}#{row}" for row in range(10)]
    assert docs.keys() == Counter(expected)
    assert docs.key_name == "row_key", "there is a column of the name id"


@pytest.mark.parametrize("key", ["@row", "@file_row"])
def test_rows_of_a_program_are_numbered_too(fake, key):
    block = {"dense": np.ones((10, DIM), np.float32)}
    with headrace.Loader("docs", uri=fake.uri, create=True, key=key) as loader:
        loader.put(block)
        loader.put(block)
    found = range(20) if key == "@row" else [f"put#{row}" for row in range(20)]
    assert fake.collections["docs"].keys() == Counter(found)


def test_an_iterator_of_unknown_length_is_numbered_while_it_is_read(fake):
    batches = (batch.drop_columns(["id"]) for batch in table(100).to_batches(max_chunksize=7))
    load(fake, batches, key="@row")
    assert fake.collections["docs"].keys() == Counter(range(100))


def test_no_key_is_made_unasked(fake):
    with pytest.raises(SchemaError, match=r"@row.*@file_row"):
        load(fake, table(5).drop_columns(["id"]))


# -- nulls, rejects --------------------------------------------------------------------------------------------------


def with_nulls(nulls):
    rows = table(300).to_pylist()
    for row in nulls:
        rows[row]["dense"] = None
    return pa.Table.from_pylist(rows, schema=table(1).schema)


def test_rows_without_a_vector_are_rejected_or_left_out_as_asked(fake):
    load(fake, table(1))
    rejected = load(fake, with_nulls({3, 299}), check=False)
    assert counts(rejected) == {"stored": 298, "rejected": 2}
    skipped = load(fake, with_nulls({3, 299}), null_vectors="skip", verify="full")
    assert counts(skipped) == {"stored": 298, "skipped": 2}
    assert skipped.exit_status == 0


def test_a_rejects_file_is_mended_and_loaded_as_it_is(fake, tmp_path):
    load(fake, table(1, start=9999))
    fake.always("Upsert", refuse_rows(lambda row: row["text"] == "row 40"))
    rows = table(300).to_pylist()
    rows[7]["dense"][2] = float("nan")
    first = load(fake, pa.Table.from_pylist(rows, schema=table(1).schema), check=False)
    assert counts(first) == {"stored": 298, "rejected": 2}
    files = [first.rejects_file, *(note.split()[-1] for note in first.notes if "more refused rows" in note)]
    for file in files:
        mended = pq.read_table(file).to_pylist()
        for row in mended:
            row["text"] += ", mended"
            row["dense"] = [0.0 if value != value else value for value in row["dense"]]  # noqa: PLR0124 - NaN
        pq.write_table(pa.Table.from_pylist(mended, schema=pq.read_schema(file)), file)
        assert load(fake, file).rows_stored == len(mended)
    found = {row["id"]: row["text"] for row in fake.collections["docs"].dicts()}
    assert (found[7], found[40], len(found)) == ("row 7, mended", "row 40, mended", 301)


@pytest.mark.parametrize("key", ["@row", "text"])
def test_rows_that_the_server_refused_keep_their_key_when_they_are_loaded_again(fake, key):
    load(fake, table(1, start=9999), key=key)
    name = fake.collections["docs"].key_name
    wanted = {"@row": 40, "text": "row 40"}[key]
    fake.always("Upsert", refuse_rows(lambda row: row[name] == wanted))
    report = load(fake, table(100), key=key, check=False)
    assert counts(report) == {"stored": 99, "rejected": 1}
    fake.always("Upsert", ok)
    assert load(fake, report.rejects_file, key=key).rows_stored == 1
    assert fake.collections["docs"].keys()[wanted] == 1


def test_a_rejects_file_that_is_not_mended_is_rejected_again(fake):
    load(fake, table(1, start=9999))
    first = load(fake, with_nulls({3}), check=False)
    again = load(fake, first.rejects_file, check=False)
    assert counts(again) == {"rejected": 1}
    assert pq.read_schema(again.rejects_file).names == pq.read_schema(first.rejects_file).names


def test_a_share_of_rejects_stops_the_load(fake):
    report = load(fake, with_nulls(range(0, 300, 2)), max_rejects="1%", check=False)
    assert counts(report)["rejected"] > 100
    assert "at most 100 refused rows" in report.failure
    with pytest.raises(ConfigError, match=r"0\.5%"):
        headrace.LoadOptions(max_rejects="many")


# -- what changes under way ------------------------------------------------------------------------------------------


def alter(fake, change):
    """Change the collection's schema at the next insert, which is then outdated."""

    async def behave(call):
        found = fake.collections["docs"]
        change(found.schema_proto)
        found.schema = schema_from_proto(found.schema_proto)
        found.update_timestamp += 1
        return call.apply()

    return behave


def start(fake):
    """A collection whose schema has a timestamp, as Milvus 2.6 gives it."""
    load(fake, table(0))
    fake.collections["docs"].update_timestamp = 1 << 20


def add_field(schema):
    schema.fields.append(schema_pb2.FieldSchema(name="added", data_type=5, nullable=True))


def drop_text(schema):
    fields = [field for field in schema.fields if field.name != "text"]
    del schema.fields[:]
    schema.fields.extend(fields)


def test_a_field_that_is_added_under_way_is_followed(fake):
    start(fake)
    fake.script("Insert", ok, alter(fake, add_field))
    report = load(fake, table(1000), create=False, searchable="before", verify="full")
    assert counts(report) == {"stored": 1000}
    assert report.retries["schema"] >= 1
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_a_field_that_vanishes_under_way_ends_the_load_with_its_account(fake):
    start(fake)
    fake.script("Insert", ok, alter(fake, drop_text))
    report = load(fake, table(1000), create=False, max_in_flight=1, check=False)
    assert report.exit_status == 4
    assert "field 'text', while loading: expected the field that the load began with" in report.failure
    found = counts(report)
    assert found["stored"] == fake.collections["docs"].count()
    assert found["unknown"] > 0


def test_a_token_that_is_revoked_under_way_ends_the_load_with_its_account(fake):
    fake.script("Insert", ok)
    fake.always("Insert", abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure"))
    report = load(fake, table(1000), max_in_flight=1, check=False)
    assert (report.exit_status, counts(report)["stored"]) == (4, fake.collections["docs"].count())
    assert counts(report).keys() == {"stored", "unsent"}
    assert "auth check failure" in report.failure


def test_a_collection_that_is_dropped_under_way_ends_the_load_with_its_account(fake):
    async def drop(call):
        del fake.collections["docs"]
        return call.apply()

    fake.script("Insert", ok, drop)
    report = load(fake, table(1000), max_in_flight=1, check=False)
    assert report.exit_status == 4
    assert counts(report).keys() == {"unknown", "unsent"}, "what was stored went with it"
    assert "collection not found" in report.failure


def test_at_most_once_doubles_nothing(fake):
    fake.script("Insert", ok, apply_then(abort(grpc.StatusCode.UNKNOWN, "panic")))
    rows = table(1000).drop_columns(["id"])
    report = load(fake, rows, auto_id=True, at_most_once=True, check=False)
    found = counts(report)
    assert found["unknown"] > 0
    assert fake.collections["docs"].count() == 1000
    assert report.rows_possibly_duplicated == 0


def test_a_command_shows_the_mode_and_its_reason(fake):
    report = load(fake, table(10))
    assert (report.mode, report.mode_reason) == ("insert", "this load created the collection")
    assert json.loads(report.to_json())["mode"] == "insert"
