from __future__ import annotations

import asyncio
import inspect

import pyarrow as pa
import pytest

from headrace.client import AsyncMilvusClient, MilvusClient
from headrace.errors import ConfigError, ConnectError, MilvusException, RpcError
from headrace.operations import LoadState
from headrace.schema import CollectionSchema, DataType, FieldSchema, IndexParam
from tests.fake.behaviours import stall
from tests.fake.encoding import encode_insert
from tests.fake_milvus import FakeMilvus
from tests.integration.client.harness import Awaiting

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
        FieldSchema("doc", DataType.JSON, nullable=True),
        FieldSchema("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=3),
    ],
    "books",
    enable_dynamic_field=True,
)
ROWS = pa.record_batch(
    {
        "id": pa.array([1, 2, 3]),
        "v": pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.float32(), 2)),
        "doc": pa.array(['{"a": 1}', None, "[]"]),
        "tags": pa.array([[1], [], [2, 3]]),
        "$meta": pa.array(['{"colour": "red"}', "{}", "{}"]),
    }
)


@pytest.fixture(params=[MilvusClient, Awaiting], ids=["sync", "async"])
def client(request, fake):
    client = request.param(fake.uri)
    yield client
    client.close()


@pytest.fixture
def books(client, fake):
    """A collection ``books`` of three rows, indexed and loaded."""
    client.create_collection("books", schema=SCHEMA, index_params=[IndexParam("v", metric_type="L2")])
    fake.collections["books"].write(insert_request(), upsert=False)
    return client


def insert_request():
    from headrace._proto import milvus_pb2

    return milvus_pb2.InsertRequest.FromString(encode_insert(ROWS, SCHEMA, "books"))


def test_create_with_index_params_makes_a_collection_ready_to_be_searched(client, fake):
    client.create_collection(
        "books",
        schema=SCHEMA,
        index_params=[IndexParam("v", metric_type="L2")],
        consistency_level="Strong",
        num_shards=2,
        num_partitions=4,
        properties={"p": "1"},
    )
    assert client.get_load_state("books") == {"state": LoadState.Loaded}
    assert client.list_indexes("books") == ["v"]
    described = client.describe_collection("books")
    fields = described.pop("fields")
    created = described.pop("created_timestamp")
    assert created
    assert described == {
        "collection_name": "books",
        "auto_id": False,
        "num_shards": 2,
        "description": "books",
        "functions": [],
        "aliases": [],
        "collection_id": fake.collections["books"].collection_id,
        "consistency_level": 0,
        "consistency_level_name": "Strong",
        "properties": {"p": "1"},
        "num_partitions": 4,
        "enable_dynamic_field": True,
        "enable_namespace": False,
        "schema_version": 0,
    }
    assert fields == [
        {"field_id": 0, "name": "id", "description": "", "type": DataType.INT64, "params": {}, "is_primary": True},
        {"field_id": 0, "name": "v", "description": "", "type": DataType.FLOAT_VECTOR, "params": {"dim": 2}},
        {"field_id": 0, "name": "doc", "description": "", "type": DataType.JSON, "params": {}, "nullable": True},
        {
            "field_id": 0,
            "name": "tags",
            "description": "",
            "type": DataType.ARRAY,
            "params": {"max_capacity": 3},
            "element_type": DataType.INT64,
        },
    ]


def test_create_without_index_params_only_creates(client):
    client.create_collection("books", schema=SCHEMA)
    assert client.get_load_state("books", timeout=5) == {"state": LoadState.NotLoad}
    client.create_index("books", [IndexParam("v")])
    client.load_collection("books", timeout=5)
    assert client.get_load_state("books") == {"state": LoadState.Loaded}


def test_index_is_described_by_name(books):
    assert books.describe_index("books", "v") == {
        "index_type": "AUTOINDEX",
        "metric_type": "L2",
        "field_name": "v",
        "index_name": "v",
        "total_rows": 0,
        "indexed_rows": 0,
        "pending_index_rows": 0,
        "state": "Finished",
    }
    assert books.describe_index("books", "nothing") is None


def test_collections_are_listed_and_dropped(books):
    assert books.has_collection("books")
    assert books.list_collections() == ["books"]
    books.drop_collection("books")
    assert not books.has_collection("books")
    assert books.list_collections() == []


def test_missing_collection_is_code_100_when_described(client):
    with pytest.raises(MilvusException) as raised:
        client.describe_collection("nothing")
    assert (raised.value.code, raised.value.method) == (100, "DescribeCollection")
    assert "nothing" in raised.value.message


def test_query_gives_rows(books):
    assert books.query("books", "id > 1", output_fields=["doc", "tags"]) == [
        {"id": 2, "doc": None, "tags": []},
        {"id": 3, "doc": [], "tags": [2, 3]},
    ]
    assert books.query("books", output_fields=["count(*)"]) == [{"count(*)": 3}]
    assert [row["id"] for row in books.query("books", limit=1, offset=1)] == [2]


def test_get_gives_every_field_and_dynamic_keys(books):
    row = {"id": 1, "v": [1, 2], "doc": {"a": 1}, "tags": [1], "colour": "red"}
    assert books.get("books", 1) == [row]
    assert books.get("books", [1, 99]) == [row]
    assert books.query("books", ids=[1]) == [row]
    assert books.get("books", []) == []


