"""Tables of other libraries as sources: data frames, lazy ones, datasets; told by their package, never imported.

Whoever holds one has imported its library; headrace does not, most of them are slow to import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from headrace.columns import pandas_table
from headrace.errors import SourceError, explain
from headrace.sources.base import Part, Read, Source, select

__all__ = [
    "as_dataset",
    "as_lazy",
    "from_batches",
    "lazy_batches",
    "of_frame",
    "of_table",
    "once",
    "package_of",
    "single",
]

#: Data frames that can be read again and again.
_FRAME_PACKAGES = frozenset({"arro3", "cudf", "modin", "pandas", "polars"})
#: Rows of one batch of a lazy frame or of a Hugging Face dataset.
_LAZY_ROWS = 2048


def single(label: str, rows: int | None, read: Read) -> Iterator[Part]:
    """One part: all of it."""
    yield Part(label, 0, rows, read)


def from_batches(label: str, batches: Sequence[pa.RecordBatch], schema: pa.Schema | None = None) -> Source:
    """Batches that are in memory."""
    rows = sum(batch.num_rows for batch in batches)

    def read(_max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        return (select(batch, columns, label) for batch in batches)

    kept = batches[0].schema if schema is None else schema
    return Source(label, kept, lambda: single(label, rows, read), rows_total=rows, replayable=True)


def of_table(label: str, table: pa.Table) -> Source:
    """A table."""
    return from_batches(label, table.to_batches(), table.schema)


def once(label: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Source:
    """Batches that come once."""

    def read(_max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        return _guarded(label, (select(batch, columns, label) for batch in batches))

    return Source(label, schema, lambda: single(label, None, read), rows_total=None, replayable=False)


def _guarded(label: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches; what Arrow says about a producer that failed becomes a :class:`SourceError`."""
    number = 0
    try:
        for batch in batches:
            yield batch
            number += 1
    except (OSError, pa.ArrowException) as error:
        lines = str(error).strip().splitlines()
        found = f"an error ({lines[0].rstrip('. ') if lines else type(error).__name__})"
        position = f"record batch {number}"
        message = explain(f"{label}, {position}", "readable batches", found, "look at what produces them")
        raise SourceError(message, source=label, position=position) from error


def as_dataset(source: object) -> Source | None:
    """A dataset of pyarrow, or None for anything else."""
    module = sys.modules.get("pyarrow.dataset")
    if module is None or not isinstance(source, module.Dataset):
        return None
    dataset: Any = source
    label = "dataset"

    def read(_max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        options = module.ParquetFragmentScanOptions(use_buffered_stream=True, buffer_size=1 << 20, pre_buffer=False)
        parquet = isinstance(getattr(dataset, "format", None), module.ParquetFileFormat)
        batches: Iterator[pa.RecordBatch] = dataset.to_batches(
            columns=None if columns is None else list(columns),
            batch_readahead=1,
            fragment_readahead=1,
            **({"fragment_scan_options": options} if parquet else {}),
        )
        return _guarded(label, batches)

    return Source(label, dataset.schema, lambda: single(label, None, read), rows_total=None, replayable=True)


def of_frame(source: Any) -> Source:
    """A data frame, or whatever else gives Arrow data."""
    package = type(source).__module__.partition(".")[0]
    label = f"{package}.{type(source).__name__}"
    if package == "pandas":
        return of_table(label, pandas_table(source))
    if not hasattr(source, "__arrow_c_stream__"):
        return from_batches(label, [pa.record_batch(source)])
    if package not in _FRAME_PACKAGES:
        reader = pa.RecordBatchReader.from_stream(source)
        return once(label, reader.schema, iter(reader))

    def read(_max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        return (select(batch, columns, label) for batch in pa.RecordBatchReader.from_stream(source))

    schema = pa.RecordBatchReader.from_stream(source).schema
    rows = len(source)
    return Source(label, schema, lambda: single(label, rows, read), rows_total=rows, replayable=True)


def as_lazy(source: Any) -> Source | None:
    """A lazy frame of polars or a dataset of Hugging Face, read in batches; None for anything else."""
    batches_of = _lazy_reader(source)
    if batches_of is None:
        return None
    label = f"{package_of(source)}.{type(source).__name__}"
    if package_of(source) == "polars":
        schema = pa.RecordBatchReader.from_stream(source.head(0).collect()).schema
        rows = None
    else:
        features = getattr(source, "features", None)
        if features is None:
            return once(label, *_peeked(batches_of(source)))
        schema = features.arrow_schema
        rows = len(source) if hasattr(source, "__len__") else None

    def read(_max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        return _guarded(label, (select(batch, columns, label) for batch in batches_of(source)))

    return Source(label, schema, lambda: single(label, rows, read), rows_total=rows, replayable=True)


def lazy_batches(source: Any) -> Iterator[pa.RecordBatch] | None:
    """The batches of what :func:`as_lazy` takes; None for anything else."""
    batches_of = _lazy_reader(source)
    return None if batches_of is None else batches_of(source)


def package_of(source: object) -> str:
    """The package of its type."""
    return type(source).__module__.partition(".")[0]


def _polars_batches(frame: Any) -> Iterator[pa.RecordBatch]:
    # Polars before 1.34 has the whole result only.
    if not hasattr(frame, "collect_batches"):
        yield from pa.RecordBatchReader.from_stream(frame.collect())
        return
    for piece in frame.collect_batches(chunk_size=_LAZY_ROWS):
        yield from pa.RecordBatchReader.from_stream(piece)


def _huggingface_batches(dataset: Any) -> Iterator[pa.RecordBatch]:
    # Its own Arrow memory: rows of Python objects would lose float32 and take minutes.
    for piece in dataset.with_format("arrow").iter(batch_size=_LAZY_ROWS):
        yield from piece.to_batches()


_LAZY: dict[tuple[str, str], Callable[[Any], Iterator[pa.RecordBatch]]] = {
    ("polars", "LazyFrame"): _polars_batches,
    ("datasets", "Dataset"): _huggingface_batches,
    ("datasets", "IterableDataset"): _huggingface_batches,
}


def _lazy_reader(source: object) -> Callable[[Any], Iterator[pa.RecordBatch]] | None:
    return _LAZY.get((package_of(source), type(source).__name__))


def _peeked(batches: Iterator[pa.RecordBatch]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The schema of the first batch, and all of them."""
    first = next(batches, None)
    return (pa.schema([]), iter(())) if first is None else (first.schema, chain([first], batches))
