"""Files whose rows lie at known places: any range of them is read without the rest.

Local files are mapped, range by range: a map, and the pages that were read through it, goes with its batch, so memory
stays flat however large the file is. Other file systems are asked for the bytes of the range.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Self

import numpy as np
import pyarrow as pa

from headrace.sources.base import Part, even_step
from headrace.sources.mapping import Mapping
from headrace.sources.paths import READ_ERRORS, FileRef, damaged

__all__ = ["FixedRows", "RangeReader"]

#: Rows are addressed in parts of about this many bytes: what an interrupted load reads again at most.
_PART_BYTES = 16 << 20
#: Rows of a part are a multiple of this where they are more: batches of a half, a quarter and so on come out whole.
_EVEN = 16


class FixedRows:
    """An array in a file: ``rows`` rows of one shape and dtype, one after another from byte ``offset``."""

    def __init__(self, ref: FileRef, *, offset: int, rows: int, dtype: np.dtype, shape: tuple[int, ...] = ()) -> None:
        self.ref = ref
        self.rows = rows
        self.dtype = dtype
        self.shape = shape
        self.row_bytes = dtype.itemsize * math.prod(shape)
        self._offset = offset

    @property
    def end(self) -> int:
        """The position of the first byte after it."""
        return self._offset + self.rows * self.row_bytes

    def read(self, start: int, stop: int, file: pa.NativeFile | None = None) -> np.ndarray:
        """Rows ``start`` to ``stop``, read only, in the byte order of the file; of ``file`` where it is open.

        Raises:
            OSError, ValueError: If they are not there any more.
        """
        length = (stop - start) * self.row_bytes
        data = read_bytes(self.ref, self._offset + start * self.row_bytes, length, file)
        return np.frombuffer(data, self.dtype, count=length // max(1, self.dtype.itemsize)).reshape(-1, *self.shape)


def read_bytes(ref: FileRef, offset: int, length: int, file: pa.NativeFile | None = None) -> pa.Buffer | bytes:
    """``length`` bytes from ``offset``: a map of a local file, else a copy, of ``file`` where it is open.

    Raises:
        OSError, ValueError: If the file is shorter.
    """
    if not length:
        return b""
    if not ref.is_local:
        with nullcontext(file) if file is not None else ref.open() as far:
            data: bytes = far.read_at(length, offset)
        if len(data) != length:
            raise OSError(f"the file ends {length - len(data)} bytes early")
        return data
    mapping = Mapping(ref.path, offset, length)
    mapping.fetch([range(mapping.buffer.address, mapping.buffer.address + length)])
    return mapping.buffer


class _Pass:
    """One pass over the parts of a file: one that is far away is opened once, when the first of them is read."""

    def __init__(self, ref: FileRef) -> None:
        self._ref = ref
        self._file: pa.NativeFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def file(self) -> pa.NativeFile | None:
        """The open file; None where it is local, and mapped."""
        if not self._ref.is_local and (self._file is None or self._file.closed):
            self._file = self._ref.open()
        return self._file


class RangeReader(ABC):
    """A file of which any range of rows can be read.

    Attributes:
        ref: The file.
        schema: Its columns as Arrow types.
        rows: How many rows it has.
        row_bytes: Bytes of a row as decoded, about; a batch that turns out larger is sliced.
    """

    ref: FileRef
    schema: pa.Schema
    rows: int
    row_bytes: int
    open_ended = False

    @abstractmethod
    def read_rows(
        self, start: int, stop: int, columns: Sequence[str], file: pa.NativeFile | None = None
    ) -> pa.RecordBatch:
        """Rows ``start`` to ``stop`` of these columns, in this order; of ``file`` where it is open."""

    def nulls(self) -> frozenset[str]:
        """None: no format of this kind has nulls."""
        return frozenset()

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """The file's parts in row order; ``names`` are read where the caller names no columns."""
        step = max(1, _PART_BYTES // max(1, self.row_bytes))
        step -= step % _EVEN if step > _EVEN else 0
        with _Pass(self.ref) as opened:
            for start in range(0, self.rows, step):
                stop = min(start + step, self.rows)
                yield Part(
                    self.ref.label, start, stop - start, partial(self._read, opened, range(start, stop), tuple(names))
                )

    def _read(
        self, opened: _Pass, rows: range, names: Sequence[str], max_bytes: int, columns: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        wanted = names if columns is None else columns
        # Even batches: a few rows that were left over, of a part or a batch, would be joined with the next, by a copy.
        step = even_step(len(rows), max_bytes // max(1, self.row_bytes))
        for first in rows[::step]:
            try:
                batch = self.read_rows(first, min(first + step, rows.stop), wanted, opened.file())
            except READ_ERRORS as error:
                raise damaged(self.ref, "rows where the file's head says they are", error, f"row {first}") from error
            yield batch
