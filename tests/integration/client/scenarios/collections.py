"""Collections: made, described, listed, renamed, dropped."""

from __future__ import annotations

from tests.integration.client.harness import LITE, outcome, printed, scenario, without

__all__: list[str] = []


def described(client, name):
    """What does not differ from run to run."""
    return without(client.describe_collection(name), "collection_id", "created_timestamp", "update_timestamp")


@scenario
def missing_collections(lib, client, name):
    yield client.has_collection(name)
    yield client.drop_collection(name)
    yield outcome(client.describe_collection, name)
    yield outcome(client.get_collection_stats, name)
    yield outcome(client.rename_collection, name, name + "_b")
    yield outcome(client.load_collection, name)
    yield outcome(client.get_load_state, name)
    yield outcome(client.list_partitions, name)
    yield outcome(client.has_partition, name, "p")
    yield outcome(client.describe_index, name, "v")
    yield outcome(client.list_indexes, name)
    yield outcome(client.flush, name)


@scenario
def quick_collection(lib, client, name):
    yield client.create_collection(name, dimension=5)
    yield client.has_collection(name)
    yield described(client, name)
    yield printed(described(client, name))
    yield client.list_indexes(name)
    yield client.describe_index(name, "vector")
    yield printed(client.get_load_state(collection_name=name))
    yield client.get_load_state(name)["state"].name
    yield printed(client.get_load_state(name)["state"])
    yield client.get_collection_stats(name)
    yield name in client.list_collections()
    yield client.drop_collection(collection_name=name)
    yield client.has_collection(name)


@scenario
def quick_collection_with_its_parameters(lib, client, name):
    client.create_collection(
        collection_name=name,
        dimension=8,
        primary_field_name="key",
        id_type="string",
        vector_field_name="embedding",
        metric_type="IP",
        max_length=64,
        enable_dynamic_field=False,
        consistency_level="Strong",
        num_shards=2,
    )
    yield described(client, name)
    yield client.describe_index(name, "embedding")


@scenario
def quick_collection_whose_keys_the_server_makes(lib, client, name):
    client.create_collection(name, 4, "key", "int", "v", "L2", True)
    yield described(client, name)
    yield outcome(client.create_collection, name, 4, auto_id=True, id_type=lib.DataType.VARCHAR, max_length=9)


@scenario
def collection_of_a_schema(lib, client, name):
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True, description="books")
    schema.add_field(field_name="id", datatype=lib.DataType.INT64, is_primary=True)
    schema.add_field(field_name="title", datatype=lib.DataType.VARCHAR, max_length=512, description="its name")
    schema.add_field("tags", lib.DataType.ARRAY, element_type=lib.DataType.VARCHAR, max_length=20, max_capacity=4)
    schema.add_field("doc", lib.DataType.JSON)
    schema.add_field("dense", lib.DataType.FLOAT_VECTOR, dim=5)
    yield client.create_collection(collection_name=name, schema=schema)
    yield described(client, name)
    yield client.list_indexes(name)


@scenario
def collection_that_is_indexed_and_loaded_at_once(lib, client, name):
    schema = lib.MilvusClient.create_schema()
    schema.add_field("id", lib.DataType.VARCHAR, is_primary=True, max_length=100).add_field(
        "dense", lib.DataType.FLOAT_VECTOR, dim=4
    )
    index_params = lib.MilvusClient.prepare_index_params()
    index_params.add_index(field_name="dense", index_type="AUTOINDEX", metric_type="COSINE")
    client.create_collection(name, schema=schema, index_params=index_params, consistency_level="Eventually")
    yield described(client, name)
    yield printed(client.get_load_state(name))
    yield client.list_indexes(name)


@scenario
def collection_of_fields_in_a_list(lib, client, name):
    fields = [
        lib.FieldSchema(name="id", dtype=lib.DataType.INT64, is_primary=True, auto_id=True),
        lib.FieldSchema("kind", lib.DataType.INT64, is_partition_key=True),
        lib.FieldSchema(name="dense", dtype=lib.DataType.FLOAT_VECTOR, dim=4, description="of the text"),
    ]
    schema = lib.CollectionSchema(fields=fields, description="a list", enable_dynamic_field=False)
    client.create_collection(name, schema=schema, num_partitions=4)
    yield described(client, name)
    yield outcome(client.create_partition, name, "by_hand")


@scenario
def collections_that_exist_are_not_made_otherwise(lib, client, name):
    client.create_collection(name, dimension=4)
    yield outcome(client.create_collection, name, dimension=8)
    yield client.describe_collection(name)["fields"][1]["params"]


@scenario
def renamed_collection(lib, client, name):
    client.create_collection(name, dimension=4)
    yield client.rename_collection(name, name + "_b")
    yield [client.has_collection(name), client.has_collection(name + "_b")]
    yield outcome(client.rename_collection, name, name + "_c")
    yield client.rename_collection(old_name=name + "_b", new_name=name)
    yield client.has_collection(name)


@scenario
def properties_of_a_collection(lib, client, name):
    client.create_collection(name, dimension=4, properties={"collection.ttl.seconds": 60, "mmap.enabled": True})
    yield client.describe_collection(name)["properties"]
    yield client.alter_collection_properties(
        collection_name=name, properties={"collection.ttl.seconds": 120, "mmap.enabled": False}
    )
    yield client.describe_collection(name)["properties"]


@scenario(engines=(LITE,))
def properties_that_are_dropped(lib, client, name):
    client.create_collection(name, dimension=4, properties={"collection.ttl.seconds": 60, "owner": "me"})
    yield client.drop_collection_properties(name, property_keys=["collection.ttl.seconds"])
    yield client.describe_collection(name)["properties"]
    yield client.truncate_collection(name)


@scenario
def aliases(lib, client, name):
    first, second = name + "_first", name + "_second"
    for other in (first, second):
        client.drop_collection(other)
        client.create_collection(other, dimension=4)
    yield client.create_alias(collection_name=first, alias=name + "_alias")
    yield client.describe_collection(first)["aliases"]
    yield client.has_collection(name + "_alias")
    yield client.describe_collection(name + "_alias")["collection_name"]
    yield outcome(client.create_alias, second, name + "_alias")
    yield client.alter_alias(second, name + "_alias")
    yield client.describe_collection(name + "_alias")["collection_name"]
    yield outcome(client.drop_collection, second)
    yield client.drop_alias(alias=name + "_alias")
    yield client.has_collection(name + "_alias")
    for other in (first, second):
        yield client.drop_collection(other)


@scenario
def aliases_that_are_listed(lib, client, name):
    client.create_collection(name, dimension=4)
    client.create_alias(name, name + "_alias")
    yield client.list_aliases(name)
    yield printed(client.describe_alias(name + "_alias"))
    yield client.list_aliases()["aliases"]
    yield client.drop_alias(name + "_alias")
    yield client.list_aliases(collection_name=name)
    yield outcome(client.describe_alias, name + "_alias")


@scenario
def partitions(lib, client, name):
    client.create_collection(name, dimension=4)
    yield client.list_partitions(name)
    yield client.create_partition(collection_name=name, partition_name="novels")
    yield client.create_partition(name, "poems")
    yield sorted(client.list_partitions(collection_name=name))
    yield [client.has_partition(name, "novels"), client.has_partition(name, "plays")]
    yield outcome(client.get_partition_stats, name, "novels")
    yield client.release_collection(name)
    yield client.drop_partition(name, "novels")
    yield sorted(client.list_partitions(name))
    yield outcome(client.create_partition, name, "not a name")
