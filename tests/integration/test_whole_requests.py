"""What a request says beside its columns, on every engine: keys made by the server, undeclared columns, partitions,
the schema's version, partial updates."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pytest

from headrace import MilvusException
from headrace.packing import make_packer, pack_insert, pack_upsert
from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.integration.edges import Column, batch_of, scalar, schema_of, vector
from tests.integration.readback import connect, count, create, stored_rows
from tests.integration.writing import send

ROWS = 40
VECTOR = vector(DataType.FLOAT_VECTOR, ROWS)
TEXT = Column(FieldSchema("text", DataType.VARCHAR, max_length=20), pa.array([f"é{i}" for i in range(ROWS)]))
NUMBER = scalar(DataType.INT64, ROWS, name="number")
COLUMNS = [VECTOR, TEXT, NUMBER]
ENGINES = pytest.mark.parametrize("server", ["lite322", "lite251", "milvus235"], indirect=True)


@pytest.fixture(autouse=True)
def _still_running(server):
    yield
    assert server.running, f"the server ended:\n{server.tail()}"


def texts_and_numbers(client, collection):
    rows = stored_rows(client, collection, fields=["text", "number"])
    return [(row["text"], row["number"]) for row in rows]


SENT = list(zip(TEXT.values.to_pylist(), NUMBER.values.to_pylist(), strict=True))


@ENGINES
def test_keys_made_by_the_server_come_back_in_the_order_of_the_rows(server, collection):
    key = FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True)
    schema = CollectionSchema([key, *(column.field for column in COLUMNS)])
    packed = pack_insert(batch_of(COLUMNS).drop_columns(["id"]), schema, collection_name=collection)
    with connect(server) as client:
        create(client, collection, schema)
        answer = send(server, "Insert", packed)
        rows = {row["id"]: row for row in stored_rows(client, collection, fields=["text", "number"])}
    keys = list(answer.IDs.int_id.data)
    assert len(rows) == len(keys) == ROWS
    assert [(rows[key]["text"], rows[key]["number"]) for key in keys] == SENT


@ENGINES
def test_undeclared_columns_come_back(server, collection):
    documents = [{"extra": i, "nested": {"ü": [None, i / 8]}} if i % 2 else {} for i in range(ROWS)]
    schema = schema_of(COLUMNS, enable_dynamic_field=True)
    batch = batch_of(COLUMNS).append_column("$meta", pa.array(map(json.dumps, documents)))
    with connect(server) as client:
        create(client, collection, schema)
        send(server, "Insert", pack_insert(batch, schema, collection_name=collection))
        stored = stored_rows(client, collection)
    declared = {"id", *(column.field.name for column in COLUMNS)}
    found = [{name: value for name, value in row.items() if name not in declared} for row in stored]
    assert found == documents


@pytest.mark.parametrize("server", ["lite322", "milvus235"], indirect=True)
def test_rows_that_a_partition_key_spreads_come_back(server, collection):
    fields = [replace(field, is_partition_key=field.name == "text") for field in schema_of(COLUMNS)]
    schema = CollectionSchema(fields)
    with connect(server) as client:
        create(client, collection, schema, num_partitions=4)
        send(server, "Insert", pack_insert(batch_of(COLUMNS), schema, collection_name=collection))
        send(server, "Upsert", pack_upsert(batch_of(COLUMNS), schema, collection_name=collection))
        assert count(client, collection) == ROWS
        assert texts_and_numbers(client, collection) == SENT


@pytest.mark.parametrize("server", ["lite322", "milvus235"], indirect=True)
def test_rows_go_to_the_partition_that_is_named(server, collection):
    schema = schema_of(COLUMNS)
    names = {"collection_name": collection, "partition_name": "beside"}
    with connect(server) as client:
        create(client, collection, schema)
        client.release_collection(collection)
        client.create_partition(collection, "beside")
        client.load_collection(collection)
        send(server, "Insert", pack_insert(batch_of(COLUMNS), schema, **names))
        send(server, "Upsert", pack_upsert(batch_of(COLUMNS, start=ROWS), schema, **names))
        assert count(client, collection) == 2 * ROWS
        found = client.query(collection, "id >= 0", ["id"], partition_names=["beside"], consistency_level="Strong")
        assert sorted(row["id"] for row in found) == list(range(2 * ROWS))


@ENGINES
def test_a_schema_version_is_ignored_by_servers_that_know_none(server, collection):
    schema = schema_of(COLUMNS)
    with connect(server) as client:
        create(client, collection, schema)
        other = batch_of([VECTOR, TEXT, Column(NUMBER.field, pa.array([0] * ROWS))])
        send(server, "Insert", pack_insert(other, schema, collection_name=collection, schema_timestamp=2**64 - 1))
        send(server, "Upsert", pack_upsert(batch_of(COLUMNS), schema, collection_name=collection, schema_timestamp=1))
        assert count(client, collection) == ROWS
        assert texts_and_numbers(client, collection) == SENT


@ENGINES
def test_a_partial_update_with_every_column_replaces_rows_everywhere(server, collection):
    schema = schema_of(COLUMNS)
    packer = make_packer(schema, collection_name=collection)
    with connect(server) as client:
        create(client, collection, schema)
        other = batch_of([VECTOR, TEXT, Column(NUMBER.field, pa.array([0] * ROWS))])
        send(server, "Insert", packer.pack_insert(other))
        send(server, "Upsert", packer.pack_upsert(batch_of(COLUMNS), partial_update=True))
        assert count(client, collection) == ROWS
        assert texts_and_numbers(client, collection) == SENT


def send_some_columns(server, client, collection):
    """Insert whole rows, then upsert the key and one column of each as a partial update."""
    schema = schema_of(COLUMNS)
    create(client, collection, schema)
    other = batch_of([VECTOR, TEXT, Column(NUMBER.field, pa.array([0] * ROWS))])
    send(server, "Insert", pack_insert(other, schema, collection_name=collection))
    packer = make_packer(schema, collection_name=collection, columns=["id", "number"])
    send(server, "Upsert", packer.pack_upsert(batch_of([NUMBER]), partial_update=True))


@pytest.mark.parametrize("server", ["lite322"], indirect=True)
def test_a_partial_update_leaves_the_other_columns(server, collection):
    with connect(server) as client:
        send_some_columns(server, client, collection)
        assert texts_and_numbers(client, collection) == SENT


@pytest.mark.parametrize(("server", "kept"), [("milvus235", ROWS), ("lite251", 0)], indirect=["server"])
def test_servers_without_partial_updates_refuse_one(server, kept, collection):
    with connect(server) as client:
        with pytest.raises(MilvusException) as raised:
            send_some_columns(server, client, collection)
        assert raised.value.code == 1100
        # Milvus Lite 2.5.1 has deleted the rows before it looks at those that are to replace them.
        assert texts_and_numbers(client, collection) == [(text, 0) for text, _ in SENT[:kept]]
