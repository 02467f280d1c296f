"""What a server says of a collection, as users know it from pymilvus: everything it says, as it says it."""

from __future__ import annotations

from typing import Any

from headrace._proto import milvus_pb2, schema_pb2
from headrace.calls import Operation, Rpc
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import name_of
from headrace.collection_messages import data_type, default_from_proto
from headrace.protocol import mapping, status_error
from headrace.schema import DataType, FunctionType

__all__ = ["describe_collection"]

_LEVELS = ("Strong", "Session", "Bounded", "Eventually", "Customized")
#: Type parameters that are numbers.
_NUMBERS = frozenset({"dim", "max_length", "max_capacity"})


def describe_collection(collection_name: str, timeout: float | None = None) -> Operation[dict[str, Any]]:
    """What the server knows of a collection: fields, functions, aliases, properties, shards, partitions ...

    Raises:
        MilvusException: Code 100 where there is none.
    """
    request = milvus_pb2.DescribeCollectionRequest(collection_name=name_of("collection_name", collection_name))
    answer = yield Rpc("DescribeCollection", request, milvus_pb2.DescribeCollectionResponse, rpc_timeout(timeout))
    if refusal := status_error(answer.status, "DescribeCollection"):
        raise refusal
    return _collection(answer)


def _collection(answer: milvus_pb2.DescribeCollectionResponse) -> dict[str, Any]:
    schema, level = answer.schema, answer.consistency_level
    outputs = {name for function in schema.functions for name in function.output_field_names}
    fields = [_field(item, outputs) for item in schema.fields]
    stamps = {"created_timestamp": answer.created_timestamp, "update_timestamp": answer.update_timestamp}
    return {
        "collection_name": schema.name,
        "auto_id": next((True for item in fields if "auto_id" in item), False),
        "num_shards": answer.shards_num,
        "description": schema.description,
        "fields": fields + [_struct(item) for item in schema.struct_array_fields],
        "functions": [_function(item) for item in schema.functions],
        "aliases": list(answer.aliases),
        "collection_id": answer.collectionID,
        "consistency_level": level,
        "consistency_level_name": _LEVELS[level] if level < len(_LEVELS) else str(level),
        "properties": mapping(answer.properties),
        "num_partitions": answer.num_partitions,
        "enable_dynamic_field": schema.enable_dynamic_field,
        "enable_namespace": schema.enable_namespace,
        "schema_version": schema.version,
        **{key: value for key, value in stamps.items() if value},
    }


def _field(item: schema_pb2.FieldSchema, outputs: set[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "field_id": item.fieldID,
        "name": item.name,
        "description": item.description,
        "type": data_type(item.data_type),
        "params": _params(item),
    }
    default = default_from_proto(item.default_value)
    if default is not None:
        shown["default_value"] = default
    if item.element_type:
        shown["element_type"] = data_type(item.element_type)
    flags = {
        "is_partition_key": item.is_partition_key,
        "is_dynamic": item.is_dynamic,
        "auto_id": item.autoID,
        "nullable": item.nullable,
        "is_primary": item.is_primary_key,
        "is_clustering_key": item.is_clustering_key,
        "is_function_output": item.is_function_output or item.name in outputs,
    }
    return shown | {key: True for key, value in flags.items() if value}


def _params(item: schema_pb2.FieldSchema) -> dict[str, Any]:
    params: dict[str, Any] = mapping(item.type_params)
    shown: dict[str, Any] = {
        key: int(value) if key in _NUMBERS and value.isdecimal() else value for key, value in params.items()
    }
    if "mmap.enabled" in shown:
        shown["mmap_enabled"] = shown.pop("mmap.enabled").lower() == "true"
    return shown


def _function(item: schema_pb2.FunctionSchema) -> dict[str, Any]:
    return {
        "name": item.name,
        "id": item.id,
        "description": item.description,
        "type": FunctionType(item.type) if item.type in list(FunctionType) else item.type,
        "params": mapping(item.params),
        "input_field_names": list(item.input_field_names),
        "input_field_ids": list(item.input_field_ids),
        "output_field_names": list(item.output_field_names),
        "output_field_ids": list(item.output_field_ids),
    }


def _struct(item: schema_pb2.StructArrayFieldSchema) -> dict[str, Any]:
    """An array of structs, its parts as fields of their element types."""
    parts = [_field(part, set()) for part in item.fields]
    capacity = next((part["params"].pop("max_capacity") for part in parts if "max_capacity" in part["params"]), None)
    shown = {
        "field_id": item.fieldID,
        "name": item.name,
        "description": item.description,
        "type": DataType.ARRAY,
        "params": {} if capacity is None else {"max_capacity": capacity},
        "struct_fields": [{**part, "type": part.get("element_type", part["type"])} for part in parts],
    }
    return shown | ({"nullable": True} if item.nullable else {})
