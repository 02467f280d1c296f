"""Rows in through both clients: every form, split, refused, accounted for, with the collection described once."""

from __future__ import annotations

import grpc
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from headrace import calls
from headrace.batching import Aim
from headrace.client import MilvusClient
from headrace.client_calls import preparing
from headrace.errors import CellError, InputError, MilvusException, RowsWritten, RpcError, SchemaError
from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.fake.behaviours import abort, ok, refuse
from tests.integration.client.harness import Awaiting

KEY = FieldSchema("id", DataType.INT64, is_primary=True)
SERVER_KEY = FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True)
VECTOR = FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)
SPARSE = FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR)
TEXT = FieldSchema("text", DataType.VARCHAR, max_length=20)
SCHEMA = CollectionSchema([KEY, VECTOR, SPARSE, TEXT])
ROWS = [{"id": n, "v": [float(n), 0.5], "s": {n: 1.0, n + 3: 0.25}, "text": f"t{n}"} for n in range(3)]
MATRIX = csr_matrix((np.array([1.0, 0.25] * 3, "f4"), ([0, 0, 1, 1, 2, 2], [0, 3, 1, 4, 2, 5])))
STORED = [row | {"s": [{"index": n, "value": 1.0}, {"index": n + 3, "value": 0.25}]} for n, row in enumerate(ROWS)]
COLUMNS = {
    "id": np.arange(3),
    "v": np.array([[0, 0.5], [1, 0.5], [2, 0.5]], "f4"),
    "s": MATRIX,
    "text": ["t0", "t1", "t2"],
}


@pytest.fixture(params=[MilvusClient, Awaiting], ids=["sync", "async"])
def client(request, fake):
    client = request.param(fake.uri)
    yield client
    client.close()


@pytest.fixture
def create(client, fake):
    def create(*fields, name="docs", **options):
        client.create_collection(name, schema=CollectionSchema(list(fields), **options))
        return fake.collections[name]

    return create


@pytest.fixture
def docs(client, create):
    """A client with the collection ``docs``."""
    create(*SCHEMA)
    return client


def table():
    pairs = pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))
    return pa.table(
        {
            "id": pa.array([0, 1, 2]),
            "v": pa.array(COLUMNS["v"].tolist(), pa.list_(pa.float32(), 2)),
            "s": pa.array([row["s"] for row in STORED], pairs),
            "text": pa.array(COLUMNS["text"]),
        }
    )


