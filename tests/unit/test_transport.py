from __future__ import annotations

import asyncio
import pickle
import socket
from pathlib import Path

import grpc
import pytest

from headrace._proto import milvus_pb2
from headrace.channels import channel_options
from headrace.config import Endpoint
from headrace.errors import ConfigError, ConnectError, MilvusException, RpcError, TransportError
from headrace.transport import AsyncTransport, SyncTransport
from tests.fake.behaviours import abort, refuse, stall_forever, vanish
from tests.fake_milvus import FakeMilvus

TOKEN = "root:the-secret-word"
TLS = Path(__file__).parents[1] / "data" / "tls"
HEALTH = milvus_pb2.CheckHealthRequest().SerializeToString()


class Blocking:
    """An AsyncTransport behind the methods of a SyncTransport, so that one test serves both."""

    def __init__(self, endpoint, *, channels=1):
        self._runner = asyncio.Runner()
        self._transport = AsyncTransport(endpoint, channels=channels)

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def __repr__(self):
        return repr(self._transport)

    def connect(self):
        self._runner.run(self._transport.connect())

    def call(self, *args, **kwargs):
        return self._runner.run(self._transport.call(*args, **kwargs))

    def close(self):
        self._runner.run(self._transport.close())

    def finish(self):
        self._runner.close()


@pytest.fixture(params=[SyncTransport, Blocking], ids=["sync", "async"])
def open_transport(request):
    made = []

    def make(uri, *, channels=1, **options):
        made.append(request.param(Endpoint(uri=uri, **options), channels=channels))
        return made[-1]

    yield make
    for transport in made:
        transport.close()
        if isinstance(transport, Blocking):
            transport.finish()


@pytest.fixture
def dead_uri():
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize(
    ("text", "version", "kind"),
    [
        ("v2.3.5-lite", (2, 3, 5), "milvus"),
        ("milvus_lite-3.2.2", (3, 2, 2), "lite"),
        ("2.6", (2, 6, 0), "milvus"),
        ("v3.0.0-rc.1+build.7", (3, 0, 0), "milvus"),
        ("nightly", (0, 0, 0), "milvus"),
    ],
)
def test_version_and_kind_are_read_from_the_servers_text(open_transport, text, version, kind):
    with FakeMilvus(version=text) as fake:
        transport = open_transport(fake.uri)
        transport.connect()
        assert (transport.server_version, transport.server_kind, transport.server_text) == (version, kind, text)


def test_connecting_twice_asks_once(open_transport, fake):
    transport = open_transport(fake.uri)
    transport.connect()
    transport.connect()
    assert [call.method for call in fake.calls] == ["Connect"]


def test_version_is_unknown_before_connecting(open_transport, fake):
    with pytest.raises(TransportError, match=r"server version: expected a connected transport, found none; call conn"):
        _ = open_transport(fake.uri).server_version


def test_server_without_connect_is_asked_for_its_version(open_transport, fake):
    fake.always("Connect", abort(grpc.StatusCode.UNIMPLEMENTED))
    transport = open_transport(fake.uri)
    transport.connect()
    assert transport.server_version == (2, 6, 2)


def test_server_that_tells_no_version_is_taken_for_one_of_unknown_version(open_transport):
    with FakeMilvus(version="") as fake:
        fake.always("GetVersion", abort(grpc.StatusCode.UNIMPLEMENTED))
        transport = open_transport(fake.uri)
        transport.connect()
        assert (transport.server_version, transport.server_kind, transport.server_text) == ((0, 0, 0), "milvus", "")


def test_wrong_address_ends_within_the_timeout_and_is_named(open_transport, dead_uri):
    with pytest.raises(ConnectError) as raised:
        open_transport(dead_uri, timeout=1.5).connect()
    address = dead_uri.removeprefix("http://")
    text = str(raised.value)
    assert text.startswith(f"server {address}: expected a Milvus server within 1.5 s, found UNAVAILABLE: ")
    assert "Connection refused" in text
    assert text.endswith("; check that it is running, its host and port, and http:// or https://")
    assert pickle.loads(pickle.dumps(raised.value)).address == address


def test_server_that_never_answers_ends_within_the_timeout(open_transport, fake):
    fake.always("Connect", stall_forever)
    with pytest.raises(ConnectError, match=r"expected a Milvus server within 0\.3 s, found no answer; check"):
        open_transport(fake.uri, timeout=0.3).connect()


def test_server_that_is_not_ready_yet_is_waited_for(open_transport, fake):
    fake.script(
        "Connect",
        abort(grpc.StatusCode.UNKNOWN, "Milvus Proxy is not ready yet"),
        refuse(1, "service not ready"),
        abort(grpc.StatusCode.UNAVAILABLE, "starting"),
    )
    transport = open_transport(fake.uri)
    transport.connect()
    assert len(fake.calls_of("Connect")) == 4


