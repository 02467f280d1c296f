"""Calls that say when their request is on the wire, which are calls like others to the server."""

from __future__ import annotations

import asyncio

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata

from headrace.channels import Line
from headrace.config import Endpoint
from headrace.errors import RpcError
from headrace.transport import AsyncTransport
from tests.fake.behaviours import stall
from tests.fake_milvus import FakeMilvus
from tests.servers.proxy import Proxy

#: More than the buffers of any socket take.
LARGE = bytes(16 << 20)


async def write(uri, payload, *, method="Insert", timeout=60.0, meanwhile=None):
    """Make a call; what was told until it had ended, and its status."""
    told = []
    async with AsyncTransport(Endpoint(uri=uri), channels=1) as transport:
        call = asyncio.create_task(
            transport.call(method, payload, timeout=timeout, written=lambda: told.append("written"))
        )
        if meanwhile is not None:
            await asyncio.to_thread(meanwhile)
        try:
            await call
            told.append("answered")
        except RpcError as error:
            told.append(error.status)
    return told


@pytest.fixture
def server():
    with FakeMilvus(null=True) as server:
        yield server


@pytest.fixture
def narrow(server):
    """A network that takes for ever for a large request."""
    with Proxy(server.address) as network:
        network.bandwidth = 50_000
        yield network


def test_tells_once_before_the_answer(fake):
    fake.script("CheckHealth", stall)

    def release():
        fake.wait_for(lambda: fake.calls_of("CheckHealth"))
        fake.release()

    assert asyncio.run(write(fake.uri, b"", method="CheckHealth", meanwhile=release)) == ["written", "answered"]
    assert len(fake.calls_of("CheckHealth")) == 1


def test_a_deadline_is_named_before_and_after(server, narrow):
    assert asyncio.run(write(narrow.uri, LARGE, timeout=0.2)) == ["DEADLINE_EXCEEDED"]
    server.script("Insert", stall)
    assert asyncio.run(write(server.uri, b"", timeout=0.2)) == ["written", "DEADLINE_EXCEEDED"]
    server.release()


def test_a_connection_that_is_lost_while_writing_has_no_name(narrow):
    def reset():
        narrow.wait_for(lambda: narrow.carried > 10_000)
        narrow.reset()

    assert asyncio.run(write(narrow.uri, LARGE, meanwhile=reset)) in (["INTERNAL"], ["UNAVAILABLE"])


class EndsEarly:
    """A call that ends between its request and the sign that there is no other: gRPC's own error, which has no name."""

    def __init__(self, **_):
        pass

    async def write(self, request):
        pass

    async def done_writing(self):
        raise RuntimeError("Failed execute_batch")

    def __await__(self):
        raise AioRpcError(StatusCode.UNAVAILABLE, Metadata(), Metadata(), "Socket closed")
        yield


def test_a_call_that_ends_once_it_is_written_has_its_status(fake, monkeypatch):
    async def main():
        async with AsyncTransport(Endpoint(uri=fake.uri), channels=1) as transport:
            monkeypatch.setattr(Line, "method", lambda *_, **__: EndsEarly)
            with pytest.raises(RpcError) as caught:
                await transport.call("Insert", b"", timeout=60, written=lambda: None)
        assert (caught.value.status, caught.value.details) == ("UNAVAILABLE", "Socket closed")

    asyncio.run(main())


def test_cancelling_ends_the_call(narrow):
    async def main():
        async with AsyncTransport(Endpoint(uri=narrow.uri), channels=1) as transport:
            call = asyncio.create_task(transport.call("Insert", LARGE, timeout=60, written=lambda: None))
            await asyncio.to_thread(narrow.wait_for, lambda: narrow.carried > 10_000)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(main())


def test_closing_ends_the_call(narrow):
    async def main():
        transport = AsyncTransport(Endpoint(uri=narrow.uri), channels=1)
        call = asyncio.create_task(transport.call("Insert", LARGE, timeout=60, written=lambda: None))
        await asyncio.to_thread(narrow.wait_for, lambda: narrow.carried > 10_000)
        await transport.close()
        with pytest.raises(RpcError, match="closed"):
            await call

    asyncio.run(main())


def test_the_round_trip_is_that_of_the_quickest_call(server):
    async def main():
        async with AsyncTransport(Endpoint(uri=server.uri), channels=1) as transport:
            first = transport.round_trip
            assert 0.0 < first < 60.0
            for _ in range(5):
                await transport.call("CheckHealth", b"", timeout=30)
            assert 0.0 < transport.round_trip <= first
        assert AsyncTransport(Endpoint(uri=server.uri)).round_trip == 0.0

    asyncio.run(main())
