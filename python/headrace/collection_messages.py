"""Collections as Milvus's messages and as headrace's values, one into the other: schema and description.

Everything here is pure: no I/O, no state. Facts about what servers answer are those of milvus-proto (master, August
2026), Milvus 2.3.5 and Milvus Lite 3.2.2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace._proto import milvus_pb2, schema_pb2
from headrace.errors import SchemaError, explain
from headrace.protocol import key_values, mapping
from headrace.schema import (
    MAX_VARCHAR_BYTES,
    CollectionSchema,
    ConsistencyLevel,
    DataType,
    FieldSchema,
    Function,
    FunctionType,
)
from headrace.texts import text_of_micros

__all__ = [
    "CollectionInfo",
    "collection_info",
    "data_type",
    "default_from_proto",
    "field_to_proto",
    "schema_from_proto",
    "schema_to_proto",
]

#: type_params that are attributes of a :class:`FieldSchema`.
_TYPED_PARAMS = ("dim", "max_length", "max_capacity")
#: The slot of ``ValueField`` for a default value of a type.
_DEFAULT_SLOTS = {
    DataType.BOOL: "bool_data",
    DataType.INT8: "int_data",
    DataType.INT16: "int_data",
    DataType.INT32: "int_data",
    DataType.INT64: "long_data",
    DataType.FLOAT: "float_data",
    DataType.DOUBLE: "double_data",
    DataType.VARCHAR: "string_data",
    DataType.TEXT: "string_data",
    DataType.TIMESTAMPTZ: "string_data",
    DataType.JSON: "bytes_data",
}


@dataclass(frozen=True)
class CollectionInfo:
    """A collection as its server describes it.

    Attributes:
        name: The collection's real name, also where an alias was asked for.
        schema: Its fields; the dynamic field is not among them.
        collection_id: Changes when the collection is dropped and made again; 0 on Milvus Lite.
        created_timestamp: Hybrid timestamp of its creation; 0 on Milvus Lite.
        update_timestamp: What an insert carries as schema_timestamp (Milvus 2.6); 0 where servers do not check it.
        num_partitions: How many partitions it has; 0 where the server does not say.
        shards_num: How many shards its writes are spread over.
        consistency_level: What reads wait for unless they say otherwise.
        properties: Its properties, verbatim.
        aliases: Its other names.
    """

    name: str
    schema: CollectionSchema
    collection_id: int = 0
    created_timestamp: int = 0
    update_timestamp: int = 0
    num_partitions: int = 0
    shards_num: int = 0
    consistency_level: ConsistencyLevel = ConsistencyLevel.BOUNDED
    properties: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


def schema_to_proto(schema: CollectionSchema, name: str) -> schema_pb2.CollectionSchema:
    """A schema as CreateCollection takes it (serialised), for a collection called ``name``.

    Raises:
        SchemaError: If a default value does not fit its field's type.
    """
    return schema_pb2.CollectionSchema(
        name=name,
        description=schema.description,
        enable_dynamic_field=schema.enable_dynamic_field,
        fields=[field_to_proto(item) for item in schema.fields],
        properties=key_values(schema.properties),
        functions=[_function_to_proto(item) for item in schema.functions],
    )


def _function_to_proto(item: Function) -> schema_pb2.FunctionSchema:
    return schema_pb2.FunctionSchema(
        name=item.name,
        description=item.description,
        type=int(item.type),
        input_field_names=item.input_field_names,
        output_field_names=item.output_field_names,
        params=key_values(item.params),
    )


def field_to_proto(item: FieldSchema) -> schema_pb2.FieldSchema:
    """One field as CreateCollection and AddCollectionField take it.

    Raises:
        SchemaError: If a default value does not fit the field's type.
    """
    params: dict[str, Any] = {key: getattr(item, key) for key in _TYPED_PARAMS if getattr(item, key) is not None}
    message = schema_pb2.FieldSchema(
        name=item.name,
        description=item.description,
        data_type=int(item.dtype),
        element_type=int(item.element_type or 0),
        type_params=key_values({**params, **item.type_params}),
        is_primary_key=item.is_primary,
        autoID=item.auto_id,
        is_partition_key=item.is_partition_key,
        is_clustering_key=item.is_clustering_key,
        nullable=item.nullable,
        is_dynamic=item.is_dynamic,
        is_function_output=item.is_function_output,
    )
    if item.default_value is not None:
        message.default_value.CopyFrom(_default_to_proto(item))
    return message


def _default_to_proto(item: FieldSchema) -> schema_pb2.ValueField:
    slot = _DEFAULT_SLOTS.get(item.dtype)
    where, value = f"field {item.name!r}", item.default_value
    if slot is None:
        raise SchemaError(
            explain(where, "no default value", f"one on type {item.dtype.name}", "leave it out"), field=item.name
        )
    if item.dtype is DataType.JSON and not isinstance(value, bytes):
        value = json.dumps(value).encode()
    try:
        return schema_pb2.ValueField(**{slot: value})
    except (TypeError, ValueError) as error:
        raise SchemaError(
            explain(where, f"a default value of type {item.dtype.name}", repr(value), "give one that fits"),
            field=item.name,
        ) from error


def schema_from_proto(message: schema_pb2.CollectionSchema) -> CollectionSchema:
    """A described schema. The dynamic field is told by ``enable_dynamic_field`` alone.

    Real servers leave ``$meta`` out of the fields; where a server lists it, it is left out here.

    Raises:
        SchemaError: If the collection has struct array fields, which headrace cannot write.
    """
    if message.struct_array_fields:
        names = ", ".join(repr(item.name) for item in message.struct_array_fields)
        raise SchemaError(
            explain(
                f"collection {message.name!r}", "no struct array fields", names, "load into a collection without them"
            ),
            field=message.struct_array_fields[0].name,
        )
    dynamic = message.enable_dynamic_field or any(item.is_dynamic for item in message.fields)
    return CollectionSchema(
        [_field_from_proto(item, auto_id=message.autoID) for item in message.fields if not item.is_dynamic],
        message.description,
        enable_dynamic_field=dynamic,
        properties=mapping(message.properties),
        functions=[_function_from_proto(item) for item in message.functions],
    )


def _function_from_proto(item: schema_pb2.FunctionSchema) -> Function:
    kinds = {int(kind) for kind in FunctionType}
    return Function(
        item.name,
        # A function of a newer server must not break the description of a collection.
        item.type if item.type in kinds else FunctionType.UNKNOWN,
        list(item.input_field_names),
        list(item.output_field_names),
        item.description,
        mapping(item.params),
    )


def data_type(number: int) -> DataType:
    """A data type by its number; UNKNOWN for one of a newer server."""
    # A type of a newer server must not break the description of a collection; who needs the field refuses it.
    try:
        return DataType(number)
    except ValueError:
        return DataType.UNKNOWN


def _field_from_proto(item: schema_pb2.FieldSchema, *, auto_id: bool) -> FieldSchema:
    params = mapping(item.type_params)
    dtype = data_type(item.data_type)
    known = {key: int(params.pop(key)) for key in _TYPED_PARAMS if params.get(key, "").isdecimal()}
    element = data_type(item.element_type) if dtype is DataType.ARRAY else None
    # Some servers list what does not belong to the type, such as a dim of 0 for sparse vectors.
    belongs = {
        "dim": dtype.is_dense_vector,
        "max_length": DataType.VARCHAR in (dtype, element),
        "max_capacity": dtype is DataType.ARRAY,
    }
    known = {key: value for key, value in known.items() if belongs[key]}
    if element is DataType.VARCHAR:
        # Milvus Lite 3.2 does not give back what it was told of an array's elements.
        known.setdefault("max_length", MAX_VARCHAR_BYTES)
    return FieldSchema(
        item.name,
        dtype,
        item.description,
        is_primary=item.is_primary_key,
        # The schema's flag is the deprecated place; servers before 2.3 set only that.
        auto_id=item.autoID or (auto_id and item.is_primary_key),
        is_partition_key=item.is_partition_key,
        is_clustering_key=item.is_clustering_key,
        dim=known.get("dim"),
        max_length=known.get("max_length"),
        element_type=element,
        max_capacity=known.get("max_capacity"),
        nullable=item.nullable,
        default_value=default_from_proto(item.default_value),
        is_dynamic=item.is_dynamic,
        is_function_output=item.is_function_output,
        type_params=params,
    )


def default_from_proto(value: schema_pb2.ValueField) -> Any:
    """A default value as Python has it; None for none."""
    slot = value.WhichOneof("data")
    # Servers keep the instant of a time that was sent as text.
    if slot == "timestamptz_data":
        return text_of_micros(value.timestamptz_data)
    return None if slot is None else getattr(value, slot)


def collection_info(message: milvus_pb2.DescribeCollectionResponse) -> CollectionInfo:
    """A description as a value.

    Raises:
        SchemaError: As :func:`schema_from_proto`.
    """
    level = message.consistency_level
    return CollectionInfo(
        name=message.collection_name or message.schema.name,
        schema=schema_from_proto(message.schema),
        collection_id=message.collectionID,
        created_timestamp=message.created_timestamp,
        update_timestamp=message.update_timestamp,
        num_partitions=message.num_partitions,
        shards_num=message.shards_num,
        consistency_level=ConsistencyLevel(level) if level in list(ConsistencyLevel) else ConsistencyLevel.BOUNDED,
        properties=mapping(message.properties),
        aliases=tuple(message.aliases),
    )
