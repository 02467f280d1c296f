"""Write the golden files beside this one: ``python -m tests.golden.generate`` from the root of the repository.

Each file holds a field (or a collection schema), the values, and the bytes that pymilvus makes of them, with the
versions that did. JSON has no bytes: they are hex. How values are written is said in :mod:`tests.golden.cases`.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from headrace.schema import DataType, FieldSchema
from tests.golden import reference
from tests.golden.cases import FIELDS, REQUESTS, Request

HERE = Path(__file__).parent
#: Facts of a field that the core does not ask for.
_SCHEMA_FACTS = ("is_primary", "auto_id", "is_partition_key", "default_value", "is_function_output")
_CORE_FACTS = ("dim", "element_type", "max_length", "max_capacity", "nullable", "is_dynamic")


def python_value(field: FieldSchema, value: Any) -> Any:
    """A golden value as a pymilvus user would write it."""
    if value is None:
        return None
    if field.dtype is DataType.JSON:
        # pymilvus takes a document that is no object as its text.
        return json.loads(value) if value.startswith("{") else value
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return dict(value)
    if field.dtype is DataType.FLOAT16_VECTOR:
        return np.array(value, np.float16)
    if field.dtype is DataType.BFLOAT16_VECTOR:
        # The upper half of a float32.
        return (np.array(value, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    if field.dtype is DataType.INT8_VECTOR:
        return np.array(value, np.int8)
    if field.dtype is DataType.BINARY_VECTOR:
        return bytes(value)
    return value


def describe(field: FieldSchema) -> dict[str, Any]:
    """The field's facts, as ``headrace._core.Field`` takes them."""
    facts: dict[str, Any] = {"name": field.name, "data_type": int(field.dtype)} | _given(field, _CORE_FACTS)
    return facts | ({"nullable": True} if field.default_value is not None else {})


def describe_schema(field: FieldSchema) -> dict[str, Any]:
    """The field's facts, as ``headrace.schema.FieldSchema`` takes them."""
    return {"name": field.name, "dtype": int(field.dtype)} | _given(field, _CORE_FACTS + _SCHEMA_FACTS)


def _given(field: FieldSchema, keys: tuple[str, ...]) -> dict[str, Any]:
    given = {key: value for key in keys if (value := getattr(field, key)) is not None and value is not False}
    # A default may be False itself.
    if field.default_value is not None and "default_value" in keys:
        given["default_value"] = field.default_value
    return {key: int(value) if isinstance(value, DataType) else value for key, value in given.items()}


def rows_of(request: Request) -> list[dict[str, Any]]:
    """The request's rows as dicts, without the fields that it leaves out."""
    rows: list[dict[str, Any]] = [{} for _ in next(iter(request.columns.values()))]
    for field in request.schema.sent_fields:
        for at, value in enumerate(request.columns.get(field.name, [])):
            cell = python_value(field, value)
            rows[at] |= cell if field.is_dynamic else {field.name: cell}
    return rows


def _write(name: str, content: dict[str, Any], message: Any) -> None:
    provenance = {
        "producer": f"pymilvus {version('pymilvus')}, protobuf {version('protobuf')}",
        "command": "python -m tests.golden.generate",
        "message": message.DESCRIPTOR.full_name,
    }
    if any(mark in name for mark in ("array", "sparse", "vector_all_null", "every_type")):
        provenance["completed"] = "element_type, dim or an empty slot, as tests/golden/reference.py says"
    document = {"provenance": provenance, **content, "hex": message.SerializeToString(deterministic=True).hex()}
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in document.items()]
    (HERE / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Write every file."""
    for name, (field, values) in FIELDS.items():
        message = reference.field_data(field, [python_value(field, value) for value in values])
        _write(f"field_{name}", {"field": describe(field), "values": values}, message)
    for name, request in REQUESTS.items():
        make = reference.upsert_request if "upsert" in name else reference.insert_request
        message = make(request.schema, rows_of(request), **request.names)
        schema = {"fields": [describe_schema(field) for field in request.schema]}
        if request.schema.enable_dynamic_field:
            schema["enable_dynamic_field"] = True
        sent = [describe(field) for field in request.schema.sent_fields if field.name in request.columns]
        content = {"schema": schema, "fields": sent, "columns": request.columns, "request": request.names}
        _write(f"request_{name}", content, message)


if __name__ == "__main__":
    main()
