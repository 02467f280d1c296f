"""Calls of clients that are made again, and those that are not, in a time that no test waits for."""

from __future__ import annotations

import asyncio
import random

import grpc
import pytest

from headrace import repeating
from headrace._proto import common_pb2, milvus_pb2
from headrace.client import AsyncMilvusClient, MilvusClient
from headrace.errors import MilvusException, RpcError
from headrace.repeating import AsyncRepeating, Repeating
from headrace.schema import CollectionSchema, DataType, FieldSchema, IndexParam
from tests.fake.behaviours import abort, ok, refuse

GOOD = milvus_pb2.QueryResults(status=common_pb2.Status()).SerializeToString()
BROKEN = RpcError("broken", status="UNAVAILABLE", details="Socket closed")
UNREACHED = RpcError("unreached", status="UNAVAILABLE", details="failed to connect to all addresses")
LIMITED = milvus_pb2.BoolResponse(status=common_pb2.Status(code=8, reason="rate limit exceeded[rate=0.5]"))


def refused(code, reason="", *, legacy=1, bare=False):
    status = common_pb2.Status(code=code, error_code=legacy, reason=reason)
    return (status if bare else milvus_pb2.QueryResults(status=status)).SerializeToString()


class Transport:
    """A transport that answers from a list, on a clock that only pauses move; the last answer is repeated."""

    is_lost = False

    def __init__(self, *answers, kind="milvus"):
        self.answers = list(answers)
        self.server_kind = kind
        self.now = 0.0
        self.pauses = []
        self.timeouts = []

    def call(self, method, request, *, timeout):
        self.timeouts.append(timeout)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def sync(transport, method="Query", timeout=None):
    calls = Repeating(transport, clock=lambda: transport.now, rng=random.Random(1))
    calls._closed.wait = transport.wait
    return calls.call(method, b"", timeout=timeout)


def awaited(transport, method="Query", timeout=None):
    class Awaited:
        is_lost, server_kind = transport.is_lost, transport.server_kind

        async def call(self, *args, **kwargs):
            return transport.call(*args, **kwargs)

    async def wait(seconds):
        transport.wait(seconds)

    async def main():
        calls = AsyncRepeating(Awaited(), clock=lambda: transport.now, rng=random.Random(1))
        calls._wait = wait
        return await calls.call(method, b"", timeout=timeout)

    return asyncio.run(main())


@pytest.fixture(params=[sync, awaited])
def run(request):
    return request.param


@pytest.mark.parametrize(
    ("method", "failure"),
    [
        ("Query", BROKEN),
        ("Search", UNREACHED),
        ("DescribeCollection", refused(8, "rate limit exceeded")),
        ("HybridSearch", refused(1, "service not ready")),
        ("GetLoadState", refused(0, "rate limited", legacy=49)),
        ("ListDatabases", refused(2, "service unavailable")),
        ("CreateCollection", UNREACHED),
        ("Flush", refused(8, "rate limit exceeded")),
        ("DropIndex", refused(8, "rate limit exceeded", bare=True)),
        ("Delete", refused(4, "too many requests")),
    ],
)
def test_what_may_pass_is_asked_again(run, method, failure):
    transport = Transport(failure, failure, GOOD)
    assert run(transport, method) == GOOD
    assert len(transport.timeouts) == 3
    assert 0 < sum(transport.pauses) < 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        # The connection broke: it may have been made.
        ("CreateCollection", BROKEN),
        ("Delete", BROKEN),
        # Rows have an account of their own.
        ("Insert", UNREACHED),
        ("Upsert", refused(8, "rate limit exceeded")),
        # It would end as it did.
        ("Query", RpcError("no", status="UNIMPLEMENTED")),
        ("Query", RpcError("no", status="UNKNOWN", details="Exception calling application: 'x'")),
        ("Query", RpcError("no", status="DEADLINE_EXCEEDED")),
        ("Query", RpcError("no", status="CANCELLED", details="the transport was closed")),
        ("Query", RpcError("no", status="RESOURCE_EXHAUSTED", details="message larger than max (9 vs. 4)")),
        ("Search", refused(100, "can't find collection")),
        ("Search", refused(65535, "something")),
        ("Query", refused(9, "quota exceeded")),
        ("Query", b"\xff\xff no message"),
    ],
)
def test_what_would_end_the_same_or_may_be_done_already_is_final(run, method, answer):
    transport = Transport(answer, GOOD)
    if isinstance(answer, Exception):
        with pytest.raises(RpcError) as raised:
            run(transport, method)
        assert raised.value is answer
    else:
        assert run(transport, method) == answer
    assert transport.pauses == []


