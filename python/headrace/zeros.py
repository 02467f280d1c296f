"""Vectors of nothing but zeros: they have no direction, and COSINE compares directions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.ndarrays import vector_bytes
from headrace.schema import DataType

__all__ = ["DIRECTED", "count_zeros", "zeros_text"]

#: The metric that compares directions.
DIRECTED = "COSINE"
#: Of the types of vectors that have it: an element's bits, and those that -0.0 has not.
_BITS = {
    DataType.FLOAT_VECTOR: (np.uint32, 0x7FFF_FFFF),
    DataType.FLOAT16_VECTOR: (np.uint16, 0x7FFF),
    DataType.BFLOAT16_VECTOR: (np.uint16, 0x7FFF),
    DataType.INT8_VECTOR: (np.uint8, 0xFF),
}


def count_zeros(column: pa.Array, dtype: DataType) -> int:
    """How many of these vectors, as they are sent, are there and have nothing but zeros."""
    bits, unsigned = _BITS[dtype]
    vectors = vector_bytes(column).view(bits)
    # One element tells most vectors from these, and what is not read costs nothing.
    rows = np.flatnonzero((vectors[:, 0] & bits(unsigned)) == 0)
    rows = rows[~(vectors[rows] & bits(unsigned)).any(axis=1)]
    if column.null_count:
        rows = rows[pc.is_valid(column).to_numpy(zero_copy_only=False)[rows]]
    return len(rows)


def zeros_text(field: str) -> str:
    """What it means for a search that some vectors of ``field`` are zero; their number goes before it.

    Milvus 2.3.5 returns them for no query, Milvus Lite with the similarity 0 for each (docs/packing.md).
    """
    return f"of the vectors of {field!r} had only zeros, no direction for {DIRECTED}: searches miss or rank them at 0"
