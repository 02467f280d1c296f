"""What users give a client to find its server, in pymilvus's words, as an Endpoint."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from headrace.config import Endpoint
from headrace.errors import ConfigError, explain

__all__ = ["endpoint_of"]

#: Seconds to establish the connection where the caller says nothing.
CONNECT_TIMEOUT = 10.0


def endpoint_of(
    *,
    uri: str | os.PathLike[str] | None,
    user: str,
    password: str,
    db_name: str,
    token: str,
    timeout: float | None,
    secure: bool | None,
    files: dict[str, str | os.PathLike[str] | None],
    server_name: str,
) -> Endpoint:
    """The endpoint of a client's arguments.

    A uri may also hold credentials and the database (``https://user:password@host:port/database``), as pymilvus's may;
    what is given beside it goes first.

    Raises:
        ConfigError: If a value cannot be used, or two contradict each other.
    """
    given: dict[str, Any] = {"user": user, "password": password, "db_name": db_name, "token": token}
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise ConfigError(explain(name, "a text", f"one of type {type(value).__name__}", "give a text"))
    address: str | os.PathLike[str] | None = uri
    if isinstance(uri, str) and "://" in uri:
        address, found = _split(uri)
        given = {**found, **{name: value for name, value in given.items() if value}}
        if given.get("token") and not token and user:
            del given["token"]
    elif uri is not None and not isinstance(uri, str | os.PathLike):
        raise ConfigError(explain("uri", "a text or a path", repr(uri), "give http://HOST:PORT or a .db file"))
    return Endpoint.resolve(
        _secured(address, secure),
        token=given.get("token") or None,
        user=given.get("user") or None,
        password=given.get("password") or None,
        db_name=given.get("db_name") or None,
        ca_cert=files["ca_pem_path"] or files["server_pem_path"] or None,
        client_cert=files["client_pem_path"] or None,
        client_key=files["client_key_path"] or None,
        server_name=server_name or None,
        timeout=CONNECT_TIMEOUT if timeout is None else timeout,
    )


def _split(uri: str) -> tuple[str, dict[str, str]]:
    """A uri without the credentials and the database in it, and these."""
    parts = urlsplit(uri)
    found: dict[str, str] = {}
    if parts.username:
        name, word = unquote(parts.username), parts.password
        found["token"] = name if word is None else f"{name}:{unquote(word)}"
    if database := parts.path.strip("/"):
        found["db_name"] = database
    scheme = "http" if parts.scheme == "tcp" else parts.scheme
    return urlunsplit((scheme, parts.netloc.rpartition("@")[2], "", parts.query, parts.fragment)), found


def _secured(uri: str | os.PathLike[str] | None, secure: bool | None) -> str | os.PathLike[str] | None:
    if secure is None or uri is None:
        return uri
    if not isinstance(secure, bool):
        raise ConfigError(explain("secure", "True or False", repr(secure), "give one of them"))
    text = os.fspath(uri)
    if not secure and text.startswith("https://"):
        raise ConfigError(explain("secure", "True with https://", "False", "use http:// or leave secure out"))
    if secure and text.startswith("http://"):
        # Without a port the two differ in it, and http:// was said.
        port = "" if urlsplit(text).port else ":19530"
        return f"https://{text.removeprefix('http://').rstrip('/')}{port}"
    return uri
