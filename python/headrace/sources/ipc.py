"""Arrow IPC files (also Feather v2) and streams.

A record batch is the smallest unit of the format. A local uncompressed file is mapped, and only the pages of the rows
in use are in memory. Compressed batches, and those of streams and of other file systems, are decoded whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import numpy as np
import pyarrow as pa

from headrace.sources.base import Part, row_bits, row_slices, select
from headrace.sources.mapping import Mapping
from headrace.sources.paths import READ_ERRORS, FileRef, damaged

__all__ = ["IpcFileReader", "IpcStreamReader"]

#: Bits a value of columns that may be read to count rows, as those of text.
_NARROW = 1024
#: Slices of a mapped file whose pages stay mapped: about as many are read, packed and looked at by others at once.
_SLICES_KEPT = 4
#: Larger buffers of a mapped batch are not fetched before it is sliced.
_SMALL_BUFFER = 4 << 20
#: Types whose values follow one another as their offsets say.
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)


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
        position = "footer"
        deep = {field.name for field in self.schema if _is_deep(field.type)}
        with ExitStack() as stack:
            try:
                mapped = _MappedSlices(self.ref.path) if self.ref.is_local else None
                reader = self._reader(stack) if mapped is None else pa.ipc.open_file(pa.BufferReader(mapped.buffer))
                for index in range(self._batches):
                    position = f"record batch {index}"
                    if mapped is not None:
                        mapped.check()
                    batch = reader.get_batch(index)
                    # Lengths against buffers first: even to measure a slice its offsets are followed.
                    batch.validate()
                    batch = select(batch, wanted, self.ref.label)
                    if mapped is not None and not mapped.hold(batch):
                        # It was decoded into memory, as those that follow will be.
                        mapped, reader = None, self._reader(stack)
                    whole = [name for name in batch.schema.names if name in deep]
                    _validate(batch.select(whole))
                    slices = row_slices(batch, max_bytes) if mapped is None else mapped.of(batch, max_bytes, whole)
                    flat = [name for name in batch.schema.names if name not in deep]
                    for piece in slices:
                        _validate(piece.select(flat))
                        yield piece
            except READ_ERRORS as error:
                raise damaged(self.ref, "a readable Arrow IPC file", error, position) from error

    def _reader(self, stack: ExitStack) -> pa.ipc.RecordBatchFileReader:
        return stack.enter_context(pa.ipc.open_file(stack.enter_context(self.ref.open())))


def _validate(batch: pa.RecordBatch) -> None:
    for column in batch.columns:
        column.validate(full=True)


def _is_deep(kind: pa.DataType) -> bool:
    """Whether values have parts that are validated whole with every slice, and followed to measure one."""
    if isinstance(kind, pa.BaseExtensionType):
        return _is_deep(kind.storage_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return not bool(pa.types.is_primitive(kind.value_type))
    return bool(pa.types.is_nested(kind) or pa.types.is_dictionary(kind))


class _MappedSlices:
    """Slices of the batches of a mapped file, which are fetched before they are handed out, and dropped some later."""

    def __init__(self, path: str) -> None:
        self._mapping = Mapping(path)
        self.buffer, self.check = self._mapping.buffer, self._mapping.check
        self._kept: deque[list[range]] = deque()

    def hold(self, batch: pa.RecordBatch) -> bool:
        """Whether all values of a batch lie in the file as they are."""
        return all(self._mapping.holds(buffer) or not buffer.size for buffer in _buffers(batch.columns))

    def of(self, batch: pa.RecordBatch, max_bytes: int, whole: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The slices of a batch, of which these columns were validated whole; see :func:`row_slices`."""
        self._mapping.drop(sorted(map(_addresses, _buffers(batch.select(list(whole)).columns)), key=_start))
        # Those by which slices are measured, the offsets of texts for example, are among the small ones.
        measured = [column for column in batch.columns if row_bits(column) is None]
        self._mapping.fetch(sorted(map(_addresses, filter(_is_small, _buffers(measured))), key=_start))
        start = 0
        for piece in row_slices(batch, max_bytes):
            stop = start + piece.num_rows
            parts = sorted((part for column in batch.columns for part in _parts(column, start, stop)), key=_start)
            self._mapping.fetch(parts)
            yield piece
            self._kept.append(parts)
            if len(self._kept) > _SLICES_KEPT:
                self._mapping.drop(self._kept.popleft())
            start = stop


def _buffers(columns: Iterable[pa.Array]) -> Iterator[pa.Buffer]:
    return (buffer for column in columns for buffer in column.buffers() if buffer is not None)


def _is_small(buffer: pa.Buffer) -> bool:
    return int(buffer.size) <= _SMALL_BUFFER


def _addresses(buffer: pa.Buffer) -> range:
    return range(buffer.address, buffer.address + buffer.size)


def _start(addresses: range) -> int:
    return addresses.start


def _parts(array: pa.Array, start: int, stop: int) -> Iterator[range]:
    """Where the values of rows ``start`` to ``stop`` lie; about, where they are views, or of several kinds.

    Offsets, which say it of texts and of lists, may be anything in a damaged file: the parts are within the array.
    """
    kind, buffers = array.type, array.buffers()
    if isinstance(kind, pa.BaseExtensionType):
        yield from _parts(array.storage, start, stop)
    elif pa.types.is_struct(kind):
        yield from _shares(buffers[:1], start, stop, len(array))
        for index in range(kind.num_fields):
            yield from _parts(array.field(index), start, stop)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _shares(buffers[:2], start, stop, len(array))
        yield from _parts(array.values, *_limits(array, start, stop, len(array.values)))
    elif any(is_kind(kind) for is_kind in _TEXTS) and buffers[2] is not None:
        yield from _shares(buffers[:2], start, stop, len(array))
        yield from _shares(buffers[2:], *_limits(array, start, stop, buffers[2].size), buffers[2].size)
    else:
        yield from _shares(buffers, start, stop, len(array))


def _limits(array: pa.Array, start: int, stop: int, most: int) -> tuple[int, int]:
    """Where the values of rows ``start`` to ``stop`` begin and end by their offsets, up to ``most``."""
    if start == stop:
        return 0, 0  # an array without rows may be without offsets, too
    large = pa.types.is_large_list(array.type) or pa.types.is_large_string(array.type)
    wide = large or pa.types.is_large_binary(array.type)
    offsets = np.frombuffer(array.buffers()[1], np.int64 if wide else np.int32)[array.offset :]
    first = min(max(0, int(offsets[start])), most)
    return first, min(max(first, int(offsets[stop])), most)


def _shares(buffers: Iterable[pa.Buffer | None], start: int, stop: int, rows: int) -> Iterator[range]:
    """The parts of buffers that rows ``start`` to ``stop`` of ``rows`` take, where all take the same."""
    for each in buffers:
        if each is not None and rows:
            first, size = each.address, each.size
            yield range(first + size * start // rows, first + size * stop // rows)


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
