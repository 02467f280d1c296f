"""What the options of a command mean: the endpoint, the options of a load, the source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from headrace.config import Endpoint, LoadOptions
    from headrace.schema import CollectionSchema

__all__ = ["endpoint_of", "options_of", "schema_of", "source_of"]


def source_of(sources: tuple[str, ...]) -> str | list[str]:
    """The paths as :func:`headrace.load` takes them.

    Raises:
        ConfigError: If one of them is standard input.
    """
    if "-" in sources:
        from headrace.errors import ConfigError, explain

        remedy = "write the rows into a file and load that (./- is a file of that name)"
        raise ConfigError(explain("SOURCE -", "files, which can be read again from any row", "standard input", remedy))
    return sources[0] if len(sources) == 1 else list(sources)


def endpoint_of(values: dict[str, Any]) -> Endpoint:
    """Take the endpoint's options out of ``values``."""
    from headrace.config import Endpoint
    from headrace.errors import ConfigError, explain

    names = ("uri", "token", "db_name", "ca_cert", "client_cert", "client_key", "server_name")
    given = {name: values.pop(name) for name in names}
    path: Path | None = values.pop("token_file")
    if path is not None:
        if given["token"] is not None:
            raise click.UsageError("--token and --token-file: give one of them")
        try:
            given["token"] = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = explain("--token-file", "a readable text file", f"{path}: {error}", "check the path")
            raise ConfigError(reason) from error
        if not given["token"]:
            raise ConfigError(explain("--token-file", "a token", f"{path} is empty", "write user:password into it"))
    return Endpoint.resolve(**given, timeout=values.pop("connect_timeout"))


def options_of(values: dict[str, Any]) -> LoadOptions:
    """LoadOptions of what was given; what was not keeps its default."""
    from headrace.config import LoadOptions

    names = LoadOptions.__dataclass_fields__
    return LoadOptions(**{name: value for name, value in values.items() if name in names and value is not None})


def schema_of(values: dict[str, Any]) -> CollectionSchema | None:
    """Take the file of a schema out of ``values``; the schema, or None where none was given."""
    path: Path | None = values.pop("schema_file")
    if path is None:
        return None

    from headrace.schema_files import read_schema

    return read_schema(path)
