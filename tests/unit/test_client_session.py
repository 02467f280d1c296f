"""What a read waits for: the level that was asked for, and with Session what this process has written."""

from __future__ import annotations

import asyncio

import pytest

from headrace import client_calls
from headrace.calls import LastWrite
from headrace.client import AsyncMilvusClient, MilvusClient
from headrace.errors import ConfigError
from headrace.operations import AnnSearchRequest, RRFRanker
from headrace.schema import CollectionSchema, DataType, FieldSchema, IndexParam

SCHEMA = CollectionSchema(
    [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]
)
ROW = {"id": 1, "v": [0, 0]}
#: What a client sends of each level, with nothing written: consistency_level, guarantee_timestamp, use_default.
LEVELS = {
    None: (0, 1, True),
    "Strong": (0, 0, False),
    "Session": (1, 1, False),
    "Bounded": (2, 2, False),
    "Eventually": (3, 1, False),
    "Customized": (4, 1, False),
}
READS = {
    "Query": lambda client, **how: client.query("docs", "id > 0", **how),
    "Search": lambda client, **how: client.search("docs", [[0, 0]], **how),
}


@pytest.fixture
def client(fake):
    with MilvusClient(fake.uri) as client:
        client.create_collection("docs", schema=SCHEMA, index_params=[IndexParam("v", metric_type="L2")])
        client.create_collection("others", schema=SCHEMA, index_params=[IndexParam("v", metric_type="L2")])
        yield client


def asked(fake, method):
    """What the last request of a method asks for."""
    request = fake.calls_of(method)[-1].request
    return request.consistency_level, request.guarantee_timestamp, request.use_default_consistency


def read(client, fake, method="Query", **how):
    """What a read asks for."""
    READS[method](client, **how)
    return asked(fake, method)


def write(client, fake, name="docs"):
    """An insert; the server's timestamp of it."""
    client.insert(name, [ROW])
    return fake.clock << 18


@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize("level", LEVELS)
def test_each_level_is_asked_for_as_servers_know_it(client, fake, method, level):
    assert read(client, fake, method, consistency_level=level) == LEVELS[level]


@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize("level", [None, "Session", "Customized"])
def test_a_read_waits_for_the_last_write(client, fake, method, level):
    stamp = write(client, fake)
    assert stamp > 1
    assert read(client, fake, method, consistency_level=level)[1] == stamp


@pytest.mark.parametrize("level", ["Strong", "Bounded", "Eventually"])
def test_levels_that_say_it_all_wait_for_no_write_in_particular(client, fake, level):
    write(client, fake)
    assert read(client, fake, consistency_level=level) == LEVELS[level]


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.upsert("docs", [ROW]),
        lambda client: client.delete("docs", ids=[1]),
        lambda client: client.insert("docs", [ROW]),
    ],
)
def test_every_kind_of_write_counts(client, fake, change):
    before = write(client, fake)
    change(client)
    assert read(client, fake)[1] == fake.clock << 18 > before


@pytest.mark.parametrize("level", LEVELS)
def test_a_hybrid_search_asks_as_others_do(level):
    part = AnnSearchRequest([[0, 0]], "v")
    operation = client_calls.hybrid_search("docs", [part], RRFRanker(), consistency_level=level)
    assert next(operation) == LastWrite("docs")
    request = operation.send(77).request
    found = request.consistency_level, request.guarantee_timestamp, request.use_default_consistency
    number, timestamp, default = LEVELS[level]
    assert found == (number, 77 if level in (None, "Session", "Customized") else timestamp, default)
    assert not any(part.guarantee_timestamp for part in request.requests)


def test_collections_are_told_apart(client, fake):
    stamp = write(client, fake)
    write(client, fake, "others")
    assert read(client, fake)[1] == stamp


def test_clients_of_one_server_are_one_session(client, fake):
    stamp = write(client, fake)

    async def main():
        async with AsyncMilvusClient(fake.uri) as other:
            await other.query("docs", "id > 0")
            first = asked(fake, "Query")[1]
            await other.insert("docs", [ROW])
            return first

    assert asyncio.run(main()) == stamp
    assert read(client, fake)[1] == fake.clock << 18 > stamp


def test_an_answer_that_arrives_late_turns_nothing_back(client, fake):
    stamp = write(client, fake)
    client._known.wrote("docs", 5)
    assert read(client, fake)[1] == stamp


def test_a_timestamp_of_the_caller_is_sent(client, fake):
    write(client, fake)
    assert read(client, fake, consistency_level="Customized", guarantee_timestamp=7) == (4, 7, False)
    assert read(client, fake, guarantee_timestamp=0) == (0, 0, True)
    with pytest.raises(ConfigError, match="guarantee_timestamp: expected a whole number of at least 0, found -1"):
        client.query("docs", "id > 0", guarantee_timestamp=-1)
