"""The fields, values and requests of the golden files.

Values are those of JSON: vectors are lists of numbers (BINARY_VECTOR: of bytes, BFLOAT16_VECTOR: of floats that it
holds exactly), sparse rows lists of (index, value) pairs, JSON cells texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headrace.schema import CollectionSchema, DataType, FieldSchema

INT64_EDGES = [0, 1, 127, 128, 16_383, 16_384, 2**31, 2**53 + 1, 2**63 - 1, -1, -128, -(2**63)]
#: The largest, the smallest normal and the smallest subnormal number, and both zeros.
FLOAT16_EDGES = [[65504.0, -65504.0], [6.103515625e-05, 5.960464477539063e-08], [0.0, -0.0], [1.5, -0.333251953125]]
BFLOAT16_EDGES = [
    [3.3895313892515355e38, -3.3895313892515355e38],
    [1.1754943508222875e-38, 9.183549615799121e-41],
    [0.0, -0.0],
    [1.5, -0.333984375],
]
VARCHAR = {"max_length": 64}
#: Two rows of each element type.
ELEMENTS: dict[DataType, list[list[Any]]] = {
    DataType.BOOL: [[True, False], [], [False]],
    DataType.INT8: [[-1, 5], []],
    DataType.INT16: [[-1, 300], []],
    DataType.INT32: [[-1, 70_000], []],
    DataType.INT64: [[1, 2], [], [-1, 2**63 - 1]],
    DataType.FLOAT: [[1.5, -2.0], []],
    DataType.DOUBLE: [[0.1], [], [1.0, 2.0]],
    DataType.VARCHAR: [["a", "", "水"], [], ["b"]],
}
WKT = ["POINT (1 2)", "POLYGON ((0 0, 4.5 0, 4.5 -4.5, 0 0))", "LINESTRING EMPTY"]
TIMES = ["2025-01-02T03:04:05Z", "2025-01-02T03:04:05.678901+08:00", "1969-12-31 23:59:59"]
SPARSE_ROWS = [[[1, 0.5], [7, 0.25]], [[0, 0.0]], [[3, 1.0], [4_294_967_294, 2.0]]]


def _field(name: str, dtype: DataType, **options: Any) -> FieldSchema:
    return FieldSchema(name, dtype, **options)


def _array(element: DataType, **options: Any) -> FieldSchema:
    length = VARCHAR if element is DataType.VARCHAR else {}
    return FieldSchema("a", DataType.ARRAY, element_type=element, max_capacity=8, **length, **options)


FIELDS: dict[str, tuple[FieldSchema, list[Any]]] = {
    "bool": (_field("f", DataType.BOOL), [True, False, True]),
    "bool_default": (_field("f", DataType.BOOL, default_value=False), [True, None, False]),
    "int8": (_field("i", DataType.INT8), [-1, 5, 127, -128, 0]),
    "int16": (_field("i", DataType.INT16), [-1, 300, 32_767, -32_768, 0]),
    "int32": (_field("i", DataType.INT32), [-1, 70_000, 2**31 - 1, -(2**31), 0]),
    "int64": (_field("id", DataType.INT64), INT64_EDGES),
    "int64_nullable": (_field("n", DataType.INT64, nullable=True), [None, 7, None, -7, 8]),
    "int64_all_null": (_field("n", DataType.INT64, nullable=True), [None, None]),
    "int64_no_null": (_field("n", DataType.INT64, nullable=True), [1, 2]),
    "int64_default": (_field("n", DataType.INT64, default_value=0), [None, 7, None]),
    "int64_default_no_null": (_field("n", DataType.INT64, default_value=7), [1, 2]),
    "int64_default_all_null": (_field("n", DataType.INT64, default_value=7), [None, None]),
    "float": (_field("x", DataType.FLOAT), [0.0, -0.0, 1.5, -3.4028234663852886e38]),
    "double": (_field("x", DataType.DOUBLE), [0.0, 0.1, -1.7976931348623157e308, 5e-324]),
    "double_nullable": (_field("x", DataType.DOUBLE, nullable=True), [0.5, None, -0.5]),
    "double_default": (_field("x", DataType.DOUBLE, nullable=True, default_value=0.5), [0.25, None]),
    "varchar": (_field("t", DataType.VARCHAR, **VARCHAR), ["a", "", "déjà vu", "水車", "x" * 64]),
    "varchar_nullable": (_field("t", DataType.VARCHAR, nullable=True, **VARCHAR), ["a", None, ""]),
    "varchar_all_null": (_field("t", DataType.VARCHAR, nullable=True, **VARCHAR), [None, None]),
    "varchar_default": (_field("t", DataType.VARCHAR, default_value="", **VARCHAR), ["a", None, ""]),
    "json": (_field("j", DataType.JSON), ['{"k":1}', "[]", '"text"', "1.5", "true", "null", '{"ü":[{"a":null}]}']),
    "json_nullable": (_field("j", DataType.JSON, nullable=True), ['{"k":1}', None]),
    "dynamic": (_field("$meta", DataType.JSON, is_dynamic=True), ["{}", '{"k":1}', '{"a":{"b":[1,2]}}']),
    "geometry": (_field("g", DataType.GEOMETRY), WKT),
    "geometry_nullable": (_field("g", DataType.GEOMETRY, nullable=True), [WKT[0], None]),
    "geometry_all_null": (_field("g", DataType.GEOMETRY, nullable=True), [None, None]),
    "text": (_field("t", DataType.TEXT), ["a", "", "déjà vu", "水車", "x" * 128]),
    "text_nullable": (_field("t", DataType.TEXT, nullable=True), ["a", None, ""]),
    "text_all_null": (_field("t", DataType.TEXT, nullable=True), [None, None]),
    "text_default": (_field("t", DataType.TEXT, default_value=""), ["a", None, ""]),
    "timestamptz": (_field("at", DataType.TIMESTAMPTZ), TIMES),
    "timestamptz_nullable": (_field("at", DataType.TIMESTAMPTZ, nullable=True), [None, TIMES[0]]),
    "timestamptz_all_null": (_field("at", DataType.TIMESTAMPTZ, nullable=True), [None, None]),
    **{f"array_{e.name.lower()}": (_array(e), rows) for e, rows in ELEMENTS.items()},
    **{
        f"array_{e.name.lower()}_nullable": (_array(e, nullable=True), [rows[0], None, *rows[1:]])
        for e, rows in ELEMENTS.items()
    },
    "array_all_null": (_array(DataType.INT64, nullable=True), [None, None]),
    "float_vector": (_field("v", DataType.FLOAT_VECTOR, dim=2), [[1.0, 2.0], [3.0, 4.0], [-0.0, 1e-40]]),
    "float_vector_nullable": (_field("v", DataType.FLOAT_VECTOR, dim=2, nullable=True), [[1.0, 2.0], None, [3.0, 4.0]]),
    "float_vector_all_null": (_field("v", DataType.FLOAT_VECTOR, dim=2, nullable=True), [None, None]),
    "float16_vector": (_field("v", DataType.FLOAT16_VECTOR, dim=2), FLOAT16_EDGES),
    "float16_vector_nullable": (_field("v", DataType.FLOAT16_VECTOR, dim=2, nullable=True), [None, *FLOAT16_EDGES]),
    "float16_vector_all_null": (_field("v", DataType.FLOAT16_VECTOR, dim=2, nullable=True), [None, None]),
    "bfloat16_vector": (_field("v", DataType.BFLOAT16_VECTOR, dim=2), BFLOAT16_EDGES),
    "bfloat16_vector_nullable": (_field("v", DataType.BFLOAT16_VECTOR, dim=2, nullable=True), [*BFLOAT16_EDGES, None]),
    "bfloat16_vector_all_null": (_field("v", DataType.BFLOAT16_VECTOR, dim=2, nullable=True), [None, None]),
    "int8_vector": (_field("v", DataType.INT8_VECTOR, dim=3), [[-128, 127, 0], [1, -1, 5]]),
    "int8_vector_nullable": (_field("v", DataType.INT8_VECTOR, dim=3, nullable=True), [[1, 2, 3], None]),
    "int8_vector_all_null": (_field("v", DataType.INT8_VECTOR, dim=3, nullable=True), [None, None]),
    "binary_vector": (_field("b", DataType.BINARY_VECTOR, dim=16), [[1, 2], [3, 4], [0, 255]]),
    "binary_vector_nullable": (_field("b", DataType.BINARY_VECTOR, dim=16, nullable=True), [None, [128, 1], None]),
    "binary_vector_all_null": (_field("b", DataType.BINARY_VECTOR, dim=16, nullable=True), [None, None]),
    "sparse": (_field("sp", DataType.SPARSE_FLOAT_VECTOR), SPARSE_ROWS),
    "sparse_nullable": (
        _field("sp", DataType.SPARSE_FLOAT_VECTOR, nullable=True),
        [SPARSE_ROWS[0], None, SPARSE_ROWS[2]],
    ),
    "sparse_all_null": (_field("sp", DataType.SPARSE_FLOAT_VECTOR, nullable=True), [None, None]),
}


@dataclass(frozen=True)
class Request:
    """A request's schema, the columns that it has (None for null), and what is given beside them."""

    schema: CollectionSchema
    columns: dict[str, list[Any]]
    names: dict[str, Any] = field(default_factory=lambda: {"collection_name": "c"})


