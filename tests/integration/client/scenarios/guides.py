"""What Milvus's guides show beside the tutorial, one page of them each."""

from __future__ import annotations

import json

import numpy as np

from tests.integration.client.harness import LITE, outcome, scenario, without

__all__: list[str] = []


def ordered(rows):
    """Rows with their fields by name: real servers give them in any order."""
    return [dict(sorted(row.items())) for row in rows]


@scenario(engines=(LITE,))
def full_text_search(lib, client, name):
    schema = client.create_schema()
    schema.add_field(field_name="id", datatype=lib.DataType.INT64, is_primary=True)
    schema.add_field(
        field_name="text", datatype=lib.DataType.VARCHAR, max_length=1000, enable_analyzer=True, enable_match=True
    )
    schema.add_field(field_name="sparse", datatype=lib.DataType.SPARSE_FLOAT_VECTOR)
    function = lib.Function(
        name="text_bm25_emb",
        input_field_names=["text"],
        output_field_names=["sparse"],
        function_type=lib.FunctionType.BM25,
    )
    schema.add_function(function)
    params = client.prepare_index_params()
    params.add_index(field_name="sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")
    texts = [
        "information retrieval is a field of study.",
        "information retrieval focuses on finding relevant information in large datasets.",
        "data mining and information retrieval overlap in research.",
    ]
    rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
    yield without(client.insert(name, rows), "cost")
    question = "whats the focus of information retrieval?"
    yield client.search(name, data=[question, "mining"], anns_field="sparse", output_fields=["text"], limit=3)
    yield ordered(client.query(name, filter='TEXT_MATCH(text, "mining")', output_fields=["text"]))
    part = lib.AnnSearchRequest([question], "sparse", {"metric_type": "BM25"}, limit=3)
    yield client.hybrid_search(name, [part], lib.RRFRanker(), limit=2, output_fields=["text"])
    yield [(field["name"], field.get("is_function_output")) for field in client.describe_collection(name)["fields"]]


@scenario(engines=(LITE,))
def values_that_are_left_out(lib, client, name):
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", lib.DataType.INT64, is_primary=True)
    schema.add_field("vector", lib.DataType.FLOAT_VECTOR, dim=3)
    schema.add_field("age", lib.DataType.INT64, nullable=True)
    schema.add_field("status", lib.DataType.VARCHAR, max_length=20, default_value="active")
    schema.add_field("score", lib.DataType.FLOAT, default_value=0.5, nullable=True)
    schema.add_field("meta", lib.DataType.JSON, nullable=True)
    schema.add_field(
        "tags", lib.DataType.ARRAY, element_type=lib.DataType.VARCHAR, max_length=9, max_capacity=4, nullable=True
    )
    params = client.prepare_index_params()
    params.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")
    rows = [
        {"id": 1, "vector": [1, 2, 3], "age": 30, "status": "on", "score": 1.0, "meta": {"a": 1}, "tags": ["x"]},
        {"id": 2, "vector": [1, 2, 4], "age": None, "status": None},
        {"id": 3, "vector": [1, 2, 5]},
    ]
    yield without(client.insert(name, rows), "cost")
    fields = ["age", "status", "score", "meta", "tags"]
    yield ordered(client.query(name, filter="id > 0", output_fields=fields))
    yield client.query(name, filter="age is null", output_fields=["age"])
    yield client.query(name, filter="age is not null", output_fields=["age"])
    yield client.search(name, [[1, 2, 3]], output_fields=fields, limit=3)


