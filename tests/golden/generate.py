"""Write the golden files beside this one: ``python -m tests.golden.generate`` from the root of the repository.

Each file holds a field (or a collection schema), the values, and the bytes that pymilvus makes of them, with the
versions that did. JSON has no bytes: they are hex. Sparse rows are lists of (index, value) pairs, JSON cells texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.golden import reference

HERE = Path(__file__).parent

INT64_EDGES = [0, 1, 127, 128, 16_383, 16_384, 2**31, 2**53 + 1, 2**63 - 1, -1, -128, -(2**63)]
VARCHAR = {"max_length": 64}
ARRAY = {"max_capacity": 8}


def _field(name: str, dtype: DataType, **options: Any) -> FieldSchema:
    return FieldSchema(name, dtype, **options)


def _array(element: DataType, **options: Any) -> FieldSchema:
    return FieldSchema("a", DataType.ARRAY, element_type=element, **ARRAY, **options)


FIELDS: dict[str, tuple[FieldSchema, list[Any]]] = {
    "bool": (_field("f", DataType.BOOL), [True, False, True]),
    "int8": (_field("i", DataType.INT8), [-1, 5, 127, -128, 0]),
    "int16": (_field("i", DataType.INT16), [-1, 300, 32_767, -32_768, 0]),
    "int32": (_field("i", DataType.INT32), [-1, 70_000, 2**31 - 1, -(2**31), 0]),
    "int64": (_field("id", DataType.INT64), INT64_EDGES),
    "int64_nullable": (_field("n", DataType.INT64, nullable=True), [None, 7, None, -7, 8]),
    "int64_all_null": (_field("n", DataType.INT64, nullable=True), [None, None]),
    "int64_no_null": (_field("n", DataType.INT64, nullable=True), [1, 2]),
    "float": (_field("x", DataType.FLOAT), [0.0, -0.0, 1.5, -3.4028234663852886e38]),
    "double": (_field("x", DataType.DOUBLE), [0.0, 0.1, -1.7976931348623157e308, 5e-324]),
    "double_nullable": (_field("x", DataType.DOUBLE, nullable=True), [0.5, None, -0.5]),
    "varchar": (_field("t", DataType.VARCHAR, **VARCHAR), ["a", "", "déjà vu", "水車", "x" * 64]),
    "varchar_nullable": (_field("t", DataType.VARCHAR, nullable=True, **VARCHAR), ["a", None, ""]),
    "varchar_all_null": (_field("t", DataType.VARCHAR, nullable=True, **VARCHAR), [None, None]),
    "json": (_field("j", DataType.JSON), ['{"k":1}', "[]", '"text"', "1.5", "true", "null", '{"ü":[{"a":null}]}']),
    "json_nullable": (_field("j", DataType.JSON, nullable=True), ['{"k":1}', None]),
    "dynamic": (_field("$meta", DataType.JSON, is_dynamic=True), ["{}", '{"k":1}', '{"a":{"b":[1,2]}}']),
    "array_bool": (_array(DataType.BOOL), [[True, False], [], [False]]),
    "array_int8": (_array(DataType.INT8), [[-1, 5], []]),
    "array_int16": (_array(DataType.INT16), [[-1, 300], []]),
    "array_int32": (_array(DataType.INT32), [[-1, 70_000], []]),
    "array_int64": (_array(DataType.INT64), [[1, 2], [], [-1, 2**63 - 1]]),
    "array_float": (_array(DataType.FLOAT), [[1.5, -2.0], []]),
    "array_double": (_array(DataType.DOUBLE), [[0.1], [], [1.0, 2.0]]),
    "array_varchar": (_array(DataType.VARCHAR, **VARCHAR), [["a", "", "水"], [], ["b"]]),
    "array_nullable": (_array(DataType.INT64, nullable=True), [[1], None, []]),
    "float_vector": (_field("v", DataType.FLOAT_VECTOR, dim=2), [[1.0, 2.0], [3.0, 4.0], [-0.0, 1e-40]]),
    "sparse": (
        _field("sp", DataType.SPARSE_FLOAT_VECTOR),
        [[[1, 0.5], [7, 0.25]], [[0, 0.0]], [[3, 1.0], [4_294_967_294, 2.0]]],
    ),
}

COLLECTION = CollectionSchema(
    [
        _field("id", DataType.INT64, is_primary=True),
        _field("v", DataType.FLOAT_VECTOR, dim=2),
        _field("t", DataType.VARCHAR, nullable=True, **VARCHAR),
    ],
    enable_dynamic_field=True,
)
COLUMNS: dict[str, list[Any]] = {
    "id": [1, -1],
    "v": [[1.0, 2.0], [3.0, 4.0]],
    "t": ["a", None],
    "$meta": ["{}", '{"k":1}'],
}
REQUESTS: dict[str, dict[str, Any]] = {
    "insert": {"collection_name": "c"},
    "insert_named": {"collection_name": "c", "partition_name": "p", "schema_timestamp": 300},
    "upsert": {"collection_name": "c", "partition_name": "p", "schema_timestamp": 2**63},
    "upsert_partial": {"collection_name": "c", "partial_update": True},
}


def python_value(field: FieldSchema, value: Any) -> Any:
    """A golden value as a pymilvus user would write it."""
    if value is None:
        return None
    if field.dtype is DataType.JSON:
        # pymilvus takes a document that is no object as its text.
        return json.loads(value) if value.startswith("{") else value
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return dict(value)
    return value


def describe(field: FieldSchema) -> dict[str, Any]:
    """The field's facts, as ``headrace._core.Field`` takes them."""
    facts: dict[str, Any] = {"name": field.name, "data_type": int(field.dtype)}
    for key in ("dim", "element_type", "max_length", "max_capacity", "nullable", "is_dynamic"):
        value = getattr(field, key)
        if value:
            facts[key] = value if isinstance(value, bool) else int(value)
    return facts


def _write(name: str, content: dict[str, Any], message: Any) -> None:
    provenance = {
        "producer": f"pymilvus {version('pymilvus')}, protobuf {version('protobuf')}",
        "command": "python -m tests.golden.generate",
        "message": message.DESCRIPTOR.full_name,
    }
    if any(mark in name for mark in ("array", "sparse")):
        provenance["completed"] = "element_type or dim, as tests/golden/reference.py says"
    document = {"provenance": provenance, **content, "hex": message.SerializeToString(deterministic=True).hex()}
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in document.items()]
    (HERE / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Write every file."""
    for name, (field, values) in FIELDS.items():
        message = reference.field_data(field, [python_value(field, value) for value in values])
        _write(f"field_{name}", {"field": describe(field), "values": values}, message)
    fields = COLLECTION.sent_fields
    rows: list[dict[str, Any]] = []
    for at in range(len(COLUMNS["id"])):
        row: dict[str, Any] = {}
        for field in fields:
            value = python_value(field, COLUMNS[field.name][at])
            row |= value if field.is_dynamic else {field.name: value}
        rows.append(row)
    for name, names in REQUESTS.items():
        make: Callable[..., Any] = reference.upsert_request if "upsert" in name else reference.insert_request
        content = {"fields": [describe(field) for field in fields], "columns": COLUMNS, "request": names}
        _write(f"request_{name}", content, make(COLLECTION, rows, **names))


if __name__ == "__main__":
    main()
