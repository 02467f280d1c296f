"""A Milvus collection behind a transport without a network: for tests in virtual time.

A :class:`Wire` answers Insert and Upsert by a script of actions, each ``async (wire, write) -> answer bytes``, and
count(*), GetLoadState and DescribeCollection as Milvus does. It keeps a multiset of (key, version): an insert adds, an
upsert replaces.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, deque
from dataclasses import dataclass, field

from headrace._proto import common_pb2, milvus_pb2, schema_pb2
from headrace.collection_messages import schema_to_proto
from headrace.decoding import decode_request
from headrace.errors import RpcError

__all__ = [
    "Wire",
    "Write",
    "answered",
    "fails",
    "land_late",
    "lose",
    "ok",
    "over_a_slow_line",
    "refused",
    "some_shards",
]


def answered(code=0, reason="", *, rows=0, legacy=None, extra_info=None):
    """A MutationResult's bytes."""
    message = milvus_pb2.MutationResult(insert_cnt=rows)
    message.status.code = code
    message.status.error_code = (1 if code else 0) if legacy is None else legacy
    message.status.reason = reason
    message.status.extra_info.update(extra_info or {})
    return message.SerializeToString()


def grpc_error(status, details=""):
    return RpcError(f"{status}: {details}", status=status, details=details)


@dataclass
class Write:
    """One Insert or Upsert as it came."""

    method: str
    keys: list
    versions: list
    payload: bytes
    timestamp: int
    began: float
    deadline: float
    channel: int
    alone: bool
    landed: int = field(default=0)

    @property
    def rows(self):
        return len(self.keys)


class Wire:
    """See the module.

    Args:
        clock: The loop's time.
        schema: The collection's schema; its columns are the key and perhaps ``v``, the version.
        loaded: Whether its rows can be counted.
        latency: Seconds an answer takes.
    """

    channels = 2

    def __init__(self, clock, schema, *, loaded=True, latency=0.01):
        self.clock, self.schema, self.loaded, self.latency = clock, schema, loaded, latency
        self.rows = {}
        self.writes = []
        self.script = deque()
        self.default = ok
        self.renewed = []
        self.open = self.most_open = self.auto_id = 0
        self.timestamp = 0
        self.collection_id = 7
        self.counts = 0
        self.later = []
        #: Called with every write that comes.
        self.arrived = lambda: None

    # -- the transport -------------------------------------------------------------------------------------------

    async def call(self, method, request, *, timeout, channel=None, written=None):
        if method not in ("Insert", "Upsert"):
            return self.ask(method, request)
        batch = decode_request(request)
        names = batch.schema.names
        keys = batch.column("id").to_pylist() if "id" in names else [None] * batch.num_rows
        versions = batch.column("v").to_pylist() if "v" in names else keys
        timestamp = milvus_pb2.InsertRequest.FromString(request).schema_timestamp
        now = self.clock()
        write = Write(method, keys, versions, request, timestamp, now, now + timeout, channel, self.open == 0)
        self.writes.append(write)
        self.arrived()
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(self.latency)
            behave = self.script.popleft() if self.script else self.default
            return await behave(self, write)
        finally:
            self.open -= 1

    def ask(self, method, request):
        """Answer a call that writes nothing."""
        return getattr(self, f"_{method}")(request)

    def renew(self, channel):
        self.renewed.append(channel)

    # -- the collection ------------------------------------------------------------------------------------------

    def apply(self, write, take=None):
        """Store the rows of a write that ``take(key)`` chooses."""
        write.landed += 1
        for key, version in zip(write.keys, write.versions, strict=True):
            if take is not None and not take(key):
                continue
            if key is None:
                self.auto_id += 1
                self.rows[f"auto {self.auto_id}"] = [version]
            elif write.method == "Upsert":
                self.rows[key] = [version]
            else:
                self.rows.setdefault(key, []).append(version)

    def land(self, write, at, take=None):
        """Apply a write when the clock shows ``at``, whatever becomes of its caller."""
        self.later.append(asyncio.get_running_loop().call_at(at, self.apply, write, take))

    def contents(self):
        """The multiset of (key, version)."""
        return Counter((key, version) for key, versions in self.rows.items() for version in versions)

    def _Query(self, request):  # noqa: N802 - the RPC's name
        query = milvus_pb2.QueryRequest.FromString(request)
        keys = json.loads(re.fullmatch(r"id in (\[.*\])", query.expr, re.S)[1]) if query.expr else list(self.rows)
        (name,) = query.output_fields
        column = schema_pb2.FieldData(type=5, field_name=name)
        if name == "count(*)":
            self.counts += 1
            column.scalars.long_data.data.append(sum(len(self.rows.get(key, ())) for key in keys))
        else:
            column.scalars.long_data.data.extend(key for key in keys if self.rows.get(key))
        return milvus_pb2.QueryResults(fields_data=[column]).SerializeToString()

    def _LoadCollection(self, request):  # noqa: N802
        self.loaded = True
        return common_pb2.Status().SerializeToString()

    def _ReleaseCollection(self, request):  # noqa: N802
        self.loaded = False
        return common_pb2.Status().SerializeToString()

    def _GetLoadState(self, request):  # noqa: N802
        return milvus_pb2.GetLoadStateResponse(state=3 if self.loaded else 1).SerializeToString()

    def _DescribeIndex(self, request):  # noqa: N802
        return milvus_pb2.DescribeIndexResponse().SerializeToString()

    def _DescribeCollection(self, request):  # noqa: N802
        if self.schema is None:
            answer = milvus_pb2.DescribeCollectionResponse()
            answer.status.code, answer.status.error_code = 100, 4
            return answer.SerializeToString()
        return milvus_pb2.DescribeCollectionResponse(
            schema=schema_to_proto(self.schema, "c"),
            collectionID=self.collection_id,
            update_timestamp=self.timestamp,
            collection_name="c",
        ).SerializeToString()


