"""Loads into the real Go server, Milvus 2.3.5, read back by pymilvus."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import CollectionSchema, DataType, Endpoint, FieldSchema, SchemaError
from headrace.speedtest import SpeedTest
from tests.integration.readback import comparable, connect, count, stored_rows
from tests.integration.rows235 import DIM, everything, simple

pytestmark = pytest.mark.long

SINGLE = ("f32", "shares", "vector")
DOUBLE = ("f64",)
KEY_AND_VECTOR = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
]


@pytest.fixture
def client(milvus235):
    with connect(milvus235) as client:
        yield client


@pytest.fixture(autouse=True)
def _still_running(milvus235):
    yield
    assert milvus235.running, f"the server ended:\n{milvus235.tail()}"


def load(server, source, collection, **options):
    return headrace.load(source, collection=collection, uri=server.uri, **options)


def as_stored(row):
    """A row of :func:`everything` as a reader sees it: ``$meta`` dissolved, floats as bytes."""
    row = dict(row)
    return comparable(row | json.loads(row.pop("$meta")), single=SINGLE, double=DOUBLE)


def test_every_type_comes_back_byte_for_byte(milvus235, client, collection, tmp_path):
    rows = everything(6_000)
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=1_000)
    options = {"create": True, "dynamic": True, "vector": ("vector",)}
    report = load(milvus235, tmp_path / "a.parquet", collection, verify="full", **options)
    assert (report.exit_status, report.rows_stored, report.rows_read) == (0, 6_000, 6_000)
    assert (report.mode, report.created, report.retries) == ("insert", True, {})
    assert (report.verify["status"], report.verify["checked"]) == ("ok", 6_000)
    assert count(client, collection) == 6_000
    stored = stored_rows(client, collection)
    assert len(stored) == 6_000
    sent = sorted(rows.to_pylist(), key=lambda row: row["id"])
    for found, expected in zip(stored, sent, strict=True):
        assert comparable(found, single=SINGLE, double=DOUBLE) == as_stored(expected)


def test_a_dump_moves_every_type_into_another_collection(milvus235, client, collection, tmp_path):
    rows, path = everything(3_000), tmp_path / "dump.parquet"
    load(milvus235, rows, collection, create=True, dynamic=True, vector=("vector",))
    load(milvus235, rows.slice(0, 50), collection, mode="insert")
    report = headrace.dump(collection, path, uri=milvus235.uri)
    # A query shows a key once, however often it is stored.
    assert (report.rows, report.rows_counted, report.exit_status) == (3_000, 3_050, 5)
    assert pq.read_table(path)["id"].to_pylist() == sorted(rows["id"].to_pylist())
    with headrace.MilvusClient(milvus235.uri) as ours:
        ours.drop_collection(collection)
    report = load(milvus235, path, collection, create=True, verify="full")
    assert (report.exit_status, report.rows_stored, report.verify["checked"]) == (0, 3_000, 3_000)


def test_a_speed_test_leaves_nothing(milvus235, client):
    before = sorted(client.list_collections())
    report = SpeedTest(Endpoint.resolve(milvus235.uri), dim=64, seconds=3).run()
    assert (report.status, report.removed, report.exit_status) == ("done", True, 0)
    assert report.rows_per_second > 0
    assert sorted(client.list_collections()) == before


@pytest.mark.parametrize("level", ["count", "sample", "full"])
def test_the_same_rows_again_are_upserted_and_leave_the_same_collection(milvus235, client, collection, level):
    load(milvus235, simple(3_000), collection, create=True)
    other = simple(3_000, seed=1)
    report = load(milvus235, other, collection, verify=level)
    assert (report.mode, report.mode_reason) == ("upsert", "the collection already holds 3,000 rows")
    assert (report.exit_status, report.rows_stored) == (0, 3_000)
    # A count cannot tell how many of the rows were there before.
    assert report.verify["status"] == ("not applicable" if level == "count" else "ok")
    assert count(client, collection) == 3_000
    stored = stored_rows(client, collection)
    for found, expected in zip(stored, other.to_pylist(), strict=True):
        assert comparable(found, single=SINGLE) == comparable(expected, single=SINGLE)


def test_upsert_mends_what_two_inserts_doubled(milvus235, client, collection):
    rows = simple(2_000)
    load(milvus235, rows, collection, create=True)
    load(milvus235, rows.slice(0, 500), collection, mode="insert")
    assert count(client, collection) == 2_500
    load(milvus235, rows, collection)
    assert count(client, collection) == 2_000


def test_count_verification_notices_rows_that_were_doubled_behind_its_back(milvus235, client, collection):
    rows = simple(1_000)

    def doubling():
        yield from rows.to_batches(max_chunksize=250)
        client.insert(collection, rows.slice(0, 100).to_pylist())

    report = load(milvus235, doubling(), collection, create=True, verify="count", check=False)
    assert (report.exit_status, report.rows_stored) == (5, 1_000)
    assert report.verify["status"] == "mismatch"


@pytest.mark.parametrize("level", ["none", "count", "sample"])
def test_keys_are_made_by_the_server(milvus235, client, collection, level):
    rows = simple(3_000).drop_columns(["id"])
    report = load(milvus235, rows, collection, create=True, auto_id=True, verify=level)
    assert (report.exit_status, report.mode, report.rows_possibly_duplicated) == (0, "insert", 0)
    assert report.guarantee == "at-least-once"
    assert count(client, collection) == 3_000
    stored = stored_rows(client, collection, fields=["number"])
    assert Counter(row["number"] for row in stored) == Counter(rows["number"].to_pylist())


def test_text_keys_are_quoted_and_found(milvus235, client, collection):
    keys = [f"k{i} \"quoted\" \\ back\nline \t tab é 水 🙂 'single'" for i in range(500)]
    rows = simple(500).set_column(0, "id", pa.array(keys))
    assert load(milvus235, rows, collection, create=True, verify="full").exit_status == 0
    assert load(milvus235, rows, collection, verify="sample").exit_status == 0
    assert count(client, collection) == 500


def test_the_least_key_is_found(milvus235, collection):
    # 2.3.5 cannot parse this number in a filter. (It never shows rows with the greatest one, 2**63 - 1.)
    rows = simple(4).set_column(0, "id", pa.array([-(2**63), 1 - 2**63, -1, 2**63 - 2]))
    report = load(milvus235, rows, collection, create=True, verify="full")
    assert report.verify["checked"] == 4


def test_partition_keys_spread_rows_and_lose_none(milvus235, client, collection):
    rows = simple(2_000)
    report = load(milvus235, rows, collection, create=True, partition_key="number", num_shards=2, verify="full")
    assert report.exit_status == 0
    described = client.describe_collection(collection)
    assert (described["num_shards"], described["num_partitions"]) == (2, 64)
    assert count(client, collection) == 2_000


def test_undeclared_columns_go_to_the_dynamic_field(milvus235, client, collection):
    schema = CollectionSchema(KEY_AND_VECTOR, enable_dynamic_field=True)
    rows = simple(1_000).append_column("note", pa.array([f"é{i}" if i % 3 else None for i in range(1_000)]))
    report = load(milvus235, rows, collection, schema=schema, verify="full")
    assert (report.exit_status, report.created) == (0, True)
    stored = stored_rows(client, collection)
    expected = [{"id": i, "number": i * 10, **({"note": f"é{i}"} if i % 3 else {})} for i in range(1_000)]
    assert [{name: value for name, value in row.items() if name != "vector"} for row in stored] == expected


DEFAULTS = [
    FieldSchema("flag", DataType.BOOL, default_value=True),
    FieldSchema("small", DataType.INT8, default_value=-7),
    FieldSchema("big", DataType.INT64, default_value=2**40),
    FieldSchema("ratio", DataType.FLOAT, default_value=0.5),
    FieldSchema("precise", DataType.DOUBLE, default_value=0.1),
    FieldSchema("word", DataType.VARCHAR, max_length=20, default_value="größe"),
]


def test_a_field_with_a_default_is_sent_in_full_because_leaving_it_out_kills_this_server(milvus235, client, collection):
    before = milvus235.pid
    report = load(
        milvus235,
        simple(1_000).drop_columns(["number"]),
        collection,
        schema=CollectionSchema(KEY_AND_VECTOR + DEFAULTS),
    )
    assert (report.exit_status, report.rows_stored, report.retries) == (0, 1_000, {})
    # The same through the described schema, with some of the columns there.
    more = simple(500, start=1_000).drop_columns(["number"]).append_column("word", pa.array(["own", None] * 250))
    assert load(milvus235, more, collection, verify="full").exit_status == 0
    assert (milvus235.running, milvus235.pid) == (True, before)
    stored = stored_rows(client, collection, fields=[field.name for field in DEFAULTS])
    defaults = {field.name: field.default_value for field in DEFAULTS}
    for row in stored:
        own = {"id": row["id"], "word": "own" if row["id"] >= 1_000 and row["id"] % 2 == 0 else "größe"}
        assert row == defaults | own


def test_cells_that_the_server_would_refuse_are_set_aside_before_sending(milvus235, client, collection, tmp_path):
    rows = simple(1_000)
    vectors = np.stack(rows["vector"].combine_chunks().to_numpy(zero_copy_only=False)).copy()
    vectors[17, 3], vectors[900, 0] = np.nan, np.inf
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
    rows = rows.set_column(2, "vector", flat)
    options = {"create": True, "verify": "full", "state_dir": tmp_path, "check": False}
    report = load(milvus235, rows, collection, **options)
    assert (report.exit_status, report.rows_stored, report.rows_rejected) == (3, 998, 2)
    assert report.retries == {}, "the server was asked"
    rejects = pq.read_table(report.rejects_file).to_pylist()
    assert [(row["_row"], row["_field"], row["id"]) for row in rejects] == [(17, "vector", 17), (900, "vector", 900)]
    assert [row["_expected"] for row in rejects] == ["finite values"] * 2
    assert report.verify["status"] == "ok"
    assert count(client, collection) == 998


@pytest.mark.parametrize("text", ["[" * 12_000 + "]" * 12_000, "7", '"text"', '{"n": 1e999}'])
def test_rows_that_only_the_server_refuses_are_found_by_halving(milvus235, client, collection, tmp_path, text):
    # All of these are JSON documents; 2.3.5 keeps objects whose numbers fit a double, nested up to 10,000 deep.
    docs = pa.array([text if i in (5, 300) else '{"n": 1}' for i in range(512)])
    fields = [*KEY_AND_VECTOR, FieldSchema("doc", DataType.JSON)]
    source = simple(512).drop_columns(["number"]).append_column("doc", docs)
    options = {"schema": CollectionSchema(fields), "check": False, "state_dir": tmp_path, "give_up_after": 20.0}
    report = load(milvus235, source, collection, verify="full", **options)
    assert (report.exit_status, report.rows_stored, report.rows_rejected) == (3, 510, 2)
    rejects = pq.read_table(report.rejects_file).to_pylist()
    assert sorted((row["_row"], row["id"], row["doc"]) for row in rejects) == [(5, 5, text), (300, 300, text)]
    assert count(client, collection) == 510


def test_a_request_above_the_server_limit_is_halved_and_stored(milvus235, client, collection):
    # 8,800 rows of 2,048 numbers are 72 MB; the server takes 64 MiB.
    rows = simple(8_800, dim=2_048)
    report = load(milvus235, rows, collection, create=True, batch_bytes=80 << 20, window_bytes=2 << 30, verify="count")
    assert (report.exit_status, report.rows_stored) == (0, 8_800)
    assert report.retries == {"split": 1}
    assert report.batch_rows == {"smallest": 4_400, "median": 4_400, "largest": 4_400}
    assert count(client, collection) == 8_800
    client.drop_collection(collection)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([FieldSchema("terms", DataType.SPARSE_FLOAT_VECTOR)], "'terms' (SPARSE_FLOAT_VECTOR, since 2.4)"),
        (
            [FieldSchema("a", DataType.FLOAT_VECTOR, dim=4), FieldSchema("b", DataType.FLOAT_VECTOR, dim=4)],
            "2 vector fields (more than one since 2.4)",
        ),
        (
            [FieldSchema("a", DataType.FLOAT_VECTOR, dim=4), FieldSchema("n", DataType.INT64, nullable=True)],
            "'n' (nullable, since 2.5)",
        ),
    ],
    ids=["sparse", "two-vectors", "nullable"],
)
def test_what_this_server_takes_and_cannot_hold_is_refused_before_it_is_created(
    milvus235, client, collection, fields, found
):
    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), *fields])
    row = {"id": 1, "a": [0.0] * 4, "b": [0.0] * 4, "terms": {1: 0.5}, "n": 1}
    with pytest.raises(SchemaError) as raised:
        load(milvus235, [{field.name: row[field.name] for field in schema}], collection, schema=schema)
    assert str(raised.value) == (
        f"collection {collection!r}: expected fields that Milvus 2.3.5 can hold, found {found}; "
        "leave them out or convert them, fill nulls in, or load into a newer server"
    )
    assert not client.has_collection(collection)
