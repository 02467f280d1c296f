"""Files of one schema as one source.

The format is told by the first and last bytes. Only formats that have no mark of their own (big-ann's arrays, CSV) are
told by the name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from headrace.config import LoadOptions
from headrace.errors import SourceError, explain
from headrace.sources.ahead import at_once
from headrace.sources.base import FileReader, Part, Source, SourceFile, unique_names
from headrace.sources.bigann import NAMES as BIGANN_NAMES
from headrace.sources.bigann import open_bigann
from headrace.sources.chosen import ALL, Chosen
from headrace.sources.delimited import DelimitedReader
from headrace.sources.filesystems import Storage
from headrace.sources.hdf5 import Hdf5Reader
from headrace.sources.identity import identify
from headrace.sources.ipc import IpcFileReader, IpcStreamReader
from headrace.sources.jsonl import JsonLinesReader
from headrace.sources.kinds import naming_one_kind
from headrace.sources.npy import NpyReader
from headrace.sources.npz import NpzReader
from headrace.sources.pairing import Beside, PairedReader, pair_files
from headrace.sources.parquet import ParquetReader
from headrace.sources.paths import READ_ERRORS, FileRef, damaged, find_files
from headrace.sources.reshaping import Renamed
from headrace.sources.text import TextReader, packing_of
from headrace.sources.unified import Unified, unified

__all__ = ["open_files"]

_KNOWN = "a Parquet, Arrow, npy, npz, HDF5, JSONL, CSV or big-ann file"
_CONTINUATION = b"\xff\xff\xff\xff"
#: What other files start with, to name what was found.
_FOREIGN = (
    (b"PARE", "a Parquet file with an encrypted footer", "write it without encryption"),
    (b"FEA1", "a Feather v1 file", "write it again as Feather v2"),
    (b"\x1f\x8b", "gzip data", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it first"),
    (b"BZh", "bzip2 data", "unpack it first, or pack it with gzip or zstd"),
    (b"\xfd7zXZ", "xz data", "unpack it first, or pack it with gzip or zstd"),
    (b"ORC", "an ORC file", "write it as Parquet"),
    (b"\x80\x02", "a pickle", "write it as npy or Parquet: headrace never unpickles"),
    (b"\x80\x03", "a pickle", "write it as npy or Parquet: headrace never unpickles"),
    (b"\x80\x04", "a pickle", "write it as npy or Parquet: headrace never unpickles"),
    (b"\x80\x05", "a pickle", "write it as npy or Parquet: headrace never unpickles"),
)
_CSV_NAMES = (".csv", ".tsv", ".tab")
_DEFAULT_VECTOR, _DEFAULT_KEY = "vector", "id"


@dataclass(frozen=True)
class _Names:
    """What columns are called that have no name in their file."""

    vector: str
    key: str


def open_files(paths: Sequence[str | os.PathLike[str]], options: LoadOptions) -> Source:
    """The files that the paths name, as one source. Only heads and footers are read.

    Args:
        paths: Paths, globs, directories, URIs, or ``@list.txt``.
        options: ``ids`` and ``metadata`` (files whose columns lie beside these), ``vector`` and ``key`` (what columns
            without a name are called), ``filesystem`` and ``source_options`` are used, and what
            :class:`~headrace.sources.chosen.Chosen` takes.

    Raises:
        SourceError: If a file is missing, damaged or of no known format, its columns do not go with those of the
            others, or it does not go with the one beside it.
        ConfigError: If an option cannot be used.
    """
    storage = Storage(options.filesystem, options.source_options)
    refs, skipped = find_files(paths, storage)
    names = _Names(
        options.vector[0] if len(options.vector) == 1 else _DEFAULT_VECTOR,
        _DEFAULT_KEY if options.key is None or options.key.startswith("@") else options.key,
    )
    with naming_one_kind(refs):
        readers = _with_partners([os.fspath(path) for path in paths], refs, options, storage, names)
    with naming_one_kind(refs, comparing=True):
        readers, schema, notes = unified(readers)
    columns = schema.names

    def parts() -> Iterator[Part]:
        for reader in readers:
            yield from reader.parts(columns)

    rows = [reader.rows for reader in readers]
    label = refs[0].label if len(refs) == 1 else f"{os.fspath(paths[0])} ({len(refs)} files)"
    return Source(
        label,
        schema,
        parts,
        rows_total=None if None in rows else sum(count or 0 for count in rows),
        replayable=True,
        nulls=lambda: frozenset().union(*(reader.nulls() for reader in readers)),
        skipped=tuple(skipped),
        notes=tuple(notes),
        open_ended=any(reader.open_ended for reader in readers),
        files=tuple(map(_source_file, readers)),
    )


def _source_file(reader: FileReader) -> SourceFile:
    reader = reader.reader if isinstance(reader, Unified) else reader
    beside = reader.beside if isinstance(reader, PairedReader) else ()
    return SourceFile(
        reader.ref.label,
        reader.rows,
        lambda: identify(reader.ref).beside([identify(ref) for ref in beside]),
        size=sum(ref.size for ref in (reader.ref, *beside)),
        about_rows=reader.about_rows if isinstance(reader, TextReader) else lambda: reader.rows,
    )


def _with_partners(
    paths: Sequence[str], refs: Sequence[FileRef], options: LoadOptions, storage: Storage, names: _Names
) -> list[FileReader]:
    """A reader for each file, with the columns of those beside it."""
    beside = []
    if options.ids is not None:
        beside.append(Beside("--ids", os.fspath(options.ids), names.key))
    if options.metadata is not None:
        beside.append(Beside("--metadata", os.fspath(options.metadata), None))
    chosen = Chosen.by(options)
    partners = [pair_files(paths, refs, it, lambda found: find_files(found, storage)[0]) for it in beside]
    readers = at_once(lambda ref: _reader(ref, names.vector, chosen), refs)
    if not beside:
        return readers
    return [
        PairedReader(
            reader, [_partner(it, one[number], names, chosen) for it, one in zip(beside, partners, strict=True)]
        )
        for number, reader in enumerate(readers)
    ]


def _partner(beside: Beside, ref: FileRef, names: _Names, chosen: Chosen) -> FileReader:
    # The only column of a file of keys has another name in it.
    reader = _reader(ref, beside.column or names.vector, chosen if beside.column is None else ALL)
    if beside.column is None:
        return reader
    if len(reader.schema.names) != 1:
        found = f"{len(reader.schema.names)} columns ({', '.join(reader.schema.names)})"
        message = explain(ref.label, "one column, the keys", found, "give the file with --metadata")
        raise SourceError(message, source=ref.label)
    return Renamed(reader, beside.column)


def _reader(ref: FileRef, name: str, chosen: Chosen) -> FileReader:
    head, tail = _ends(ref)
    if head and ref.path.lower().endswith(BIGANN_NAMES):
        # They begin with a number, which may look like anything.
        return open_bigann(ref, name)
    if head.startswith(b"PAR1"):
        if tail.endswith(b"PAR1"):
            return _checked(ParquetReader(ref))
        raise _refused(ref, "a whole Parquet file (PAR1 at its end)", f"{tail[-4:]!r}: the file is truncated")
    if head.startswith(b"ARROW1"):
        if tail.endswith(b"ARROW1"):
            return _checked(IpcFileReader(ref))
        raise _refused(ref, "a whole Arrow IPC file (ARROW1 at its end)", f"{tail[-6:]!r}: the file is truncated")
    for magic, reader in _MAGIC.items():
        if head.startswith(magic):
            return _checked(reader(ref, name, chosen))
    if not head:
        raise _refused(ref, _KNOWN, "an empty file")
    reader_of_text = _text_reader(ref, head)
    if reader_of_text is not None:
        return _checked(reader_of_text)
    for magic, found, remedy in _FOREIGN:
        if head.startswith(magic):
            raise SourceError(explain(ref.label, _KNOWN, found, remedy), source=ref.label)
    text = all(byte >= 32 or byte in b"\t\r\n" for byte in head)
    named = "name it .csv or .tsv, with the columns' names in the first line, if that is what it is"
    remedy = f"{named}, else load another file" if text else "load another file"
    raise _refused(ref, _KNOWN, f"{'text' if text else 'a file'} that starts with {head!r}", remedy)


def _text_reader(ref: FileRef, head: bytes) -> FileReader | None:
    """A reader of JSON lines or CSV, also where they are packed; None where the file is something else."""
    packing = packing_of(head)
    name = ref.path.lower()
    if packing is not None:
        name = name.removesuffix(".gz").removesuffix(".gzip").removesuffix(".zst").removesuffix(".zstd")
        try:
            with ref.filesystem.open_input_stream(ref.path, compression=packing) as stream:
                head = stream.read(8)
        except READ_ERRORS as error:
            raise damaged(ref, f"readable {packing} data", error, None) from error
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{"):
        return JsonLinesReader(ref, packing)
    if start.startswith(b"[") and name.endswith((".json", ".jsonl", ".ndjson")):
        remedy = "write one object a line (with jq: jq -c '.[]')"
        raise _refused(ref, "JSON lines", "one JSON list for the whole file", remedy)
    if name.endswith(_CSV_NAMES):
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise _refused(ref, "text in UTF-8", "text in UTF-16", "write it in UTF-8")
        return DelimitedReader(ref, packing)
    return None


_MAGIC: dict[bytes, Callable[[FileRef, str, Chosen], FileReader]] = {
    _CONTINUATION: lambda ref, *_: IpcStreamReader(ref),
    b"\x93NUMPY": lambda ref, name, _: NpyReader(ref, name),
    b"PK\x03\x04": NpzReader,
    b"PK\x05\x06": NpzReader,
    b"\x89HDF\r\n\x1a\n": Hdf5Reader,
}


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
