"""Many calls at once, cancelled calls, clients that close: the client stays usable or says clearly that it is closed.

That nothing blocks the loop is watched by blockbuster in every test (tests/conftest.py).
"""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from headrace.client import AsyncMilvusClient, MilvusClient
from headrace.errors import MilvusException, RpcError
from headrace.operations import base
from headrace.schema import CollectionSchema, DataType, FieldSchema, IndexParam
from tests.fake.behaviours import refuse, stall, stall_forever

SCHEMA = CollectionSchema(
    [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=4)]
)


def rows(first, count=10):
    return [{"id": first + number, "v": [0.5] * 4} for number in range(count)]


@pytest.fixture
def docs(fake):
    """A fake server with a collection ``docs`` of ten rows, in memory."""
    with MilvusClient(fake.uri) as client:
        client.create_collection("docs", schema=SCHEMA, index_params=[IndexParam("v", metric_type="L2")])
        client.insert("docs", rows(0))
    return fake


def run(main, fake):
    """Run a coroutine with a client that is closed after it."""

    async def session():
        async with AsyncMilvusClient(fake.uri) as client:
            return await main(client)

    return asyncio.run(session())


def test_inserts_and_searches_side_by_side(docs):
    async def main(client):
        inserts = [client.insert("docs", rows(1000 * number)) for number in range(1, 101)]
        searches = [client.search("docs", np.zeros((2, 4), "f2"), limit=3, output_fields=["v"]) for _ in range(100)]
        return await asyncio.gather(*inserts, *searches)

    described = len(docs.calls_of("DescribeCollection"))
    results = run(main, docs)
    assert [found["insert_count"] for found in results[:100]] == [10] * 100
    assert all([hit["id"] for hit in hits] == [0, 1, 2] for found in results[100:] for hits in found)
    assert docs.collections["docs"].count() == 1010
    # Inserts need the schema, and so do queries of float16: all of them together have asked once.
    assert len(docs.calls_of("DescribeCollection")) == described + 1


def test_gathered_inserts_of_a_thousand_rows(docs):
    async def main(client):
        return await asyncio.gather(*(client.insert("docs", rows(1000 * number, 1000)) for number in range(1, 6)))

    assert [found["ids"][0] for found in run(main, docs)] == [1000, 2000, 3000, 4000, 5000]
    assert docs.collections["docs"].count() == 5010


@pytest.mark.parametrize("method", ["DescribeCollection", "Insert", "Query", "Search", "Delete"])
def test_a_cancelled_call_leaves_the_client_usable(docs, method):
    async def every(client):
        await client.insert("docs", rows(100, 200))
        await client.query("docs", "id > 3")
        await client.search("docs", [[0.0] * 4])
        return await client.delete("docs", ids=[1])

    async def main(client):
        before = len(docs.calls_of(method))
        docs.script(method, stall_forever)
        task = asyncio.create_task(every(client))
        await asyncio.to_thread(docs.wait_for, lambda: len(docs.calls_of(method)) > before)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await every(client)

    assert run(main, docs) == {"delete_count": 1}


def test_who_waits_for_a_description_asks_when_the_asking_one_is_cancelled(docs):
    async def main(client):
        before = len(docs.calls_of("DescribeCollection"))
        docs.script("DescribeCollection", stall_forever)
        first = asyncio.create_task(client.insert("docs", rows(100)))
        await asyncio.to_thread(docs.wait_for, lambda: len(docs.calls_of("DescribeCollection")) > before)
        others = [asyncio.create_task(client.insert("docs", rows(1000 * number))) for number in range(1, 4)]
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.gather(first, *others, return_exceptions=True)

    cancelled, *found = run(main, docs)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert [item["insert_count"] for item in found] == [10] * 3
    assert len(docs.calls_of("DescribeCollection")) == 3


def test_who_waits_for_a_description_shares_its_refusal(docs):
    docs.script("DescribeCollection", refuse(1401, "no privilege"))

    async def main(client):
        calls = (client.insert("docs", rows(1000 * number)) for number in range(1, 4))
        return await asyncio.gather(*calls, return_exceptions=True)

    assert [(type(error), error.code) for error in run(main, docs)] == [(MilvusException, 1401)] * 3
    assert len(docs.calls_of("DescribeCollection")) == 2


@pytest.mark.parametrize("method", ["Insert", "Query", "Search"])
def test_closing_during_calls_ends_them_with_a_clear_error(docs, method):
    call = {
        "Insert": lambda client: client.insert("docs", rows(100, 500)),
        "Query": lambda client: client.query("docs", "id > 3"),
        "Search": lambda client: client.search("docs", [[0.0] * 4]),
    }[method]

    async def main():
        client = AsyncMilvusClient(docs.uri)
        await client.query("docs", "id > 3")
        before = len(docs.calls_of(method))
        docs.always(method, stall)
        tasks = [asyncio.create_task(call(client)) for _ in range(3)]
        await asyncio.to_thread(docs.wait_for, lambda: len(docs.calls_of(method)) == before + 3)
        await client.close()
        return await asyncio.gather(*tasks, return_exceptions=True)

    for error in asyncio.run(main()):
        assert isinstance(error, RpcError)
        assert (error.status, error.details) == ("CANCELLED", "the transport was closed")


def test_a_blocking_client_is_used_by_many_threads(docs):
    found = []
    with MilvusClient(docs.uri) as client:

        def work(number):
            client.insert("docs", rows(1000 * number))
            found.append(len(client.query("docs", "id < 10")))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [10] * 8
    assert len(docs.calls_of("DescribeCollection")) == 2


def test_a_blocking_client_inserts_and_searches_inside_a_running_loop(docs):
    async def main():
        with MilvusClient(docs.uri) as client:
            inserted = client.insert("docs", {"id": np.arange(100, 200), "v": np.zeros((100, 4), "f4")})
            return inserted["insert_count"], len(client.search("docs", [[0.0] * 4], limit=5)[0])

    assert asyncio.run(main()) == (100, 5)


def test_a_large_answer_is_taken_apart_off_the_loop(docs, monkeypatch):
    threads = []
    to_thread = asyncio.to_thread

    def recording(work, *args):
        threads.append(work)
        return to_thread(work, *args)

    async def main(client):
        few = await client.query("docs", "id < 3")
        assert not threads
        monkeypatch.setattr(base, "_FEW_BYTES", 0)
        return few == await client.query("docs", "id < 3")

    monkeypatch.setattr(asyncio, "to_thread", recording)
    assert run(main, docs)
    assert len(threads) == 1


def test_both_kinds_of_clients_live_side_by_side(docs):
    async def main(client):
        with MilvusClient(docs.uri) as blocking:
            blocking.insert("docs", rows(100))
            return [row["id"] for row in await client.query("docs", "id > 108")]

    assert run(main, docs) == [109]
