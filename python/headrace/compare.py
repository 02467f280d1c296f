"""Compare what was sent with what was read back, cell by cell and bit for bit.

Both sides are Arrow record batches with their rows in the same order; layouts may differ (a map on one side, a
list of structs on the other). Floats and dense vectors compare by their bits, sparse rows by their entries that are
not zero in the order of their indices, JSON, geometries and times by value, everything else as it is. The work is
done on whole columns; Python objects are made only for cells that differ and for documents and the like whose text
does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts.base import buffer_values, null_mask
from headrace.casts.layouts import is_text
from headrace.casts.lists import open_list
from headrace.ndarrays import vector_bytes, widened
from headrace.schema import DataType, FieldSchema
from headrace.texts import micros_of, same_document, same_geometry, text_of_micros, zone_named

__all__ = ["Difference", "SparseRows", "differences", "shorten"]

#: Most characters of a value that a message shows.
SHOWN = 120

#: What the elements of a dense vector are, for people: bfloat16 as its bit patterns, bits by the byte.
_ELEMENTS = {
    DataType.FLOAT_VECTOR: "<f4",
    DataType.FLOAT16_VECTOR: "<f2",
    DataType.BFLOAT16_VECTOR: "<u2",
    DataType.INT8_VECTOR: "i1",
    DataType.BINARY_VECTOR: "u1",
}

Mask = npt.NDArray[np.bool_]
Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """One cell that differs: its row in the compared batches, its field, and both sides for a person to read."""

    row: int
    field: str
    expected: str
    found: str


def differences(
    expected: pa.RecordBatch, found: pa.RecordBatch, fields: Sequence[FieldSchema], *, timezone: str = ""
) -> list[Difference]:
    """Every cell of ``expected`` that ``found`` does not hold, by row and then by field.

    Args:
        expected: The conformed rows that were sent.
        found: The same rows as read back, in the same order; further columns are ignored.
        fields: The collection's fields; a field that ``expected`` has no column for was not sent and is left out.
        timezone: The collection's, for times that were sent without an offset; empty for UTC.
    """
    result: list[Difference] = []
    zone = zone_named(timezone)
    for field in fields:
        if field.name not in expected.schema.names:
            continue
        sent = expected.column(field.name)
        if pa.types.is_timestamp(sent.type):
            sent = _times(sent, zone)
        sent = _with_default(sent, field)
        if field.name not in found.schema.names:
            result += [Difference(r, field.name, _shown(sent, r), "no such column") for r in range(len(sent))]
            continue
        stored = found.column(field.name)
        for row in np.flatnonzero(_differs(sent, stored, field, zone)).tolist():
            result.append(Difference(row, field.name, *_explain(sent, stored, row, field)))
    result.sort(key=lambda d: d.row)
    return result


def shorten(text: str, limit: int = SHOWN) -> str:
    """``text``, cut in the middle where it is longer than ``limit`` characters."""
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


@dataclass(frozen=True)
class SparseRows:
    """Sparse vectors of ``n`` rows in one flat form, entries of each row in ascending order of their index.

    ``lengths`` int64[n] counts the entries of each row; ``indices`` uint64 and ``values`` float32 hold the entries
    of all rows, one row after the other.
    """

    lengths: Lengths
    indices: npt.NDArray[np.uint64]
    values: npt.NDArray[np.float32]

    @classmethod
    def of(cls, column: pa.Array) -> SparseRows:
        """Read any of the layouts that a sparse column may have: struct of lists, list of structs, map."""
        if pa.types.is_struct(column.type):
            starts, lengths, indices = _lists(column.field(0))
            value_starts, _, values = _lists(column.field(1))
        else:
            starts, lengths, entries = _lists(column)
            value_starts = starts
            indices, values = entries.field(0), entries.field(1)
        lengths = np.where(_null_rows(column), 0, lengths)
        flat_indices = buffer_values(indices)[_positions(starts, lengths)].astype(np.uint64)
        flat_values = buffer_values(values)[_positions(value_starts, lengths)].astype(np.float32, copy=False)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        if np.any((flat_indices[1:] <= flat_indices[:-1]) & (rows[1:] == rows[:-1])):
            order = np.lexsort((flat_indices, rows))
            flat_indices, flat_values = flat_indices[order], flat_values[order]
        return cls(lengths, flat_indices, flat_values)

    def row(self, number: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float32]]:
        """Indices and values of one row."""
        start = int(self.lengths[:number].sum())
        stop = start + int(self.lengths[number])
        return self.indices[start:stop], self.values[start:stop]

    def nonzero(self) -> SparseRows:
        """The rows without explicit zeros, which change no inner product; Milvus Lite 3.2 does not store them."""
        kept = self.values != 0
        if kept.all():
            return self
        rows = np.repeat(np.arange(len(self.lengths)), self.lengths)
        lengths = np.bincount(rows[kept], minlength=len(self.lengths)).astype(np.int64)
        return SparseRows(lengths, self.indices[kept], self.values[kept])


def _with_default(column: pa.Array, field: FieldSchema) -> pa.Array:
    # The server stores the default where a null is sent.
    if field.default_value is None or column.null_count == 0:
        return column
    return pc.fill_null(column, pa.scalar(field.default_value, column.type))


def _nulls(column: pa.Array) -> Mask:
    nulls = null_mask(column)
    return np.zeros(len(column), np.bool_) if nulls is None else nulls


def _null_rows(column: pa.Array) -> Mask:
    """Where a cell is null: of sparse vectors as two lists also where both are, or one beside an empty other."""
    nulls = _nulls(column)
    if pa.types.is_struct(column.type):
        halves = [column.field(0), column.field(1)]
        empty = np.all([_lists(half)[1] == 0 for half in halves], axis=0)
        nulls = nulls | (empty & np.any([_nulls(half) for half in halves], axis=0))
    return nulls


def _differs(sent: pa.Array, stored: pa.Array, field: FieldSchema, zone: tzinfo) -> Mask:
    null_sent, null_stored = _null_rows(sent), _null_rows(stored)
    both = ~(null_sent | null_stored)
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        unequal = _sparse_differ(SparseRows.of(sent).nonzero(), SparseRows.of(stored).nonzero())
    elif field.dtype is DataType.JSON:
        unequal = _texts_differ(sent, stored, both, same_document)
    elif field.dtype is DataType.GEOMETRY:
        unequal = _texts_differ(sent, stored, both, lambda one, other: same_geometry(_text(one), _text(other)))
    elif field.dtype is DataType.TIMESTAMPTZ:
        unequal = _texts_differ(sent, stored, both, lambda one, other: _same_time(one, other, zone))
    elif field.dtype.is_dense_vector:
        unequal = _dense_differ(sent, stored)
    elif field.dtype is DataType.ARRAY:
        unequal = _lists_differ(sent, stored)
    else:
        unequal = _scalars_differ(sent, stored)
    mask: Mask = (unequal & both) | (null_sent != null_stored)
    return mask


def _scalars_differ(sent: pa.Array, stored: pa.Array) -> Mask:
    if is_text(sent.type) or is_text(stored.type):
        return _unequal(sent.cast(pa.large_string()), stored.cast(pa.large_string()))
    if pa.types.is_boolean(sent.type) or sent.type != stored.type:
        return _unequal(sent, stored)
    mask: Mask = _bits(buffer_values(sent)) != _bits(buffer_values(stored))
    return mask


def _unequal(sent: pa.Array, stored: pa.Array) -> Mask:
    """Where two columns of one type differ; a null differs from everything."""
    mask: Mask = pc.fill_null(pc.not_equal(sent, stored), True).to_numpy(zero_copy_only=False)
    return mask


def _dense_differ(sent: pa.Array, stored: pa.Array) -> Mask:
    rows, others = vector_bytes(sent), vector_bytes(stored)
    if rows.shape != others.shape:
        return np.ones(len(sent), dtype=np.bool_)
    mask: Mask = np.any(rows != others, axis=1)
    return mask


def _sparse_differ(sent: SparseRows, stored: SparseRows) -> Mask:
    differs: Mask = sent.lengths != stored.lengths
    of_sent, of_stored = np.repeat(~differs, sent.lengths), np.repeat(~differs, stored.lengths)
    rows = np.repeat(np.arange(len(differs)), np.where(differs, 0, sent.lengths))
    unequal = sent.indices[of_sent] != stored.indices[of_stored]
    unequal |= _bits(sent.values[of_sent]) != _bits(stored.values[of_stored])
    differs[rows[unequal]] = True
    return differs


def _lists_differ(sent: pa.Array, stored: pa.Array) -> Mask:
    sent_starts, sent_lengths, sent_child = _lists(sent)
    stored_starts, stored_lengths, stored_child = _lists(stored)
    differs: Mask = sent_lengths != stored_lengths
    lengths = np.where(differs, 0, sent_lengths)
    rows = np.repeat(np.arange(len(differs)), lengths)
    sent_values = sent_child.take(pa.array(_positions(sent_starts, lengths)))
    stored_values = stored_child.take(pa.array(_positions(stored_starts, lengths)))
    differs[rows[_scalars_differ(sent_values, stored_values)]] = True
    return differs


def _texts_differ(sent: pa.Array, stored: pa.Array, both: Mask, same: Callable[[bytes, bytes], bool]) -> Mask:
    """Where two columns of text are not the same value; engines write many values in their own way.

    Milvus Lite gives ``{"a":1}`` back as ``{"a": 1}``, servers a time in the collection's zone.
    """
    sent, stored = sent.cast(pa.large_binary()), stored.cast(pa.large_binary())
    other_bytes = _unequal(sent, stored)
    differs: Mask = np.zeros(len(sent), dtype=np.bool_)
    for row in np.flatnonzero(other_bytes & both).tolist():
        differs[row] = not same(sent[row].as_py(), stored[row].as_py())
    return differs


def _same_time(sent: bytes, stored: bytes, zone: tzinfo) -> bool:
    micros = micros_of(_text(sent), zone)
    return micros is not None and micros == micros_of(_text(stored), zone)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _times(column: pa.Array, zone: tzinfo) -> pa.Array:
    """Arrow timestamps as text in UTC; without a zone they are times of the collection's."""
    micros = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_pylist()
    if column.type.tz is None:
        epoch = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock's
        texts = [None if value is None else (epoch + timedelta(microseconds=value)).isoformat() for value in micros]
        micros = [None if text is None else micros_of(text, zone) for text in texts]
    return pa.array([None if value is None else text_of_micros(value) for value in micros], pa.utf8())


