"""A file far away, read ahead: while one block is in use the next ones are on the way, several at a time.

Whoever reads from the start to the end, or several columns side by side, then waits for the network once, not for each
request. At most :data:`MOST_BLOCKS` blocks are held.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

from headrace.waits import result_of

__all__ = ["BLOCKS_AHEAD", "BLOCK_BYTES", "MOST_BLOCKS", "ReadAheadFile", "at_once"]

BLOCK_BYTES = 2 << 20
#: With 50 ms a request that is 320 MB a second.
BLOCKS_AHEAD = 8
MOST_BLOCKS = 16
_MOST_AT_ONCE = 16

T = TypeVar("T")
R = TypeVar("R")


def at_once(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """``function`` of each item, several at a time: each of them may wait for the network several times."""
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="headrace-opening") as pool:
        return list(pool.map(function, items))


class ReadAheadFile:
    """A file object for :class:`pyarrow.PythonFile`, which serialises the calls.

    Args:
        file: Where to read; its ``read_at`` is called from several threads.
        stop: Nothing is read ahead from this position on; None for the end.
    """

    def __init__(self, file: pa.NativeFile, stop: int | None = None) -> None:
        self._file = file
        self._size = int(file.size())
        self._stop = self._size if stop is None else min(stop, self._size)
        self._position = 0
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self.closed = False

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from anywhere."""
        return True

    def writable(self) -> bool:
        """Whether it can be written."""
        return False

    def tell(self) -> int:
        """The position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, length: int | None = None) -> bytes:
        """The next ``length`` bytes, fewer at the end; None or a negative number for all."""
        left = self._size - self._position
        if length is not None and length >= 0:
            left = min(left, length)
        pieces = []
        while left > 0:
            number, start = divmod(self._position, BLOCK_BYTES)
            piece = memoryview(self._block(number))[start : start + left]
            if not len(piece):
                raise OSError(f"the file ends at {self._position}, before its {self._size} bytes")
            pieces.append(piece)
            self._position += len(piece)
            left -= len(piece)
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Give up what is on the way, and close the file."""
        if self.closed:
            return
        self.closed = True
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._blocks.clear()
        self._file.close()

    def _block(self, number: int) -> bytes:
        with self._lock:
            follows = number - 1 in self._blocks
            wanted = self._ask(number)
            if follows:
                # Further blocks are asked for where somebody is seen to read on.
                for ahead in range(number + 1, number + 1 + BLOCKS_AHEAD):
                    if ahead * BLOCK_BYTES < self._stop:
                        self._ask(ahead)
                # What was read to its end is let go first, what is on the way last.
                self._blocks.move_to_end(number - 1, last=False)
            self._blocks.move_to_end(number)
            while len(self._blocks) > MOST_BLOCKS:
                self._blocks.popitem(last=False)[1].cancel()
        try:
            return result_of(wanted)
        except BaseException:
            with self._lock:
                self._blocks.pop(number, None)
            raise

    def _ask(self, number: int) -> Future[bytes]:
        if number in self._blocks:
            return self._blocks[number]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(BLOCKS_AHEAD, thread_name_prefix="headrace-ahead")
        future = self._pool.submit(self._file.read_at, BLOCK_BYTES, number * BLOCK_BYTES)
        self._blocks[number] = future
        return future
