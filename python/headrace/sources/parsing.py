"""Blocks of a text file parsed by several threads, while whoever reads them in order has those before."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa

__all__ = ["MOST_AHEAD", "Block", "ParsingAhead"]

#: Text is parsed at 100 MB a second and thread, and a server takes a multiple of that.
_THREADS = min(4, os.cpu_count() or 1)
#: Blocks that are parsed or wait for it, beside the one that was taken.
MOST_AHEAD = 2 * _THREADS
#: ... unless their rows are so long that the blocks are larger than blocks are.
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """Whole rows of a text file.

    Attributes:
        data: Their bytes.
        offset: Where they begin, in the unpacked file.
        row: The number of the first, in the file.
        line: The number of the first one's first line, from 1.
        rows: How many there are; blank lines are none.
    """

    data: bytes
    offset: int
    row: int
    line: int
    rows: int


class ParsingAhead:
    """The blocks of one file that were read and not taken yet.

    Threads of its own parse them once two that follow each other were taken for the same columns: whoever passes blocks
    over, or looks at the first rows only, causes no work.

    Args:
        parse: Makes the rows of a block, with these columns; called from several threads.
    """

    def __init__(self, parse: Callable[[Block, Sequence[str]], pa.RecordBatch]) -> None:
        self._parse = parse
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._parsed: dict[int, Future[pa.RecordBatch]] = {}
        self._columns: tuple[str, ...] | None = None
        self._end = -1
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._read_on = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._parsed.clear()
            self._blocks.clear()
            self._read_on = False
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)

    @property
    def wanted(self) -> int:
        """How many blocks should be here beside the one that is taken next."""
        with self._lock:
            room = sum(len(block.data) for block in self._blocks.values()) < _MOST_BYTES
            return MOST_AHEAD if self._read_on and room else 0

    def add(self, block: Block) -> None:
        """Keep a block that follows those before; the oldest are forgotten."""
        with self._lock:
            self._blocks[block.offset] = block
            while len(self._blocks) > MOST_AHEAD + 1:
                forgotten, _ = self._blocks.popitem(last=False)
                self._parsed.pop(forgotten, None)
            if self._read_on and self._columns is not None:
                self._pool = self._pool or ThreadPoolExecutor(_THREADS, thread_name_prefix="headrace-parsing")
                self._parsed[block.offset] = self._pool.submit(self._parse, block, self._columns)

    def take(self, offset: int, columns: Sequence[str]) -> pa.RecordBatch | None:
        """The rows of the block that begins there, with these columns; None where it is not kept.

        Raises what ``parse`` raises.
        """
        with self._lock:
            block, parsed = self._blocks.pop(offset, None), self._parsed.pop(offset, None)
            if block is None:
                return None
            same = self._columns == tuple(columns)
            self._read_on = same and (offset == self._end or self._read_on)
            self._columns, self._end = tuple(columns), offset + len(block.data)
        return parsed.result() if parsed is not None and same else self._parse(block, columns)
