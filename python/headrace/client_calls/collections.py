"""Collections: made, named, listed, counted, dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headrace import operations as ops
from headrace._proto import admin_pb2, common_pb2
from headrace.calls import Operation
from headrace.client_calls.base import Level, level_of, rpc_timeout
from headrace.client_calls.checks import flag, mapping_of, name_of, number, text_of
from headrace.client_calls.indexes import create_index
from headrace.client_calls.loading import load_collection
from headrace.collection_messages import field_to_proto
from headrace.errors import ConfigError, explain
from headrace.operations.base import ask
from headrace.protocol import mapping
from headrace.schema import CollectionSchema, DataType, FieldSchema, IndexParam, IndexParams

__all__ = [
    "add_collection_field",
    "create_collection",
    "drop_collection",
    "get_collection_stats",
    "has_collection",
    "list_collections",
    "rename_collection",
    "truncate_collection",
]

#: Types of a key in the quick form.
_ID_TYPES = {"int": DataType.INT64, "string": DataType.VARCHAR, "str": DataType.VARCHAR}


def create_collection(  # noqa: PLR0917 - pymilvus's order
    collection_name: str,
    dimension: int | None = None,
    primary_field_name: str = "id",
    id_type: str | DataType = "int",
    vector_field_name: str = "vector",
    metric_type: str = "COSINE",
    auto_id: bool = False,
    timeout: float | None = None,
    schema: CollectionSchema | None = None,
    index_params: Iterable[IndexParam | Mapping[str, Any]] | None = None,
    *,
    enable_dynamic_field: bool = True,
    max_length: int | None = None,
    description: str = "",
    consistency_level: Level = None,
    num_shards: int | None = None,
    shards_num: int | None = None,
    num_partitions: int | None = None,
    properties: Mapping[str, Any] | None = None,
    enable_mmap: bool | None = None,
) -> Operation[None]:
    """Create a collection: with a dimension alone, or with a schema.

    With a dimension (the quick form) it is indexed and loaded; with a schema where ``index_params`` are given.

    Args:
        collection_name: Its name.
        dimension: Of the quick form's vector field.
        primary_field_name: The quick form's key.
        id_type: ``"int"`` or ``"string"``, or the DataType.
        vector_field_name: The quick form's vector field, of type FLOAT_VECTOR.
        metric_type: ``"COSINE"``, ``"L2"`` or ``"IP"``.
        auto_id: Whether the server makes the quick form's keys.
        timeout: Seconds for each call, and for loading.
        schema: The fields, from :meth:`create_schema` or a CollectionSchema.
        index_params: The indexes, from :meth:`prepare_index_params`.
        enable_dynamic_field: Whether the quick form keeps undeclared columns.
        max_length: Of the quick form's text keys, in UTF-8 bytes; None for 65,535.
        description: Of the quick form.
        consistency_level: What reads wait for unless they say otherwise; None for Bounded.
        num_shards: How many shards its writes are spread over; None for the server's choice.
        shards_num: The same, by its older name.
        num_partitions: How many partitions a partition key is spread over; None for the server's choice.
        properties: Collection properties, for example ``{"collection.ttl.seconds": 3600}``.
        enable_mmap: What guides write for the property ``mmap.enabled``.

    Raises:
        ConfigError: If a parameter cannot be used; a SchemaError if the schema cannot be.
    """
    indexes = IndexParams.of(index_params) if index_params else None
    if schema is None:
        schema = _quick_schema(dimension, primary_field_name, id_type, vector_field_name, auto_id, max_length)
        schema.enable_dynamic_field = flag("enable_dynamic_field", enable_dynamic_field)
        schema.description = text_of("description", description)
        indexes = IndexParams().add_index(vector_field_name, metric_type=name_of("metric_type", metric_type))
    if enable_mmap is not None:
        properties = {"mmap.enabled": flag("enable_mmap", enable_mmap), **(properties or {})}
    counts = {"num_shards": num_shards, "shards_num": shards_num, "num_partitions": num_partitions}
    yield from _create(collection_name, schema, indexes, counts, consistency_level, properties, timeout)


def _create(  # noqa: PLR0917 - create_collection's order
    collection_name: str,
    schema: CollectionSchema,
    indexes: IndexParams | None,
    counts: dict[str, int | None],
    consistency_level: Level,
    properties: Mapping[str, Any] | None,
    timeout: float | None,
) -> Operation[None]:
    # Everything that can be refused is refused before the collection is made.
    name = name_of("collection_name", collection_name)
    given = {key: number(key, value) for key, value in counts.items() if value is not None}
    if "num_shards" in given and "shards_num" in given:
        raise ConfigError(explain("num_shards", "one of num_shards and shards_num", "both", "leave one out"))
    _verify(schema)
    yield from ops.create_collection(
        name,
        schema,
        num_shards=given.get("num_shards", given.get("shards_num")),
        num_partitions=given.get("num_partitions"),
        consistency_level=level_of(consistency_level),
        properties=mapping_of("properties", properties) if properties else None,
        timeout=rpc_timeout(timeout),
    )
    if indexes is not None:
        yield from create_index(name, indexes, timeout=timeout)
        yield from load_collection(name, timeout=timeout)


def _verify(schema: Any) -> None:
    if not isinstance(schema, CollectionSchema):
        remedy = "make one with create_schema() and add_field()"
        raise ConfigError(explain("schema", "a CollectionSchema", f"one of type {type(schema).__name__}", remedy))
    schema.verify()


def _quick_schema(  # noqa: PLR0917 - create_collection's order
    dimension: Any,
    primary_field_name: str,
    id_type: Any,
    vector_field_name: str,
    auto_id: bool,
    max_length: int | None,
) -> CollectionSchema:
    if dimension is None:
        remedy = "give the vectors' dimension, or a schema from create_schema()"
        raise ConfigError(explain("dimension", "a dimension or a schema", "neither", remedy))
    key_type = _ID_TYPES.get(id_type, id_type) if isinstance(id_type, str) else id_type
    if key_type not in (DataType.INT64, DataType.VARCHAR):
        allowed = "'int' or 'string', DataType.INT64 or DataType.VARCHAR"
        raise ConfigError(explain("id_type", allowed, repr(id_type), "choose one"))
    length = {} if key_type == DataType.INT64 else {"max_length": 65_535 if max_length is None else max_length}
    schema = CollectionSchema.empty(auto_id=flag("auto_id", auto_id))
    schema.add_field(name_of("primary_field_name", primary_field_name), key_type, is_primary=True, **length)
    name = name_of("vector_field_name", vector_field_name)
    return schema.add_field(name, DataType.FLOAT_VECTOR, dim=number("dimension", dimension))


def has_collection(collection_name: str, timeout: float | None = None) -> Operation[bool]:
    """Whether there is a collection or alias of that name."""
    name = name_of("collection_name", collection_name)
    return (yield from ops.has_collection(name, timeout=rpc_timeout(timeout)))


def list_collections(timeout: float | None = None) -> Operation[list[str]]:
    """The names of the database's collections, in the server's order."""
    return (yield from ops.list_collections(timeout=rpc_timeout(timeout)))


def drop_collection(collection_name: str, timeout: float | None = None) -> Operation[None]:
    """Drop a collection; one that does not exist is no error."""
    name = name_of("collection_name", collection_name)
    yield from ops.drop_collection(name, timeout=rpc_timeout(timeout))


def truncate_collection(collection_name: str, timeout: float | None = None) -> Operation[None]:
    """Remove all rows of a collection; its schema and indexes stay."""
    request = admin_pb2.TruncateCollectionRequest(collection_name=name_of("collection_name", collection_name))
    yield from ask("TruncateCollection", request, admin_pb2.TruncateCollectionResponse, rpc_timeout(timeout))


def rename_collection(
    old_name: str, new_name: str, target_db: str = "", timeout: float | None = None
) -> Operation[None]:
    """Give a collection another name, and move it to another database where one is named."""
    request = admin_pb2.RenameCollectionRequest(
        oldName=name_of("old_name", old_name),
        newName=name_of("new_name", new_name),
        newDBName=text_of("target_db", target_db),
    )
    yield from ask("RenameCollection", request, common_pb2.Status, rpc_timeout(timeout))


def get_collection_stats(collection_name: str, timeout: float | None = None) -> Operation[dict[str, int | str]]:
    """The server's statistics: ``row_count``, of sealed rows, deletions not counted; ``query`` counts what there is."""
    request = admin_pb2.GetCollectionStatisticsRequest(collection_name=name_of("collection_name", collection_name))
    answer = yield from ask("GetCollectionStatistics", request, admin_pb2.StatisticsResponse, rpc_timeout(timeout))
    return {key: int(value) if key == "row_count" else value for key, value in mapping(answer.stats).items()}


def add_collection_field(
    collection_name: str,
    field_name: str,
    data_type: DataType | int,
    desc: str = "",
    timeout: float | None = None,
    **facts: Any,
) -> Operation[None]:
    """Add a field to a collection that has rows (Milvus 2.6); it is null in those, or has its default there.

    Args:
        collection_name: The collection.
        field_name: The new field.
        data_type: Its type.
        desc: Free text.
        timeout: Seconds for the call.
        **facts: What :class:`FieldSchema` takes: ``nullable=True``, ``default_value``, ``max_length`` ...

    Raises:
        SchemaError: If the field cannot be, or takes no nulls.
    """
    name = name_of("collection_name", collection_name)
    item = FieldSchema(field_name, data_type, text_of("desc", desc), **facts)
    if not item.nullable:
        raise ConfigError(explain("nullable", "True for a field that is added", "False", "give nullable=True"))
    request = admin_pb2.AddCollectionFieldRequest(collection_name=name, schema=field_to_proto(item).SerializeToString())
    yield from ask("AddCollectionField", request, common_pb2.Status, rpc_timeout(timeout))
