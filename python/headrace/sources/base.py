"""What a source is: parts, each an addressable row range that yields bounded record batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import SourceError, explain
from headrace.sources.identity import FileIdentity
from headrace.sources.paths import FileRef

__all__ = [
    "FileReader",
    "Part",
    "Read",
    "Source",
    "SourceBatch",
    "SourceFile",
    "decoded_bytes",
    "even_step",
    "row_bits",
    "row_slices",
    "select",
    "unique_names",
]

#: ``(max_bytes, columns)`` to the batches of a part, in row order; those that are too large are sliced by the part.
Read = Callable[[int, Sequence[str] | None], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """A record batch and where its rows come from.

    Attributes:
        batch: The rows; a slice that shares its memory with its neighbours where the source is in memory.
        source: Path, URI or label of the file or object.
        first_row: The number of the batch's row 0 in that file or object.
    """

    batch: pa.RecordBatch
    source: str
    first_row: int


@dataclass(frozen=True, slots=True)
class Part:
    """A row range of one file or object. Different parts may be read at once by different threads.

    Attributes:
        label: Path, URI or kind of the file or object; several parts may share it.
        first_row: The number of its first row in that file or object.
        rows: How many rows it has, or None where that is known only after reading.
    """

    label: str
    first_row: int
    rows: int | None
    read: Read = field(repr=False, compare=False)

    def batches(self, *, max_bytes: int, columns: Sequence[str] | None = None) -> Iterator[SourceBatch]:
        """The part's rows in order, in batches of about ``max_bytes`` as decoded (:func:`row_slices`).

        Args:
            max_bytes: What a batch should have, in bytes.
            columns: Which columns to read, in this order; None for all of the source's schema.

        Raises:
            SourceError: If the source is damaged; ``position`` says where.
        """
        row = self.first_row
        for batch in self.read(max_bytes, columns):
            for piece in row_slices(batch, max_bytes):
                yield SourceBatch(piece, self.label, row)
                row += piece.num_rows


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source.

    Attributes:
        label: As :attr:`Part.label`.
        rows: How many rows it has, or None where that is known only after reading.
        identify: In which state it is now.
        wanted: How many of its rows are wanted, where the source is one part of several and that is known; else None.
        size: Its bytes, with those of the files beside it; None where that is not known.
        about_rows: How many rows it has if all of it is like its first rows; None where nobody can say.
    """

    label: str
    rows: int | None
    identify: Callable[[], FileIdentity] = field(repr=False, compare=False)
    wanted: int | None = None
    size: int | None = None
    about_rows: Callable[[], int | None] = field(default=lambda: None, repr=False, compare=False)


class FileReader(Protocol):
    """One file of some format, of which only head or footer was read.

    Attributes:
        ref: The file.
        schema: Its columns.
        open_ended: Whether later rows may have more columns; they come with whatever columns are asked for.
    """

    ref: FileRef
    schema: pa.Schema
    open_ended: bool

    @property
    def rows(self) -> int | None:
        """How many rows it has, where that is known without reading them."""

    def nulls(self) -> frozenset[str]:
        """The columns that its statistics know to hold nulls."""

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """The file's parts in row order; ``names`` are read where the caller names no columns."""


