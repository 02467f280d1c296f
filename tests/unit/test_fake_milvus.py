"""The fake server is held to what Milvus does: every account of the loader's tests rests on it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import grpc
import pyarrow as pa
import pytest

from headrace import operations as ops
from headrace._proto import milvus_pb2
from headrace.config import Endpoint
from headrace.errors import RpcError
from headrace.operations import drive_sync
from headrace.protocol import mutation_reply
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.transport import SyncTransport
from tests.fake.behaviours import (
    abort,
    after_release,
    apply_some,
    apply_then,
    land_late,
    ok,
    refuse,
    refuse_rows,
    stall,
    vanish,
    vanish_and_die,
)
from tests.fake.encoding import encode_insert
from tests.fake_milvus import FakeMilvus, rows_of

SCHEMA = CollectionSchema(
    [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=1)]
)


def request(*keys, schema=SCHEMA, value=0.0, **fields):
    batch = pa.record_batch(
        {"id": pa.array(keys, pa.int64()), "v": pa.array([[value]] * len(keys), pa.list_(pa.float32(), 1))}
    )
    return encode_insert(batch, schema, "docs", **fields)


@pytest.fixture
def docs(fake):
    with SyncTransport(Endpoint(uri=fake.uri)) as transport:
        drive_sync(transport, ops.create_collection("docs", SCHEMA))
    return fake.collections["docs"]


@pytest.fixture
def send(fake, docs):
    with SyncTransport(Endpoint(uri=fake.uri)) as transport:

        def send(raw, method="Insert"):
            return mutation_reply(transport.call(method, raw, timeout=30), method)

        yield send


def test_insert_keeps_duplicates_and_upsert_replaces_them(send, docs):
    send(request(1, 2))
    assert send(request(2, 3)).ids == [2, 3]
    assert docs.keys() == Counter({1: 1, 2: 2, 3: 1})
    assert send(request(2, 4, value=7), "Upsert").upsert_count == 2
    assert docs.keys() == Counter([1, 2, 3, 4])
    assert {row["id"]: row["v"] for row in docs.dicts()} == {1: [0], 2: [7], 3: [0], 4: [7]}


def test_script_is_played_once_and_then_the_default_holds(send, fake, docs):
    fake.script("Insert", refuse(8, "rate limit exceeded", legacy=49), ok)
    fake.always("Insert", refuse(9, "quota exceeded"))
    codes = [send(request(n)).status.code for n in range(4)]
    assert codes == [8, 0, 9, 9]
    assert docs.keys() == Counter([1])
    assert send(request(5)).failed == 1


@pytest.mark.parametrize(
    ("behaviour", "status", "stored"),
    [
        (abort(grpc.StatusCode.INTERNAL, "no"), "INTERNAL", []),
        (apply_then(abort(grpc.StatusCode.DEADLINE_EXCEEDED)), "DEADLINE_EXCEEDED", [1, 2, 3]),
        (apply_some(lambda row: row < 1, abort(grpc.StatusCode.UNAVAILABLE)), "UNAVAILABLE", [1]),
        (vanish, "UNAVAILABLE", []),
        (apply_then(vanish), "UNAVAILABLE", [1, 2, 3]),
    ],
)
def test_what_is_stored_when_no_answer_comes(send, fake, docs, *, behaviour, status, stored):
    fake.script("Insert", behaviour)
    with pytest.raises(RpcError) as raised:
        send(request(1, 2, 3))
    assert raised.value.status == status
    assert docs.keys() == Counter(stored)


def test_dead_server_refuses_connections_until_it_is_revived(send, fake):
    fake.script("Insert", vanish_and_die)
    with pytest.raises(RpcError, match="Connection reset"):
        send(request(1))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", fake.port))
    fake.revive()
    with SyncTransport(Endpoint(uri=fake.uri)) as transport:
        assert transport.call("Insert", request(1), timeout=30)


def test_stalled_calls_go_on_when_released(fake, docs):
    fake.script("Insert", stall, after_release(refuse(8)))
    with SyncTransport(Endpoint(uri=fake.uri)) as transport:
        channel = transport._open("Insert")[0]
        method = channel.unary_unary("/milvus.proto.milvus.MilvusService/Insert")
        calls = [method.future(request(n)) for n in range(2)]
        fake.wait_for(lambda: fake.open_writes == 2)
        assert fake.open_bytes == fake.peak_bytes == sum(len(call.raw) for call in fake.calls_of("Insert"))
        fake.release()
        codes = sorted(mutation_reply(call.result(), "Insert").status.code for call in calls)
    assert codes == [0, 8]
    assert docs.count() == 1
    assert fake.peak_writes == 2


def test_late_write_lands_after_its_caller_gave_up(fake, docs):
    fake.script("Insert", land_late)
    with SyncTransport(Endpoint(uri=fake.uri)) as transport:
        with pytest.raises(RpcError) as raised:
            transport.call("Insert", request(1, 2), timeout=1.0)
        assert raised.value.status == "DEADLINE_EXCEEDED"
        assert docs.count() == 0
        fake.release()
        fake.wait_for(lambda: docs.count() == 2)


def test_rows_can_be_refused_by_value(send, fake, docs):
    fake.always("Insert", refuse_rows(lambda row: row["id"] == 2))
    assert send(request(1, 2)).status.code == 1100
    assert send(request(1, 3)).status.ok
    assert docs.keys() == Counter([1, 3])


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (request(), 1100),
        (request(1, schema=CollectionSchema([SCHEMA.fields[0], FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)])), 1100),
        (milvus_pb2.InsertRequest(collection_name="docs", num_rows=1).SerializeToString(), 1100),
        (milvus_pb2.InsertRequest(collection_name="nothing", num_rows=1).SerializeToString(), 100),
    ],
)
def test_bad_requests_are_refused_as_milvus_does(send, docs, raw, code):
    assert send(raw).status.code == code
    assert docs.count() == 0


def test_stale_schema_timestamp_is_code_109(send, docs):
    docs.update_timestamp = 7
    assert send(request(1, schema_timestamp=6)).status.code == 109
    assert send(request(1, schema_timestamp=7)).status.ok


def test_keys_are_made_where_the_collection_says_so(fake):
    schema = CollectionSchema(
        [FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True), FieldSchema("n", DataType.INT64)]
    )
    with SyncTransport(Endpoint(uri=fake.uri)) as transport:
        drive_sync(transport, ops.create_collection("docs", schema))
        raw = encode_insert(pa.record_batch({"n": pa.array([5, 6])}), schema, "docs")
        replies = [mutation_reply(transport.call("Insert", raw, timeout=30), "Insert") for _ in range(2)]
    keys = [key for reply in replies for key in reply.ids]
    assert len(set(keys)) == 4
    assert [row["n"] for row in fake.collections["docs"].dicts()] == [5, 6, 5, 6]


def test_number_of_rows_is_found_without_parsing():
    assert rows_of(request(1, 2, 3, schema_timestamp=300)) == 3
    assert rows_of(b"") == 0


def test_process_that_sinks_rows_ends_with_its_input():
    command = [sys.executable, "-m", "tests.fake_milvus", "--null"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        uri = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        with SyncTransport(Endpoint(uri=uri)) as transport:
            reply = mutation_reply(transport.call("Insert", request(1, 2), timeout=30), "Insert")
        assert (reply.insert_count, reply.succeeded) == (2, 2)
        process.stdin.close()
        assert process.wait() == 0


def test_server_stops_with_calls_under_way():
    with FakeMilvus() as fake:
        fake.always("Insert", stall)
        with SyncTransport(Endpoint(uri=fake.uri)) as transport:
            channel = transport._open("Insert")[0]
            call = channel.unary_unary("/milvus.proto.milvus.MilvusService/Insert").future(request(1))
            fake.wait_for(lambda: fake.open_writes == 1)
            fake.stop()
            assert call.exception().code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
