"""Collections and partitions in memory."""

from __future__ import annotations

from tests.integration.client.harness import MILVUS, outcome, printed, scenario

__all__: list[str] = []


@scenario
def loaded_and_released(lib, client, name):
    client.create_collection(name, dimension=4)
    yield client.get_load_state(name)
    yield client.release_collection(name)
    yield client.get_load_state(name)
    yield client.load_collection(name)
    yield client.load_collection(name, replica_number=1)
    yield printed(client.get_load_state(name))


@scenario(engines=(MILVUS,))
def partitions_that_are_loaded(lib, client, name):
    client.create_collection(name, dimension=4)
    client.create_partition(name, "novels")
    yield client.get_load_state(name, "novels")
    yield client.release_collection(name)
    yield client.load_partitions(name, "novels")
    yield client.get_load_state(name, partition_name="novels")
    yield client.get_load_state(name, "_default")
    yield client.release_partitions(name, ["novels"])
    yield client.get_load_state(name, "novels")
    yield outcome(client.get_load_state, name, "none")
    client.load_collection(name)
    yield client.refresh_load(name)
    yield client.get_load_state(name)


@scenario
def collection_without_an_index_is_not_loaded(lib, client, name):
    schema = client.create_schema()
    schema.add_field("id", lib.DataType.INT64, is_primary=True)
    schema.add_field("dense", lib.DataType.FLOAT_VECTOR, dim=4)
    client.create_collection(name, schema=schema)
    yield outcome(client.load_collection, name)


@scenario
def flushed_and_compacted(lib, client, name):
    client.create_collection(name, dimension=4)
    yield client.flush(name)
    job = client.compact(name)
    yield isinstance(job, int)
