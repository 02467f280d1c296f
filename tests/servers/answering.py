"""Whether a Milvus answers, whichever it is."""

from __future__ import annotations

import base64

import grpc

from headrace._proto import milvus_pb2

__all__ = ["answers"]


def answers(address, *, timeout, token=None, ca=None):
    """Whether a server at ``host:port`` lists its collections within ``timeout`` seconds; ``ca``: whom to trust."""
    metadata = () if token is None else (("authorization", base64.b64encode(token.encode()).decode()),)
    # A pool of its own: the shared one waits up to minutes after connections that were refused.
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    credentials = None if ca is None else grpc.ssl_channel_credentials(ca.read_bytes())
    with (
        grpc.insecure_channel(address, options=options)
        if credentials is None
        else grpc.secure_channel(address, credentials, options=options)
    ) as channel:
        call = channel.unary_unary(
            "/milvus.proto.milvus.MilvusService/ShowCollections",
            response_deserializer=milvus_pb2.ShowCollectionsResponse.FromString,
        )
        try:
            return call(b"", timeout=timeout, metadata=metadata).status.code == 0
        except grpc.RpcError:
            return False