_KEY = _field("id", DataType.INT64, is_primary=True)
_AUTO_KEY = _field("id", DataType.INT64, is_primary=True, auto_id=True)
_TEXT = _field("t", DataType.VARCHAR, **VARCHAR)
_MIXED = CollectionSchema(
    [_KEY, _field("v", DataType.FLOAT_VECTOR, dim=2), _field("t", DataType.VARCHAR, nullable=True, **VARCHAR)],
    enable_dynamic_field=True,
)
_MIXED_COLUMNS = {
    "id": [1, -1],
    "v": [[1.0, 2.0], [3.0, 4.0]],
    "t": ["a", None],
    "$meta": ["{}", '{"k":1}'],
}
_EVERY = {name: case for name, case in FIELDS.items() if case[0].name != "$meta"}

REQUESTS: dict[str, Request] = {
    "insert": Request(_MIXED, _MIXED_COLUMNS),
    "insert_named": Request(
        _MIXED, _MIXED_COLUMNS, {"collection_name": "c", "partition_name": "p", "schema_timestamp": 300}
    ),
    "insert_auto_id": Request(CollectionSchema([_AUTO_KEY, _TEXT]), {"t": ["a", "b"]}),
    "insert_function_output": Request(
        CollectionSchema([_KEY, _TEXT, _field("bm25", DataType.SPARSE_FLOAT_VECTOR, is_function_output=True)]),
        {"id": [1, 2], "t": ["a", "b"]},
    ),
    "insert_partition_key": Request(
        CollectionSchema([_KEY, _field("tenant", DataType.VARCHAR, is_partition_key=True, **VARCHAR)]),
        {"id": [1, 2], "tenant": ["a", "b"]},
    ),
    "insert_defaults": Request(
        CollectionSchema([_KEY, _field("rank", DataType.INT32, default_value=7), _field("x", DataType.FLOAT)]),
        {"id": [1, 2], "rank": [None, 3], "x": [0.5, 1.5]},
    ),
    "insert_every_type": Request(
        CollectionSchema([_KEY, *(FieldSchema(**{**vars(f), "name": name}) for name, (f, _) in _EVERY.items())]),
        {"id": [1, 2], **{name: values[:2] for name, (_, values) in _EVERY.items()}},
        {"collection_name": "c", "schema_timestamp": 2**64 - 1},
    ),
    "upsert": Request(
        _MIXED, _MIXED_COLUMNS, {"collection_name": "c", "partition_name": "p", "schema_timestamp": 2**63}
    ),
    "upsert_partial": Request(_MIXED, _MIXED_COLUMNS, {"collection_name": "c", "partial_update": True}),
    "upsert_partial_columns": Request(
        CollectionSchema(_MIXED.fields),
        {"id": [1, -1], "t": [None, "a"]},
        {"collection_name": "c", "schema_timestamp": 300, "partial_update": True},
    ),
}