FORMS = {
    "rows": ROWS,
    "rows of sparse matrices": [row | {"s": MATRIX[n]} for n, row in enumerate(ROWS)],
    "rows of arrays": [row | {"v": np.array(row["v"], "f4"), "id": np.int64(row["id"])} for row in ROWS],
    "columns": COLUMNS,
    "columns of lists": {name: [row[name] for row in ROWS] for name in ROWS[0]},
    "positions": [list(range(3)), COLUMNS["v"], MATRIX, COLUMNS["text"]],
    "a table": table(),
    "a table in pieces": pa.concat_tables([table().slice(0, 1), table().slice(1, 0), table().slice(1)]),
    "a record batch": table().to_batches()[0],
    "pandas": pd.DataFrame({**COLUMNS, "v": list(COLUMNS["v"]), "s": [row["s"] for row in STORED]}),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_rows_in_every_form_are_stored_alike(client, create, data):
    stored = create(*SCHEMA)
    assert client.insert("docs", data) == {"insert_count": 3, "ids": [0, 1, 2]}
    assert stored.dicts() == STORED
    assert client.upsert("docs", data) == {"upsert_count": 3, "ids": [0, 1, 2]}
    assert stored.dicts() == STORED


@pytest.mark.parametrize(
    "row",
    [
        ROWS[1],
        {"text": "t1", "s": csr_matrix(MATRIX[1]), "v": np.array([1, 0.5]), "id": 1},
        {"s": {1: 1.0, 4: 0.25}, "v": [1, 0.5], "id": 1, "text": "t1"},
    ],
)
def test_one_row_is_told_from_columns(client, create, row):
    stored = create(*SCHEMA)
    assert client.insert("docs", row) == {"insert_count": 1, "ids": [1]}
    assert stored.dicts() == [STORED[1]]


@pytest.mark.parametrize(
    ("data", "count"),
    [
        ({"v": [1.0, 2.0]}, 1),
        ({"v": np.zeros(2)}, 1),
        ({"v": [[1.0, 2.0], [3.0, 4.0]]}, 2),
        ({"v": np.zeros((2, 2))}, 2),
        ({"v": [np.zeros(2), np.ones(2)]}, 2),
        ([np.zeros((2, 2))], 2),
        ([[[1.0, 2.0]]], 1),
    ],
)
def test_a_vector_alone_is_a_row_and_a_list_of_vectors_a_column(client, create, data, count):
    create(SERVER_KEY, VECTOR)
    written = client.insert("docs", data)
    assert written == {"insert_count": count, "ids": list(range(1000, 1000 + count))}


def test_nothing_is_inserted_without_a_call(client, fake):
    assert client.insert("docs", []) == {"insert_count": 0, "ids": []}
    assert client.upsert("docs", []) == {"upsert_count": 0, "ids": []}
    assert not fake.calls_of("Insert", "Upsert", "DescribeCollection")


def test_undeclared_keys_of_rows_may_be_of_any_type(client, create):
    stored = create(KEY, VECTOR, enable_dynamic_field=True)
    rows = [
        {"id": 1, "v": [0, 0], "x": 1},
        {"id": 2, "v": [0, 0], "x": "one", "y": [None, {"z": 1.5}]},
        {"id": 3, "v": [0, 0], "x": None},
    ]
    client.insert("docs", rows)
    assert [row["$meta"] for row in stored.dicts()] == ['{"x":1}', '{"x":"one","y":[null,{"z":1.5}]}', '{"x":null}']


def test_an_upsert_brings_the_keys_that_the_server_would_make(client, create, fake):
    create(SERVER_KEY, VECTOR)
    fake.always("Upsert", refuse(0, "", legacy=0))
    client.upsert("docs", [{"id": 7, "v": [1, 2]}])
    assert fake.calls_of("Upsert")[0].batch().to_pylist() == [{"id": 7, "v": [1, 2]}]


def test_a_partial_update_sends_the_fields_that_are_given(client, create, fake):
    create(*SCHEMA)
    fake.always("Upsert", refuse(0, "", legacy=0))
    client.upsert("docs", [{"id": 7, "text": "new"}], partial_update=True)
    call = fake.calls_of("Upsert")[0]
    assert (call.request.partial_update, call.batch().to_pylist()) == (True, [{"id": 7, "text": "new"}])


def test_partition_and_deadline_are_passed_on(client, create, fake):
    create(*SCHEMA)
    client.create_partition("docs", "p")
    client.insert("docs", ROWS, timeout=5, partition_name="p")
    call = fake.calls_of("Insert")[0]
    assert call.request.partition_name == "p"
    assert 0 < call.deadline < 6


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (
            5,
            InputError,
            "data: expected a dict, a list of dicts, a dict of columns, a list of columns, a data",
        ),
        ([[1, 2], [[1, 2]]], SchemaError, "data: expected one column for each of id, v, s, text, found 2 columns"),
        ([{**ROWS[0], "v": [1.0]}], CellError, "row 0, field 'v'"),
        ([ROWS[0], {**ROWS[1], "text": None}], CellError, "row 1, field 'text': expected a value"),
        ([ROWS[0], {**ROWS[1], "text": "x" * 21}], CellError, "row 1, field 'text': expected at most 20 UTF-8 bytes"),
        ([ROWS[0], {**ROWS[1], "v": [0.5, float("nan")]}], CellError, "row 1, field 'v'"),
        ([{**ROWS[0], "more": 1}], SchemaError, "column 'more': expected a field of the collection"),
        ([{"id": 1}], SchemaError, "field 'v': expected a column for FLOAT_VECTOR(2)"),
        (["id"], InputError, "data: expected one column for each of"),
    ],
)
def test_data_that_does_not_fit_is_refused_before_it_is_sent(docs, fake, data, error, text):
    client = docs
    with pytest.raises(error) as raised:
        client.insert("docs", data)
    assert text in str(raised.value)
    assert not fake.calls_of("Insert")


def test_a_collection_that_is_not_there_is_code_100(client):
    with pytest.raises(MilvusException) as raised:
        client.insert("nothing", ROWS)
    assert raised.value.code == 100


@pytest.fixture
def small_requests(monkeypatch):
    """Ten rows a request."""
    monkeypatch.setattr(preparing, "_AIM", Aim(8 << 20, 10))


def many(count):
    return {"id": np.arange(count), "v": np.ones((count, 2), "f4")}


def test_a_large_call_is_split_and_its_keys_stay_in_order(client, create, fake, small_requests):
    stored = create(KEY, VECTOR)
    assert client.insert("docs", many(95)) == {"insert_count": 95, "ids": list(range(95))}
    assert len(fake.calls_of("Insert")) > 8
    assert stored.count() == 95


def test_a_bad_row_at_the_end_is_found_before_the_first_is_sent(client, create, fake, small_requests):
    create(KEY, VECTOR)
    data = many(95)
    data["v"][94, 1] = np.inf
    with pytest.raises(CellError) as raised:
        client.insert("docs", data)
    assert (raised.value.row, raised.value.field) == (94, "v")
    assert not fake.calls_of("Insert")


def test_an_error_in_the_middle_says_which_rows_are_stored(fake, small_requests):
    with MilvusClient(fake.uri) as client:
        client.create_collection("docs", schema=CollectionSchema([KEY, VECTOR]))
        fake.script("Insert", *[ok] * 2, refuse(1100, "bad rows"))
        with pytest.raises(MilvusException) as raised:
            client.insert("docs", many(45))
    assert raised.value.code == 1100
    first, second, third = (call.num_rows for call in fake.calls_of("Insert"))
    stored, refused = first + second, first + second + third
    assert raised.value.rows == RowsWritten(
        stored=(range(stored),), refused=(range(stored, refused),), unsent=(range(refused, 45),)
    )
    said = f"(stored: rows 0 to {stored - 1}; refused: rows {stored} to {refused - 1}; not sent: rows {refused} to 44)"
    assert said in str(raised.value)
    assert fake.collections["docs"].count() == stored