def _lists(column: pa.Array) -> tuple[Lengths, Lengths, pa.Array]:
    """First position and number of each row's elements in the child, and the child; null rows have none."""
    offsets, child = open_list(column)
    return offsets[:-1], np.where(_nulls(column), 0, np.diff(offsets)), child


def _positions(starts: Lengths, lengths: Lengths) -> Lengths:
    """The positions ``starts[i] .. starts[i] + lengths[i] - 1`` of all rows, one after the other."""
    first = np.cumsum(lengths) - lengths
    positions: Lengths = np.repeat(starts - first, lengths) + np.arange(int(lengths.sum()), dtype=np.int64)
    return positions


def _bits(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.view(f"u{values.dtype.itemsize}")


def _shown(column: pa.Array, row: int) -> str:
    if _null_rows(column.slice(row, 1))[0]:
        return "null"
    return shorten(repr(column[row].as_py()))


def _explain(sent: pa.Array, stored: pa.Array, row: int, field: FieldSchema) -> tuple[str, str]:
    """Both sides of a cell that differs; of a vector the first element that does."""
    if any(_null_rows(side.slice(row, 1))[0] for side in (sent, stored)):
        return _shown(sent, row), _shown(stored, row)
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        entries = [_sparse_text(SparseRows.of(side.slice(row, 1))) for side in (sent, stored)]
        return _first_difference(entries[0], entries[1], "entry")
    if field.dtype.is_dense_vector:
        elements = [_element_texts(side.slice(row, 1), field.dtype) for side in (sent, stored)]
        return _first_difference(elements[0], elements[1], "element")
    return _shown(sent, row), _shown(stored, row)


def _sparse_text(row: SparseRows) -> list[str]:
    values = zip(row.indices.tolist(), _float_texts(row.values), strict=True)
    return [f"{index}: {value}" for index, value in values]


def _element_texts(vector: pa.Array, dtype: DataType) -> list[str]:
    numbers = vector_bytes(vector)[0].view(_ELEMENTS[dtype])
    if dtype is DataType.BFLOAT16_VECTOR:
        values = zip(widened(numbers).tolist(), numbers.tolist(), strict=True)
        return [f"{value!s} (0x{bits:04x})" for value, bits in values]
    return _float_texts(numbers) if numbers.dtype.kind == "f" else [str(v) for v in numbers.tolist()]


def _float_texts(values: npt.NDArray[Any]) -> list[str]:
    width = values.dtype.itemsize * 2
    return [f"{v!s} (0x{b:0{width}x})" for v, b in zip(values, _bits(values).tolist(), strict=True)]


def _first_difference(sent: list[str], stored: list[str], what: str) -> tuple[str, str]:
    count = max(len(sent), len(stored))
    unequal = [i for i in range(count) if sent[i : i + 1] != stored[i : i + 1]]
    first = unequal[0] if unequal else 0

    def side(values: list[str]) -> str:
        value = values[first] if first < len(values) else "nothing"
        return f"{what} {first} of {len(values)} is {value}"

    more = f"; {len(unequal)} differ" if len(unequal) > 1 else ""
    return side(sent), side(stored) + more