def test_something_else_than_milvus_is_told_at_once(open_transport, fake):
    fake.always("Connect", abort(grpc.StatusCode.UNIMPLEMENTED, "what?"))
    fake.always("GetVersion", abort(grpc.StatusCode.UNIMPLEMENTED, "what?"))
    with pytest.raises(ConnectError, match=r"found UNIMPLEMENTED: what\?; check that it is running"):
        open_transport(fake.uri, timeout=60).connect()


def test_junk_for_an_answer_is_told_at_once(open_transport, fake):
    async def junk(call):
        return b"\xff\xff"

    fake.always("Connect", junk)
    with pytest.raises(TransportError, match=r"Connect: expected a ConnectResponse, found 2 bytes that are none"):
        open_transport(fake.uri, timeout=60).connect()


@pytest.mark.parametrize(("given", "found"), [(None, "no credentials"), ("root:x", "credentials that it refused")])
def test_refused_credentials_are_one_clear_error(open_transport, given, found):
    with FakeMilvus(token=TOKEN) as fake:
        with pytest.raises(MilvusException) as raised:
            open_transport(fake.uri, token=given).connect()
        assert raised.value.code == 1400
        assert raised.value.message == (
            f"server {fake.address}: expected credentials that it accepts, found {found} "
            "(auth check failure, please check username and password); "
            "give user:password or an API key as the token (MILVUS_TOKEN)"
        )


def test_right_credentials_are_accepted_and_sent_with_every_call(open_transport):
    with FakeMilvus(token=TOKEN) as fake:
        transport = open_transport(fake.uri, token=TOKEN, db_name="books")
        transport.connect()
        transport.call("CheckHealth", HEALTH, timeout=5)
        assert {call.metadata["dbname"] for call in fake.calls} == {"books"}


def test_no_metadata_without_credentials_and_database(open_transport, fake):
    open_transport(fake.uri).connect()
    assert set(fake.calls[0].metadata) == {"user-agent"}


def test_secrets_stay_out_of_reprs_and_errors(open_transport, fake):
    transport = open_transport(fake.uri, token=TOKEN)
    fake.always("Connect", abort(grpc.StatusCode.UNAUTHENTICATED, "no"))
    fake.always("CheckHealth", abort(grpc.StatusCode.INTERNAL, "no"))
    shown = [repr(transport)]
    for call in (transport.connect, lambda: transport.call("CheckHealth", HEALTH, timeout=5)):
        with pytest.raises((MilvusException, RpcError)) as raised:
            call()
        error = raised.value
        while error is not None:
            shown += [str(error), repr(error), str(vars(error))]
            error = error.__cause__
    for secret in ("the-secret-word", transport.endpoint.authorization):
        assert not [text for text in shown if secret in text]


def test_statuses_other_than_ok_are_rpc_errors(open_transport, fake):
    fake.script("CheckHealth", abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much"))
    with pytest.raises(RpcError) as raised:
        open_transport(fake.uri).call("CheckHealth", HEALTH, timeout=5)
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.status, error.details, error.method) == ("RESOURCE_EXHAUSTED", "too much", "CheckHealth")
    assert str(error) == "CheckHealth: RESOURCE_EXHAUSTED: too much"


def test_deadline_is_kept_and_sent_to_the_server(open_transport, fake):
    fake.script("CheckHealth", stall_forever)
    with pytest.raises(RpcError) as raised:
        open_transport(fake.uri).call("CheckHealth", HEALTH, timeout=1.0)
    assert raised.value.status == "DEADLINE_EXCEEDED"
    # gRPC sends whole milliseconds, and rounds up.
    assert fake.calls[0].deadline <= 1.001


def test_unknown_method_is_unimplemented(open_transport, fake):
    with pytest.raises(RpcError) as raised:
        open_transport(fake.uri).call("NoSuchMethod", b"", timeout=5)
    assert raised.value.status == "UNIMPLEMENTED"


def test_lost_connection_is_unavailable_and_the_next_call_reconnects(open_transport, fake):
    transport = open_transport(fake.uri)
    fake.script("CheckHealth", vanish)
    with pytest.raises(RpcError) as raised:
        transport.call("CheckHealth", HEALTH, timeout=5)
    assert raised.value.status == "UNAVAILABLE"
    statuses = []
    while not statuses or statuses[-1] is not None:
        statuses.append(_status_of(transport))
    assert set(statuses) <= {"UNAVAILABLE", None}


def _status_of(transport):
    try:
        transport.call("CheckHealth", HEALTH, timeout=5)
    except RpcError as error:
        return error.status
    return None


