"""Local files in memory maps, of which only the pages in use are in memory.

A mapped file that shrinks while it is loaded ends the process (SIGBUS), as with every reader of memory maps, unless
:meth:`Mapping.fetch` or :meth:`Mapping.check` meets the new end first: that is an error like any other.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pyarrow as pa

__all__ = ["Mapping"]

#: Linux 5.14's request to read pages and to map them; Python has no name for it.
_MADV_POPULATE_READ = 22
_SHORTER = "the file ends early, or a page of it cannot be read"


class Mapping:
    """Bytes of a local file, read only; they stay mapped for as long as anything refers to them.

    Args:
        path: The file.
        offset: Its first byte that is wanted.
        length: How many are wanted, at least one; None for all that follow.

    Raises:
        OSError, ValueError: If the file cannot be opened, or has fewer bytes.
    """

    def __init__(self, path: str, offset: int = 0, length: int | None = None) -> None:
        before = offset % mmap.ALLOCATIONGRANULARITY
        with Path(path).open("rb") as file:
            size = 0 if length is None else before + length
            self._map = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ, offset=offset - before)
        self._end = offset - before + len(self._map)
        #: The bytes.
        self.buffer: pa.Buffer = pa.py_buffer(self._map).slice(before)

    def holds(self, buffer: pa.Buffer) -> bool:
        """Whether ``buffer`` is a part of it."""
        first, mine = int(buffer.address), int(self.buffer.address)
        return mine <= first and first + int(buffer.size) <= mine + int(self.buffer.size)

    def check(self) -> None:
        """Look whether all of the bytes are in the file still, before some are read without :meth:`fetch`.

        Raises:
            OSError: If the file became shorter.
        """
        if self._map.size() < self._end:
            raise OSError(errno.EFAULT, _SHORTER)

    def fetch(self, addresses: Iterable[range]) -> None:
        """Have the bytes at these addresses in memory when this returns; a kernel without this call reads them later.

        Left to page faults it would be whoever packs that waits for the disk, for 128 KiB at a time. Releases the GIL.

        Raises:
            OSError: If the file became shorter, or cannot be read.
        """
        for pages in _pages(addresses, whole=True):
            fault = _advise(pages, _MADV_POPULATE_READ) if sys.platform == "linux" else errno.EINVAL
            if fault == errno.EFAULT:
                raise OSError(fault, _SHORTER)
            if fault == errno.EINVAL:
                _advise(pages, mmap.MADV_WILLNEED)

    def drop(self, addresses: Iterable[range]) -> None:
        """Give up the pages at these addresses; what is still needed of them is mapped again when it is looked at."""
        for pages in _pages(addresses, whole=False):
            _advise(pages, mmap.MADV_DONTNEED)


def _pages(addresses: Iterable[range], *, whole: bool) -> list[range]:
    """The pages of ranges in ascending order, neighbours as one; the last of each only where the ``whole`` is wanted.

    Otherwise a page that two ranges share belongs to the second of them.
    """
    found: list[range] = []
    size = mmap.PAGESIZE
    for each in addresses:
        start, stop = each.start // size * size, (each.stop + (size - 1) * whole) // size * size
        if found and found[-1].start <= start <= found[-1].stop:
            found[-1] = range(found[-1].start, max(stop, found[-1].stop))
        elif start < stop:
            found.append(range(start, stop))
    return found


@cache
def _madvise() -> Callable[[int, int, int], int]:
    # Python's own keeps the GIL, which a read from a disk must not.
    function = ctypes.CDLL(None, use_errno=True).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


def _advise(pages: range, advice: int) -> int:
    """The error's number, or 0."""
    return ctypes.get_errno() if _madvise()(pages.start, len(pages), advice) else 0
