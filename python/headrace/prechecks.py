"""What is refused before a load because no row of a column, or of a file, could be stored."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.casts import plain
from headrace.casts.base import null_mask
from headrace.casts.dense import dense_layout
from headrace.casts.layouts import is_list
from headrace.casts.lists import open_list
from headrace.errors import SchemaError, explain
from headrace.matching import ABSENT
from headrace.schema import FieldSchema

__all__ = ["check_absent", "check_sample", "milvus_fills"]


def milvus_fills(field: FieldSchema) -> bool:
    """Whether Milvus has a value for a row that brings none."""
    return field.nullable or field.default_value is not None


def check_absent(column: pa.Field, field: FieldSchema) -> None:
    """Refuse a column that a whole file lacks, where none of its rows could be stored."""
    path = (column.metadata or {}).get(ABSENT)
    if path is not None and not milvus_fills(field):
        expected, found = f"a column in every file (the field {field.name!r} takes no null)", f"none in {path.decode()}"
        remedy = "add it there, leave the file out, or load into a field that takes nulls"
        raise SchemaError(explain(f"column {column.name!r}", expected, found, remedy), field=field.name)


def check_sample(sample: pa.RecordBatch | None, source: str, field: FieldSchema) -> None:
    """Refuse lists none of which has the vector's length, before a load that would reject every row."""
    if sample is None or not field.dtype.is_dense_vector or source not in sample.schema.names:
        return
    array = plain(sample.column(source))
    if not is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        return
    layout = dense_layout(array.type, field)
    lengths = np.diff(open_list(array)[0])
    nulls = null_mask(array)
    seen = np.unique(lengths if nulls is None else lengths[~nulls]).tolist()
    if seen and layout.width not in seen:
        shown = ", ".join(map(str, seen[:5])) + (" ..." if len(seen) > 5 else "")
        raise SchemaError(
            explain(
                f"field {field.name!r}",
                f"vectors of {layout.width} {layout.noun}",
                f"lists of {shown} {layout.noun}",
                "choose another column, or load into a collection whose dim fits",
            ),
            field=field.name,
        )