@scenario(engines=(LITE,))
def two_dense_fields_in_a_hybrid_search(lib, client, name):
    schema = lib.MilvusClient.create_schema()
    schema.add_field("pk", lib.DataType.INT64, is_primary=True)
    schema.add_field("a", lib.DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("b", lib.DataType.FLOAT_VECTOR, dim=6)
    params = lib.MilvusClient.prepare_index_params()
    params.add_index("a", index_type="HNSW", metric_type="COSINE", params={"M": 8, "efConstruction": 64})
    params.add_index("b", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")
    random = np.random.default_rng(3)
    rows = [{"pk": number, "a": random.random(4), "b": random.random(6, dtype="f4")} for number in range(40)]
    client.insert(name, rows)
    parts = [
        lib.AnnSearchRequest(random.random((2, 4)).tolist(), "a", {"params": {"ef": 32}}, 10, expr="pk != 1"),
        lib.AnnSearchRequest(random.random((2, 6)).tolist(), "b", {}, limit=10, filter="pk > 2"),
    ]
    for ranker in (lib.RRFRanker(30), lib.WeightedRanker(0.8, 0.2), lib.WeightedRanker(0.1, 0.9, norm_score=False)):
        found = client.hybrid_search(name, parts, ranker, limit=3, output_fields=["pk"])
        yield [[(hit["pk"], round(hit["distance"], 4)) for hit in hits] for hits in found]


@scenario(engines=(LITE,))
def groups_and_ranges(lib, client, name):
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", lib.DataType.INT64, is_primary=True)
    schema.add_field("doc", lib.DataType.INT64)
    schema.add_field("vector", lib.DataType.FLOAT_VECTOR, dim=4)
    params = client.prepare_index_params()
    params.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")
    random = np.random.default_rng(8)
    rows = [{"id": n, "vector": random.random(4).tolist(), "doc": n % 5, "chunk": f"c{n}"} for n in range(50)]
    client.insert(name, rows)
    query = [[0.5, 0.5, 0.5, 0.5]]
    yield client.search(name, query, group_by_field="doc", limit=3, output_fields=["doc"])
    yield client.search(name, query, group_by_field="doc", limit=2, group_size=2, strict_group_size=True)
    yield client.search(name, query, limit=5, search_params={"params": {"radius": 0.4, "range_filter": 0.0}})
    yield client.search(name, query, limit=3, search_params={"metric_type": "L2", "offset": 1})
    yield outcome(client.search, name, query, limit=2, search_params={"metric_type": "COSINE"})
    found = client.search(name, query, limit=3, output_fields=["vector"])
    yield found[0].ids
    yield [round(distance, 5) for distance in found[0].distances]
    yield json.loads(json.dumps(client.query(name, "id < 3", output_fields=["vector"])))


@scenario(engines=(LITE,))
def filters_with_values_of_their_own(lib, client, name):
    client.create_collection(name, dimension=2, consistency_level="Strong")
    cities = ["北京", "上海", "Paris"]
    client.insert(name, [{"id": n, "vector": [n, 1], "age": 20 + n, "city": cities[n % 3]} for n in range(9)])
    values = {"age": 22, "city": ["北京", "Paris"]}
    yield outcome(client.query, name, "age > {age} AND city in {city}", filter_params=values, output_fields=["age"])
    for words in ('city == "上海"', "id in [1,2] or age == 28", "not (age < 27)", "city like 'P%'"):
        yield client.query(name, words, output_fields=["city"])
    yield outcome(client.search, name, [[1, 1]], filter="age > {a}", filter_params={"a": 25}, limit=2)
    client.delete(name, filter="age > 25")
    yield client.query(name, "id >= 0", output_fields=["id"])


@scenario
def keys_that_are_texts(lib, client, name):
    client.create_collection(
        name,
        dimension=3,
        id_type="string",
        max_length=16,
        primary_field_name="key",
        vector_field_name="emb",
        metric_type="L2",
        consistency_level="Strong",
    )
    rows = [{"key": "a", "emb": [1, 2, 3], "x": 1}, {"key": "b", "emb": [3, 2, 1], "x": None}]
    yield without(client.upsert(name, rows), "cost")
    yield without(client.upsert(name, data={"key": "a", "emb": [0, 0, 1], "x": [1, 2]}), "cost")
    yield ordered(client.get(name, ids=["a", "b"]))
    yield client.get(name, "none")
    yield client.query(name, filter="x == 1", output_fields=["x"])
    yield client.search(name, [[0, 0, 1]], output_fields=["*"], limit=1)
    yield client.query(name, filter="", output_fields=["count(*)"])


@scenario
def documents_and_arrays_in_filters(lib, client, name):
    schema = lib.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("pk", lib.DataType.INT64, is_primary=True)
    schema.add_field("metadata", lib.DataType.JSON)
    schema.add_field("ratings", lib.DataType.ARRAY, element_type=lib.DataType.INT64, max_capacity=5)
    schema.add_field("embedding", lib.DataType.FLOAT_VECTOR, dim=3)
    params = client.prepare_index_params()
    params.add_index(field_name="embedding", index_type="AUTOINDEX", metric_type="COSINE")
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")
    documents = [{"product": {"brand": "A"}, "price": 99.5, "tags": ["summer"]}, {"price": [1, {"a": None}]}, {}]
    rows = [
        {"pk": n, "metadata": document, "ratings": list(range(n)), "embedding": [n, 1, 0]}
        for n, document in enumerate(documents)
    ]
    yield without(client.insert(name, rows), "cost")
    for words in (
        'metadata["product"]["brand"] == "A"',
        'json_contains(metadata["tags"], "summer")',
        "array_length(ratings) == 2",
        "ratings[0] == 0",
    ):
        yield ordered(client.query(name, words, output_fields=["metadata", "ratings"]))
    yield client.search(name, [[0.3, -0.6, 0.1]], limit=3, output_fields=["metadata", "ratings"])
