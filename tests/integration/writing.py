"""Sends packed requests as they are."""

from __future__ import annotations

from headrace import Endpoint
from headrace._proto import milvus_pb2
from headrace.protocol import status_error
from headrace.transport import SyncTransport

__all__ = ["send"]


def send(server, method, packed):
    """Send a packed request and return the answer.

    :raises MilvusException: if the server refuses it.
    """
    with SyncTransport(Endpoint(uri=server.uri)) as transport:
        answer = milvus_pb2.MutationResult.FromString(transport.call(method, packed, timeout=60))
    if error := status_error(answer.status, method):
        raise error
    return answer
