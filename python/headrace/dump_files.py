"""The files of a dump: segments that a killed run leaves behind, and the one file made of them at the end.

Parquet cannot be appended to and is nothing without its end. So rows go into segments of a directory beside the file,
each of which is complete before it is named in ``dump.json``; the next run goes on behind the last one's last key.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.casts import listed
from headrace.errors import ConfigError, TransportError, explain
from headrace.state import LOCK, StateLock, write_private

__all__ = ["DumpFiles", "local_path"]

#: Bytes of Arrow in a segment: what a kill costs at most.
SEGMENT_BYTES = 128 << 20
RECORD = "dump.json"
Key = int | str
#: What copies a file to an object store.
_COPY = {"s3": "aws s3 cp", "gs": "gcloud storage cp"}


def local_path(collection: str, path: str | os.PathLike[str]) -> Path:
    """Where the file of a dump of ``collection`` goes.

    Raises:
        ConfigError: If that is no local file: a dump that was stopped goes on with the files that it left, and a
            Parquet file is nothing without its end.
    """
    text = os.fspath(path)
    scheme, separator, rest = text.partition("://")
    if text != "-" and not separator:
        return Path(path)
    local = f"{collection}.parquet" if text == "-" else rest.rpartition("/")[2] or f"{collection}.parquet"
    then = f"headrace load {local}" if text == "-" else f"{_COPY.get(scheme, 'copy')} {local} {text}"
    found = "standard output" if text == "-" else f"a URI of {scheme}://"
    remedy = f"dump into one first: headrace dump {collection} {local}, then: {then}"
    raise ConfigError(explain(text, "a local file", found, remedy))


class DumpFiles:
    """The files of one dump, for one process at a time; a context manager.

    Args:
        path: The file that will be there when the dump is complete.
        schema: Its columns.
        key: The column that rows are ordered by.
        origin: What is dumped; a run goes on only with the same.
        again: Replace what is there, the file and what an earlier run read.

    Raises:
        ConfigError: If the file exists, cannot be made, or something else was being dumped into it.
        JournalError: If another process is at it.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, *, key: str, origin: dict[str, object], again: bool = False
    ) -> None:
        self.schema = schema
        #: Rows and bytes of Arrow written, those of earlier runs included.
        self.rows = self.bytes = 0
        #: The last key that was written; None before the first.
        self.last_key: Key | None = None
        self._key = key
        self._path = path
        self._origin = origin
        self._directory = path.with_name(path.name + ".part")
        self._segments: list[dict[str, Any]] = []
        self._writer: pq.ParquetWriter | None = None
        self._written = 0
        self._lock = self._open(again=again)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what was written, so that the next run goes on behind it."""
        try:
            # Where something is wrong already, that is the news.
            with contextlib.suppress(*(() if error is None else (OSError, pa.ArrowException))):
                self._close_segment()
        finally:
            if not self._segments:
                _remove(self._lock, self._directory)
            self._lock.release()

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows, which are behind all former ones.

        Raises:
            TransportError: If they do not have the columns of the schema.
        """
        conformed = _conformed(batch, self.schema)
        if self._writer is None:
            self._writer = _writer(self._next, self.schema, compression="none")
        self._writer.write_batch(conformed)
        self.rows += batch.num_rows
        self.bytes += conformed.nbytes
        self._written += conformed.nbytes
        self.last_key = batch.column(self._key)[-1].as_py()
        if self._written >= SEGMENT_BYTES:
            self._close_segment()

    def finish(self) -> None:
        """Make the one file of all segments, in place of what was there, and remove them."""
        self._close_segment()
        whole = self._directory / "whole.parquet"
        with _writer(whole, self.schema, compression="zstd") as writer:
            for segment in self._segments:
                with pq.ParquetFile(self._directory / segment["file"]) as file:
                    for group in range(file.num_row_groups):
                        writer.write_table(file.read_row_group(group))
        _sync(whole)
        whole.replace(self._path)
        self._segments = []

    @property
    def _next(self) -> Path:
        return self._directory / f"segment-{len(self._segments) + 1:06d}.parquet"

    def _open(self, *, again: bool) -> StateLock:
        self._check_free(again=again)
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            found = error.strerror or str(error)
            raise ConfigError(explain(str(self._path), "a writable place", found, "name another file")) from error
        lock = StateLock(self._directory)
        try:
            # Whoever had the lock may just have finished the file.
            self._check_free(again=again)
            self._resume(again=again)
        except BaseException:
            # Of nothing but a lock nobody has any use.
            if [path.name for path in self._directory.iterdir()] == [LOCK]:
                _remove(lock, self._directory)
            lock.release()
            raise
        return lock

    def _check_free(self, *, again: bool) -> None:
        if self._path.exists() and not again:
            remedy = "name another file, or give --again to replace it"
            raise ConfigError(explain(str(self._path), "no file of that name", "one", remedy))

    def _resume(self, *, again: bool) -> None:
        record = self._directory / RECORD
        if again:
            record.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            found = json.loads(record.read_text(encoding="utf-8"))
            if found["origin"] != self._origin or found["columns"] != _columns(self.schema):
                remedy = "finish that one first, or give --again to forget it"
                what = f"{found['origin'].get('collection')} at {found['origin'].get('uri')}, or other columns"
                raise ConfigError(explain(str(self._directory), "the start of this dump", what, remedy))
            self._segments = found["segments"]
        for segment in self._segments:
            self.rows += segment["rows"]
            self.bytes += segment["bytes"]
            self.last_key = segment["last_key"]

    def _close_segment(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.close()
        _sync(self._next)
        rows = self.rows - sum(segment["rows"] for segment in self._segments)
        entry = {"file": self._next.name, "rows": rows, "bytes": self._written, "last_key": self.last_key}
        self._segments.append(entry)
        self._written = 0
        record = {"origin": self._origin, "columns": _columns(self.schema), "segments": self._segments}
        write_private(self._directory / RECORD, json.dumps(record, indent=2, ensure_ascii=False))


def _remove(lock: StateLock, directory: Path) -> None:
    # What cannot be removed does no harm: the next dump into this file takes it over.
    with contextlib.suppress(OSError):
        lock.clear("*")
        directory.rmdir()


def _columns(schema: pa.Schema) -> list[str]:
    return [f"{field.name} {field.type}" for field in schema]


def _writer(path: Path, schema: pa.Schema, *, compression: str) -> pq.ParquetWriter:
    # Dictionaries of vectors are built in vain.
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    return pq.ParquetWriter(path, schema, compression=compression, use_dictionary=texts or False)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of ``schema``; one that no row has a value of may be missing from an answer."""
    columns = []
    for field in schema:
        if field.name not in batch.schema.names:
            columns.append(pa.nulls(batch.num_rows, field.type))
            continue
        column = batch.column(field.name)
        try:
            columns.append(column if column.type.equals(field.type) else _cast(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            remedy = "report it with the server's version"
            raise TransportError(explain(f"field {field.name!r}", str(field.type), str(column.type), remedy)) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind) and pa.types.is_fixed_size_list(column.type):
        column = listed(column)
    return column.cast(kind)