def test_rows_without_an_answer_are_unknown(client, create, fake):
    create(KEY, VECTOR)
    fake.script("Insert", abort(grpc.StatusCode.UNKNOWN, "broken"))
    with pytest.raises(RpcError) as raised:
        client.insert("docs", many(3))
    assert raised.value.rows == RowsWritten(unknown=(range(3),))
    assert len(fake.calls_of("Insert")) == 1


def test_a_server_that_asks_for_less_is_given_time(client, create, fake, small_requests):
    stored = create(KEY, VECTOR)
    limited = refuse(8, "rate limit exceeded")
    fake.script("Insert", limited, ok, limited)
    assert client.insert("docs", many(40))["ids"] == list(range(40))
    assert stored.keys() == dict.fromkeys(range(40), 1)


def test_a_collection_is_described_once(client, create, fake):
    create(KEY, VECTOR, TEXT)
    create(KEY, VECTOR, name="others")
    for number in range(5):
        client.insert("docs", [{"id": number, "v": [0, 0], "text": ""}])
        client.upsert("others", [{"id": number, "v": [0, 0]}])
        client.delete("docs", ids=[number])
        client.get("others", [])
    assert [call.request.collection_name for call in fake.calls_of("DescribeCollection")] == ["docs", "others"]


def test_clients_of_one_server_share_what_they_know(client, create, fake):
    create(KEY, VECTOR)
    client.insert("docs", many(1))
    with MilvusClient(fake.uri) as second:
        second.insert("docs", many(1))
        assert len(fake.calls_of("DescribeCollection")) == 1
        second.drop_collection("docs")
        second.create_collection("docs", schema=CollectionSchema([KEY, VECTOR, TEXT]))
    client.insert("docs", [{"id": 1, "v": [0, 0], "text": "new"}])
    assert len(fake.calls_of("DescribeCollection")) == 2


def test_databases_are_told_apart(fake):
    with MilvusClient(fake.uri) as first, MilvusClient(fake.uri, db_name="second") as second:
        first.create_collection("docs", schema=CollectionSchema([KEY, VECTOR]))
        first.insert("docs", many(1))
        second.insert("docs", many(1))
    assert len(fake.calls_of("DescribeCollection")) == 2


def change(fake, *fields, timestamp=0):
    """What somebody else does to the collection."""
    from headrace.collection_messages import schema_to_proto

    found = fake.collections["docs"]
    found.schema = CollectionSchema(list(fields))
    found.schema_proto = schema_to_proto(found.schema, "docs")
    found.update_timestamp = timestamp


def test_a_schema_that_others_changed_is_asked_for_again(client, create, fake):
    """Milvus 2.6 refuses rows of another schema's version with code 109."""
    stored = create(KEY, VECTOR)
    stored.update_timestamp = 3
    client.insert("docs", many(1))
    change(fake, KEY, VECTOR, FieldSchema("n", DataType.INT64, nullable=True), timestamp=4)
    assert client.insert("docs", {"id": [5], "v": [[0, 0]]})["insert_count"] == 1
    assert [call.request.schema_timestamp for call in fake.calls_of("Insert")] == [3, 3, 4]


def test_a_field_that_others_added_is_found(client, create, fake):
    create(KEY, VECTOR)
    client.insert("docs", many(1))
    change(fake, KEY, VECTOR, TEXT)
    client.insert("docs", [{"id": 5, "v": [0, 0], "text": "new"}])
    assert fake.collections["docs"].dicts()[-1]["text"] == "new"


def test_a_refusal_that_the_schema_does_not_explain_is_not_repeated(client, create, fake):
    create(KEY, VECTOR)
    client.insert("docs", many(1))
    fake.script("Insert", refuse(1100, "invalid parameter"))
    with pytest.raises(MilvusException):
        client.insert("docs", many(1))
    assert len(fake.calls_of("Insert")) == 2
    assert len(fake.calls_of("DescribeCollection")) == 2


def test_packing_and_converting_are_kept_off_the_loop(fake, monkeypatch):
    threads = []
    monkeypatch.setattr(calls.asyncio, "to_thread", _recorded(threads, calls.asyncio.to_thread))
    client = Awaiting(fake.uri)
    client.create_collection("docs", schema=CollectionSchema([KEY, VECTOR]))
    client.insert("docs", [{"id": 1, "v": [0, 0]}])
    assert not threads
    client.insert("docs", many(100))
    assert threads
    client.close()


def _recorded(threads, to_thread):
    def recording(work, *args):
        threads.append(work)
        return to_thread(work, *args)

    return recording
