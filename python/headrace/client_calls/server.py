"""The server itself."""

from __future__ import annotations

from headrace import operations as ops
from headrace._proto import milvus_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import flag
from headrace.operations.base import ask

__all__ = ["get_server_version"]


def get_server_version(timeout: float | None = None, detail: bool = False) -> Operation[str | dict[str, str]]:
    """The server's own version text, or all that it tells of its build.

    Args:
        timeout: Seconds for the call.
        detail: Return ``version``, ``build_time``, ``git_commit``, ``go_version`` and ``deploy_mode``.
    """
    if not flag("detail", detail):
        return (yield from ops.get_server_version(timeout=rpc_timeout(timeout)))
    answer = yield from ask("Connect", milvus_pb2.ConnectRequest(), milvus_pb2.ConnectResponse, rpc_timeout(timeout))
    info = answer.server_info
    return {
        "version": info.build_tags,
        "build_time": info.build_time,
        "git_commit": info.git_commit,
        "go_version": info.go_version,
        "deploy_mode": info.deploy_mode,
    }
