"""The flow of Milvus's hybrid search tutorial, as its readers write it, on the embedded engine."""

from __future__ import annotations

import asyncio
import random

import pytest
from scipy.sparse import csr_matrix

from headrace import AnnSearchRequest, AsyncMilvusClient, DataType, MilvusClient, RRFRanker
from tests.integration.client.harness import Awaiting

NAME = "hybrid_search_collection"


def sparse(draw):
    columns = sorted(draw.sample(range(5), draw.randint(1, 5)))
    values = [draw.random() for _ in columns]
    return csr_matrix((values, ([0] * len(columns), columns)), shape=(1, 5))


def rows(first, count, seed=1):
    draw = random.Random(seed)
    words = ("random", "steady")
    return [
        {
            "id": number,
            "text": f"a {words[number % 3 > 0]} text of number {number}",
            "dense": [draw.random() for _ in range(5)],
            "sparse": sparse(draw),
        }
        for number in range(first, first + count)
    ]


def create(client):
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field(field_name="id", datatype=DataType.INT64, is_primary=True)
    schema.add_field(field_name="text", datatype=DataType.VARCHAR, max_length=512)
    schema.add_field(field_name="dense", datatype=DataType.FLOAT_VECTOR, dim=5)
    schema.add_field(field_name="sparse", datatype=DataType.SPARSE_FLOAT_VECTOR)
    index_params = client.prepare_index_params()
    index_params.add_index(field_name="dense", index_name="dense_index", index_type="AUTOINDEX", metric_type="IP")
    index_params.add_index(field_name="sparse", index_name="sparse_index", index_type="AUTOINDEX", metric_type="IP")
    index_params.add_index(field_name="text", index_type="AUTOINDEX", metric_type="IP")
    return schema, index_params


@pytest.mark.parametrize(("kind", "count"), [(MilvusClient, 10_000), (Awaiting, 1_000)], ids=["sync", "async"])
def test_the_tutorial_runs_from_its_first_line_to_its_last(lite322, kind, count):
    client = kind(uri=lite322.uri, timeout=30)
    if client.has_collection(NAME):
        client.drop_collection(NAME)
    schema, index_params = create(client)
    client.create_collection(collection_name=NAME, schema=schema, index_params=index_params)
    assert str(client.get_load_state(collection_name=NAME)) == "{'state': <LoadState: Loaded>}"
    built = {name: client.describe_index(NAME, name) for name in client.list_indexes(NAME)}
    assert {item["field_name"]: item["index_type"] for item in built.values()} == {
        "dense": "AUTOINDEX",
        "sparse": "SPARSE_INVERTED_INDEX",
        "text": "INVERTED",
    }
    inserted = client.insert(collection_name=NAME, data=rows(0, count))
    assert inserted["insert_count"] == count
    assert list(inserted["ids"])[:3] == [0, 1, 2]
    counted = client.query(collection_name=NAME, filter='text like "%random%"', output_fields=["count(*)"])
    expected = sum("random" in f"{number}" or number % 3 == 0 for number in range(count))
    assert f"{counted}" == f"data: [\"{{'count(*)': {expected}}}\"]"
    queries = rows(0, 3)
    dense = client.search(
        NAME, [row["dense"] for row in queries], anns_field="dense", limit=2, output_fields=["text"], search_params={}
    )
    assert [len(hits) for hits in dense] == [2, 2, 2]
    assert dense[0][0]["entity"]["text"].startswith("a ")
    lexical = client.search(NAME, [row["sparse"] for row in queries], anns_field="sparse", limit=2)
    assert [len(hits) for hits in lexical] == [2, 2, 2]
    parts = [
        AnnSearchRequest(data=[queries[0]["dense"]], anns_field="dense", param={"metric_type": "IP"}, limit=5),
        AnnSearchRequest(data=[queries[0]["sparse"]], anns_field="sparse", param={"metric_type": "IP"}, limit=5),
    ]
    (merged,) = client.hybrid_search(NAME, reqs=parts, ranker=RRFRanker(), limit=3, output_fields=["text"])
    assert len(merged) == 3
    assert merged[0]["distance"] >= merged[-1]["distance"] > 0
    client.drop_collection(NAME)
    client.close()


def test_inserts_are_gathered_and_a_dimension_is_enough(lite322):
    name = "gathered"

    async def main():
        async with AsyncMilvusClient(lite322.uri) as client:
            await client.create_collection(name, dimension=5)
            parts = [
                [{"id": number, "vector": [number, 1, 2, 3, 4]} for number in range(first, first + 1000)]
                for first in range(0, 4000, 1000)
            ]
            done = await asyncio.gather(*(client.insert(name, part) for part in parts))
            (counted,) = await client.query(name, output_fields=["count(*)"])
            await client.drop_collection(name)
            return [item["insert_count"] for item in done], counted["count(*)"]

    assert asyncio.run(main()) == ([1000] * 4, 4000)
