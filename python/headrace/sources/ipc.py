"""Arrow IPC files (also Feather v2) and streams.

A record batch is the smallest unit of the format. Of a local uncompressed file only the rows in use are in memory:
each slice has a memory map of its own, which goes with it. Compressed batches, and those of streams and of other
file systems, are decoded whole. A mapped file that shrinks while it is loaded ends the process (SIGBUS), as with
every reader of memory maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import pyarrow as pa

from headrace.sources.base import Part, row_slices, select
from headrace.sources.paths import READ_ERRORS, FileRef, damaged

__all__ = ["IpcFileReader", "IpcStreamReader"]

#: Bits a value of columns that may be read to count rows, as those of text.
_NARROW = 1024


class IpcFileReader:
    """One file in the IPC file format, of which only the footer was read."""

    open_ended = False

    def __init__(self, ref: FileRef) -> None:
        self.ref = ref
        try:
            with _open(ref) as file, pa.ipc.open_file(file) as reader:
                self.schema: pa.Schema = reader.schema
                self._batches: int = reader.num_record_batches
        except READ_ERRORS as error:
            raise damaged(ref, "a readable Arrow IPC file", error, "footer") from error
        self.rows: int | None = _count_rows(ref, self.schema)

    def nulls(self) -> frozenset[str]:
        """None: the format has no statistics."""
        return frozenset()

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """One part: the whole file."""
        yield Part(self.ref.label, 0, self.rows, partial(self._read, tuple(names)))

    def _read(self, names: Sequence[str], max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        wanted = names if columns is None else columns
        with self._far() as far:
            for index in range(self._batches):
                try:
                    yield from self._read_batch(index, wanted, max_bytes, far)
                except READ_ERRORS as error:
                    raise damaged(self.ref, "a readable Arrow IPC file", error, f"record batch {index}") from error

    @contextmanager
    def _far(self) -> Iterator[pa.ipc.RecordBatchFileReader | None]:
        """A reader of a file that is not local, for all batches; None for one that is mapped batch by batch."""
        if self.ref.is_local:
            yield None
            return
        with ExitStack() as stack:
            try:
                reader = stack.enter_context(pa.ipc.open_file(stack.enter_context(self.ref.open())))
            except READ_ERRORS as error:
                raise damaged(self.ref, "a readable Arrow IPC file", error, "footer") from error
            yield reader

    def _read_batch(
        self, index: int, columns: Sequence[str], max_bytes: int, far: pa.ipc.RecordBatchFileReader | None
    ) -> Iterator[pa.RecordBatch]:
        batch, mapped = self._get(index) if far is None else (far.get_batch(index), False)
        # Lengths against buffers first: even to measure a slice its offsets are followed.
        batch.validate()
        batch = select(batch, columns, self.ref.label)
        sizes = [piece.num_rows for piece in row_slices(batch, max_bytes)]
        start = 0
        for rows in sizes:
            if mapped and start:
                # The old map, and the pages that were read through it, go with the last slice of it.
                batch = select(self._get(index)[0], columns, self.ref.label)
            piece = batch.slice(start, rows)
            piece.validate(full=True)
            yield piece
            start += rows

    def _get(self, index: int) -> tuple[pa.RecordBatch, bool]:
        """A record batch, and whether its buffers lie in a memory map."""
        file = pa.memory_map(self.ref.path)
        batch = pa.ipc.open_file(file).get_batch(index)
        file.seek(0)
        return batch, _lies_in(batch, file.read_buffer())


def _open(ref: FileRef) -> pa.NativeFile:
    return pa.memory_map(ref.path) if ref.is_local else ref.open()


def _count_rows(ref: FileRef, schema: pa.Schema) -> int | None:
    """The rows of all batches: of each its head is read, and one column, because readers do not go without.

    None where that column would be most of a file that is not mapped. (``pyarrow.dataset`` counts, too, but reads the
    whole file for it.)
    """
    widths = [_bits(field.type) for field in schema]
    narrowest = min(widths, default=0)
    if not ref.is_local and narrowest > _NARROW:
        return None
    options = pa.ipc.IpcReadOptions(included_fields=[widths.index(narrowest)] if widths else [])
    rows, position = 0, "footer"
    try:
        with _open(ref) as file, pa.ipc.open_file(file, options=options) as reader:
            for index in range(reader.num_record_batches):
                position = f"record batch {index}"
                rows += int(reader.get_batch(index).num_rows)
    except READ_ERRORS as error:
        raise damaged(ref, "a readable Arrow IPC file", error, position) from error
    return rows


def _bits(kind: pa.DataType) -> int:
    """About how many bits a value takes; lists of any length may be vectors, and take more than is narrow."""
    if isinstance(kind, pa.BaseExtensionType):
        return _bits(kind.storage_type)
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _bits(kind.value_type)
    if pa.types.is_struct(kind):
        return sum(_bits(field.type) for field in kind)
    if pa.types.is_nested(kind):
        return _NARROW + 1
    try:
        return int(kind.bit_width)
    except ValueError:
        return _NARROW


def _lies_in(batch: pa.RecordBatch, whole: pa.Buffer) -> bool:
    buffers = [buffer for column in batch.columns for buffer in column.buffers() if buffer is not None]
    return all(whole.address <= buffer.address < whole.address + whole.size or not buffer.size for buffer in buffers)


class IpcStreamReader:
    """One file in the IPC stream format, of which only the schema was read."""

    rows: int | None = None
    open_ended = False

    def __init__(self, ref: FileRef) -> None:
        self.ref = ref
        try:
            with ref.open() as file, pa.ipc.open_stream(file) as reader:
                self.schema: pa.Schema = reader.schema
        except READ_ERRORS as error:
            raise damaged(ref, "a readable Arrow IPC stream", error, "schema") from error

    def nulls(self) -> frozenset[str]:
        """None: the format has no statistics."""
        return frozenset()

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """One part: the whole file."""
        yield Part(self.ref.label, 0, None, partial(self._read, tuple(names)))

    def _read(self, names: Sequence[str], _max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        wanted = names if columns is None else columns
        index = 0
        try:
            with self.ref.open() as file, pa.ipc.open_stream(file) as reader:
                for batch in reader:
                    batch.validate(full=True)
                    yield select(batch, wanted, self.ref.label)
                    index += 1
        except READ_ERRORS as error:
            raise damaged(self.ref, "a readable Arrow IPC stream", error, f"record batch {index}") from error
