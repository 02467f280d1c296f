"""Where rows come from: files, objects in memory and iterators, each as parts that yield bounded Arrow batches.

Below this package nobody needs to know what a source was: everything is a
:class:`~headrace.sources.base.SourceBatch`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from headrace.config import LoadOptions
from headrace.errors import ConfigError, explain
from headrace.schema import CollectionSchema
from headrace.sources.ahead import at_once
from headrace.sources.base import Part, Source, SourceBatch, SourceFile, decoded_bytes, row_slices
from headrace.sources.division import RowRange, divide, ranged
from headrace.sources.files import open_files
from headrace.sources.identity import FileIdentity
from headrace.sources.memory import open_memory
from headrace.sources.rowkeys import keyed_by_row, keyed_rows

__all__ = [
    "FileIdentity",
    "Part",
    "RowRange",
    "Source",
    "SourceBatch",
    "SourceFile",
    "decoded_bytes",
    "divide",
    "identify_all",
    "is_path",
    "keyed_by_row",
    "keyed_rows",
    "open_source",
    "ranged",
    "row_slices",
]


def identify_all(files: Sequence[SourceFile]) -> dict[str, FileIdentity]:
    """The states in which files are now, by their labels.

    Raises:
        SourceError: If one cannot be read.
    """
    found = at_once(lambda file: file.identify(), files)
    return {file.label: identity for file, identity in zip(files, found, strict=True)}


def is_path(source: object) -> bool:
    """Whether ``source`` names files: a path, or a list of paths."""
    if isinstance(source, str | os.PathLike):
        return True
    return isinstance(source, list | tuple) and bool(source) and all(is_path(item) for item in source)


def open_source(
    source: object,
    *,
    columns: Sequence[str] | None = None,
    schema: CollectionSchema | None = None,
    options: LoadOptions | None = None,
) -> Source:
    """Open whatever holds rows; nothing but heads, footers and the first item of an iterator is read.

    Args:
        source: A path, glob, directory, URI or a list of them; a pyarrow Table, RecordBatch, RecordBatchReader or
            Dataset; anything with ``__arrow_c_stream__``; a dict of columns; a list of dicts; an iterator of any
            of these. A dict in an iterator is one row if one of its values is a scalar, else a dict of columns.
        columns: The only columns to read, in this order; None for all.
        schema: The collection that it is for, where there is one: guides lists and dicts of Python values, which
            have no types of their own.
        options: ``key`` (with ``"@row"`` or ``"@file_row"`` there is a column of that name with keys made of row
            numbers) is used, and of files those that :func:`~headrace.sources.files.open_files` names.

    Raises:
        SourceError: If it is missing, damaged or nothing that holds rows.
        SchemaError: If columns in memory do not go together.
        CellError: If one Python value does not go with the others.
        ConfigError: If an option cannot be used.
    """
    options = options or LoadOptions()
    opened = keyed_by_row(_open(source, schema, options), options.key)
    return opened if columns is None else opened.restricted(columns)


def _open(source: Any, schema: CollectionSchema | None, options: LoadOptions) -> Source:
    if is_path(source):
        return open_files(source if isinstance(source, list | tuple) else [source], options)
    if isinstance(source, Iterator) and not hasattr(source, "__arrow_c_stream__"):
        return _open_iterator(source, schema, options)
    return _in_memory(source, schema, options)


def _in_memory(source: Any, schema: CollectionSchema | None, options: LoadOptions) -> Source:
    for option in ("ids", "metadata"):
        if getattr(options, option) is not None:
            remedy = "put the columns into the source itself"
            raise ConfigError(explain(f"--{option}", "files to pair it with", "rows in memory", remedy))
    return open_memory(source, schema)


def _open_iterator(source: Iterator[Any], schema: CollectionSchema | None, options: LoadOptions) -> Source:
    for first in source:
        if isinstance(first, str | os.PathLike):
            return open_files([first, *source], options)
        return _in_memory(chain([first], source), schema, options)
    return _in_memory(iter(()), schema, options)
