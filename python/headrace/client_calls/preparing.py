"""What users give an insert, as requests that are ready to be packed: every form, matched with the collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.batching import Aim, Batcher, Piece, Span, locate
from headrace.collection_messages import CollectionInfo
from headrace.columns import is_frame, pandas_table, row_columns, to_batch
from headrace.config import LoadOptions
from headrace.conform import ConformPlan, plan_conform
from headrace.errors import CellError, InputError, SchemaError, explain
from headrace.matrices import is_sparse_matrix
from headrace.operations import Request
from headrace.packing import Packer, make_packer
from headrace.schema import DYNAMIC_FIELD_NAME, CollectionSchema, DataType, FieldSchema

__all__ = ["is_empty", "is_small", "prepare"]

#: A request's bytes and rows: 2.3.5 takes most rows a second at about these bytes, and 64 MiB at all; many small rows
#: keep an engine busy for long.
_AIM = Aim(8 << 20, 50_000)
#: Rows of Python objects that an event loop may convert itself.
_FEW_ROWS = 32
_FORMS = "a dict, a list of dicts, a dict of columns, a list of columns, a data frame or Arrow data"
_OPTIONS = LoadOptions()


def is_empty(data: Any) -> bool:
    """Whether there is nothing to be sent: an empty list.

    Raises:
        InputError: If it is nothing that holds rows.
    """
    if isinstance(data, list | tuple):
        return not data
    if not isinstance(data, Mapping) and not is_frame(data):
        raise InputError(explain("data", _FORMS, f"one of type {type(data).__name__}", "give one of them"))
    return False


def is_small(data: Any) -> bool:
    """Whether converting takes microseconds: a row, or a few."""
    return isinstance(data, list) and len(data) <= _FEW_ROWS and all(isinstance(row, Mapping) for row in data)


def prepare(
    data: Any,
    info: CollectionInfo,
    collection_name: str,
    *,
    upsert: bool = False,
    partial_update: bool = False,
    partition_name: str = "",
) -> list[Request]:
    """The requests that carry ``data``, each row checked where there is more than one.

    Args:
        data: One of the forms of :func:`headrace.client_calls.insert`.
        info: The collection.
        collection_name: The name that requests carry.
        upsert: Whether rows are to be upserted.
        partial_update: Whether upserted rows keep the values of the fields that ``data`` leaves out.
        partition_name: The partition; empty for the default one.

    Raises:
        InputError: If the data cannot be stored; a :class:`CellError` counts rows of ``data``.
    """
    target = _target(info.schema, upsert=upsert)
    batches = list(_batches(data, target))
    # With its metadata, which decide nothing here, pyarrow 16 has no hash of a schema.
    columns = batches[0].schema.remove_metadata()
    way = _way(_Same(info), columns, collection_name, partition_name, upsert, partial_update)
    pack = partial(way.packer.pack_insert, schema_timestamp=info.update_timestamp)
    if upsert:
        pack = partial(way.packer.pack_upsert, schema_timestamp=info.update_timestamp, partial_update=partial_update)
    pieces = list(_pieces(batches, way))
    if len(pieces) > 1:
        # One bad row must not be found when the others are stored.
        for piece in pieces:
            if bad := way.packer.check(piece.batch):
                row, *rest = bad[0]
                raise _cell_error(locate(piece.spans, row)[1], *rest)
    return [Request(_rows(piece), partial(_packed, pack, piece)) for piece in pieces]


@dataclass(frozen=True)
class _Way:
    """How batches of one Arrow schema become requests of one collection."""

    plan: ConformPlan
    packer: Packer


class _Same:
    """A description, equal to nothing but itself: comparing schemas would take longer than what is remembered."""

    def __init__(self, info: CollectionInfo) -> None:
        self.info = info

    def __hash__(self) -> int:
        return id(self.info)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.info is self.info


@lru_cache(maxsize=64)
def _way(  # noqa: PLR0917 - what it depends on, and nothing else
    same: _Same, columns: pa.Schema, collection_name: str, partition_name: str, upsert: bool, partial_update: bool
) -> _Way:
    target = _target(same.info.schema, upsert=upsert)
    if partial_update:
        names = {name.casefold() for name in columns.names}
        target = target.with_fields([item for item in target if item.is_primary or item.name.casefold() in names])
    plan = plan_conform(columns, target, options=_OPTIONS, fill_defaults=not partial_update)
    packer = make_packer(target, collection_name=collection_name, partition_name=partition_name, columns=plan.columns)
    return _Way(plan, packer)


def _target(schema: CollectionSchema, *, upsert: bool) -> CollectionSchema:
    """The schema as rows are matched with it: an upsert brings the key also where the server makes those of inserts."""
    if not (upsert and schema.auto_id):
        return schema
    return schema.with_fields([replace(item, auto_id=False) if item.is_primary else item for item in schema])


def _pieces(batches: Sequence[pa.RecordBatch], way: _Way) -> Iterator[Piece]:
    batcher = Batcher(way.packer, aim=lambda: _AIM, copy_waiting=False)
    start = 0
    for batch in batches:
        conformed = way.plan.apply(batch)
        if conformed.refused:
            first = conformed.refused[0]
            raise _cell_error(start + first.row, first.field, first.expected, first.found, first.remedy)
        rows = conformed.batch
        piece = Piece(rows, (Span("", start, rows.num_rows),), way.packer.encoded_len(rows))
        start += rows.num_rows
        yield from batcher.add(piece)
    yield from batcher.flush()


def _packed(pack: Any, piece: Piece) -> bytes:
    try:
        packed: bytes = pack(piece.batch)
    except CellError as error:
        row = locate(piece.spans, error.row)[1]
        raise _cell_error(row, error.field, error.expected, error.found, error.remedy) from None
    return packed


def _rows(piece: Piece) -> range:
    first = piece.spans[0].start
    return range(first, first + piece.batch.num_rows)


def _cell_error(row: int, field: str, expected: str, found: str, remedy: str) -> CellError:
    return CellError(row=row, field=field, expected=expected, found=found, remedy=remedy)


def _batches(data: Any, schema: CollectionSchema) -> Iterator[pa.RecordBatch]:
    """The data as Arrow, in the pieces it has; at least one."""
    if isinstance(data, Mapping):
        yield to_batch(_by_row([data], schema) if _is_one_row(data, schema) else data, schema)
    elif isinstance(data, pa.RecordBatch):
        yield data
    elif is_frame(data):
        table = _table(data)
        yield from table.to_batches() if table.num_rows else [to_batch(table)]
    else:
        rows = isinstance(data[0], Mapping)
        yield to_batch(_by_row(data, schema) if rows else _by_position(data, schema), schema)


def _table(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if type(frame).__module__.partition(".")[0] == "pandas":
        return pandas_table(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.table(frame)
    return pa.Table.from_batches([pa.record_batch(frame)])


def _by_row(rows: Sequence[Any], schema: CollectionSchema) -> dict[str, list[Any]]:
    """Rows as columns, with what is undeclared as the dynamic field's documents: its values may be of any type."""
    columns = row_columns(rows)
    extras = [name for name in columns if name not in schema and name != DYNAMIC_FIELD_NAME]
    if not extras or not schema.enable_dynamic_field or DYNAMIC_FIELD_NAME in columns:
        return columns
    documents = [{name: row[name] for name in extras if name in row} for row in rows]
    return {name: cells for name, cells in columns.items() if name in schema} | {DYNAMIC_FIELD_NAME: documents}


