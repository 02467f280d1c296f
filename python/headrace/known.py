"""What the clients of this process know of a server's collections, so that each is described once.

That is descriptions, and when each was last written to: a read of the consistency level Session waits for that.

Known is shared by all clients of an address as long as one of them lives, by database and collection. It is forgotten
by every call that may change a collection, whoever makes it, and by an operation that was refused because of it.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

__all__ = ["AsyncKnown", "Known", "Shared"]

#: Methods after which any description of the database may be another one.
_CHANGES = frozenset(
    {
        "AddCollectionField",
        "AlterAlias",
        "AlterCollection",
        "AlterCollectionField",
        "CreateAlias",
        "CreateCollection",
        "DropAlias",
        "DropCollection",
        "DropDatabase",
        "RenameCollection",
    }
)


class Shared:
    """What is known at one address: database to key to value; and database and key to the last write's timestamp."""

    _shared: ClassVar[weakref.WeakValueDictionary[str, Shared]] = weakref.WeakValueDictionary()
    guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self.databases: dict[str, dict[str, Any]] = {}
        self.writes: dict[tuple[str, str], int] = {}

    @classmethod
    def at(cls, address: str) -> Shared:
        """What all clients of this address share."""
        with cls.guard:
            return cls._shared.setdefault(address, cls())


class _Known:
    def __init__(self, address: str, database: Callable[[], str]) -> None:
        self._shared = Shared.at(address)
        self._database = database

    def _now(self) -> dict[str, Any]:
        return self._shared.databases.setdefault(self._database(), {})

    def close(self) -> None:
        """Let go of what is shared: the last client of an address takes it along."""
        self._shared = Shared()

    def forget(self, key: str) -> None:
        """Forget one collection."""
        self._now().pop(key, None)

    def wrote(self, key: str, timestamp: int) -> None:
        """Take note of a write's timestamp; answers may arrive in another order than they were made in."""
        place = self._database(), key
        with Shared.guard:
            self._shared.writes[place] = max(timestamp, self._shared.writes.get(place, 0))

    def last_write(self, key: str) -> int:
        """The latest that was noted, or 0."""
        return self._shared.writes.get((self._database(), key), 0)

    def called(self, method: str) -> None:
        """Forget the database's collections after a call that may have changed them."""
        if method in _CHANGES:
            # A description that is being asked for may be of before the change: it goes into the old dict.
            self._shared.databases.clear()


class Known(_Known):
    """The memory of a blocking client, to be used from several threads.

    Args:
        address: The server's address.
        database: Says which database the client uses now.
    """

    def __init__(self, address: str, database: Callable[[], str]) -> None:
        super().__init__(address, database)
        self._asking: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def recall(self, key: str, ask: Callable[[], Any]) -> Any:
        """What is known, or what ``ask`` returns; a thread waits where another asks already."""
        if (found := self._now().get(key)) is not None:
            return found
        with self._guard:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            known = self._now()
            if (found := known.get(key)) is None:
                found = known[key] = ask()
            return found


class AsyncKnown(_Known):
    """The memory of an awaited client, for one loop at a time.

    Args:
        address: The server's address.
        database: Says which database the client uses now.
    """

    def __init__(self, address: str, database: Callable[[], str]) -> None:
        super().__init__(address, database)
        self._asking: dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Future[None]] = {}

    async def recall(self, key: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What is known, or what ``ask`` returns; a task waits where another asks already, and shares its error.

        Where the one that asks is cancelled, the next one asks.
        """
        place = asyncio.get_running_loop(), key
        while (found := self._now().get(key)) is None:
            asking = self._asking.get(place)
            if asking is None:
                return await self._ask(place, ask)
            await asyncio.wait([asking])
            if error := asking.exception():
                raise error
        return found

    async def _ask(self, place: tuple[asyncio.AbstractEventLoop, str], ask: Callable[[], Awaitable[Any]]) -> Any:
        asking = self._asking[place] = place[0].create_future()
        known = self._now()
        try:
            found = known[place[1]] = await ask()
        except Exception as error:
            asking.set_exception(error)
            # Perhaps nobody waits.
            asking.exception()
            raise
        finally:
            del self._asking[place]
            if not asking.done():
                asking.set_result(None)
        return found