def test_an_error_of_the_embedded_engine_has_another_number(run):
    answer = refused(1, "some Python exception")
    assert run(Transport(answer, GOOD, kind="lite")) == answer
    assert run(Transport(refused(2, "unexpected"), GOOD, kind="lite")) != GOOD


def test_nothing_is_asked_again_of_an_engine_that_has_ended(run):
    transport = Transport(UNREACHED, GOOD)
    transport.is_lost = True
    with pytest.raises(RpcError, match="unreached"):
        run(transport)


def test_a_server_that_names_a_rate_is_given_the_time_of_a_call(run):
    transport = Transport(LIMITED.SerializeToString(), GOOD)
    assert run(transport) == GOOD
    assert transport.pauses == [2.0]


def test_patience_ends_after_a_minute(run):
    transport = Transport(RpcError("gone", status="UNAVAILABLE"))
    with pytest.raises(RpcError, match=r"gone \(after \d\d attempts\)"):
        run(transport)
    assert 55 < transport.now < repeating.PATIENCE
    assert max(transport.pauses) <= 3.0


def test_the_deadline_of_a_call_bounds_all_attempts_together(run):
    transport = Transport(RpcError("gone", status="UNAVAILABLE"))
    with pytest.raises(RpcError, match="gone"):
        run(transport, timeout=4.0)
    assert transport.now < 4.0
    assert transport.timeouts[0] == 4.0
    assert transport.timeouts == sorted(transport.timeouts, reverse=True)
    assert transport.timeouts[-1] < 4.0


def test_a_refusal_that_stays_is_the_answer(run):
    transport = Transport(refused(8, "rate limit exceeded"))
    assert run(transport, timeout=1.0) == transport.answers[0]


SCHEMA = CollectionSchema(
    [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]
)


@pytest.fixture
def docs(fake):
    with MilvusClient(fake.uri) as client:
        client.create_collection("docs", schema=SCHEMA, index_params=[IndexParam("v", metric_type="L2")])
        client.insert("docs", [{"id": 1, "v": [0, 0]}])
    return fake


READS = {
    "DescribeCollection": lambda client: client.describe_collection("docs"),
    "Query": lambda client: client.query("docs", "id > 0"),
    "Search": lambda client: client.search("docs", [[0, 0]]),
    "ShowCollections": lambda client: client.list_collections(),
}


@pytest.mark.parametrize("method", READS)
def test_reads_of_a_client_outlive_a_broken_connection_and_a_limit(docs, method):
    lost = abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")
    limit = refuse(8, "rate limit exceeded")
    with MilvusClient(docs.uri) as client:
        docs.script(method, lost, limit, ok)
        before = len(docs.calls_of(method))
        assert READS[method](client)
        assert len(docs.calls_of(method)) == before + 3


@pytest.mark.parametrize("method", READS)
def test_reads_of_an_awaited_client_do_as_well(docs, method):
    async def main():
        async with AsyncMilvusClient(docs.uri) as client:
            docs.script(method, abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer"), ok)
            return await READS[method](client)

    assert asyncio.run(main())


def test_closing_ends_the_pause_of_a_call(docs):
    async def main():
        client = AsyncMilvusClient(docs.uri)
        await client.list_collections()
        docs.always("Query", refuse(8, "rate limit exceeded[rate=0.1]"))
        before = len(docs.calls_of("Query"))
        task = asyncio.create_task(client.query("docs", "id > 0"))
        await asyncio.to_thread(docs.wait_for, lambda: len(docs.calls_of("Query")) > before)
        while not client._calls._pauses:
            await asyncio.sleep(0)
        await client.close()
        return await asyncio.gather(task, return_exceptions=True)

    (error,) = asyncio.run(main())
    assert (error.status, error.details) == ("CANCELLED", "the transport was closed")


def test_cancelling_ends_it_too(docs):
    async def main():
        async with AsyncMilvusClient(docs.uri) as client:
            docs.script("Query", refuse(8, "rate limit exceeded[rate=0.1]"))
            task = asyncio.create_task(client.query("docs", "id > 0"))
            while not client._calls._pauses:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await client.query("docs", "id > 0", output_fields=["id"])

    assert [row["id"] for row in asyncio.run(main())] == [1]


def test_an_insert_that_an_engine_without_codes_refuses_is_not_repeated(docs):
    docs.always("Insert", refuse(1, "some Python exception"))
    with MilvusClient(docs.uri) as client, pytest.raises(MilvusException, match="some Python exception"):
        client.insert("docs", [{"id": 2, "v": [0, 0]}])
    assert len(docs.calls_of("Insert")) == 2
