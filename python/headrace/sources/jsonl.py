"""JSON lines: one object a line, plain or packed.

The first rows say which columns there are and of which types. A column that only later rows have comes with them; rows
without a column have nulls there. Objects are stored as they were written. Text that looks like a time stays text.
Where values of a block do not go with the types of the first rows, that block has types of its own: what fits the
collection is decided value by value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from headrace.casts.jsontext import has_gaps
from headrace.cells import sparse_cells
from headrace.columns import row_columns, to_array
from headrace.errors import CellError, SourceError
from headrace.sources.parsing import Block
from headrace.sources.paths import FileRef
from headrace.sources.text import TextReader, textual

__all__ = ["JsonLinesReader"]

#: How many rows are looked at for sparse vectors in the form {"17": 0.5}, which are no structs.
_SAMPLE_ROWS = 16
#: How the JSON of Milvus's bulk import begins, on one line or many.
_BULK_IMPORT = re.compile(rb'\s*\{\s*"rows"\s*:\s*\[')
#: From here on not every whole number is a double.
_LONG = 2.0**53


class JsonLinesReader(TextReader):
    """One file of JSON lines, of which only the first block was read."""

    open_ended = True
    noun = "JSON lines"

    def __init__(self, ref: FileRef, packing: str | None) -> None:
        super().__init__(ref, packing)
        self._known = pa.schema([])
        self._sparse: frozenset[str] = frozenset()
        first = next(self.blocks(), None)
        if first is None:
            return
        if _is_bulk_import(first.data):
            found = "the JSON of Milvus's bulk import, one object for the whole file"
            remedy = "write its rows, one object a line (with jq: jq -c '.rows[]')"
            raise self.refused(1, "JSON lines", found, remedy)
        self._sparse = self._sparse_columns(first)
        batch = self.parse(first, ())
        self.schema = batch.schema
        # What had no value yet gets its type where it has one.
        self._known = pa.schema([field for field in batch.schema if not _has_null(field.type)])

    def parse(self, block: Block, columns: Sequence[str]) -> pa.RecordBatch:
        """A block's rows: these columns in this order (nulls where no row has one), then those that are new."""
        batch = self._from_objects(block) if self._sparse else self._from_bytes(block)
        new = [name for name in batch.schema.names if name not in self.schema.names]
        arrays, names = (
            [],
            [*columns, *(name for name in new if name not in columns)] if columns else batch.schema.names,
        )
        for name in names:
            place = batch.schema.get_field_index(name)
            kind = self.schema.field(name).type if name in self.schema.names else pa.null()
            arrays.append(batch.column(place) if place >= 0 else pa.nulls(batch.num_rows, kind))
        return pa.RecordBatch.from_arrays(arrays, names=list(names))

    def _from_bytes(self, block: Block) -> pa.RecordBatch:
        for schema in (self._known, None):
            try:
                table = _read(block.data, schema)
            except pa.ArrowException:
                continue
            if table.num_rows == block.rows:
                return self._as_written(block, _one_batch(table))
        return self._from_objects(block)

    def _as_written(self, block: Block, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows with what Arrow's reader does not tell as it was written: missing keys, and long whole numbers."""
        columns = zip(batch.schema.names, batch.columns, strict=True)
        unlike = [name for name, column in columns if has_gaps(column) or _has_long(column)]
        if not unlike:
            return batch
        rows = [row for _, row in self._objects(block)]
        for name in unlike:
            try:
                column = to_array([row.get(name) for row in rows], name=name)
            except CellError as error:
                raise self._bad_value(block, error) from error
            batch = batch.set_column(batch.schema.get_field_index(name), name, column)
        return batch

    def _from_objects(self, block: Block) -> pa.RecordBatch:
        """The rows by Python's reader, which names the line that is none, or the value that goes with no other."""
        columns = row_columns([row for _, row in self._objects(block)])
        try:
            arrays = [
                sparse_cells(cells, name) if name in self._sparse else to_array(cells, name=name)
                for name, cells in columns.items()
            ]
        except CellError as error:
            raise self._bad_value(block, error) from error
        return pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def _objects(self, block: Block) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each row with the number of its line.

        Raises:
            SourceError: If a line is no JSON object.
        """
        for number, line in enumerate(block.data.split(b"\n"), block.line):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=_unique)
            except (ValueError, RecursionError) as error:
                raise self._bad_line(number, f"damage ({_reason(error)})") from error
            if not isinstance(row, dict):
                raise self._bad_line(number, f"a JSON {_kind(row)}")
            yield number, row

    def _bad_line(self, number: int, found: str) -> SourceError:
        return self.refused(number, "one JSON object", found, "correct the line or leave it out")

    def _bad_value(self, block: Block, error: CellError) -> SourceError:
        number = [line for line, _ in self._objects(block)][error.row]
        return self.refused(number, f"in {error.field!r} {error.expected}", error.found, error.remedy)

    def _sparse_columns(self, block: Block) -> frozenset[str]:
        """Columns whose first objects have numbers for keys."""
        seen: dict[str, bool] = {}
        for _, (_, row) in zip(range(_SAMPLE_ROWS), self._tolerant(block), strict=False):
            for name, value in row.items():
                if isinstance(value, dict) and value:
                    seen[name] = seen.get(name, True) and all(key.isdecimal() for key in value)
        return frozenset(name for name, sparse in seen.items() if sparse)

    def _tolerant(self, block: Block) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            yield from self._objects(block)
        except SourceError:
            return


def _is_bulk_import(data: bytes) -> bool:
    """Whether it begins like one object that holds all rows, and not like a row that has such a column among others."""
    if not _BULK_IMPORT.match(data):
        return False
    try:
        row: dict[str, Any] = json.loads(data.lstrip().split(b"\n", 1)[0])
    except ValueError:
        return True
    return row.keys() == {"rows"}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} twice in one object")
    return found


def _reason(error: Exception) -> str:
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)


def _kind(value: object) -> str:
    return {list: "list", str: "string", bool: "bool", type(None): "null"}.get(type(value), "number")


def _read(data: bytes, schema: pa.Schema | None) -> pa.Table:
    """The rows of whole lines; columns that ``schema`` lacks have the types of their values, but times are text.

    Raises:
        ArrowInvalid: If a line is no object, or a value does not go with its column.
    """
    table = _parsed(data, schema)
    kinds = pa.schema([field.with_type(textual(field.type)) for field in table.schema])
    if not kinds.equals(table.schema):
        table = _parsed(data, pa.schema([field for field in kinds if not _has_null(field.type)]))
    # Text is not checked while it is read.
    table.validate(full=True)
    return table


def _parsed(data: bytes, schema: pa.Schema | None) -> pa.Table:
    return pj.read_json(
        pa.BufferReader(data),
        pj.ReadOptions(use_threads=False, block_size=len(data) + 1),
        pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    )


def _has_null(kind: pa.DataType) -> bool:
    return pa.types.is_null(kind) or any(_has_null(kind.field(place).type) for place in range(kind.num_fields))


def _has_long(array: pa.Array) -> bool:
    """Whether there are doubles so large that they may have been whole numbers with more digits than a double has."""
    kind = array.type
    if pa.types.is_float64(kind):
        return bool(pc.any(pc.greater_equal(pc.abs(array), _LONG)).as_py())
    if pa.types.is_list(kind):
        return _has_long(array.flatten())
    return pa.types.is_struct(kind) and any(map(_has_long, array.flatten()))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)
