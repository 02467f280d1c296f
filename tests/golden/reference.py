"""What pymilvus packs: the reference that golden files and differential tests compare with.

Filled in here is what headrace sends and pymilvus 3.0 does not send for rows: ``ArrayArray.element_type`` (the server
takes it from its schema), ``SparseFloatArray.dim`` (a hint, which pymilvus does send for columns) and the typed empty
slot of a vector column with nothing but nulls.

Rows are dicts as pymilvus's users write them: float vectors are lists, other dense vectors bytes or arrays of their
dtype, sparse vectors dicts or scipy rows, JSON cells objects or texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymilvus.client.prepare import Prepare
from pymilvus.grpc_gen import schema_pb2

from headrace.schema import DYNAMIC_FIELD_NAME, CollectionSchema, DataType, FieldSchema

BYTE_SLOTS = {
    DataType.FLOAT16_VECTOR: "float16_vector",
    DataType.BFLOAT16_VECTOR: "bfloat16_vector",
    DataType.INT8_VECTOR: "int8_vector",
    DataType.BINARY_VECTOR: "binary_vector",
}


def field_info(field: FieldSchema) -> dict[str, Any]:
    """The field as pymilvus keeps it after DescribeCollection."""
    params = {"dim": field.dim, "max_length": field.max_length, "max_capacity": field.max_capacity}
    info: dict[str, Any] = {
        "name": field.name,
        "type": int(field.dtype),
        "params": {key: value for key, value in params.items() if value is not None},
        "is_primary": field.is_primary,
        "auto_id": field.auto_id,
        "nullable": field.nullable,
    }
    if field.element_type is not None:
        info["element_type"] = int(field.element_type)
    if field.default_value is not None:
        # A message, as in a description; here pymilvus asks no more than whether there is one.
        info["default_value"] = schema_pb2.ValueField(bytes_data=repr(field.default_value).encode())
    if field.is_function_output:
        info["is_function_output"] = True
    return info


def insert_request(schema: CollectionSchema, rows: Sequence[Mapping[str, Any]], **names: Any) -> Any:
    """pymilvus's ``InsertRequest`` message for rows as dicts."""
    request = Prepare.row_insert_param(
        names["collection_name"],
        list(rows),
        names.get("partition_name", ""),
        [field_info(field) for field in schema],
        schema_timestamp=names.get("schema_timestamp", 0),
        enable_dynamic=schema.enable_dynamic_field,
    )
    return _completed(request, schema)


def upsert_request(schema: CollectionSchema, rows: Sequence[Mapping[str, Any]], **names: Any) -> Any:
    """pymilvus's ``UpsertRequest`` message for rows as dicts."""
    request = Prepare.row_upsert_param(
        names["collection_name"],
        list(rows),
        names.get("partition_name", ""),
        [field_info(field) for field in schema],
        enable_dynamic=schema.enable_dynamic_field,
        schema_timestamp=names.get("schema_timestamp", 0),
        partial_update=names.get("partial_update", False),
    )
    return _completed(request, schema)


def _completed(request: Any, schema: CollectionSchema) -> Any:
    for data in request.fields_data:
        if data.type == DataType.ARRAY:
            data.scalars.array_data.element_type = int(schema[data.field_name].element_type or 0)
        if data.type == DataType.FLOAT_VECTOR:
            data.vectors.float_vector.SetInParent()
        if data.type in BYTE_SLOTS and data.vectors.WhichOneof("data") is None:
            setattr(data.vectors, BYTE_SLOTS[data.type], b"")
        if data.type == DataType.SPARSE_FLOAT_VECTOR:
            rows = data.vectors.sparse_float_vector
            rows.SetInParent()
            rows.dim = max((1 + int.from_bytes(row[-8:-4], "little") for row in rows.contents if row), default=0)
    return request


def field_data(field: FieldSchema, values: Iterable[Any]) -> Any:
    """pymilvus's ``FieldData`` message for one column; for ``$meta`` the values are dicts of undeclared keys."""
    key = FieldSchema("_key", DataType.INT64, is_primary=True)
    if field.is_dynamic:
        schema = CollectionSchema([key], enable_dynamic_field=True)
        rows: list[dict[str, Any]] = [{"_key": 0, **value} for value in values]
    else:
        schema = CollectionSchema([key, field])
        rows = [{"_key": 0, field.name: value} for value in values]
    name = DYNAMIC_FIELD_NAME if field.is_dynamic else field.name
    request = insert_request(schema, rows, collection_name="c")
    return next(data for data in request.fields_data if data.field_name == name)
