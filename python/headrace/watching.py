"""What happens beside the sending, a few times a second: progress is shown and kept, rows that wait are sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from headrace.errors import HeadraceError
from headrace.report import Progress

__all__ = ["linger", "repeat", "show_progress"]

#: Seconds between two looks.
TICK = 0.25
#: Rows that wait to be joined with later ones are sent after this many looks in which none came.
LINGER_TICKS = 4


async def show_progress(
    show: Callable[[Progress], None], look: Callable[[], Progress], failed: Callable[[HeadraceError], None]
) -> None:
    """Call ``show`` with what ``look`` sees; where it raises, call ``failed`` with the reason and return."""
    while True:
        await asyncio.sleep(TICK)
        try:
            show(look())
        except Exception as error:  # noqa: BLE001 - a caller's code; the load ends and says so
            broken = HeadraceError(f"the progress callback failed: {type(error).__name__}: {error}")
            broken.__cause__ = error
            failed(broken)
            return


async def repeat(look: Callable[[], None]) -> None:
    """Call ``look`` at every tick."""
    while True:
        await asyncio.sleep(TICK)
        look()


async def linger(rows_read: Callable[[], int], flush: Callable[[], None]) -> None:
    """Call ``flush`` in a thread once a second has passed in which no row came.

    Why it failed is kept by whoever stopped the load; the next call of the owner raises it.
    """
    quiet, last = 0, -1
    while True:
        await asyncio.sleep(TICK)
        read = rows_read()
        quiet, last = quiet + 1 if read == last else 0, read
        if quiet == LINGER_TICKS:
            with contextlib.suppress(HeadraceError):
                await asyncio.to_thread(flush)
