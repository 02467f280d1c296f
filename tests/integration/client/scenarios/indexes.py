"""Indexes: built, described, dropped."""

from __future__ import annotations

from tests.integration.client.harness import LITE, MILVUS, outcome, printed, scenario

__all__: list[str] = []


def bare(lib, client, name):
    """A collection without indexes."""
    schema = client.create_schema()
    schema.add_field("id", lib.DataType.INT64, is_primary=True)
    schema.add_field("title", lib.DataType.VARCHAR, max_length=20)
    schema.add_field("year", lib.DataType.INT64)
    schema.add_field("dense", lib.DataType.FLOAT_VECTOR, dim=4)
    client.create_collection(name, schema=schema)


@scenario
def index_of_a_vector(lib, client, name):
    bare(lib, client, name)
    yield client.list_indexes(name)
    yield client.describe_index(name, "dense")
    index_params = client.prepare_index_params()
    index_params.add_index("dense", index_type="HNSW", metric_type="L2", params={"M": 16, "efConstruction": 100})
    yield printed(index_params)
    yield client.create_index(name, index_params)
    yield client.list_indexes(name)
    yield client.list_indexes(name, field_name="dense")
    yield client.list_indexes(name, "year")
    (built,) = client.list_indexes(name)
    yield client.describe_index(collection_name=name, index_name=built)
    yield printed(client.describe_index(name, built))
    yield outcome(client.release_collection, name)
    yield client.drop_index(collection_name=name, index_name=built)
    yield client.list_indexes(name)
    yield client.describe_index(name, built)


@scenario
def index_with_a_name_and_flat_parameters(lib, client, name):
    bare(lib, client, name)
    index_params = client.prepare_index_params()
    index_params.add_index(
        field_name="dense", index_type="IVF_FLAT", index_name="by_meaning", metric_type="COSINE", nlist=128
    )
    yield client.create_index(collection_name=name, index_params=index_params, sync=False)
    yield client.list_indexes(name)
    yield client.describe_index(name, "by_meaning")
    yield outcome(client.create_index, name, index_params, sync=False)


@scenario(engines=(LITE,))
def index_of_a_scalar(lib, client, name):
    bare(lib, client, name)
    index_params = client.prepare_index_params()
    index_params.add_index(field_name="title", index_type="INVERTED")
    index_params.add_index(field_name="year", index_type="INVERTED", index_name="by_year")
    yield client.create_index(name, index_params, sync=False)
    yield sorted(client.list_indexes(name))
    yield client.list_indexes(name, "year")


@scenario(engines=(MILVUS,))
def index_of_a_scalar_on_2_3(lib, client, name):
    bare(lib, client, name)
    index_params = client.prepare_index_params()
    index_params.add_index(field_name="title", index_type="Trie")
    index_params.add_index(field_name="year", index_type="STL_SORT", index_name="by_year")
    yield client.create_index(name, index_params)
    yield sorted(client.list_indexes(name))
    yield client.describe_index(name, "by_year")


@scenario
def indexes_that_are_refused(lib, client, name):
    bare(lib, client, name)
    index_params = client.prepare_index_params("nothing", index_type="HNSW", metric_type="L2")
    yield outcome(client.create_index, name, index_params)
    index_params = client.prepare_index_params("dense", index_type="NONSENSE", metric_type="L2")
    yield outcome(client.create_index, name, index_params)
    yield client.list_indexes(name)