def test_request_larger_than_the_server_takes_is_said_so(open_transport):
    with FakeMilvus(max_message=1000) as fake:
        with pytest.raises(RpcError) as raised:
            open_transport(fake.uri).call("Insert", bytes(2000), timeout=5)
        assert raised.value.status == "RESOURCE_EXHAUSTED"
        assert "larger than max" in raised.value.details


def test_large_answers_are_accepted(open_transport, fake):
    async def large(call):
        return milvus_pb2.CheckHealthResponse(reasons=["x" * (8 << 20)]).SerializeToString()

    fake.always("CheckHealth", large)
    assert len(open_transport(fake.uri).call("CheckHealth", HEALTH, timeout=30)) > 8 << 20


def test_each_channel_has_a_connection_of_its_own(open_transport, fake):
    transport = open_transport(fake.uri, channels=3)
    for _ in range(6):
        transport.call("CheckHealth", HEALTH, timeout=5)
    assert fake.connections == 3
    assert len({call.peer for call in fake.calls}) == 3


def test_channel_can_be_chosen(open_transport, fake):
    transport = open_transport(fake.uri, channels=3)
    for _ in range(4):
        transport.call("CheckHealth", HEALTH, timeout=5, channel=1)
    assert fake.connections == 1


def test_closed_transport_says_so(open_transport, fake):
    transport = open_transport(fake.uri)
    transport.connect()
    transport.close()
    with pytest.raises(RpcError) as raised:
        transport.call("CheckHealth", HEALTH, timeout=5)
    assert str(raised.value) == "CheckHealth: expected an open transport, found a closed one; make a new one"


@pytest.fixture(params=[False, True], ids=["server-auth", "mutual"])
def tls(request):
    """A server behind TLS, and the endpoint options to reach it; mutual TLS asks for the client's certificate."""
    read = [(TLS / name).read_bytes() for name in ("server.key", "server.pem", "ca.pem")]
    credentials = grpc.ssl_server_credentials(
        [(read[0], read[1])], root_certificates=read[2] if request.param else None, require_client_auth=request.param
    )
    options = {"ca_cert": TLS / "ca.pem"}
    if request.param:
        options |= {"client_cert": TLS / "client.pem", "client_key": TLS / "client.key"}
    with FakeMilvus(credentials=credentials) as server:
        yield server, options


def test_tls_with_the_right_authority_connects(open_transport, tls):
    server, options = tls
    transport = open_transport(server.uri, **options)
    transport.connect()
    assert transport.server_kind == "milvus"


def test_tls_server_name_can_differ_from_the_host(open_transport, tls):
    server, options = tls
    transport = open_transport(server.uri, server_name="milvus.test", **options)
    transport.connect()
    assert transport.server_kind == "milvus"


@pytest.mark.parametrize("wrong", [{"ca_cert": TLS / "client.pem"}, {"server_name": "elsewhere.test"}])
def test_tls_server_that_cannot_be_trusted_is_refused(open_transport, tls, wrong):
    server, options = tls
    with pytest.raises(ConnectError, match="found UNAVAILABLE: "):
        open_transport(server.uri, timeout=1.5, **(options | wrong)).connect()
    assert server.calls == []


@pytest.mark.parametrize("transport_class", [SyncTransport, AsyncTransport])
def test_no_channels_are_refused(transport_class):
    with pytest.raises(
        ConfigError, match=r"channels: expected a number of at least 1, found 0; give a positive number"
    ):
        transport_class(Endpoint(), channels=0)


def test_missing_certificate_file_is_named(open_transport, tmp_path):
    missing = tmp_path / "ca.pem"
    with pytest.raises(ConfigError) as raised:
        open_transport("https://h", ca_cert=missing).connect()
    assert str(raised.value) == (
        f"ca_cert: expected a readable PEM file, found {missing}: No such file or directory; "
        "give the path of a PEM file that can be read"
    )


def test_tls_transport_is_built_and_used_inside_a_loop_without_blocking_it(tls):
    server, options = tls

    async def main():
        async with AsyncTransport(Endpoint(uri=server.uri, **options)) as transport:
            return transport.server_kind

    assert asyncio.run(main()) == "milvus"


@pytest.mark.parametrize("name", ["bücher", "a\nb"])
def test_database_name_that_cannot_travel_is_refused(open_transport, fake, name):
    with pytest.raises(ConfigError, match="db_name: expected an ASCII name, found"):
        open_transport(fake.uri, db_name=name)


def test_the_embedded_engine_is_not_pinged():
    """Its server, gRPC's own for Python, ends connections with calls that take minutes for too many pings."""
    pinged = {name for name, _ in channel_options(0, Endpoint(uri="http://127.0.0.1:1")) if "keepalive" in name}
    assert pinged
    assert not pinged & {name for name, _ in channel_options(0, Endpoint(uri="a.db"))}
