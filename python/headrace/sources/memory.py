"""Sources in this process: tables, readers, datasets, frames, dicts of columns, rows, and iterators of these."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from headrace.columns import is_frame, is_row, row_columns, to_batch
from headrace.errors import CellError, HeadraceError, SchemaError, SourceError, explain
from headrace.schema import CollectionSchema
from headrace.sources.base import Source, decoded_bytes
from headrace.sources.frames import (
    as_dataset,
    as_lazy,
    from_batches,
    lazy_batches,
    of_frame,
    of_table,
    once,
    package_of,
    single,
)

__all__ = ["open_memory"]

#: How many rows of Python objects are turned into one batch: first, and at most.
_FIRST_ROWS = 256
_MOST_ROWS = 4096
_ROW_BATCH_BYTES = 4 << 20
_REMEDY = "give a path, Arrow data, a data frame, a dict of columns, a list of dicts or an iterator of these"


def open_memory(source: object, schema: CollectionSchema | None) -> Source:
    """Any object that is no path, as a source. Columns of Arrow data and numpy arrays are not copied.

    Raises:
        SourceError: If it is nothing that holds rows.
        SchemaError, CellError: If a dict or list is no batch (see :func:`headrace.columns.to_batch`).
    """
    if isinstance(source, Mapping) and package_of(source) == "datasets":
        splits = ", ".join(map(repr, source))
        remedy = f"give dataset[{next(iter(source), 'train')!r}]"
        message = explain("source", "one split of the dataset", f"the splits {splits}", remedy)
        raise SourceError(message, source=type(source).__name__)
    if isinstance(source, Mapping):
        return from_batches("columns", [to_batch(source, schema)])
    if isinstance(source, pa.RecordBatch):
        return from_batches("record batch", [source])
    if isinstance(source, pa.Table):
        return of_table("table", source)
    if isinstance(source, pa.RecordBatchReader):
        return once("reader", source.schema, iter(source))
    lazy = as_dataset(source) or as_lazy(source)
    if lazy is not None:
        return lazy
    if is_frame(source):
        return of_frame(source)
    if isinstance(source, list | tuple) and all(isinstance(item, Mapping) for item in source):
        return _rows(source, schema)
    if type(source).__name__ == "DuckDBPyConnection":
        raise _no_source(source, "a connection of DuckDB", "give the relation that con.sql(query) returns")
    if isinstance(source, AsyncIterable):
        raise _no_source(source, "an async iterator outside of a loader")
    if isinstance(source, Iterable) and not isinstance(source, str | bytes | set | frozenset) and not _is_array(source):
        return _iterator(source, schema)
    raise _no_source(source, type(source).__name__)


def _no_source(source: object, found: str, remedy: str = _REMEDY) -> SourceError:
    return SourceError(explain("source", "something that holds rows", found, remedy), source=type(source).__name__)


def _is_array(source: object) -> bool:
    return hasattr(source, "dtype") or isinstance(source, pa.Array | pa.ChunkedArray)


def _rows(rows: Sequence[Mapping[str, Any]], schema: CollectionSchema | None) -> Source:
    """A list of dicts. The columns are the keys of all rows, their types those of the first rows that have them."""
    label = "rows"
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    if not all(isinstance(name, str) for name in names):
        row_columns(rows)  # names the row
    sample = {name: [row.get(name) for row in rows[:_FIRST_ROWS]] for name in names}
    for name, cells in sample.items():
        if all(cell is None for cell in cells):
            later = next((row[name] for row in rows if row.get(name) is not None), None)
            cells[:] = [*cells[:-1], later]
    first = _converted(label, 0, sample if names else [], schema)

    def read(max_bytes: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        return _row_batches(label, rows, names if columns is None else columns, schema, max_bytes)

    return Source(label, first.schema, lambda: single(label, len(rows), read), rows_total=len(rows), replayable=True)


def _row_batches(
    label: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str], schema: CollectionSchema | None, max_bytes: int
) -> Iterator[pa.RecordBatch]:
    start = 0
    size = _FIRST_ROWS
    while start < len(rows):
        chunk = rows[start : start + size]
        batch = _converted(label, start, {name: [row.get(name) for row in chunk] for name in names}, schema)
        yield batch
        start += len(chunk)
        size = _next_size(batch, max_bytes)


def _next_size(batch: pa.RecordBatch, max_bytes: int) -> int:
    row_bytes = max(1.0, decoded_bytes(batch) / max(1, batch.num_rows))
    return max(1, min(_MOST_ROWS, int(max_bytes / row_bytes)))


def _converted(label: str, first_row: int, data: object, schema: CollectionSchema | None) -> pa.RecordBatch:
    """``to_batch`` whose errors count rows from the start of the source."""
    try:
        return to_batch(data, schema)
    except CellError as error:
        raise CellError(
            row=error.row,
            field=error.field,
            expected=error.expected,
            found=error.found,
            remedy=error.remedy,
            source=label,
            source_row=first_row + error.row,
        ) from error


def _iterator(items: Iterable[Any], schema: CollectionSchema | None) -> Source:
    label = "iterator" if isinstance(items, Iterator) else type(items).__name__
    batches = _item_batches(label, items, schema)
    first = next(batches, None)
    if first is None:
        empty = to_batch([], schema)
        return from_batches(label, [empty])
    return once(label, first.schema, chain([first], batches))


def _item_batches(label: str, items: Iterable[Any], schema: CollectionSchema | None) -> Iterator[pa.RecordBatch]:
    """The items as batches in order; rows that come one by one are gathered."""
    rows: list[Mapping[str, Any]] = []
    limit = _FIRST_ROWS
    done = 0
    for number, item in enumerate(_drawn(label, items)):
        if is_row(item):
            rows.append(item)
            if len(rows) < limit:
                continue
        if rows:
            batch = _converted(label, done, rows, schema)
            done += len(rows)
            limit = min(_FIRST_ROWS, _next_size(batch, _ROW_BATCH_BYTES))
            rows = []
            yield batch
        if not is_row(item):
            for batch in _one_item(label, number, item, done, schema):
                done += batch.num_rows
                yield batch
    if rows:
        yield _converted(label, done, rows, schema)


def _drawn(label: str, items: Iterable[Any]) -> Iterator[Any]:
    """The items; what their producer raises becomes a :class:`SourceError` with the place, as damage of a file does."""
    number = 0
    try:
        for item in items:
            yield item
            number += 1
    except HeadraceError:
        raise
    except Exception as error:  # the producer is somebody else's code
        position, found = f"item {number}", f"{type(error).__name__}: {error}"
        message = explain(f"{label}, {position}", "rows", found, "look at what produces them")
        raise SourceError(message, source=label, position=position) from error


def _one_item(
    label: str, number: int, item: Any, done: int, schema: CollectionSchema | None
) -> Iterator[pa.RecordBatch]:
    if isinstance(item, pa.RecordBatchReader):
        yield from item
    elif isinstance(item, pa.Table):
        yield from item.to_batches()
    elif (batches := lazy_batches(item)) is not None:
        yield from batches
    elif isinstance(item, list | tuple | Mapping) or is_frame(item):
        try:
            yield _converted(label, done, item, schema)
        except SchemaError as error:
            raise SchemaError(f"{label}, item {number}: {error}", field=error.field) from error
    else:
        raise SourceError(
            explain(f"{label}, item {number}", "rows or columns", type(item).__name__, _REMEDY),
            source=label,
            position=f"item {number}",
        )
