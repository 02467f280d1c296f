"""Columns of every data type with the extremes of each, and what a server must give back for them.

Random values are random bit patterns: every exponent, both signs, denormals. Not a number and infinity are none of
Milvus's values.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.schema import CollectionSchema, DataType, FieldSchema

__all__ = [
    "KEY",
    "Column",
    "array",
    "batch_of",
    "canonical",
    "nullable",
    "scalar",
    "schema_of",
    "searchable_vector",
    "vector",
]

KEY = FieldSchema("id", DataType.INT64, is_primary=True)
DIM = 24
#: 65,535 bytes in 32,768 characters: a server that counts characters takes more than Milvus declares.
LONGEST_TEXT = "é" * 32_767 + "x"
TEXTS = ["", "plain", "Größe", "水車", "🙂" * 20, 'tab\tquote"back\\slash\nline\0nul', LONGEST_TEXT]
#: 65,536 bytes.
LONGEST_DOCUMENT = '{"long":"' + "é" * 32_762 + 'x"}'
DOCUMENTS = ["{}", '{"n":-0.0,"i":9007199254740993}', '{"ü":[{"deep":{"x":null}},"",[]]}', '{"b":[true,false]}']
SPARSE_TYPE = pa.list_(pa.struct([pa.field("index", pa.uint32(), False), pa.field("value", pa.float32(), False)]))
TINIEST, GREATEST = np.float32(1e-45), np.finfo(np.float32).max
TIMESTAMPS = [
    "1970-01-01T00:00:00Z",
    "2024-02-29T12:34:56Z",
    "2024-02-29T12:34:56.5Z",
    "2024-02-29T12:34:56.123Z",
    "2024-02-29T12:34:56.123456+05:30",
    "2024-02-29T12:34:56-08:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
]
GEOMETRIES = [
    "POINT (1 2)",
    "POINT (0.1 123456789.123456789)",
    "POINT (1e300 -1e-300)",
    "POLYGON ((0 0, 1 0, 1 1, 0 0))",
]
_NUMBERS = {
    DataType.INT8: np.int8,
    DataType.INT16: np.int16,
    DataType.INT32: np.int32,
    DataType.INT64: np.int64,
    DataType.FLOAT: np.float32,
    DataType.DOUBLE: np.float64,
}
#: The unsigned type of a float's bits, and the bits of its exponent: all of them set is infinity or not a number.
_PATTERNS = {
    "float32": (np.uint32, 0x7F80_0000),
    "float64": (np.uint64, 0x7FF0_0000_0000_0000),
    "float16": (np.uint16, 0x7C00),
    "bfloat16": (np.uint16, 0x7F80),
}


@dataclass(frozen=True)
class Column:
    """A field and an Arrow array of its values."""

    field: FieldSchema
    values: pa.Array


def schema_of(columns, **options):
    """The collection of ``columns`` behind the key ``id``."""
    return CollectionSchema([KEY, *(column.field for column in columns)], **options)


def batch_of(columns, *, start=0):
    """The columns as a record batch whose keys count from ``start``."""
    rows = len(columns[0].values)
    keys = pa.array(np.arange(start, start + rows))
    return pa.record_batch({"id": keys, **{column.field.name: column.values for column in columns}})


def scalar(dtype, rows, *, name=None):
    """A column of a scalar type."""
    options = {"max_length": 65_535} if dtype is DataType.VARCHAR else {}
    field = FieldSchema(name or dtype.name.lower(), dtype, **options)
    return Column(field, _scalars(dtype, rows, np.random.default_rng(int(dtype))))


def nullable(column):
    """The column with every third value null, the first one among them."""
    values = [None if at % 3 == 0 else value for at, value in enumerate(column.values.to_pylist())]
    facts = {name: getattr(column.field, name) for name in ("max_length", "element_type", "max_capacity")}
    field = FieldSchema(f"{column.field.name}_or_null", column.field.dtype, nullable=True, **facts)
    return Column(field, pa.array(values, column.values.type))


def array(element, rows):
    """An ARRAY column: empty rows, rows of one element, full rows."""
    rng = np.random.default_rng(int(element))
    capacity = 40
    lengths = np.array([(0, 1, capacity, 3)[at % 4] for at in range(rows)])
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    if element is DataType.VARCHAR:
        # Not the longest text: a server answers with megabytes less.
        elements = pa.array([TEXTS[at % (len(TEXTS) - 1)] for at in range(lengths.sum())])
    else:
        elements = _scalars(element, lengths.sum(), rng)
    options = {"max_length": 100} if element is DataType.VARCHAR else {}
    name = f"array_of_{element.name.lower()}"
    field = FieldSchema(name, DataType.ARRAY, element_type=element, max_capacity=capacity, **options)
    return Column(field, pa.ListArray.from_arrays(offsets, elements))


def vector(dtype, rows):
    """A column of a vector type."""
    rng = np.random.default_rng(int(dtype))
    name = dtype.name.lower()
    if dtype is DataType.SPARSE_FLOAT_VECTOR:
        return Column(FieldSchema(name, dtype), pa.array(_sparse_rows(rows, rng), SPARSE_TYPE))
    if dtype is DataType.FLOAT_VECTOR:
        flat = _floats("float32", rows * DIM, rng).view(np.float32)
        values = pa.FixedSizeListArray.from_arrays(pa.array(flat), DIM)
    else:
        bits = {DataType.BINARY_VECTOR: 1, DataType.INT8_VECTOR: 8}.get(dtype, 16)
        if bits == 16:
            data = _floats("float16" if dtype is DataType.FLOAT16_VECTOR else "bfloat16", rows * DIM, rng).tobytes()
        else:
            data = rng.bytes(rows * DIM * bits // 8)
        width = pa.binary(DIM * bits // 8)
        values = pa.FixedSizeBinaryArray.from_buffers(width, rows, [None, pa.py_buffer(data)])
    return Column(FieldSchema(name, dtype, dim=DIM), values)


def searchable_vector(dtype, rows):
    """A column of a vector type with values that have a distance: no extremes."""
    if dtype in (DataType.BINARY_VECTOR, DataType.SPARSE_FLOAT_VECTOR):
        return vector(dtype, rows)
    values = np.random.default_rng(int(dtype)).standard_normal((rows, DIM), np.float32)
    # The upper half of a float32 is the bfloat16 below it.
    halves = (
        values.astype(np.float16) if dtype is DataType.FLOAT16_VECTOR else (values.view(np.uint32) >> 16).astype("<u2")
    )
    width = pa.binary(2 * DIM)
    cells = pa.FixedSizeBinaryArray.from_buffers(width, rows, [None, pa.py_buffer(halves.tobytes())])
    return Column(FieldSchema(dtype.name.lower(), dtype, dim=DIM), cells)


def canonical(field, value) -> Any:
    """A value, sent or read, in the one form in which equal means equal: floats as their bits."""
    if value is None:
        return None
    match field.dtype:
        case DataType.FLOAT | DataType.DOUBLE | DataType.FLOAT_VECTOR:
            return np.asarray(value, np.float64 if field.dtype is DataType.DOUBLE else np.float32).tobytes()
        case DataType.FLOAT16_VECTOR | DataType.BFLOAT16_VECTOR | DataType.INT8_VECTOR | DataType.BINARY_VECTOR:
            # pymilvus shows a row's bytes as a list of one.
            return value[0] if isinstance(value, list) else value
        case DataType.SPARSE_FLOAT_VECTOR:
            pairs = value.items() if isinstance(value, dict) else [(pair["index"], pair["value"]) for pair in value]
            return sorted((index, np.float32(weight).tobytes()) for index, weight in pairs)
        case DataType.JSON:
            return json.loads(value) if isinstance(value, str) else value
        case DataType.TIMESTAMPTZ:
            return datetime.fromisoformat(value)
        case DataType.ARRAY:
            element = FieldSchema("element", field.element_type, max_length=field.max_length)
            return [canonical(element, one) for one in value]
    return value


def _scalars(dtype, rows, rng):
    if dtype is DataType.BOOL:
        return pa.array(rng.random(rows) < 0.5)
    if dtype in _NUMBERS:
        return pa.array(_numbers(_NUMBERS[dtype], rows, rng))
    texts = {
        DataType.VARCHAR: TEXTS,
        DataType.JSON: [*DOCUMENTS, LONGEST_DOCUMENT],
        DataType.GEOMETRY: GEOMETRIES,
        DataType.TIMESTAMPTZ: TIMESTAMPS,
    }[dtype]
    # The longest ones are last and stand once: 65 kB a row are enough.
    return pa.array([texts[at] if at < len(texts) else texts[at % (len(texts) - 1)] for at in range(rows)])


def _numbers(kind, rows, rng):
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)
        values = rng.integers(limits.min, limits.max, rows, dtype=kind, endpoint=True)
        edges = [limits.min, limits.max, -1, 0, 1, 63, 64, 127, -128]
    else:
        limits = np.finfo(kind)
        values = _floats(np.dtype(kind).name, rows, rng).view(kind)
        edges = [-0.0, 0.0, limits.max, limits.min, limits.tiny, limits.smallest_subnormal, 0.1, -1.5]
    values[: len(edges)] = edges[:rows]
    return values


def _floats(kind, count, rng):
    """Finite bit patterns, -0.0 and the smallest denormals first."""
    unsigned, exponent = _PATTERNS[kind]
    bits = rng.integers(0, np.iinfo(unsigned).max, count, dtype=unsigned, endpoint=True)
    sign = unsigned(1) << unsigned(np.iinfo(unsigned).bits - 1)
    bits[(bits & unsigned(exponent)) == exponent] = 1
    bits[:4] = [sign, 0, 1, sign | unsigned(1)]
    return bits


def _sparse_rows(rows, rng):
    edges = [
        [(0, 1.0)],
        [(0, TINIEST), (1, GREATEST), (2**32 - 2, 0.5)],
        [(index, 1 / (1 + index)) for index in range(2_000)],
        [(2**31, 0.25)],
    ]
    for _ in range(rows - len(edges)):
        indices = np.sort(rng.choice(100_000, int(rng.integers(1, 200)), replace=False))
        edges.append(list(zip(indices.tolist(), rng.random(len(indices), np.float32).tolist(), strict=True)))
    return [[{"index": index, "value": value} for index, value in row] for row in edges[:rows]]
