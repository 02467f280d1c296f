"""Text files of one row a line, also packed with gzip or zstd: read in blocks of whole rows.

A plain file's blocks are its parts, addressable by byte range: the rows before one are counted, not parsed, so a load
that was interrupted parses only what is left; where they are read one after the other, several threads parse them. A
packed file has no places to begin at: it is one part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa

from headrace.errors import SourceError, explain
from headrace.sources.base import Part
from headrace.sources.parsing import Block, ParsingAhead
from headrace.sources.paths import READ_ERRORS, FileRef, damaged

__all__ = ["TextReader", "packing_of", "textual"]

#: Text that is parsed at once; decoded it is about as large.
_BLOCK_BYTES = 2 << 20
#: A longer row is no row: more likely a document that is no lines, or a quote that nobody closed.
_MOST_ROW_BYTES = 64 << 20
#: So much of a file says how many rows there are in the rest, about.
_ABOUT_BYTES = 1 << 20
_BLANK = np.frombuffer(b" \t\r\n", np.uint8)
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_MARK = b"\xef\xbb\xbf"


def packing_of(head: bytes) -> str | None:
    """How a file that begins with ``head`` is packed, as pyarrow calls it; None where it is not."""
    return next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)


def textual(kind: pa.DataType) -> pa.DataType:
    """The type with text in place of times: what merely looks like one stays as it is written."""
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(textual(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(kind.field(i).name, textual(kind.field(i).type)) for i in range(kind.num_fields)])
    return kind


class TextReader(ABC):
    """One text file, of which only the first block was read.

    Args:
        ref: The file.
        packing: ``"gzip"``, ``"zstd"`` or None.

    Attributes:
        ref: The file.
        schema: The columns of its first rows.
        header: The bytes of the first row, where that names the columns, once it was read.
        rows: None: only reading tells.
    """

    open_ended = False
    #: What rows are, for messages.
    noun = "text"
    #: Whether the first row names the columns.
    has_header = False
    #: The character between two of which a line break does not end a row.
    quote: bytes | None = None

    def __init__(self, ref: FileRef, packing: str | None) -> None:
        self.ref = ref
        self.rows: int | None = None
        self.schema: pa.Schema = pa.schema([])
        self.header = b""
        self._packing = packing

    @abstractmethod
    def parse(self, block: Block, columns: Sequence[str]) -> pa.RecordBatch:
        """A block's rows, at least with these columns. Called from several threads."""

    def nulls(self) -> frozenset[str]:
        """None: text has no statistics."""
        return frozenset()

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """The file's parts; one only where it is packed."""
        if self._packing is not None:
            yield Part(self.ref.label, 0, None, partial(self._read_packed, tuple(names)))
            return
        waiting: deque[Part] = deque()
        with ParsingAhead(self.parse) as ahead:
            for block in self.blocks():
                ahead.add(block)
                place = Block(b"", block.offset, block.row, block.line, block.rows)
                read = partial(self._read_block, ahead, place, len(block.data), tuple(names))
                waiting.append(Part(self.ref.label, block.row, block.rows, read))
                while len(waiting) > ahead.wanted:
                    yield waiting.popleft()
            yield from waiting

    def blocks(self) -> Iterator[Block]:
        """The file's blocks in order, those without rows left out; the header is none of them.

        Raises:
            SourceError: If it cannot be read or unpacked, or a row does not end.
        """
        return (block for block, _ in self._blocks())

    def about_rows(self) -> int:
        """How many rows the file has if all of it is like its first MiB or two; exact where that is all of it.

        Raises:
            SourceError: As :meth:`blocks`.
        """
        rows = 0
        for block, taken in self._blocks():
            rows = block.row + block.rows
            # What is unpacked has been read in pieces, the last of which is used only in part.
            if _ABOUT_BYTES <= taken < self.ref.size:
                return round(rows * self.ref.size / taken)
        return rows

    def _blocks(self) -> Iterator[tuple[Block, int]]:
        """The blocks, each with how many bytes of the file, as it is packed, were read for it and those before."""
        rest, offset, row, line = b"", 0, 0, 1
        header = self.has_header
        for data, taken in chain(self._chunks(), [(b"", self.ref.size)]):
            rest += data
            ends = self._row_ends(rest)
            if not data and rest and (not len(ends) or ends[-1] < len(rest)):
                # The last row may end with the file.
                ends = np.append(ends, len(rest))
            if not len(ends):
                if len(rest) > _MOST_ROW_BYTES:
                    found = f"none in {len(rest) >> 20} MiB"
                    raise self.refused(line, "the end of a row", found, f"write {self.noun}, a row a line")
                continue
            whole, rest = rest[: ends[-1]], rest[ends[-1] :]
            if header:
                self.header, whole = whole[: ends[0]], whole[ends[0] :]
                offset, line = int(ends[0]), line + self.header.count(b"\n")
                ends, header = ends[1:] - ends[0], False
            block = Block(whole, offset, row, line, _count_rows(whole, ends))
            if block.rows:
                yield block, taken
            offset, row, line = offset + len(whole), row + block.rows, line + whole.count(b"\n")

    def refused(self, line: int, expected: str, found: str, remedy: str) -> SourceError:
        """The error for a line of this file."""
        position = f"line {line}"
        message = explain(f"{self.ref.label}, {position}", expected, found, remedy)
        return SourceError(message, source=self.ref.label, position=position)

    def _chunks(self) -> Iterator[tuple[bytes, int]]:
        first = True
        try:
            with self.ref.open() as file, self._unpacked(file) as stream:
                while data := stream.read(_BLOCK_BYTES):
                    yield data.removeprefix(_MARK) if first else data, file.tell()
                    first = False
        except READ_ERRORS as error:
            raise damaged(self.ref, f"readable {self._packing or 'text'} data", error, None) from error

    def _unpacked(self, file: pa.NativeFile) -> pa.NativeFile:
        return file if self._packing is None else pa.CompressedInputStream(file, self._packing)

    def line_of(self, block: Block, row: int) -> int:
        """The number of the line in which a row of a block, counted from 0, begins."""
        start = 0
        for end in self._row_ends(block.data).tolist():
            if block.data[start:end].strip():
                if row == 0:
                    break
                row -= 1
            start = end
        return block.line + block.data.count(b"\n", 0, start)

    def _row_ends(self, data: bytes) -> np.ndarray:
        """The positions after each line break that ends a row."""
        values = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(values == ord("\n"))
        if self.quote is not None and self.quote in data:
            # The parity of a count does not mind that it wraps.
            inside = np.cumsum(values == ord(self.quote), dtype=np.uint8) & 1
            ends = ends[inside[ends] == 0]
        return ends + 1

    def _read_packed(
        self, names: Sequence[str], _max_bytes: int, columns: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        for block in self.blocks():
            yield self.parse(block, names if columns is None else columns)

    def _read_block(
        self,
        ahead: ParsingAhead,
        place: Block,
        length: int,
        names: Sequence[str],
        _max_bytes: int,
        columns: Sequence[str] | None,
    ) -> Iterator[pa.RecordBatch]:
        wanted = names if columns is None else columns
        batch = ahead.take(place.offset, wanted)
        if batch is None:
            batch = self.parse(replace(place, data=self._read_range(place, length)), wanted)
        yield batch

    def _read_range(self, place: Block, length: int) -> bytes:
        # The first block begins after the mark, of which offsets know nothing.
        try:
            with self.ref.open() as file:
                mark = len(_MARK) if file.read(len(_MARK)) == _MARK else 0
                data: bytes = file.read_at(length, place.offset + mark)
        except READ_ERRORS as error:
            raise damaged(self.ref, "readable text", error, f"line {place.line}") from error
        if len(data) != length:
            raise self.refused(place.line, f"{length} bytes", f"{len(data)}", "load files that nobody writes to")
        return data


def _count_rows(data: bytes, ends: np.ndarray) -> int:
    """How many rows end at ``ends``; lines of white space are none."""
    if not len(ends):
        return 0
    starts = np.concatenate([[0], ends[:-1]])
    values = np.frombuffer(data, np.uint8)
    blank = sum(
        1 for row in np.flatnonzero(np.isin(values[starts], _BLANK)) if not data[starts[row] : ends[row]].strip()
    )
    return len(ends) - blank
