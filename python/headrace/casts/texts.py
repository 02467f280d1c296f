"""Dates, times, decimals and UUIDs as text, and timestamps as numbers: the forms that a VARCHAR and an INT64 can have.

.. code-block:: text

    date         2025-05-01
    time         23:59:59.000001
    decimal      -12.50, with the digits of its scale
    UUID         6ba7b810-9dad-11d1-80b4-00c04fd430c8 (36 characters)
    timestamp    microseconds since 1970-01-01 UTC
"""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts.base import Cast, Refusal
from headrace.casts.plain import plain
from headrace.schema import FieldSchema

__all__ = ["has_text", "is_uuid", "microseconds_cast", "text_cast", "uuid_texts"]

_MICROSECONDS = pa.timestamp("us")


def is_uuid(kind: pa.DataType) -> bool:
    """Whether it is Arrow's canonical extension of UUIDs."""
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.uuid"


def has_text(kind: pa.DataType) -> bool:
    """Whether values of this type have one obvious text that :func:`text_cast` writes."""
    return bool(pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_decimal(kind) or is_uuid(kind))


def text_cast(kind: pa.DataType) -> Cast:
    """The cast of a column of ``kind`` to text; nothing of a value is lost."""
    if is_uuid(kind):
        return Cast(uuid_texts, "UUIDs are written as text")
    what = "decimals" if pa.types.is_decimal(kind) else "dates" if pa.types.is_date(kind) else "times"
    # A date of 64 bits has a time of its own, which is always midnight.
    target = pa.date32() if pa.types.is_date(kind) else kind
    return Cast(lambda array: (array.cast(target).cast(pa.string()), []), f"{what} are written as text")


def microseconds_cast(field: FieldSchema) -> Cast:
    """The cast of timestamps to INT64. Rows with a part of a microsecond are refused."""

    def run(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        # Without their zone the numbers stay those of UTC.
        times = array.view(pa.timestamp(array.type.unit))
        try:
            return times.cast(_MICROSECONDS).cast(pa.int64()), []
        except pa.ArrowInvalid:
            whole = times.cast(_MICROSECONDS, safe=False)
        expected, remedy = "a time in whole microseconds, from 290308 B.C. to 294247 A.D.", "round the value"
        bad = pc.not_equal(whole.cast(times.type, safe=False), times).fill_null(False)
        refused = [
            Refusal(int(row), field.name, expected, str(times[int(row)].value), remedy)
            for row in np.flatnonzero(bad.to_numpy(zero_copy_only=False))
        ]
        return whole.cast(pa.int64()), refused

    return Cast(run, "microseconds since 1970-01-01 UTC")


def uuid_texts(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
    """UUIDs, or 16 bytes each, as their text."""
    values = plain(array).to_pylist()
    return pa.array([None if value is None else str(uuid.UUID(bytes=value)) for value in values], pa.string()), []
