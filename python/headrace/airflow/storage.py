"""Files behind an Airflow connection: its credentials as options of a load, never in the environment."""

from __future__ import annotations

from typing import Any

import pyarrow.fs as pafs

from headrace.airflow.compat import BaseHook, ObjectStoragePath
from headrace.errors import ConfigError, explain

__all__ = ["file_options", "plain_paths", "split_paths"]

#: Options of a load by the names that an ``aws`` connection has for them in its extra.
_AWS = {
    "aws_access_key_id": "access_key",
    "aws_secret_access_key": "secret_key",
    "aws_session_token": "session_token",
    "endpoint_url": "endpoint_url",
    "region_name": "region",
    "role_arn": "role_arn",
}
#: The scheme that Airflow's providers attach a file system of each type of connection to.
_SCHEMES = {
    "adls": "abfs",
    "azure_data_lake": "abfs",
    "google_cloud_platform": "gs",
    "hdfs": "hdfs",
    "wasb": "abfs",
}


def split_paths(source: Any, conn_id: str | None) -> tuple[Any, str | None]:
    """A source without Airflow's own paths, and the connection: the one that was given, or that of those paths.

    Args:
        source: A path or an ``ObjectStoragePath``, a list of them, or None.
        conn_id: The connection that was given.

    Raises:
        ConfigError: If they name several connections.
    """
    given = source if isinstance(source, list | tuple) else [source]
    conn_ids, paths = {conn_id} - {None}, []
    for path in given:
        text, own = path, None
        if isinstance(path, ObjectStoragePath):
            # Airflow 2 has it among the options.
            own = path.storage_options.get("conn_id") or getattr(path, "conn_id", None)
            text = str(path).replace(f"://{own}@", "://", 1)
        conn_ids |= {own} - {None}
        paths.append(text)
    if len(conn_ids) > 1:
        expected, found = "one connection", ", ".join(map(repr, sorted(map(str, conn_ids))))
        raise ConfigError(explain("source_conn_id", expected, found, "load what each of them has by a task of its own"))
    return paths if given is source else paths[0], next(iter(conn_ids), None)


def file_options(conn_id: str | None) -> dict[str, Any]:
    """The fields of :class:`headrace.LoadOptions` by which files are reached through a connection; none for no id.

    ``aws`` connections become pyarrow's own S3 file system. Others go through Airflow's ``ObjectStoragePath``, and need
    the provider that their type is of.

    Raises:
        ConfigError: If the type of the connection stands for no object store.
    """
    if conn_id is None:
        return {}
    connection = BaseHook.get_connection(conn_id)
    if connection.conn_type == "aws":
        extra = connection.extra_dejson
        found = {option: str(extra[name]) for name, option in _AWS.items() if extra.get(name)}
        named = {"access_key": connection.login, "secret_key": connection.password}
        found |= {option: value for option, value in named.items() if value}
        return {"source_options": found}
    if connection.conn_type not in _SCHEMES:
        expected, remedy = (
            f"an aws connection, or one of {', '.join(_SCHEMES)}",
            "give the connection of an object store",
        )
        raise ConfigError(explain(f"source_conn_id {conn_id!r}", expected, repr(connection.conn_type), remedy))
    path = ObjectStoragePath(f"{_SCHEMES[connection.conn_type]}://", conn_id=conn_id)
    return {"filesystem": pafs.PyFileSystem(pafs.FSSpecHandler(path.fs))}


def plain_paths(source: Any, options: dict[str, Any]) -> Any:
    """The paths as these options take them: on a file system that was given, without a scheme."""
    if "filesystem" not in options:
        return source
    if isinstance(source, list | tuple):
        return [plain_paths(path, options) for path in source]
    return str(source).partition("://")[2] or source