class Source:
    """Where rows come from: an ordered sequence of parts with one schema.

    Attributes:
        label: What it is, for people.
        schema: The columns; batches of Python rows may have other types, each as its values need.
        rows_total: How many rows there are, or None where that is known only after reading.
        replayable: Whether it can be read again; otherwise :meth:`parts` works once.
        skipped: Files of a directory or glob that were left out (names that start with ``_`` or ``.``, empty ones).
        files: The files it is made of, in the order of the parts; none for what is in memory.
        notes: What a person should know of how the files became one schema.
        open_ended: Whether later batches of its files may bring columns that the schema does not have; they come
            with whatever columns are asked for.
    """

    def __init__(
        self,
        label: str,
        schema: pa.Schema,
        parts: Callable[[], Iterator[Part]],
        *,
        rows_total: int | None,
        replayable: bool,
        nulls: Callable[[], frozenset[str]] = frozenset,
        skipped: tuple[str, ...] = (),
        files: tuple[SourceFile, ...] = (),
        notes: tuple[str, ...] = (),
        open_ended: bool = False,
    ) -> None:
        unique_names(schema, label)
        self.label = label
        self.schema = schema
        self.rows_total = rows_total
        self.replayable = replayable
        self._nulls = nulls
        self.skipped = skipped
        self.files = files
        self.notes = notes
        self.open_ended = open_ended
        self._parts = parts
        self._used = False

    @functools.cached_property
    def nulls(self) -> frozenset[str]:
        """Columns that are known to hold nulls: of Parquet files, those whose statistics count some.

        Raises:
            SourceError: If a file is damaged.
        """
        return self._nulls()

    def parts(self) -> Iterator[Part]:
        """The parts, in row order.

        Raises:
            SourceError: If the source can be read only once and was.
        """
        if self._used and not self.replayable:
            raise SourceError(
                explain(self.label, "a source that was not read yet", "one that was", "give a new iterator or reader"),
                source=self.label,
            )
        self._used = True
        return self._parts()

    def restricted(self, columns: Sequence[str]) -> Source:
        """The same source with fewer columns, in the given order.

        Raises:
            SourceError: If there is no such column.
        """
        schema = pa.schema([_field(self.schema, name, self.label) for name in columns], self.schema.metadata)
        names = tuple(columns)

        def parts() -> Iterator[Part]:
            return (Part(p.label, p.first_row, p.rows, _restricted(p.read, names)) for p in self.parts())

        return Source(
            self.label,
            schema,
            parts,
            rows_total=self.rows_total,
            replayable=self.replayable,
            nulls=lambda: self.nulls & frozenset(names),
            skipped=self.skipped,
            files=self.files,
            notes=self.notes,
            open_ended=self.open_ended,
        )

    def without(self, labels: Collection[str]) -> Source:
        """The same source without the files of these labels."""
        files = tuple(file for file in self.files if file.label not in labels)
        rows = [file.rows for file in files]
        return Source(
            self.label,
            self.schema,
            lambda: (part for part in self.parts() if part.label not in labels),
            rows_total=None if None in rows else sum(count or 0 for count in rows),
            replayable=self.replayable,
            nulls=lambda: self.nulls,
            skipped=(*self.skipped, *labels),
            files=files,
            notes=self.notes,
            open_ended=self.open_ended,
        )

    def close(self) -> None:
        """Forget the source. Files are open only while a part is read."""
        self._used = True
        self._parts = lambda: iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _restricted(read: Read, names: tuple[str, ...]) -> Read:
    return lambda max_bytes, columns: read(max_bytes, names if columns is None else columns)


def _field(schema: pa.Schema, name: str, label: str) -> pa.Field:
    if name not in schema.names:
        raise SourceError(_no_column(label, name, schema.names), source=label)
    return schema.field(name)


def _no_column(label: str, name: str, names: Sequence[str]) -> str:
    return explain(label, f"a column {name!r}", f"the columns {', '.join(map(repr, names))}", "choose one of them")


def unique_names(schema: pa.Schema, label: str) -> None:
    """Refuse a schema in which a column name stands twice: no mapping could tell the two apart."""
    names = schema.names
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        found = f"{', '.join(map(repr, twice))} more than once"
        raise SourceError(explain(label, "each column once", found, "rename or drop the others"), source=label)


def select(batch: pa.RecordBatch, columns: Sequence[str] | None, label: str) -> pa.RecordBatch:
    """Only these columns, in this order, without a copy; a column that a batch of rows lacks is an error."""
    if columns is None or batch.schema.names == list(columns):
        return batch
    missing = [name for name in columns if name not in batch.schema.names]
    if missing:
        raise SourceError(_no_column(label, missing[0], batch.schema.names), source=label)
    return batch.select(list(columns))


