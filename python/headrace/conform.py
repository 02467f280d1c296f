"""A batch becomes exactly the collection's fields: names matched, safe casts, nulls, defaults, the dynamic field.

What does not fit by type stops the load before it begins, all misfits in one message; what does not fit by value is
refused row by row, with the reason, and the other rows go on. Cells that the packer checks anyway (lengths of text,
NaN in vectors, sparse indices ...) are not checked here.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from headrace.casts import Refusal, find_cast, type_text
from headrace.casts.jsontext import type_name
from headrace.config import LoadOptions
from headrace.errors import SchemaError, explain
from headrace.guesses import why_created
from headrace.matching import Matched, match_columns
from headrace.partitions import PartitionColumn, partition_of
from headrace.prechecks import check_absent, check_sample, milvus_fills
from headrace.remembered import remembered_schema
from headrace.schema import DYNAMIC_FIELD_NAME, MAX_VARCHAR_BYTES, CollectionSchema, DataType, FieldSchema
from headrace.shaping import Shape, shape_of
from headrace.steps import Step, absent_step, column_step, dynamic_step
from headrace.zeros import count_zeros, zeros_text

__all__ = ["ColumnMapping", "ConformPlan", "Conformed", "Refusal", "plan_conform"]


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Where one source column goes, in words.

    Attributes:
        source: The column.
        field: The field; ``$meta`` for columns that the dynamic field keeps.
        source_type: The column's Arrow type.
        field_type: The field's type, as ``FLOAT_VECTOR(384)``.
        note: What was guessed or changes on the way, or empty.
    """

    source: str
    field: str
    source_type: str
    field_type: str
    note: str


@dataclass(frozen=True, slots=True)
class Conformed:
    """A batch of exactly the sent fields, in their canonical layouts.

    Attributes:
        batch: The rows that remain.
        kept: Their row numbers in the input (int64, ascending), or None when all remain.
        refused: One refusal for each other row, rows ascending.
        partitions: The partition of each row by name, where a column of the source names it.
        notes: What was done to values because an option said so, and to how many.
        refused_nulls: By field, how many of the refused rows have no value there.
    """

    batch: pa.RecordBatch
    kept: np.ndarray | None
    refused: list[Refusal]
    notes: dict[str, int]
    partitions: pa.Array | None = None
    refused_nulls: Mapping[str, int] = dataclasses.field(default_factory=dict)


_ROUTED = "rows go to the partitions that their values name in the column"
#: How many shapes of Python rows a plan remembers.
_MOST_VARIANTS = 64