def _by_position(columns: Sequence[Any], schema: CollectionSchema) -> dict[str, Any]:
    """Columns in the order of the fields that an insert carries."""
    names = [item.name for item in schema.sent_fields if not item.is_dynamic]
    if len(columns) != len(names):
        found = f"{len(columns)} columns"
        raise SchemaError(explain("data", f"one column for each of {', '.join(names)}", found, "give a list of dicts"))
    return dict(zip(names, columns, strict=True))


def _is_one_row(data: Mapping[str, Any], schema: CollectionSchema) -> bool:
    """Whether a dict is one row or a dict of columns: a value alone tells where it can only be one of both."""
    fields = {item.name: item for item in schema}
    for name, value in data.items():
        one = _is_one_cell(value, fields.get(name))
        if one is not None:
            return one
    return False


def _is_one_cell(value: Any, field: FieldSchema | None) -> bool | None:
    """Whether a value is one cell of a field, or a column of them; None where it may be both."""
    if value is None or isinstance(value, str | bytes | int | float | np.generic):
        return True
    if field is None or field.dtype in (DataType.JSON, DataType.ARRAY):
        return None
    if not field.dtype.is_vector:
        return False
    if is_sparse_matrix(value):
        return None if len(value.shape) == 2 and value.shape[0] == 1 else len(value.shape) == 1
    if isinstance(value, Mapping):
        return True
    shape = getattr(value, "shape", None)
    if shape is not None:
        return len(shape) == 1
    first = value[0] if isinstance(value, list | tuple) and value else None
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return isinstance(first, tuple)
    return isinstance(first, int | float | np.generic)
