"""Where files are: the file system of a path or URI, with the options of object stores.

Paths without a scheme and ``file://`` are local. Other schemes are whatever pyarrow knows (``s3://``, ``gs://``,
``abfs://``, ``hdfs://``), then whatever fsspec knows (``https://``), where that is installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from headrace.errors import ConfigError, MissingExtraError, explain

__all__ = ["Storage"]

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


def _flag(name: str, value: str) -> bool:
    if value.casefold() in _TRUE | _FALSE:
        return value.casefold() in _TRUE
    raise _bad_option(f"{name}=true or {name}=false", f"{name}={value}")


def _text(_name: str, value: str) -> str:
    return value


def _seconds(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise _bad_option(f"{name} in seconds", f"{name}={value}") from None


#: The variables in which pyarrow, as Amazon's own tools, looks for an endpoint.
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_Convert = Callable[[str, str], Any]
#: Names of options to pyarrow's own argument and the reading of its value.
_S3: dict[str, tuple[str, _Convert]] = {
    "endpoint_url": ("endpoint_override", _text),
    "region": ("region", _text),
    "anonymous": ("anonymous", _flag),
    "access_key": ("access_key", _text),
    "secret_key": ("secret_key", _text),
    "session_token": ("session_token", _text),
    "role_arn": ("role_arn", _text),
    "force_virtual_addressing": ("force_virtual_addressing", _flag),
    "connect_timeout": ("connect_timeout", _seconds),
    "request_timeout": ("request_timeout", _seconds),
}
_GCS: dict[str, tuple[str, _Convert]] = {
    "endpoint_url": ("endpoint_override", _text),
    "anonymous": ("anonymous", _flag),
    "access_token": ("access_token", _text),
    "project_id": ("project_id", _text),
    "retry_time_limit": ("retry_time_limit", lambda name, value: timedelta(seconds=_seconds(name, value))),
}
#: How long a store of Google's that does not answer is asked again; pyarrow's own limit is a quarter of an hour.
_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Storage:
    """How files are reached.

    Attributes:
        filesystem: A file system that every path is on, or None to take each path's own.
        options: Options of object stores, by name.
    """

    filesystem: pafs.FileSystem | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def find(self, uri: str) -> tuple[pafs.FileSystem, str]:
        """The file system of a URI, and the path in it. Nobody is asked but Amazon, for the region of a bucket.

        Raises:
            ConfigError: If an option is not one of that kind of store.
            MissingExtraError: If the scheme needs fsspec, and it is not installed.
            ArrowInvalid, ValueError: If the URI has no meaning.
            OSError: If Amazon knows no such bucket, or cannot be reached.
        """
        scheme, _, rest = uri.partition("://")
        if scheme in ("s3", "s3a") and self.options:
            return self._s3(rest.partition("/")[0]), rest
        if scheme in ("gs", "gcs"):
            options = {"retry_time_limit": _PATIENCE, **self._read(_GCS, scheme)}
            scheme_of, options = _split_endpoint(options)
            return pafs.GcsFileSystem(**options, **({"scheme": scheme_of} if scheme_of else {})), rest
        if self.options:
            raise _bad_option("options with s3:// or gs://", f"options with {scheme}://")
        try:
            filesystem, path = pafs.FileSystem.from_uri(uri)
        except pa.ArrowInvalid as error:
            if "nrecognized filesystem" not in str(error):
                raise
            return _fsspec(uri, error)
        return filesystem, path

    def _s3(self, bucket: str) -> pafs.FileSystem:
        scheme, options = _split_endpoint(self._read(_S3, "s3"))
        if scheme:
            options["scheme"] = scheme
        # Only Amazon says in which region a bucket is; other stores mostly take any.
        if "endpoint_override" in options:
            options.setdefault("region", "us-east-1")
        elif "region" not in options and not any(name in os.environ for name in _ENDPOINTS):
            options["region"] = pafs.resolve_s3_region(bucket)
        return pafs.S3FileSystem(**options)

    def _read(self, known: Mapping[str, tuple[str, _Convert]], scheme: str) -> dict[str, Any]:
        unknown = [name for name in self.options if name not in known]
        if unknown:
            raise _bad_option(f"one of {', '.join(known)} for {scheme}://", unknown[0])
        return {known[name][0]: known[name][1](name, value) for name, value in self.options.items()}


def _split_endpoint(options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The scheme of an endpoint, and the options with the endpoint's host and port alone, as pyarrow wants them."""
    scheme, separator, host = str(options.get("endpoint_override", "")).partition("://")
    return (scheme, {**options, "endpoint_override": host.rstrip("/")}) if separator else ("", options)


def _bad_option(expected: str, found: str) -> ConfigError:
    return ConfigError(explain("--source-option", expected, found, "correct it, or leave it out"))


def _fsspec(uri: str, error: pa.ArrowInvalid) -> tuple[pafs.FileSystem, str]:
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(uri)
    except ImportError as missing:
        # A file system of fsspec may need more, and says what.
        found = "it is not installed" if missing.name == "fsspec" else str(missing)
        remedy = "install fsspec (for http with aiohttp), or load a local copy"
        expected = f"fsspec to read {uri.partition('://')[0]}://"
        raise MissingExtraError(explain(uri, expected, found, remedy)) from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path
