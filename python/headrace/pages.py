"""Iterators over pages: what ``query_iterator`` and ``search_iterator`` of the two clients return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sized
from typing import Any, Generic, Protocol, Self, TypeVar

from headrace.calls import Operation

__all__ = ["AsyncPages", "Pages", "PagesOperation"]

P_co = TypeVar("P_co", bound=Sized, covariant=True)
P = TypeVar("P", bound=Sized)


class PagesOperation(Protocol[P_co]):
    """What makes the pages: an operation for each."""

    def next(self) -> Operation[P_co]:
        """The operation that ends with the next page, which is empty after the last one."""
        ...


class Pages(Generic[P]):
    """Pages of a blocking client: ``for page in pages``, or ``next()`` until a page is empty."""

    def __init__(self, run: Callable[[Operation[Any]], Any], pages: PagesOperation[P]) -> None:
        self._run = run
        self._pages = pages

    def next(self) -> P:
        """The next page; empty after the last one."""
        page: P = self._run(self._pages.next())
        return page

    def close(self) -> None:
        """Nothing is kept open; here because users of pymilvus call it."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> P:
        page = self.next()
        if not len(page):
            raise StopIteration
        return page


class AsyncPages(Generic[P]):
    """Pages of an awaited client: ``async for page in pages``, or ``await next()`` until a page is empty."""

    def __init__(self, run: Callable[[Operation[Any]], Awaitable[Any]], pages: PagesOperation[P]) -> None:
        self._run = run
        self._pages = pages

    async def next(self) -> P:
        """The next page; empty after the last one."""
        page: P = await self._run(self._pages.next())
        return page

    async def close(self) -> None:
        """Nothing is kept open; here because users of pymilvus call it."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> P:
        page = await self.next()
        if not len(page):
            raise StopAsyncIteration
        return page
