"""What Milvus types are in Arrow: the type of a scalar's values, and the size of a dense vector."""

from __future__ import annotations

import pyarrow as pa

from headrace.schema import DataType

__all__ = ["SCALARS", "row_bytes"]

#: The Arrow type of a scalar's values, by its Milvus type.
SCALARS: dict[DataType, pa.DataType] = {
    DataType.BOOL: pa.bool_(),
    DataType.INT8: pa.int8(),
    DataType.INT16: pa.int16(),
    DataType.INT32: pa.int32(),
    DataType.INT64: pa.int64(),
    DataType.FLOAT: pa.float32(),
    DataType.DOUBLE: pa.float64(),
    DataType.VARCHAR: pa.utf8(),
    DataType.JSON: pa.utf8(),
    DataType.GEOMETRY: pa.utf8(),
    DataType.TEXT: pa.utf8(),
    DataType.TIMESTAMPTZ: pa.utf8(),
}
_BITS = {
    DataType.FLOAT_VECTOR: 32,
    DataType.FLOAT16_VECTOR: 16,
    DataType.BFLOAT16_VECTOR: 16,
    DataType.INT8_VECTOR: 8,
    DataType.BINARY_VECTOR: 1,
}


def row_bytes(dtype: DataType, dim: int) -> int:
    """The bytes of a dense vector of ``dim`` dimensions (of a binary one a multiple of 8)."""
    return dim * _BITS[dtype] // 8
