"""Requests as bytes, sent as they are."""

from __future__ import annotations

from headrace import Endpoint
from headrace._proto import milvus_pb2
from headrace.protocol import status_error
from headrace.transport import SyncTransport

__all__ = ["call", "send"]


def call(server, method, request):
    """Send a request's bytes and return the answer's."""
    with SyncTransport(Endpoint(uri=server.uri)) as transport:
        return transport.call(method, request, timeout=60)


def send(server, method, packed):
    """Send a packed write and return its answer.

    Raises:
        MilvusException: If the server refuses it.
    """
    answer = milvus_pb2.MutationResult.FromString(call(server, method, packed))
    if error := status_error(answer.status, method):
        raise error
    return answer
