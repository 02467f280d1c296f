"""One scenario, two libraries: run with pymilvus and with headrace against one engine, it sees the same values.

A scenario is a generator that is given a library (the module ``headrace`` or ``pymilvus``), a client of that library
and a collection name of its own, and yields what a user sees::

    @scenario
    def quick_collection(lib, client, name):
        client.create_collection(name, dimension=4)
        yield client.has_collection(name)
        yield printed(client.get_load_state(name))
        yield outcome(client.drop_index, name, "vector")

Write it as a user writes: names from ``lib`` (``lib.DataType``), calls on ``client``. The collection ``name`` is
dropped afterwards; whatever else a scenario makes it removes itself. Values that differ from run to run are left out
with :func:`without`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from headrace import AsyncMilvusClient

__all__ = [
    "GUARDED",
    "LITE",
    "MILVUS",
    "SCENARIOS",
    "Awaiting",
    "observe",
    "outcome",
    "plain",
    "printed",
    "scenario",
    "without",
]

#: Fixtures of engines.
LITE, MILVUS, GUARDED = "lite322", "milvus235", "guarded235"


@dataclass(frozen=True)
class Scenario:
    """A scenario and the engines that have what it uses."""

    run: Any
    engines: tuple[str, ...]

    @property
    def name(self):
        """The name of its function, and of its collection."""
        return self.run.__name__


#: Every scenario, in the order of their definition.
SCENARIOS: list[Scenario] = []


def scenario(run=None, *, engines=(LITE, MILVUS)):
    """Register a generator function as a scenario."""
    if run is None:
        return lambda function: scenario(function, engines=engines)
    SCENARIOS.append(Scenario(run, engines))
    return run


@dataclass(frozen=True)
class Printed:
    """A text as ``print`` shows it."""

    text: str


@dataclass(frozen=True)
class Refused:
    """A call that was refused: with Milvus's code, or the name of a gRPC status."""

    code: int | str


def printed(value):
    """What users see of a value that they print."""
    return Printed(str(value))


def outcome(call, *args, **kwargs):
    """What a call returns, or how it was refused: the code is compared, the words may be better."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        # pymilvus lets grpc's own errors pass, which have a method `code`; headrace names the status.
        status = getattr(error, "status", None)
        code = getattr(error, "code", None)
        if status is None and callable(code):
            status = code().name
        found = code if status is None else status
        if not isinstance(found, int | str):
            raise
        return Refused(found)


def walked(client, pages):
    """The pages of an iterator, until one is empty."""
    found = []
    while not found or found[-1]:
        page = pages.next()
        found.append(list(client.wait(page) if asyncio.iscoroutine(page) else page))
    return found


def without(value, *keys):
    """A dict without some keys."""
    return {key: item for key, item in value.items() if key not in keys}


def plain(value):
    """A value as nothing but Python's own types, so that values of two libraries compare."""
    if value is None or isinstance(value, bool | str | bytes | Printed | Refused):
        return value
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.str, value.tolist())
    if isinstance(value, np.generic):
        return ("scalar", value.dtype.str, value.item())
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping) or hasattr(value, "keys"):
        return {key: plain(value[key]) for key in value.keys()}  # noqa: SIM118 - some are no mappings
    if isinstance(value, Sequence) or hasattr(value, "__iter__"):
        return [plain(item) for item in value]
    raise TypeError(f"a scenario saw {value!r}, which cannot be compared")


def observe(given, lib, client):
    """What a scenario sees with one library."""
    client.drop_collection(given.name)
    try:
        return [plain(value) for value in given.run(lib, client, given.name)]
    finally:
        client.drop_collection(given.name)


class Awaiting:
    """An AsyncMilvusClient behind the methods of a MilvusClient, so that one test serves both."""

    def __init__(self, *args, **kwargs):
        # Built where no loop runs, as programs do.
        self._client = AsyncMilvusClient(*args, **kwargs)
        self._runner = asyncio.Runner()

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*args, **kwargs):
            async def run():
                found = method(*args, **kwargs)
                return await found if asyncio.iscoroutine(found) else found

            return self._runner.run(run())

        return call

    def wait(self, coroutine):
        """What a coroutine of the client's ends with."""
        return self._runner.run(coroutine)

    def close(self):
        self._runner.run(self._client.close())
        self._runner.close()