def test_delete_by_ids_and_by_filter(books):
    assert books.delete("books", ids=[1]) == {"delete_count": 1}
    assert books.delete("books", filter="id > 2") == {"delete_count": 1}
    assert [row["id"] for row in books.query("books", limit=9)] == [2]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda client: client.delete("books"), "ids and filter: expected one of them, found neither; say which rows"),
        (
            lambda client: client.delete("books", ids=[1], filter="id > 2"),
            "ids and filter: expected one of them, found both; say which rows to delete",
        ),
        (
            lambda client: client.query("books", "id > 1", ids=[1]),
            "ids and filter: expected one of them, found both; leave one out",
        ),
        (
            lambda client: client.query("books", consistency_level="Quick", limit=1),
            "consistency_level: expected one of Strong, Session, Bounded, Eventually, Customized, found 'Quick'",
        ),
    ],
)
def test_wrong_parameters_are_refused_before_a_call(client, fake, call, text):
    with pytest.raises(ConfigError) as raised:
        call(client)
    assert str(raised.value).startswith(text)
    assert {made.method for made in fake.calls} <= {"Connect"}


def test_keys_are_numbers_or_texts_as_the_collection_has_them(client, fake):
    for name, dtype in (("numbers", DataType.INT64), ("texts", DataType.VARCHAR)):
        key = FieldSchema("id", dtype, is_primary=True, **({} if name == "numbers" else {"max_length": 9}))
        vector = FieldSchema("v", DataType.FLOAT_VECTOR, dim=1)
        client.create_collection(
            name, schema=CollectionSchema([key, vector]), index_params=[IndexParam("v", metric_type="L2")]
        )
    client.query("numbers", ids=["5", 6])
    client.get("texts", [5, "a"])
    assert [call.request.expr for call in fake.calls_of("Query")] == ["id in [5, 6]", 'id in ["5", "a"]']
    for call in (client.get, client.delete):
        with pytest.raises(
            ConfigError, match=r"ids: expected whole numbers, the keys 'id' of 'numbers', found \['x'\]"
        ):
            call("numbers", ids=["x"])
    assert (len(fake.calls_of("Query")), fake.calls_of("Delete")) == (2, [])


def test_server_version_and_flush(books):
    assert books.get_server_version() == "v2.6.2"
    books.flush("books")


def test_both_clients_have_the_same_methods_and_parameters():
    def public(cls):
        return {
            name: [*inspect.signature(member).parameters.values()][1:]
            for name, member in vars(cls).items()
            if callable(member) and not name.startswith("_")
        }

    assert public(MilvusClient) == public(AsyncMilvusClient)
    assert "collection_name" in inspect.signature(MilvusClient.query).parameters
    assert MilvusClient.query.__doc__ == AsyncMilvusClient.query.__doc__
    assert inspect.signature(MilvusClient).parameters == inspect.signature(AsyncMilvusClient).parameters


def test_credentials_come_as_token_or_as_user_and_password():
    with FakeMilvus(token="ann:word") as fake:
        for given in ({"token": "ann:word"}, {"user": "ann", "password": "word"}):
            with MilvusClient(fake.uri, db_name="books", **given) as client:
                assert client.list_collections() == []
                assert "word" not in repr(client)
        assert {call.metadata.get("dbname") for call in fake.calls} == {"books"}


def test_sync_client_connects_when_built_and_fails_within_its_timeout():
    with pytest.raises(ConnectError):
        MilvusClient("http://127.0.0.1:1", timeout=0.2)


def test_sync_client_works_inside_a_running_loop(fake):
    async def main():
        with MilvusClient(fake.uri) as client:
            return client.list_collections()

    assert asyncio.run(main()) == []


def test_async_client_connects_with_its_first_call(fake):
    async def main():
        async with AsyncMilvusClient(fake.uri) as client:
            return await asyncio.gather(*(client.list_collections() for _ in range(20)))

    assert asyncio.run(main()) == [[]] * 20


def test_async_client_is_used_from_a_second_loop(fake):
    client = AsyncMilvusClient(fake.uri)
    assert asyncio.run(client.list_collections()) == []
    assert asyncio.run(client.list_collections()) == []
    asyncio.run(client.close())


def test_closing_during_calls_ends_them_with_a_clear_error(fake):
    async def main():
        client = AsyncMilvusClient(fake.uri)
        await client.list_collections()
        fake.always("ShowCollections", stall)
        calls = [asyncio.create_task(client.list_collections()) for _ in range(3)]
        await asyncio.to_thread(fake.wait_for, lambda: len(fake.calls_of("ShowCollections")) == 4)
        await client.close()
        return await asyncio.gather(*calls, return_exceptions=True)

    assert [type(error) for error in asyncio.run(main())] == [RpcError] * 3


def test_what_guides_write_has_its_meaning(client, fake):
    for name in ("enable_dynamic_field", "enable_dynamic_fields", "enable_dynamic_schema"):
        assert MilvusClient.create_schema(**{name: True}).enable_dynamic_field
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True, auto_id=False)
    schema.add_field(field_name="chunk", datatype=DataType.INT64, max_length=512, mmap_enabled=False)
    client.create_collection("books", schema=schema, enable_mmap=False)
    described = client.describe_collection("books")
    assert described["properties"] == {"mmap.enabled": "False"}
    assert described["fields"][1]["params"] == {"mmap_enabled": False}
