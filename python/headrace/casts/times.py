"""Casts to TIMESTAMPTZ: Arrow timestamps as they are, text where it has a form that Milvus reads."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts.base import Cast, Refusal
from headrace.schema import FieldSchema

__all__ = ["timestamptz_cast"]

_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?"
#: What Milvus takes: RFC 3339 with an offset, or a time without one after ``T`` or a space (its ``ParseTimeTz``).
_ISO_8601 = rf"^{_DATE}(T{_TIME}(Z|[+-]\d{{2}}:\d{{2}})?| {_TIME})$"


def timestamptz_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    """The cast of a column of text or timestamps to a TIMESTAMPTZ field.

    Text is looked at for its form only. Times without an offset or zone are the collection's own.
    """
    if pa.types.is_timestamp(source):
        return Cast(note="" if source.tz else "times without a zone are taken in the collection's time zone")

    def run(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        bad = pc.invert(pc.match_substring_regex(array, _ISO_8601)).fill_null(False)
        rows = np.flatnonzero(bad.to_numpy(zero_copy_only=False))
        # As bytes, because what is no time may be no UTF-8 either.
        found = array.take(pa.array(rows)).cast(pa.large_binary()).to_pylist()
        expected, remedy = "a time in ISO 8601", "write it like 2025-05-01T23:59:59+08:00"
        return array, [
            Refusal(row, field.name, expected, repr(text.decode(errors="replace")), remedy)
            for row, text in zip(rows.tolist(), found, strict=True)
        ]

    return Cast(run)
