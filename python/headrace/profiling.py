"""What a sample of rows looks like, field by field: nulls, NaN, lengths of vectors, keys that stand twice."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts import type_text
from headrace.schema import CollectionSchema, DataType, FieldSchema

__all__ = ["FieldProfile", "Profile", "Refusals", "profile_rows"]

#: How far from 1 the length of a vector is that counts as normalised; float16 keeps three digits.
_NORMALISED = 2e-3
#: Bytes of the links of one vector in an HNSW index, which AUTOINDEX is on most servers: 2 M neighbours of 4 bytes on
#: the lowest layer, M = 18 (Milvus 2.3 to 2.6, ``autoIndex.params.build``).
HNSW_LINKS = 144
_DENSE = (DataType.FLOAT_VECTOR, DataType.FLOAT16_VECTOR)


@dataclass
class FieldProfile:
    """What the sampled rows have in one field.

    Attributes:
        field: Its name.
        type: Its type, for people.
        nulls: Rows without a value, also those that are rejected for it.
        rejected: Rows that a load would reject for it; each row counts for one field.
        not_finite: Vectors with NaN or an infinity, which Milvus refuses.
        zeros: Vectors of length 0, which have no direction for COSINE.
        norm: Least, median and largest length of the finite vectors; empty for what is no float vector.
        longest: Bytes of the longest text; None for what is none.
        advice: Which metric fits vectors of these lengths; empty for others.
    """

    field: str
    type: str
    nulls: int = 0
    rejected: int = 0
    not_finite: int = 0
    zeros: int = 0
    norm: dict[str, float] = dataclasses.field(default_factory=dict)
    longest: int | None = None
    advice: str = ""


@dataclass(frozen=True)
class Profile:
    """What the sampled rows look like.

    Attributes:
        rows: How many were sampled.
        rejected: How many of them a load would reject.
        fields: A profile per field.
        key_repeats: Rows of the sample whose key stands in an earlier one, too; None where the server makes the keys.
        server_bytes_per_row: About what a row takes in the server's memory: its values, and the links of an HNSW index
            for each dense vector.
    """

    rows: int
    rejected: int
    fields: list[FieldProfile]
    key_repeats: int | None
    server_bytes_per_row: float | None


@dataclass
class Refusals:
    """The sampled rows that a load would reject.

    Attributes:
        taken_out: How many of them are not among the rows that are profiled.
        nulls: By field, how many of these have no value there.
        rejected: By field (or column that names a partition), how many are rejected for it.
        examples: By the same, the first of them, and what is wrong with it.
    """

    taken_out: int = 0
    nulls: Counter[str] = dataclasses.field(default_factory=Counter)
    rejected: Counter[str] = dataclasses.field(default_factory=Counter)
    examples: dict[str, str] = dataclasses.field(default_factory=dict)

    def add(self, field: str, example: str) -> None:
        """Count a row that is rejected."""
        self.rejected[field] += 1
        self.examples.setdefault(field, example)


def profile_rows(
    batches: Iterable[pa.RecordBatch], schema: CollectionSchema, refusals: Refusals | None = None
) -> Profile:
    """Look at conformed rows; all of them are held at once. ``refusals`` is read when the last batch was taken."""
    table = pa.Table.from_batches(list(batches)).combine_chunks()
    lost = refusals or Refusals()
    fields = [_profile(item, table, lost) for item in schema.sent_fields if item.name in table.column_names]
    key = schema.primary_key.name
    repeats = None
    if key in table.column_names:
        repeats = table.num_rows - len(pc.unique(table.column(key)))
    dense = sum(item.dtype.is_vector and item.dtype is not DataType.SPARSE_FLOAT_VECTOR for item in schema.sent_fields)
    size = table.nbytes / table.num_rows + HNSW_LINKS * dense if table.num_rows else None
    rows = table.num_rows + lost.taken_out
    return Profile(rows, lost.rejected.total(), fields, repeats, size)


def _profile(item: FieldSchema, table: pa.Table, lost: Refusals) -> FieldProfile:
    column = table.column(item.name)
    found = FieldProfile(
        item.name,
        type_text(item),
        nulls=column.null_count + lost.nulls[item.name],
        rejected=lost.rejected[item.name],
    )
    if item.dtype in _DENSE:
        _measure_vectors(found, column)
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        found.longest = pc.max(pc.binary_length(column)).as_py()
    return found


def _measure_vectors(found: FieldProfile, column: pa.ChunkedArray) -> None:
    lengths = np.concatenate([_norms(chunk) for chunk in column.chunks] or [np.empty(0)])
    finite = lengths[np.isfinite(lengths)]
    found.not_finite = len(lengths) - len(finite)
    found.zeros = int((finite == 0).sum())
    if not len(finite):
        return
    least, median, largest = float(finite.min()), float(np.median(finite)), float(finite.max())
    found.norm = {"least": round(least, 4), "median": round(median, 4), "largest": round(largest, 4)}
    if least >= 1 - _NORMALISED and largest <= 1 + _NORMALISED:
        found.advice = "normalised: COSINE, IP and L2 rank alike"
    else:
        found.advice = "not normalised: IP favours long vectors; COSINE, or L2 where the model was trained for it"


def _norms(column: pa.Array) -> npt.NDArray[np.float64]:
    """The length of each vector that is there; NaN or infinite where an element is."""
    values = column.flatten().to_numpy(zero_copy_only=False)
    vectors = values.astype(np.float64).reshape(-1, column.type.list_size)
    norms: npt.NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return norms
