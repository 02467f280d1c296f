"""How gRPC is told about an endpoint: channel arguments, certificates, what every call carries, and what is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from headrace.config import Endpoint
from headrace.errors import ConfigError, explain

__all__ = ["METHOD_PREFIX", "Line", "call_metadata", "channel_credentials", "channel_options"]

#: What stands before every method's name; all methods are unary.
METHOD_PREFIX = "/milvus.proto.milvus.MilvusService/"


class Line:
    """One connection: a channel, the methods that were called on it, and how many calls it has open."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.calls = 0
        self.retired = False
        self._methods: dict[tuple[str, bool], Callable[..., Any]] = {}

    def method(self, name: str, *, streamed: bool = False) -> Callable[..., Any]:
        """What calls ``name``; ``streamed``: as a stream of one request, which is the same to the server."""
        if (name, streamed) not in self._methods:
            make = self.channel.stream_unary if streamed else self.channel.unary_unary
            self._methods[name, streamed] = make(METHOD_PREFIX + name)
        return self._methods[name, streamed]


def channel_options(index: int, endpoint: Endpoint) -> list[tuple[str, Any]]:
    """gRPC channel arguments.

    Messages of any size in both directions (servers have limits of their own, and say so); keepalive as the server
    enforces it (a ping each 10 s is above its minimum of 5 s), with 20 s for the answer, which on a slow line waits its
    turn behind a request (gRPC 1.85 takes 60 s whatever it is told); reconnects after 0.1 to 5 s instead of 1 to 120 s,
    with 5 s for one attempt (``min_reconnect_backoff_ms`` is no pause, it is the least time an attempt may take: 100 ms
    are too few for a busy machine or a distant server);
    a TCP connection of its own for each ``index``, because equal arguments would share one; receive windows large
    enough for an answer of vectors from the start, instead of probing for them.
    """
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 16 << 20),
        ("headrace.channel", index),
    ]
    if endpoint.is_embedded:
        # gRPC's own server ends a connection with too many pings, and with it a call that takes long; and a process of
        # this machine that ends closes its connections.
        options = [(name, value) for name, value in options if not name.startswith("grpc.keepalive")]
    if endpoint.server_name is not None:
        options.append(("grpc.ssl_target_name_override", endpoint.server_name))
    return options


def channel_credentials(endpoint: Endpoint) -> grpc.ChannelCredentials | None:
    """What TLS needs; None without TLS. Reads the PEM files.

    Raises:
        ConfigError: If a file cannot be read.
    """
    if not endpoint.tls:
        return None

    def read(what: str, path: Any) -> bytes | None:
        if path is None:
            return None
        try:
            return bytes(path.read_bytes())
        except OSError as error:
            remedy = "give the path of a PEM file that can be read"
            raise ConfigError(explain(what, "a readable PEM file", f"{path}: {error.strerror}", remedy)) from error

    return grpc.ssl_channel_credentials(
        root_certificates=read("ca_cert", endpoint.ca_cert),
        private_key=read("client_key", endpoint.client_key),
        certificate_chain=read("client_cert", endpoint.client_cert),
    )


def call_metadata(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    """What every call carries: the credentials and the database.

    Raises:
        ConfigError: If the database's name cannot be sent.
    """
    metadata: list[tuple[str, str]] = []
    if endpoint.authorization is not None:
        metadata.append(("authorization", endpoint.authorization))
    if endpoint.db_name:
        if not (endpoint.db_name.isascii() and endpoint.db_name.isprintable()):
            raise ConfigError(explain("db_name", "an ASCII name", repr(endpoint.db_name), "correct the name"))
        metadata.append(("dbname", endpoint.db_name))
    return tuple(metadata)
