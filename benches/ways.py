"""Ways to send rows: headrace untuned, bytes that are packed already or on the way, and pymilvus's two clients."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pyarrow as pa

import headrace
from benches.sources import Rows, Source
from headrace._proto.milvus_pb2 import MutationResult
from headrace.config import Endpoint
from headrace.packing import make_packer
from headrace.schema import CollectionSchema
from headrace.transport import channel_options

__all__ = [
    "Packed",
    "Spent",
    "headrace_load",
    "packed",
    "packed_on_the_way",
    "pymilvus_async",
    "pymilvus_sync",
    "sent_packed",
]

INSERT = "/milvus.proto.milvus.MilvusService/Insert"
#: Megabytes of different requests that are sent in turn, where so much is sent: far more than any cache holds, as what
#: a load packs has never been in one either.
DISTINCT = 256
#: Rows of a call of pymilvus, and calls of its async client at once.
BATCH, AT_ONCE = 1000, 8
_numbers = itertools.count()


@dataclass(frozen=True)
class Spent:
    """Rows, seconds, and seconds of this process's CPU."""

    rows: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


@dataclass(frozen=True)
class Packed:
    """Requests."""

    rows: int
    requests: list[bytes]


def spent(rows: int, call: Callable[[], object]) -> Spent:
    """What a call took."""
    began, cpu = time.perf_counter(), time.process_time()
    call()
    return Spent(rows, time.perf_counter() - began, time.process_time() - cpu)


def packed(source: Source, megabytes: float, size: float) -> Packed:
    """Requests of ``size`` megabytes, about as many as make ``megabytes``; above `DISTINCT` they repeat."""
    rows = max(1, int(size * 1e6 / source.row_bytes()))
    count = max(4, round(megabytes / size))
    batches = source.make(rows * min(count, -(-DISTINCT // max(1, int(size)))))
    packer = make_packer(batches.schema, collection_name="bench")
    some = [packer.pack_insert(batch) for batch in batches.batches(rows)]
    return Packed(rows * count, [some[at % len(some)] for at in range(count)])


def sent_packed(uri: str, what: Packed, *, channels: int, in_flight: int) -> Spent:
    """Send requests over so many channels, so many of them at once."""

    async def run() -> None:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        for request in (*what.requests, *[None] * in_flight):
            queue.put_nowait(request)
        await _send(uri, queue, channels=channels, in_flight=in_flight)

    return spent(what.rows, lambda: asyncio.run(run()))


def packed_on_the_way(
    uri: str, schema: CollectionSchema, batches: Sequence[pa.RecordBatch], *, channels: int, in_flight: int
) -> Spent:
    """Pack in one thread and send from another, and nothing else: the least that a load of rows can be.

    No row is accounted for, and nothing is repeated. As many packed requests wait as are in flight.
    """
    packer = make_packer(schema, collection_name="bench")

    async def run() -> None:
        loop, room = asyncio.get_running_loop(), threading.Semaphore(in_flight)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()

        def pack() -> None:
            for batch in batches:
                room.acquire()
                loop.call_soon_threadsafe(queue.put_nowait, packer.pack_insert(batch))
            for _ in range(in_flight):
                loop.call_soon_threadsafe(queue.put_nowait, None)

        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(pack))
            await _send(uri, queue, channels=channels, in_flight=in_flight, taken=room.release)

    return spent(sum(batch.num_rows for batch in batches), lambda: asyncio.run(run()))


async def _send(
    uri: str,
    queue: asyncio.Queue[bytes | None],
    *,
    channels: int,
    in_flight: int,
    taken: Callable[[], object] = lambda: None,
) -> None:
    """Send what comes out of a queue, until None has come for each of those in flight."""
    where, address = Endpoint(uri=uri), uri.removeprefix("http://")
    opened = [grpc.aio.insecure_channel(address, options=channel_options(at, where)) for at in range(channels)]
    calls = [channel.unary_unary(INSERT) for channel in opened]
    answers: list[bytes] = []

    async def worker(number: int) -> None:
        while (request := await queue.get()) is not None:
            taken()
            answers.append(await calls[number % channels](request))

    async with asyncio.TaskGroup() as group:
        for number in range(in_flight):
            group.create_task(worker(number))
    for channel in opened:
        await channel.close()
    if refused := [answer for answer in map(MutationResult.FromString, answers) if answer.status.code]:
        raise SystemExit(f"{len(refused)} of {len(answers)} requests were refused: {refused[0].status.reason}")


def headrace_load(uri: str, rows: Rows, **options: Any) -> Spent:
    """Load into a collection of its own."""
    name = f"h{next(_numbers)}"

    def load() -> None:
        report = headrace.load(
            rows.given, collection=name, uri=uri, schema=rows.schema, create=True, searchable="no", **options
        )
        assert report.rows_stored == rows.count

    return spent(rows.count, load)


def pymilvus_sync(uri: str, rows: Rows) -> Spent:
    """Insert rows as dicts, one call after the other, as its guides do."""
    from pymilvus import MilvusClient

    _created(uri, rows)
    client = MilvusClient(uri)
    parts = _parts(rows)

    def insert() -> None:
        for part in parts:
            client.insert("peer", part)

    try:
        return spent(rows.count, insert)
    finally:
        client.close()


def pymilvus_async(uri: str, rows: Rows) -> Spent:
    """Insert rows as dicts, several calls at once."""
    from pymilvus import AsyncMilvusClient

    _created(uri, rows)
    parts = _parts(rows)

    async def insert() -> Spent:
        client = AsyncMilvusClient(uri)
        await client.describe_collection("peer")
        began, cpu = time.perf_counter(), time.process_time()
        for at in range(0, len(parts), AT_ONCE):
            await asyncio.gather(*(client.insert("peer", part) for part in parts[at : at + AT_ONCE]))
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        await client.close()
        return Spent(rows.count, seconds, used)

    return asyncio.run(insert())


def _created(uri: str, rows: Rows) -> None:
    with headrace.MilvusClient(uri) as client:
        client.drop_collection("peer")
        client.create_collection("peer", schema=rows.schema)


def _parts(rows: Rows) -> list[list[dict[str, object]]]:
    return [rows.dicts[start : start + BATCH] for start in range(0, rows.count, BATCH)]
