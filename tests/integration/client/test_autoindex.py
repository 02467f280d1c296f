"""AUTOINDEX on every field that an engine can index, asked for as guides do; what was built is told."""

from __future__ import annotations

import pytest

from headrace import DataType, MilvusClient, MilvusException

BUILT = {
    "lite322": {"id": "INVERTED", "title": "INVERTED", "dense": "AUTOINDEX", "sparse": "SPARSE_INVERTED_INDEX"},
    "milvus235": {"id": "STL_SORT", "title": "Trie", "dense": "AUTOINDEX"},
}


@pytest.fixture
def client(server):
    with MilvusClient(server.uri) as client:
        yield client


@pytest.mark.parametrize("server", list(BUILT), indirect=True)
def test_what_an_engine_has_for_a_type_is_built(client, server, request, collection):
    expected = BUILT[request.node.callspec.params["server"]]
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("title", DataType.VARCHAR, max_length=9)
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=4)
    if "sparse" in expected:
        schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    index_params = client.prepare_index_params()
    for name in expected:
        index_params.add_index(name, index_type="AUTOINDEX", metric_type="IP")
    client.create_collection(collection, schema=schema, index_params=index_params)
    found = [client.describe_index(collection, name) for name in client.list_indexes(collection)]
    assert {item["field_name"]: item["index_type"] for item in found} == expected
    assert {item["state"] for item in found} == {"Finished"}
    client.drop_collection(collection)


@pytest.mark.parametrize("server", ["milvus235"], indirect=True)
def test_bits_are_indexed_by_their_own_metric_and_what_no_engine_has_is_refused(client, server, collection):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("flag", DataType.BOOL)
    schema.add_field("bits", DataType.BINARY_VECTOR, dim=8)
    client.create_collection(collection, schema=schema, index_params=client.prepare_index_params("bits"))
    assert client.describe_index(collection, "bits")["metric_type"] == "HAMMING"
    client.insert(collection, [{"id": number, "flag": True, "bits": bytes([number])} for number in range(4)])
    (hits,) = client.search(collection, [bytes([3])], limit=1, anns_field="bits", consistency_level="Strong")
    assert (hits[0]["id"], hits[0]["distance"]) == (3, 0)
    with pytest.raises(MilvusException, match="Bool"):
        client.create_index(collection, client.prepare_index_params("flag"))
    client.drop_collection(collection)
