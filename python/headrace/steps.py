"""The steps of a plan: how each field's column is made of a batch, and which rows it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.casts import Cast, Refusal, canonical_type
from headrace.casts.base import null_mask
from headrace.casts.cutting import cut_text
from headrace.casts.defaults import default_column, default_scalar
from headrace.casts.dynamic import dynamic_column
from headrace.schema import FieldSchema

__all__ = ["NullVector", "Step", "absent_step", "column_step", "dynamic_step"]


@dataclass(frozen=True, slots=True)
class NullVector(Refusal):
    """A null in a vector field that takes none."""


#: The input batch to a field's column of as many rows, and the refused ones.
Build = Callable[[pa.RecordBatch], tuple[pa.Array, list[Refusal]]]


@dataclass(frozen=True, slots=True)
class Step:
    """How one field's column is made.

    Attributes:
        field: The field.
        sources: The columns that it is made of.
        build: What makes it.
        cut: Bytes beyond which its text is cut; None where it is not.
    """

    field: FieldSchema
    sources: tuple[str, ...]
    build: Build
    cut: int | None = None

    def cut_text(self, array: pa.Array) -> tuple[pa.Array, int]:
        """The column with long text cut, and how many values were."""
        return (array, 0) if self.cut is None else cut_text(array, self.cut)


def column_step(source: str, cast: Cast, field: FieldSchema, cut: int | None = None) -> Step:
    """The step for a field that is made of one column; text longer than ``cut`` bytes is cut there."""
    run = cast.run

    def build(batch: pa.RecordBatch) -> tuple[pa.Array, list[Refusal]]:
        array = batch.column(batch.schema.get_field_index(source))
        refused: list[Refusal] = []
        if run is not None:
            array, refused = run(array)
        if field.nullable or array.null_count == 0:
            return array, refused
        if field.default_value is not None and pa.types.is_timestamp(array.type):
            # The default is text. Servers that have such fields put it in themselves.
            return array, refused
        if field.default_value is not None or field.is_dynamic:
            return array.fill_null(default_scalar(field, array.type)), refused
        return array, refused + _refused_nulls(array, field)

    return Step(field, (source,), build, cut)


def _refused_nulls(array: pa.Array, field: FieldSchema) -> list[Refusal]:
    nulls = null_mask(array)
    rows = [] if nulls is None else np.flatnonzero(nulls).tolist()
    expected = "a primary key" if field.is_primary else f"a value ({field.name} is not nullable)"
    kind, remedy = Refusal, "fill the value in or leave the row out"
    if field.dtype.is_vector:
        kind, remedy = NullVector, "fill the vector in or leave the row out (--null-vectors skip)"
    return [kind(row, field.name, expected, "null", remedy) for row in rows]


def dynamic_step(field: FieldSchema, names: tuple[str, ...]) -> Step:
    """The step for the dynamic field, which keeps these columns."""

    def build(batch: pa.RecordBatch) -> tuple[pa.Array, list[Refusal]]:
        return dynamic_column([(name, batch.column(batch.schema.get_field_index(name))) for name in names])

    return Step(field, names, build)


def absent_step(field: FieldSchema) -> Step:
    """The step for a field that a batch has no column for: its default, null, or an empty ``$meta``."""

    def build(batch: pa.RecordBatch) -> tuple[pa.Array, list[Refusal]]:
        if field.default_value is not None or field.is_dynamic:
            return default_column(field, batch.num_rows), []
        nulls = pa.nulls(batch.num_rows, canonical_type(field))
        return nulls, [] if field.nullable else _refused_nulls(nulls, field)

    return Step(field, (), build)
