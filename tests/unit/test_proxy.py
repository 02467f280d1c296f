"""The network that real servers are tested behind: each fault does what it says, seen from both ends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter

import pyarrow as pa
import pytest

from headrace import operations as ops
from headrace.config import Endpoint
from headrace.errors import RpcError
from headrace.operations import drive_sync
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.transport import SyncTransport
from tests.fake.behaviours import stall, stall_forever
from tests.fake.encoding import encode_insert
from tests.fake_milvus import FakeMilvus
from tests.servers.frames import DATA, HEADERS, PING, PREFACE, Frames
from tests.servers.line import WRITE_BYTES
from tests.servers.proxy import Proxy

SCHEMA = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True)])
#: Enough for a write to be known as one, and for several frames of it.
KEYS = 5_000
#: Seconds until a call that nobody answers has expired.
SOON = 1.0


def request(start=0, keys=KEYS):
    """An InsertRequest with so many keys, in 20 kB and more."""
    batch = pa.record_batch({"id": pa.array(range(start, start + keys), pa.int64())})
    packed = encode_insert(batch, SCHEMA, "docs")
    assert len(packed) > WRITE_BYTES
    return packed


@pytest.fixture
def fake():
    """A server without a relay of its own, with a collection."""
    with FakeMilvus(relay=False) as server:
        with SyncTransport(Endpoint(uri=server.uri)) as transport:
            drive_sync(transport, ops.create_collection("docs", SCHEMA))
        yield server


@pytest.fixture
def network(fake):
    with Proxy(fake.address) as network:
        yield network


@contextlib.contextmanager
def client(network):
    """Sends requests over a connection of its own; False where no answer comes."""
    with SyncTransport(Endpoint(uri=network.uri)) as transport:

        def send(raw, method="Insert", timeout=30.0):
            try:
                transport.call(method, raw, timeout=timeout)
            except RpcError as error:
                return error.status
            return "OK"

        yield send


@contextlib.contextmanager
def in_flight(network, raw, **options):
    """A request that is on its way; yields a list that gets what came of it."""
    outcome = []
    with client(network) as send:
        thread = threading.Thread(target=lambda: outcome.append(send(raw, **options)))
        thread.start()
        yield outcome
        thread.join()


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_frames_are_cut_from_pieces_of_any_size(size):
    def frame(kind, flags, stream, payload):
        return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload

    hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    sent = [hello, frame(4, 0, 0, b""), frame(1, 4, 1, b"abc"), frame(6, 1, 0, bytes(8)), frame(0, 1, 1, bytes(300))]
    stream, cut = b"".join(sent), Frames(client=True)
    found = [it for start in range(0, len(stream), size) for it in cut.feed(stream[start : start + size])]
    assert [it.raw for it in found] == sent
    assert [it.kind for it in found] == [PREFACE, 4, HEADERS, PING, DATA]
    assert [(it.stream, it.ends) for it in found[2:]] == [(1, False), (0, False), (1, True)]
    assert found[-1].payload == bytes(300)


def test_a_network_without_faults_passes_everything(fake, network):
    with client(network) as send:
        assert [send(request(start)) for start in range(0, 4 * KEYS, KEYS)] == ["OK"] * 4
    assert fake.collections["docs"].keys() == Counter(range(4 * KEYS))
    assert network.carried > 4 * len(request())
    network.wait_for(lambda: network.unanswered == 0)
    assert network.lost == 0


def test_a_write_waits_for_its_answer_until_it_came(fake, network):
    fake.always("Insert", stall)
    with in_flight(network, request()) as outcome:
        network.wait_for(lambda: network.unanswered == 1)
        fake.release()
    assert outcome == ["OK"]
    assert (network.unanswered, network.lost) == (0, 0)


def test_a_reset_ends_what_waits_and_lets_others_connect(fake, network):
    fake.script("Insert", stall_forever)
    with in_flight(network, request()) as outcome:
        fake.wait_for(lambda: fake.open_writes)
        network.reset()
    assert outcome == ["UNAVAILABLE"]
    assert (network.unanswered, network.lost) == (0, 1)
    with client(network) as send:
        assert send(request()) == "OK"


def test_over_a_half_open_connection_requests_or_answers_never_arrive(fake, network):
    for direction, stored in (("up", 0), ("down", KEYS)):
        with client(network) as send:
            send(b"", method="GetVersion")
            network.half_open(direction)
            assert send(request(), timeout=SOON) == "DEADLINE_EXCEEDED"
        fake.wait_for(lambda stored=stored: fake.collections["docs"].count() == stored)
    with client(network) as send:
        assert send(request()) == "OK"


def test_out_of_a_black_hole_comes_what_went_into_it(fake, network):
    with client(network) as send:
        send(b"", method="GetVersion")
        network.black_hole()
        assert send(b"", method="GetVersion", timeout=SOON) == "DEADLINE_EXCEEDED"
        carried = network.carried
        network.heal()
        network.wait_for(lambda: network.carried > carried)
        assert send(request()) == "OK"


def test_a_connection_is_cut_in_the_middle_of_a_message(fake, network):
    with client(network) as send:
        send(b"", method="GetVersion")
        carried = network.carried
        network.cut_after(len(request()) // 2)
        assert send(request()) == "UNAVAILABLE"
        assert len(request()) // 2 <= network.carried - carried < len(request())
        assert fake.calls_of("Insert") == []
    with client(network) as send:
        assert send(request()) == "OK"


def test_latency_and_bandwidth_take_their_time_at_least(network):
    with client(network) as send:
        send(b"", method="GetVersion")
        network.latency = 0.1
        began = time.monotonic()
        send(b"", method="GetVersion")
        assert time.monotonic() - began >= 0.2
        network.latency, network.bandwidth = 0.0, 100_000
        began = time.monotonic()
        send(request())
        assert time.monotonic() - began >= len(request()) / 100_000


def test_a_write_that_is_held_lands_once_its_repeat_is_stored_although_its_client_has_gone(fake, network):
    network.hold()
    with client(network) as send:
        assert send(request(), timeout=SOON) == "DEADLINE_EXCEEDED"
        assert fake.calls_of("Insert") == []
    assert [held.delivered for held in network.held] == [False]
    with client(network) as send:
        assert send(request(KEYS)) == "OK"
        assert fake.collections["docs"].keys() == Counter(range(KEYS, 2 * KEYS))
        assert send(request()) == "OK"
    assert [held.delivered for held in network.held] == [True]
    assert [call.raw for call in fake.calls_of("Insert")] == [request(KEYS), request(), request()]
    found = fake.collections["docs"].keys()
    assert {key: found[key] for key in (0, KEYS - 1, KEYS)} == {0: 2, KEYS - 1: 2, KEYS: 1}


def test_who_says_what_a_repeat_is_decides_when_a_held_write_lands(fake, network):
    network.hold(repeated_by=lambda held, other: other.asked and other.message == request(7))
    with client(network) as send:
        assert send(request(), timeout=SOON) == "DEADLINE_EXCEEDED"
    with client(network) as send:
        assert [send(request()), send(request(7), method="Upsert")] == ["OK", "OK"]
    assert [call.raw for call in fake.calls_of("Insert", "Upsert")] == [request(), request(7), request()]
