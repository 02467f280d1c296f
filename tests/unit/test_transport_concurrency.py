"""Transports under many calls, cancellation and closing."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from headrace._proto import milvus_pb2
from headrace.config import Endpoint
from headrace.errors import RpcError
from headrace.transport import AsyncTransport, SyncTransport
from tests.fake.behaviours import stall

HEALTH = milvus_pb2.CheckHealthRequest().SerializeToString()


def test_sync_close_ends_a_call_in_flight(fake):
    transport = SyncTransport(Endpoint(uri=fake.uri))
    fake.script("CheckHealth", stall)
    errors = []

    def call():
        try:
            transport.call("CheckHealth", HEALTH, timeout=30)
        except RpcError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    fake.wait_for(lambda: len(fake.calls) == 1)
    transport.close()
    thread.join()
    assert [error.details for error in errors] == ["the transport was closed"]


def test_sync_transport_works_inside_a_running_loop(fake):
    async def inside():
        with SyncTransport(Endpoint(uri=fake.uri)) as transport:
            return transport.server_kind

    assert asyncio.run(inside()) == "milvus"


def test_async_transport_is_built_without_a_loop_and_used_from_two(fake):
    transport = AsyncTransport(Endpoint(uri=fake.uri))
    for _ in range(2):
        assert asyncio.run(transport.call("CheckHealth", HEALTH, timeout=5))
        gc.collect()
    asyncio.run(transport.close())


def test_async_close_ends_calls_in_flight_with_an_error_not_a_cancellation(fake):
    async def main():
        transport = AsyncTransport(Endpoint(uri=fake.uri))
        fake.always("CheckHealth", stall)
        calls = [asyncio.create_task(transport.call("CheckHealth", HEALTH, timeout=30)) for _ in range(5)]
        await asyncio.to_thread(fake.wait_for, lambda: len(fake.calls) == 5)
        await transport.close()
        return await asyncio.gather(*calls, return_exceptions=True)

    found = asyncio.run(main())
    assert [(type(error), error.details) for error in found] == [(RpcError, "the transport was closed")] * 5


def test_cancelled_call_is_cancelled_and_leaves_the_transport_usable(fake):
    async def main():
        async with AsyncTransport(Endpoint(uri=fake.uri)) as transport:
            fake.script("CheckHealth", stall)
            call = asyncio.create_task(transport.call("CheckHealth", HEALTH, timeout=30))
            await asyncio.to_thread(fake.wait_for, lambda: len(fake.calls_of("CheckHealth")) == 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.to_thread(fake.wait_for, lambda: fake.calls_of("CheckHealth")[0].ended)
            assert await transport.call("CheckHealth", HEALTH, timeout=5)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()


def test_many_calls_share_one_transport(fake):
    async def main():
        async with AsyncTransport(Endpoint(uri=fake.uri), channels=4) as transport:
            calls = [transport.call("CheckHealth", HEALTH, timeout=30) for _ in range(200)]
            return await asyncio.gather(*calls)

    assert len(asyncio.run(main())) == 200
    assert fake.connections == 4


def test_a_renewed_connection_is_another_one_and_lets_the_old_ones_calls_end(fake):
    async def main():
        async with AsyncTransport(Endpoint(uri=fake.uri), channels=1) as transport:
            await transport.call("CheckHealth", HEALTH, timeout=5)
            fake.script("CheckHealth", stall)
            open_call = asyncio.create_task(transport.call("CheckHealth", HEALTH, timeout=30))
            await asyncio.to_thread(fake.wait_for, lambda: len(fake.calls_of("CheckHealth")) == 2)
            before = fake.connections
            transport.renew(0)
            await transport.call("CheckHealth", HEALTH, timeout=5)
            assert fake.connections == before + 1
            fake.release()
            assert await open_call

    asyncio.run(main())


def test_a_transport_that_was_widened_uses_more_connections(fake):
    async def main():
        async with AsyncTransport(Endpoint(uri=fake.uri), channels=1) as transport:
            transport.widen(3)
            assert transport.channels == 3
            for channel in (0, 1, 2):
                await transport.call("CheckHealth", HEALTH, timeout=5, channel=channel)
            transport.widen(2)
            assert (transport.channels, fake.connections) == (3, 3)

    asyncio.run(main())


def test_closing_ends_the_calls_of_a_connection_that_was_given_up(fake):
    async def main():
        async with AsyncTransport(Endpoint(uri=fake.uri), channels=1) as transport:
            fake.always("CheckHealth", stall)
            open_call = asyncio.create_task(transport.call("CheckHealth", HEALTH, timeout=30))
            await asyncio.to_thread(fake.wait_for, lambda: len(fake.calls_of("CheckHealth")) == 1)
            transport.renew(0)
            await asyncio.sleep(0)
        with pytest.raises(RpcError, match="closed"):
            await open_call

    asyncio.run(main())
