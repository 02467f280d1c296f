"""The server itself."""

from __future__ import annotations

from headrace import operations as ops
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout

__all__ = ["get_server_version"]


def get_server_version(timeout: float | None = None) -> Operation[str]:
    """The server's own version text."""
    return (yield from ops.get_server_version(timeout=rpc_timeout(timeout)))
