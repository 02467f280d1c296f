"""What the server says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from headrace._proto import milvus_pb2
from headrace.calls import Operation
from headrace.operations.base import DEFAULT_TIMEOUT, ask

__all__ = ["Health", "check_health", "get_server_version"]


@dataclass(frozen=True)
class Health:
    """The answer to CheckHealth.

    Attributes:
        healthy: Whether all of the server's parts are well.
        reasons: What is wrong, in the server's words.
        quota_states: ReadLimited 2, WriteLimited 3, DenyToRead 4, DenyToWrite 5, DenyToDDL 6: the cheap probe while
            writes are denied.
    """

    healthy: bool
    reasons: tuple[str, ...] = ()
    quota_states: tuple[int, ...] = ()


def check_health(*, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[Health]:
    """The server's health."""
    request = milvus_pb2.CheckHealthRequest()
    answer = yield from ask("CheckHealth", request, milvus_pb2.CheckHealthResponse, timeout)
    return Health(answer.isHealthy, tuple(answer.reasons), tuple(answer.quota_states))


def get_server_version(*, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[str]:
    """The server's own version text, such as ``v2.6.2``."""
    answer = yield from ask("GetVersion", milvus_pb2.GetVersionRequest(), milvus_pb2.GetVersionResponse, timeout)
    return answer.version
