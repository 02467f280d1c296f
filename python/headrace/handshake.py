"""The first words with a server: is it there, may we, and what is it.

``Connect`` names this client to the server and answers with its build; ``GetVersion`` fills in where that says no
version (Milvus Lite 3). Either is optional, and so is a version (Milvus Lite 2.5 tells none): there is no session.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from headrace import __version__
from headrace._proto import common_pb2, milvus_pb2
from headrace.calls import Operation, Rpc, Sleep
from headrace.config import Endpoint
from headrace.errors import ConnectError, MilvusException, RpcError, explain
from headrace.protocol import status_error

__all__ = ["ServerInfo", "handshake", "parse_version"]

#: Seconds between two attempts while nothing answers.
RETRY_SECONDS = 0.1
#: merr.ErrServiceNotAuthenticated and ErrServiceNotPermitted; here also for gRPC's own refusals.
NOT_AUTHENTICATED = 1400
NOT_PERMITTED = 1401
#: merr.ErrServiceNotReady and ErrServiceUnavailable, and NotReadyServe and NotReadyCoordActivating of the old enum.
_NOT_READY = frozenset({1, 2, 56, 57})
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class ServerInfo:
    """What answered.

    Attributes:
        version: (major, minor, patch); (0, 0, 0) where the server's text holds none.
        kind: ``"lite"`` for Milvus Lite, ``"milvus"`` for everything else.
        text: The server's own version text.
    """

    version: tuple[int, int, int]
    kind: Literal["milvus", "lite"]
    text: str


def parse_version(text: str) -> tuple[int, int, int]:
    """The version inside a text such as ``v2.3.5-lite`` or ``milvus_lite-3.2.2``; (0, 0, 0) where there is none."""
    match = _VERSION.search(text)
    if match is None:
        return (0, 0, 0)
    major, minor, patch = match.groups(default="0")
    return (int(major), int(minor), int(patch))


def handshake(
    endpoint: Endpoint, address: str, *, clock: Callable[[], float] = time.monotonic
) -> Operation[ServerInfo]:
    """Reach the server within ``endpoint.timeout`` seconds, trying again while nothing answers.

    Raises:
        ConnectError: If nothing that speaks Milvus answered in time; certainly nothing was stored.
        MilvusException: If the server answered and refused: code 1400 or 1401 for the credentials.
    """
    deadline = clock() + endpoint.timeout
    found = "no answer"
    while (remaining := deadline - clock()) > 0:
        try:
            return (yield from _ask(remaining))
        except RpcError as error:
            if error.status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
                raise _refused(endpoint, address, error) from error
            found = f"{error.status}: {error.details or 'no details'}"
            if error.status == "DEADLINE_EXCEEDED":
                found = "no answer"
            elif error.status != "UNAVAILABLE" and "not ready" not in error.details:
                raise _unreachable(endpoint, address, found) from error
        except MilvusException as error:
            if error.code not in _NOT_READY:
                raise
            found = f"a server that is not ready (code {error.code}: {error.message})"
        yield Sleep(min(RETRY_SECONDS, max(deadline - clock(), 0.0)))
    raise _unreachable(endpoint, address, found)


def _ask(timeout: float) -> Operation[ServerInfo]:
    client = common_pb2.ClientInfo(
        sdk_type="headrace", sdk_version=__version__, local_time=datetime.now().astimezone().isoformat()
    )
    request = milvus_pb2.ConnectRequest(client_info=client)
    text = None
    try:
        answer = yield Rpc("Connect", request, milvus_pb2.ConnectResponse, timeout)
        if error := status_error(answer.status, "Connect"):
            raise error
        text = answer.server_info.build_tags
    except RpcError as error:
        if error.status != "UNIMPLEMENTED":
            raise
    if text is None or parse_version(text) == (0, 0, 0):
        try:
            named = yield Rpc("GetVersion", milvus_pb2.GetVersionRequest(), milvus_pb2.GetVersionResponse, timeout)
            if refusal := status_error(named.status, "GetVersion"):
                raise refusal
            text = named.version
        except RpcError as error:
            # What knows neither of the two methods is no Milvus.
            if error.status != "UNIMPLEMENTED" or text is None:
                raise
    # Milvus 2.3.5 calls itself v2.3.5-lite in one packaging, and is the real server.
    return ServerInfo(parse_version(text), "lite" if "milvus_lite" in text else "milvus", text)


def _refused(endpoint: Endpoint, address: str, error: RpcError) -> MilvusException:
    code = NOT_AUTHENTICATED if error.status == "UNAUTHENTICATED" else NOT_PERMITTED
    given = "no credentials" if endpoint.token is None else "credentials that it refused"
    reason = f" ({error.details})" if error.details else ""
    text = explain(
        f"server {address}",
        "credentials that it accepts",
        f"{given}{reason}",
        "give user:password or an API key as the token (MILVUS_TOKEN)",
    )
    return MilvusException(text, code=code, method=error.method)


def _unreachable(endpoint: Endpoint, address: str, found: str) -> ConnectError:
    return ConnectError(
        explain(
            f"server {address}",
            f"a Milvus server within {endpoint.timeout:g} s",
            found,
            "check that it is running, its host and port, and http:// or https://",
        ),
        address=address,
    )
