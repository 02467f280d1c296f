"""What stands in a column for the values that a batch does not give: the field's default, or an empty ``$meta``."""

from __future__ import annotations

import pyarrow as pa

from headrace.casts.base import canonical_type
from headrace.casts.scalars import json_text
from headrace.schema import DataType, FieldSchema

__all__ = ["default_column", "default_scalar"]


def default_scalar(field: FieldSchema, kind: pa.DataType) -> pa.Scalar:
    """The default of ``field`` as one value of ``kind``; ``{}`` for the dynamic field."""
    value = "{}" if field.is_dynamic else field.default_value
    if field.dtype is DataType.JSON and not isinstance(value, str | bytes):
        value, _ = json_text(value)
    return pa.scalar(value, kind)


def default_column(field: FieldSchema, rows: int) -> pa.Array:
    """A column of ``rows`` times the default of ``field``, in its canonical layout."""
    return pa.repeat(default_scalar(field, canonical_type(field)), rows)
