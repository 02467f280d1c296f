"""What the calls share: the forms in which users give consistency levels, keys and deadlines."""

from __future__ import annotations

from collections.abc import Sequence

from headrace import operations as ops
from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.errors import ConfigError, MilvusException, explain
from headrace.schema import ConsistencyLevel

__all__ = ["Keys", "Level", "described", "level_of", "listed", "rpc_timeout"]

Level = ConsistencyLevel | str | int | None
Keys = int | str | Sequence[int] | Sequence[str]


def level_of(level: Level) -> ConsistencyLevel | None:
    """A consistency level by its number or its name, in any case; None for the collection's own."""
    if level is None:
        return None
    try:
        return ConsistencyLevel[level.upper()] if isinstance(level, str) else ConsistencyLevel(level)
    except (KeyError, ValueError):
        allowed = ", ".join(item.name.capitalize() for item in ConsistencyLevel)
        raise ConfigError(explain("consistency_level", f"one of {allowed}", repr(level), "choose one")) from None


def rpc_timeout(timeout: float | None) -> float | None:
    """The deadline of an RPC in seconds; None for the default."""
    return ops.DEFAULT_TIMEOUT if timeout is None else timeout


def listed(keys: Keys) -> list[int] | list[str]:
    """Keys as a list, one alone too."""
    return [keys] if isinstance(keys, int | str) else list(keys)  # type: ignore[return-value]


def described(name: str, timeout: float | None) -> Operation[CollectionInfo]:
    """What the server knows of a collection.

    :raises MilvusException: code 100 where there is none.
    """
    info = yield from ops.describe_collection(name, timeout=rpc_timeout(timeout))
    if info is None:
        raise MilvusException(f"can't find collection {name!r}", code=100, method="DescribeCollection")
    return info
