"""Schemas and indexes as values, which need no server."""

from __future__ import annotations

from tests.integration.client.harness import LITE, printed, scenario

__all__: list[str] = []


@scenario(engines=(LITE,))
def schemas_in_print(lib, client, name):
    schema = client.create_schema(auto_id=True, enable_dynamic_field=True, description="d")
    yield printed(schema)
    schema.add_field("id", lib.DataType.INT64, is_primary=True)
    schema.add_field("text", lib.DataType.VARCHAR, max_length=20, enable_analyzer=True, nullable=True)
    schema.add_field("tags", lib.DataType.ARRAY, element_type=lib.DataType.INT64, max_capacity=4, mmap_enabled=True)
    schema.add_field("sparse", lib.DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(lib.Function("bm25", lib.FunctionType.BM25, "text", "sparse"))
    schema.verify()
    yield printed(schema)
    yield schema.to_dict()
    yield [field.name for field in schema.fields]
    yield [field.dtype for field in schema.fields]
    yield [schema.auto_id, schema.enable_dynamic_field, schema.description, schema.primary_field.name]
    yield schema.fields[1].params
    yield [field.to_dict() for field in schema.fields]


@scenario(engines=(LITE,))
def keys_that_the_schema_names(lib, client, name):
    schema = lib.CollectionSchema(
        [
            lib.FieldSchema("id", lib.DataType.INT64, is_primary=False),
            lib.FieldSchema("kind", lib.DataType.VARCHAR, max_length=9),
            lib.FieldSchema("v", lib.DataType.FLOAT_VECTOR, dim="8"),
        ],
        primary_field="id",
        partition_key_field="kind",
        auto_id=True,
    )
    yield [field.is_primary for field in schema.fields]
    yield [schema.auto_id, schema.fields[0].auto_id, schema.fields[1].is_partition_key]


@scenario(engines=(LITE,))
def index_parameters_in_print(lib, client, name):
    index_params = client.prepare_index_params()
    yield len(index_params)
    index_params.add_index(field_name="v", index_type="HNSW", metric_type="IP", params={"M": 8})
    index_params.add_index("title")
    yield len(index_params)
    yield [item.field_name for item in index_params]
    yield [item.index_name for item in index_params]
    yield index_params[0].index_type


@scenario(engines=(LITE,))
def enumerations(lib, client, name):
    yield {item.name: item.value for item in lib.FunctionType}
    yield [printed(lib.DataType.FLOAT_VECTOR), repr(lib.DataType.FLOAT_VECTOR)]
    yield lib.DataType.VARCHAR == 21