# -- actions -----------------------------------------------------------------------------------------------------------


async def ok(wire, write):
    """Apply and answer."""
    wire.apply(write)
    return answered(rows=write.rows)


def refused(code, reason="", *, legacy=None, apply=False, take=None, **more):
    """Answer with a Status, before or after storing the rows."""

    async def behave(wire, write):
        if apply:
            wire.apply(write, take)
        return answered(code, reason, legacy=legacy, **more)

    return behave


def fails(status, details="", *, apply=False):
    """End with a gRPC status, before or after storing the rows."""

    async def behave(wire, write):
        if apply:
            wire.apply(write)
        raise grpc_error(status, details)

    return behave


def lose(*, apply):
    """The connection is lost before or after the rows are stored."""
    return fails("UNAVAILABLE", "Socket closed", apply=apply)


def land_late(share=1.0, *, take=None):
    """No answer until the deadline; stored when ``share`` of it has passed, or of one more where it is above 1."""

    async def behave(wire, write):
        wire.land(write, write.began + (write.deadline - write.began) * share, take)
        await asyncio.sleep(write.deadline - wire.clock())
        raise grpc_error("DEADLINE_EXCEEDED", "Deadline Exceeded")

    return behave


def some_shards(behave):
    """Store the rows of one shard (even keys), then behave."""

    async def both(wire, write):
        wire.apply(write, take=lambda key: key is None or key % 2 == 0)
        return await behave(wire, write)

    return both


def over_a_slow_line(rate):
    """What comes takes its turn on a line of ``rate`` bytes per second, and is lost where that takes too long."""
    free_at = 0.0

    async def behave(wire, write):
        nonlocal free_at
        free_at = min(write.deadline, max(wire.clock(), free_at) + len(write.payload) / rate)
        await asyncio.sleep(free_at - wire.clock())
        if free_at == write.deadline:
            raise grpc_error("DEADLINE_EXCEEDED", "Deadline Exceeded")
        return await ok(wire, write)

    return behave
