"""What the calls share: the forms in which users give consistency levels, keys and deadlines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from headrace import operations as ops
from headrace.calls import Forget, LastWrite, Operation, Recall
from headrace.client_calls.checks import name_of, names_of, number, seconds, text_of
from headrace.collection_messages import CollectionInfo
from headrace.errors import ConfigError, InputError, MilvusException, explain
from headrace.schema import ConsistencyLevel, DataType

__all__ = [
    "Keys",
    "Level",
    "described",
    "filter_of_keys",
    "in_session",
    "known",
    "level_of",
    "listed",
    "rows_timeout",
    "rpc_timeout",
    "scope_of",
    "with_known",
]

T = TypeVar("T")

#: The ``guarantee_timestamp`` that waits for nothing.
_EVENTUALLY = 1

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
    """The deadline of an RPC in seconds; None for the default.

    Raises:
        ConfigError: If it is none.
    """
    return ops.DEFAULT_TIMEOUT if timeout is None else seconds(timeout)


def rows_timeout(timeout: float | None) -> float | None:
    """The deadline of an RPC that moves rows; None for the default.

    Raises:
        ConfigError: If it is none.
    """
    return ops.ROWS_TIMEOUT if timeout is None else seconds(timeout)


def listed(keys: Any) -> list[int | str]:
    """Keys as a list, one alone too.

    Raises:
        ConfigError: If one is no key.
    """
    several = isinstance(keys, Iterable) and not isinstance(keys, str)
    given: list[Any] = list(keys) if several else [keys]
    if not all(isinstance(key, int | str | np.integer) and not isinstance(key, bool) for key in given):
        raise ConfigError(
            explain("ids", "a whole number, a text or a list of these", repr(keys), "give the rows' keys")
        )
    return [key if isinstance(key, str) else int(key) for key in given]


def scope_of(  # noqa: PLR0917 - the order of what a read takes
    filter: str | None,  # noqa: A002 - pymilvus's name
    filter_params: Mapping[str, Any] | None,
    output_fields: Sequence[str] | None,
    partition_names: Sequence[str] | None,
    level: Level,
    timeout: float | None,
    guarantee_timestamp: int | None = None,
) -> ops.Scope:
    """What a read looks at, as users give it.

    Raises:
        ConfigError: If a part of it cannot be used; the message names it.
    """
    return ops.Scope(
        text_of("filter", filter),
        filter_params,
        names_of("output_fields", output_fields) if output_fields else [],
        names_of("partition_names", partition_names) if partition_names else [],
        level_of(level),
        rows_timeout(timeout),
        None if guarantee_timestamp is None else number("guarantee_timestamp", guarantee_timestamp, least=0),
    )


def filter_of_keys(info: CollectionInfo, keys: Sequence[int | str]) -> str:
    """The filter for these keys, as numbers or texts as the collection has them.

    Raises:
        ConfigError: If one is a text that is no number, where keys are numbers.
    """
    key = info.schema.primary_key
    if key.dtype is DataType.VARCHAR:
        return ops.keys_filter(key.name, [str(item) for item in keys])
    try:
        return ops.keys_filter(key.name, [int(item) for item in keys])
    except ValueError:
        expected = f"whole numbers, the keys {key.name!r} of {info.name!r}"
        raise ConfigError(explain("ids", expected, repr(keys), "give the rows' keys")) from None


def in_session(name: str, scope: ops.Scope) -> Operation[ops.Scope]:
    """The scope of a read that sees what this process has written into a collection, by the name that was given.

    That is the level Session; a read that asks for no level has it where it is the collection's own.
    """
    if scope.guarantee_timestamp is not None:
        return scope
    return replace(scope, guarantee_timestamp=(yield LastWrite(name)) or _EVENTUALLY)


def described(name: str, timeout: float | None) -> Operation[CollectionInfo]:
    """What the server knows of a collection.

    Raises:
        MilvusException: Code 100 where there is none.
    """
    info = yield from ops.describe_collection(name, timeout=rpc_timeout(timeout))
    if info is None:
        raise MilvusException(f"can't find collection {name!r}", code=100, method="DescribeCollection")
    return info


def known(name: str, timeout: float | None) -> Operation[CollectionInfo]:
    """What the server said of a collection when it was asked last, or says now where it was not.

    Raises:
        MilvusException: Code 100 where there is none.
    """
    info: CollectionInfo = yield Recall(name_of("collection_name", name), lambda: described(name, timeout))
    return info


def with_known(name: str, timeout: float | None, use: Callable[[CollectionInfo], Operation[T]]) -> Operation[T]:
    """What ``use`` makes of a known collection.

    What is known may be of before a change that somebody else made (Milvus 2.6 then refuses with code 109, others with
    what does not fit): after a refusal the server is asked again, and where it answers otherwise, ``use`` runs again.

    Raises:
        HeadraceError: What ``use`` raises, the second time where there is one.
    """
    asked = False

    def ask() -> Operation[CollectionInfo]:
        nonlocal asked
        asked = True
        return (yield from described(name, timeout))

    info: CollectionInfo = yield Recall(name_of("collection_name", name), ask)
    try:
        return (yield from use(info))
    except (InputError, MilvusException) as error:
        # What was stored or may be stored is not sent again.
        if asked or (error.rows is not None and (error.rows.stored or error.rows.unknown)):
            raise
        yield Forget(name)
        now = yield from known(name, timeout)
        if now == info:
            raise
    return (yield from use(now))
