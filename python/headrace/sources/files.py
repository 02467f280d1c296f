"""Files of one schema as one source: the format is told by the first and last bytes, never by the name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Protocol

import pyarrow as pa

from headrace.errors import SourceError, explain
from headrace.sources.base import Part, Source, SourceFile, unique_names
from headrace.sources.identity import identify
from headrace.sources.ipc import IpcFileReader, IpcStreamReader
from headrace.sources.parquet import ParquetReader
from headrace.sources.paths import READ_ERRORS, FileRef, damaged, find_files

__all__ = ["open_files"]

_KNOWN = "a Parquet or Arrow IPC file"
_CONTINUATION = b"\xff\xff\xff\xff"
#: What other files start with, to name what was found.
_FOREIGN = (
    (b"PARE", "a Parquet file with an encrypted footer", "write it without encryption"),
    (b"FEA1", "a Feather v1 file", "write it again as Feather v2"),
    (b"\x1f\x8b", "gzip data", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it first"),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (
        b"\x93NUMPY",
        "a numpy array",
        "load it as a dict of columns: headrace.load({'id': ..., 'vector': numpy.load(...)})",
    ),
    (b"\x89HDF", "an HDF5 file", "write it as Parquet"),
    (b"ORC", "an ORC file", "write it as Parquet"),
)


class FileReader(Protocol):
    """One file of some format, of which only head or footer was read."""

    ref: FileRef
    schema: pa.Schema

    @property
    def rows(self) -> int | None:
        """How many rows it has, where the footer says so."""

    def nulls(self) -> frozenset[str]:
        """The columns that its statistics know to hold nulls."""

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """The file's parts in row order; ``names`` are read where the caller names no columns."""


def open_files(paths: Sequence[str | os.PathLike[str]]) -> Source:
    """The files that the paths name, as one source. Only heads and footers are read.

    Raises:
        SourceError: If a file is missing, damaged or of no known format, or its columns differ from the first's.
    """
    refs, skipped = find_files(paths)
    readers = [_reader(ref) for ref in refs]
    first = readers[0]
    for reader in readers[1:]:
        _same_columns(first, reader)
    names = first.schema.names

    def parts() -> Iterator[Part]:
        for reader in readers:
            yield from reader.parts(names)

    rows = [reader.rows for reader in readers]
    label = refs[0].label if len(refs) == 1 else f"{os.fspath(paths[0])} ({len(refs)} files)"
    return Source(
        label,
        first.schema,
        parts,
        rows_total=None if None in rows else sum(count or 0 for count in rows),
        replayable=True,
        nulls=lambda: frozenset().union(*(reader.nulls() for reader in readers)),
        skipped=tuple(skipped),
        files=tuple(SourceFile(it.ref.label, it.rows, partial(identify, it.ref)) for it in readers),
    )


def _reader(ref: FileRef) -> FileReader:
    head, tail = _ends(ref)
    if head.startswith(b"PAR1"):
        if tail.endswith(b"PAR1"):
            return _checked(ParquetReader(ref))
        raise _refused(ref, "a whole Parquet file (PAR1 at its end)", f"{tail[-4:]!r}: the file is truncated")
    if head.startswith(b"ARROW1"):
        if tail.endswith(b"ARROW1"):
            return _checked(IpcFileReader(ref))
        raise _refused(ref, "a whole Arrow IPC file (ARROW1 at its end)", f"{tail[-6:]!r}: the file is truncated")
    if head.startswith(_CONTINUATION):
        return _checked(IpcStreamReader(ref))
    if not head:
        raise _refused(ref, _KNOWN, "an empty file")
    for magic, found, remedy in _FOREIGN:
        if head.startswith(magic):
            raise SourceError(explain(ref.label, _KNOWN, found, remedy), source=ref.label)
    text = all(byte >= 32 or byte in b"\t\r\n" for byte in head)
    raise _refused(ref, _KNOWN, f"{'text' if text else 'a file'} that starts with {head!r}", "load another file")


def _refused(
    ref: FileRef, expected: str, found: str, remedy: str = "write the file again or leave it out"
) -> SourceError:
    return SourceError(explain(ref.label, expected, found, remedy), source=ref.label)


def _ends(ref: FileRef) -> tuple[bytes, bytes]:
    try:
        with ref.filesystem.open_input_file(ref.path) as file:
            head = file.read(8)
            size = file.size()
            file.seek(max(0, size - 8))
            return head, file.read(8)
    except READ_ERRORS as error:
        raise damaged(ref, "a file that can be read", error, None) from error


def _checked(reader: FileReader) -> FileReader:
    try:
        unique_names(reader.schema, reader.ref.label)
    except UnicodeDecodeError as error:
        raise damaged(reader.ref, "column names in UTF-8", error, "schema") from error
    return reader


def _same_columns(first: FileReader, other: FileReader) -> None:
    """Refuse a file whose columns are not those of the first: by name and type, in any order."""
    ours, theirs = ({field.name: field.type for field in reader.schema} for reader in (first, other))
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        expected, found = ours.get(name), theirs.get(name)
        if expected != found:
            raise SourceError(
                explain(
                    f"{other.ref.label}, column {name!r}",
                    f"{expected if expected is not None else 'no such column'}, as in {first.ref.label}",
                    f"{found if found is not None else 'no such column'}",
                    "write the files with one schema, or load them one by one",
                ),
                source=other.ref.label,
            )