def decoded_bytes(batch: pa.RecordBatch) -> int:
    """The bytes of the batch's rows once they are decoded, without what they only share with other rows."""
    return sum(_array_bytes(column) for column in batch.columns)


def _array_bytes(array: pa.Array) -> int:
    if isinstance(array.type, pa.BaseExtensionType):
        return _array_bytes(array.storage)
    if pa.types.is_dictionary(array.type):
        values = array.dictionary
        return int(array.indices.nbytes + len(array) * _array_bytes(values) // max(1, len(values)))
    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        # .nbytes counts the whole buffers behind a slice of views (and fails in pyarrow 16).
        buffers = sum(buffer.size for buffer in array.buffers() if buffer is not None)
        views = array.buffers()[1]
        shown = len(array) * 16 / views.size if views is not None and views.size else 0.0
        return int(buffers * min(1.0, shown))
    kind = array.type
    # The name of a type spells out those that it is made of.
    if "_view" in str(kind):
        return _nested_view_bytes(array)
    if "_union<" in str(kind):
        # .nbytes ends the process where a union has no values, as it does in empty lists.
        return int(array.get_total_buffer_size())
    return int(array.nbytes)


def _nested_view_bytes(array: pa.Array) -> int:
    """As :func:`_array_bytes`, of views of lists, and of lists and structs of views: .nbytes counts all behind them."""
    kind = array.type
    if not len(array):
        return 0
    if pa.types.is_struct(kind):
        return sum(_array_bytes(array.field(index)) for index in range(kind.num_fields))
    if pa.types.is_fixed_size_list(kind):
        return _array_bytes(array.values.slice(array.offset * kind.list_size, len(array) * kind.list_size))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return int(array.offsets.nbytes) + _array_bytes(array.values.slice(first, last - first))
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        shown = (pc.sum(array.sizes).as_py() or 0) / max(1, len(array.values))
        return 2 * int(array.sizes.nbytes) + int(_array_bytes(array.values) * min(1.0, shown))
    return int(array.get_total_buffer_size())


def row_bits(array: pa.Array) -> int | None:
    """The bits of a value, with its place in the mask where there is one; None where values may differ in size."""
    kind, masked = array.type, array.buffers()[0] is not None
    if pa.types.is_fixed_size_list(kind):
        element = row_bits(array.values)
        return None if element is None else int(kind.list_size * element + masked)
    return int(kind.bit_width + masked) if pa.types.is_primitive(kind) else None


def row_slices(batch: pa.RecordBatch, max_bytes: int) -> Iterator[pa.RecordBatch]:
    """The batch in even zero-copy slices of about ``max_bytes`` as decoded; none if empty.

    They have a sixteenth more at most, but one row at least: so a batch of about the wanted size stays whole, and no
    slice is a sliver, which would have to be joined, by a copy, with the next.
    """
    rows, most = batch.num_rows, max_bytes + max_bytes // 16
    bits = [row_bits(column) for column in batch.columns]
    if None not in bits:
        step = even_step(rows, 8 * most // max(1, sum(filter(None, bits))))
        yield from (batch.slice(offset, step) for offset in range(0, rows, step))
        return
    start, likely = 0, even_step(rows, rows * most // max(1, decoded_bytes(batch)))
    while start < rows:
        taken = min(likely, rows - start)
        piece = batch.slice(start, taken)
        size = decoded_bytes(piece)
        while size > most and taken > 1:
            taken = max(1, min(taken - 1, taken * max_bytes // size))
            piece = batch.slice(start, taken)
            size = decoded_bytes(piece)
        yield piece
        start += taken
        if taken < likely or 2 * size < most:
            # These rows are of another size than the rest, and so the next ones may be.
            likely = max(1, taken * most // max(1, size))


def even_step(rows: int, most: int) -> int:
    """The length of each piece where ``rows`` are cut into the fewest of at most ``most``, or of one, but the last."""
    pieces = max(1, -(-rows // max(1, most)))
    return max(1, -(-rows // pieces))