class ConformPlan:
    """How the batches of one source become those of one collection. Made by :func:`plan_conform`; thread-safe.

    Attributes:
        columns: The names of the sent fields, in the collection's order.
        source_columns: The columns that have to be read.
        mapping: Where each of them goes.
        left_out: Fields that are not sent: the server fills them with null or their default.
        cuts: Of each field whose text may be cut, to how many bytes.
        notes: What else a person should know.
        partition_name: The partition of all rows; empty for the default one.
        partition_column: What names each row's partition instead, or None.
        directed: Vector fields in which vectors of zeros are noted, because of their metric; may be set before a load.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        source: pa.Schema,
        replan: Callable[[pa.Schema], Sequence[Step]],
        shape: Shape,
        reshape: Callable[[pa.Schema], Shape],
        *,
        mapping: tuple[ColumnMapping, ...],
        left_out: tuple[str, ...],
        notes: tuple[str, ...],
        partition: str | PartitionColumn,
    ) -> None:
        self.columns = tuple(step.field.name for step in steps)
        self.mapping = mapping
        self.left_out = left_out
        self.notes = notes
        self.partition_name = partition if isinstance(partition, str) else ""
        self.partition_column = None if isinstance(partition, str) else partition
        self.cuts = {step.field.name: step.cut for step in steps if step.cut is not None}
        self._steps = {step.field.name: step for step in steps}
        used = frozenset(name for step in steps for name in step.sources)
        roots = shape.sources(used)
        if self.partition_column is not None:
            roots |= {self.partition_column.path[0]}
        self.source_columns = tuple(name for name in source.names if name in roots)
        self._types = {name: shape.schema.field(name).type for name in shape.schema.names if name in used}
        self._planned_for = frozenset(shape.schema.names)
        self._reshape = reshape
        self._shapes: dict[tuple[tuple[str, pa.DataType], ...], Shape] = {}
        self._replan = replan
        self._variants: dict[tuple[tuple[str, pa.DataType], ...], tuple[Step, ...]] = {}
        # Of the batch before, whose columns are those of the next one nearly always. Replaced as one, for threads.
        self._last_shape: tuple[pa.Schema, Shape] | None = None
        self._last_steps: tuple[pa.Schema, Sequence[Step]] | None = None
        self.directed: tuple[str, ...] = ()

    def apply(self, batch: pa.RecordBatch) -> Conformed:
        """Conform one batch. Columns that need no cast are not copied; the input is never changed.

        A batch whose columns have other types than planned (Python rows: each batch has the types of its values)
        is planned again; the sent fields stay ``columns``.

        Raises:
            SchemaError: If such a batch does not fit.
        """
        arrays: list[pa.Array] = []
        notes: dict[str, int] = {}
        partitions, lost = (None, []) if self.partition_column is None else self.partition_column.names(batch)
        batch, unfit = self._shape_for(batch.schema).apply(batch)
        refused = {refusal.row: refusal for refusal in reversed([*unfit, *lost])}
        for step in self._steps_for(batch.schema):
            array, bad = step.build(batch)
            array, cut = step.cut_text(array)
            if cut:
                notes[f"values of {step.field.name!r} were cut to {step.cut} bytes"] = cut
            arrays.append(array)
            for refusal in bad:
                refused.setdefault(refusal.row, refusal)
        conformed = pa.RecordBatch.from_arrays(arrays, names=list(self.columns))
        if not refused:
            return Conformed(conformed, None, [], notes | self._zeros(conformed), partitions)
        remain = np.ones(batch.num_rows, bool)
        remain[list(refused)] = False
        kept = np.flatnonzero(remain).astype(np.int64, copy=False)
        partitions = None if partitions is None else partitions.take(pa.array(kept))
        left = conformed.take(pa.array(kept))
        nulls = {
            name: array.null_count - left.column(name).null_count
            for name, array in zip(self.columns, arrays, strict=True)
        }
        notes |= self._zeros(left)
        return Conformed(left, kept, [refused[row] for row in sorted(refused)], notes, partitions, nulls)

    def _zeros(self, batch: pa.RecordBatch) -> dict[str, int]:
        fields = (self._steps[name].field for name in self.directed if name in self._steps)
        zeros = {zeros_text(field.name): count_zeros(batch.column(field.name), field.dtype) for field in fields}
        return {text: rows for text, rows in zeros.items() if rows}

    def _shape_for(self, schema: pa.Schema) -> Shape:
        last = self._last_shape
        if last is not None and last[0].equals(schema):
            return last[1]
        shape = self._find_shape(schema)
        self._last_shape = schema, shape
        return shape

    def _find_shape(self, schema: pa.Schema) -> Shape:
        key = tuple((field.name, field.type) for field in schema)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _MOST_VARIANTS:
                self._shapes.clear()
            shape = self._shapes[key] = self._reshape(schema)
        return shape

    def _steps_for(self, schema: pa.Schema) -> Sequence[Step]:
        last = self._last_steps
        if last is not None and last[0].equals(schema):
            return last[1]
        steps = self._find_steps(schema)
        self._last_steps = schema, steps
        return steps

    def _find_steps(self, schema: pa.Schema) -> Sequence[Step]:
        names = schema.names
        # A column that was not there when this was planned may be one more for the dynamic field, or one too many.
        known = self._planned_for.issuperset(names)
        if known and all(name in names and schema.field(name).type == kind for name, kind in self._types.items()):
            return tuple(self._steps.values())
        shape = tuple((field.name, field.type) for field in schema)
        steps = self._variants.get(shape)
        if steps is None:
            if len(self._variants) >= _MOST_VARIANTS:
                self._variants.clear()
            steps = self._variants[shape] = self._planned_again(schema)
        return steps

    def _planned_again(self, schema: pa.Schema) -> tuple[Step, ...]:
        other = {step.field.name: step for step in self._replan(schema)}
        more = [name for name in other if name not in self._steps]
        if more:
            raise SchemaError(
                explain(
                    "a later batch",
                    f"the fields of the first one ({', '.join(self.columns)})",
                    f"also {', '.join(more)}",
                    "give every batch the same columns",
                ),
                field=more[0],
            )
        return tuple(other.get(name) or absent_step(self._steps[name].field) for name in self.columns)


def plan_conform(
    arrow_schema: pa.Schema,
    target: CollectionSchema,
    *,
    options: LoadOptions,
    sample: pa.RecordBatch | None = None,
    fill_defaults: bool = False,
    later_columns: bool = False,
    inferred: bool = False,
) -> ConformPlan:
    """Plan how columns of ``arrow_schema`` become the fields of ``target``.

    Names match exactly first, then without regard to case (noted). A nullable field, or one with a default, may be
    missing in the source. Columns without a field go to the dynamic field where there is one.

    Args:
        arrow_schema: The source's columns.
        target: The collection.
        options: ``key`` names the column that is the primary key; :func:`~headrace.shaping.shape_of` takes its own.
        sample: Some rows, to refuse before the load what no row would pass.
        fill_defaults: Send full columns for missing fields with a default. Servers before 2.5 need it: leaving a
            column out stops 2.3.5.
        later_columns: Send every field that Milvus could fill, because later batches (rows of a program) may bring
            columns that these rows do not have.
        inferred: Whether :func:`~headrace.inference.infer_schema` made ``target`` of these columns: the mapping then
            says what it guessed.

    Raises:
        SchemaError: If something does not fit; the message names every misfit.
    """
    shape = shape_of(arrow_schema, options, later=later_columns)
    partition = partition_of(arrow_schema, target, options)
    spare = frozenset() if isinstance(partition, str) else shape.made_of(frozenset(partition.path[:1]))
    match = functools.partial(match_columns, target=target, options=options, spare=spare)
    matched = match(shape.schema)
    cuts = _cuts(target, options)
    plan = functools.partial(_plan, target=target, cuts=cuts, fill_defaults=fill_defaults, later_columns=later_columns)
    planned = plan(shape.schema, matched=matched, sample=None if sample is None else shape.apply(sample)[0])
    guesses = _guesses(shape.schema, matched, target, options) if inferred else {}

    def replan(schema: pa.Schema) -> Sequence[Step]:
        return plan(schema, matched=match(schema), sample=None).steps

    return ConformPlan(
        planned.steps,
        arrow_schema,
        replan,
        shape,
        functools.partial(shape_of, options=options, whole=False),
        mapping=tuple(_with_origin(entry, shape, guesses) for entry in planned.mapping),
        left_out=tuple(planned.left_out),
        notes=tuple(_notes(matched, target, partition)),
        partition=partition,
    )


def _guesses(columns: pa.Schema, matched: Matched, target: CollectionSchema, options: LoadOptions) -> Mapping[str, str]:
    """By field of a collection that is made of these columns, what was guessed about it."""
    if remembered_schema(columns, options) is not None:
        return {}
    sources = [(field, matched.columns.get(field.name)) for field in target]
    return {field.name: why_created(columns.field(it).type, field, options) for field, it in sources if it is not None}


def _notes(matched: Matched, target: CollectionSchema, partition: str | PartitionColumn) -> Iterator[str]:
    yield from matched.remarks
    if not isinstance(partition, str):
        yield f"{_ROUTED} {partition.name!r}"
    filled = [field.name for field in target.sent_fields if field.name not in matched.columns and not field.is_dynamic]
    if filled:
        yield f"no column for {', '.join(map(repr, filled))}: filled with null or the default"


def _with_origin(entry: ColumnMapping, shape: Shape, guesses: Mapping[str, str]) -> ColumnMapping:
    """The entry with what its column is made of, and what was guessed about its field."""
    parts = (shape.note(entry.source), guesses.get(entry.field, ""), entry.note)
    note = "; ".join(part for part in parts if part)
    return replace(entry, source=shape.origin(entry.source), note=note)


@dataclass(frozen=True, slots=True)
class _Planned:
    steps: list[Step]
    mapping: list[ColumnMapping]
    left_out: list[str]


def _plan(
    schema: pa.Schema,
    *,
    target: CollectionSchema,
    cuts: Mapping[str, int],
    matched: Matched,
    sample: pa.RecordBatch | None,
    fill_defaults: bool,
    later_columns: bool,
) -> _Planned:
    problems = list(matched.problems)
    planned = _Planned([], [], [])
    for field in target.sent_fields:
        source = matched.columns.get(field.name)
        if source is not None:
            kind = schema.field(source).type
            try:
                cast = find_cast(kind, field)
                check_sample(sample, source, field)
                check_absent(schema.field(source), field)
            except SchemaError as error:
                problems.append(error if source == field.name else _renamed(error, source))
                continue
            planned.steps.append(column_step(source, cast, field, cuts.get(field.name)))
            note = "; ".join(part for part in (matched.notes.get(source, ""), cast.note) if part)
            planned.mapping.append(ColumnMapping(source, field.name, type_name(kind), type_text(field), note))
        elif field.is_dynamic and matched.extras:
            planned.steps.append(dynamic_step(field, matched.extras))
        elif later_columns and (field.is_dynamic or milvus_fills(field)):
            planned.steps.append(absent_step(field))
        elif field.is_dynamic:
            continue
        elif fill_defaults and field.default_value is not None:
            planned.steps.append(absent_step(field))
        elif milvus_fills(field):
            planned.left_out.append(field.name)
        else:
            problems.append(_missing(field, schema))
    if problems:
        raise _all_of(problems)
    note = "no such field: kept in the dynamic field"
    for name in matched.extras:
        planned.mapping.append(
            ColumnMapping(name, DYNAMIC_FIELD_NAME, type_name(schema.field(name).type), "JSON", note)
        )
    return planned


def _cuts(target: CollectionSchema, options: LoadOptions) -> dict[str, int]:
    """Of each field whose text may be cut, to how many bytes."""
    cuts = {}
    for name, wanted in options.truncate.items():
        field = next((item for item in target if item.name == name), None)
        if field is None or field.dtype is not DataType.VARCHAR or field.is_primary:
            found = "no such field" if field is None else type_text(field) + (", the key" if field.is_primary else "")
            remedy = "name a VARCHAR field that is not the key"
            raise SchemaError(explain(f"--truncate {name}", "a field of text", found, remedy), field=name)
        cuts[name] = min(wanted or MAX_VARCHAR_BYTES, field.max_length or MAX_VARCHAR_BYTES)
    return cuts


def _all_of(problems: Sequence[SchemaError]) -> SchemaError:
    if len(problems) == 1:
        return problems[0]
    lines = "\n".join(f"  {problem}" for problem in problems)
    return SchemaError(f"source and collection do not fit in {len(problems)} places:\n{lines}", field=problems[0].field)


def _renamed(error: SchemaError, source: str) -> SchemaError:
    return SchemaError(f"column {source!r} for {error}", field=error.field)


def _missing(field: FieldSchema, schema: pa.Schema) -> SchemaError:
    remedy = (
        "name the key's column with --key"
        if field.is_primary
        else "name its column with --map COLUMN:FIELD, or give it a value with --set"
    )
    found = f"the columns {', '.join(map(repr, schema.names))}" if schema.names else "no columns"
    return SchemaError(
        explain(f"field {field.name!r}", f"a column for {type_text(field)}", found, remedy), field=field.name
    )
