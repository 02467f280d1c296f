"""What a collection is to be for a source's columns, and how these become its fields, on a server of some release."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from headrace.config import LoadOptions
from headrace.conform import ConformPlan, plan_conform
from headrace.inference import infer_schema
from headrace.releases import has_timestamptz, needs_defaults
from headrace.schema import CollectionSchema

__all__ = ["fit"]


def fit(
    arrow_schema: pa.Schema,
    schema: CollectionSchema | None,
    sample: pa.RecordBatch | None,
    options: LoadOptions,
    *,
    nulls: Collection[str] = (),
    later_columns: bool,
    version: tuple[int, int, int],
    lite: bool,
) -> tuple[CollectionSchema, ConformPlan]:
    """The schema of the collection, made of the source's columns where there is none, and how they become its fields.

    Args:
        arrow_schema: The source's columns.
        schema: What the collection is, or what was asked for; None for the source to decide.
        sample: Some of the source's first rows, or None where it has none.
        options: As for :func:`headrace.inference.infer_schema` and :func:`headrace.conform.plan_conform`.
        nulls: Columns that are known to have nulls beyond the sample.
        later_columns: Whether later batches may have columns that these rows do not have.
        version: The server's.
        lite: Whether that is Milvus Lite.

    Raises:
        SchemaError: If columns and fields do not fit.
    """
    inferred = schema is None
    if schema is None:
        schema = infer_schema(
            arrow_schema,
            sample=sample,
            options=options,
            nulls=nulls,
            timestamptz=has_timestamptz(version, lite=lite),
            later_columns=later_columns,
        )
    plan = plan_conform(
        arrow_schema,
        schema,
        options=options,
        sample=sample,
        fill_defaults=needs_defaults(version, lite=lite),
        later_columns=later_columns,
        inferred=inferred,
    )
    return schema, plan
