"""Ways to send rows: headrace untuned, bytes that are packed already, and pymilvus's two clients."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio

import headrace
from benches.sources import Rows, Source
from headrace._proto.milvus_pb2 import MutationResult
from headrace.config import Endpoint
from headrace.packing import make_packer
from headrace.transport import channel_options

__all__ = ["Packed", "Spent", "headrace_load", "packed", "pymilvus_async", "pymilvus_sync", "sent_packed"]

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
    answers: list[bytes] = []

    async def send() -> None:
        where = Endpoint(uri=uri)
        address = uri.removeprefix("http://")
        opened = [grpc.aio.insecure_channel(address, options=channel_options(at, where)) for at in range(channels)]
        calls = [channel.unary_unary(INSERT) for channel in opened]
        waiting = iter(what.requests)

        async def worker(number: int) -> None:
            for request in waiting:
                answer = await calls[number % channels](request)
                answers.append(answer)

        async with asyncio.TaskGroup() as group:
            for number in range(in_flight):
                group.create_task(worker(number))
        for channel in opened:
            await channel.close()

    found = spent(what.rows, lambda: asyncio.run(send()))
    if refused := [answer for answer in map(MutationResult.FromString, answers) if answer.status.code]:
        raise SystemExit(f"{len(refused)} of {len(answers)} requests were refused: {refused[0].status.reason}")
    return found


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
