"""Rows in and out: inserted, upserted, queried, counted, deleted, walked through."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from tests.integration.client.harness import LITE, Printed, outcome, printed, scenario, walked, without

__all__: list[str] = []


def schema_of(lib, *, sparse=True, auto_id=False, dynamic=False):
    """A tutorial's collection: key, 5-d vector, sparse vector, text."""
    fields = [
        lib.FieldSchema("pk", lib.DataType.INT64, is_primary=True, auto_id=auto_id),
        lib.FieldSchema("dense", lib.DataType.FLOAT_VECTOR, dim=5),
        *([lib.FieldSchema("sparse", lib.DataType.SPARSE_FLOAT_VECTOR)] if sparse else []),
        lib.FieldSchema("text", lib.DataType.VARCHAR, max_length=512),
    ]
    return lib.CollectionSchema(fields, enable_dynamic_field=dynamic)


def index_params(lib, **metrics):
    """A FLAT index on each vector field, an inverted one on sparse ones."""
    params = lib.MilvusClient.prepare_index_params()
    for field, metric in metrics.items():
        kind = "SPARSE_INVERTED_INDEX" if field == "sparse" else "FLAT"
        params.add_index(field_name=field, index_type=kind, metric_type=metric)
    return params


def make(lib, client, name, *, sparse=False, **options):
    """The collection, indexed and in memory, and strongly consistent."""
    client.create_collection(name, schema=schema_of(lib, sparse=sparse, **options), consistency_level="Strong")
    client.create_index(name, index_params(lib, dense="IP", **({"sparse": "IP"} if sparse else {})))
    client.load_collection(name)


def rows_of(count, *, sparse=False, first=0):
    """Rows with vectors that are the same in every run."""
    random = np.random.default_rng(5)
    dense = random.random((count, 5), dtype=np.float32)
    matrix = csr_matrix(random.random((count, 5), dtype=np.float32) + 0.01)
    for row in range(count):
        text = f"{'random' if row % 3 else 'other'} text {row}"
        found = {"pk": first + row, "dense": dense[row].tolist(), "text": text}
        yield found | ({"sparse": matrix[row]} if sparse else {})


def shown(value):
    """What users see of a printed result; pymilvus 3 says of every one that there is nothing more to say."""
    return Printed(str(value).removesuffix(", extra_info: {}"))


@scenario(engines=(LITE,))
def tutorial(lib, client, name):
    make(lib, client, name, sparse=True)
    inserted = client.insert(name, list(rows_of(1_000, sparse=True)))
    yield (inserted["insert_count"], list(inserted["ids"]) == list(range(1_000)))
    counted = client.query(name, filter='text like "%random%"', output_fields=["count(*)"])
    yield counted
    yield counted[0]["count(*)"]
    random = np.random.default_rng(11)
    dense = random.random((3, 5))
    for hits in client.search(name, dense.tolist(), anns_field="dense", limit=4, output_fields=["text"]):
        yield hits
        yield (
            hits[0]["entity"]["text"],
            hits[0]["distance"],
            hits[0].get("text"),
            hits[0].id,
            hits[0].entity.get("text"),
        )
    yield printed(client.search(name, dense.tolist(), anns_field="dense", limit=2, output_fields=["text"]))
    queries = csr_matrix(random.random((3, 5)))
    yield client.search(name, [queries[at] for at in range(3)], anns_field="sparse", limit=4, output_fields=["pk"])
    yield client.search(name, [{0: 0.5, 3: 0.25}], anns_field="sparse", output_fields=["sparse", "dense", "text"])
    parts = [
        lib.AnnSearchRequest(dense[:1].astype("f4"), "dense", {}, limit=5),
        lib.AnnSearchRequest([queries[0]], "sparse", {"metric_type": "IP"}, limit=5, expr="pk > 10"),
    ]
    yield client.hybrid_search(name, parts, lib.RRFRanker(), limit=3, output_fields=["text"])
    yield client.hybrid_search(name, parts, ranker=lib.WeightedRanker(0.8, 0.3), limit=3)


@scenario
def single_rows_and_lists(lib, client, name):
    make(lib, client, name)
    rows = list(rows_of(6))
    yield without(client.insert(name, rows[0]), "cost")
    yield printed(client.insert(name, data=rows[1:]))
    yield client.insert(name, [])
    yield client.query(name, "pk >= 0", output_fields=["pk", "text", "dense"])
    yield client.query(name, ids=[4, 2, 99])
    yield client.get(name, ids=3, output_fields=["text"])
    yield client.get(name, [1, 2])
    yield client.get(name, [])
    # One field: real servers answer several in any order.
    yield shown(client.query(name, "pk < 3", output_fields=["pk"]))
    yield shown(client.query(name, "", output_fields=["count(*)"]))
    yield client.query(name, "pk >= 0", output_fields=["pk"], limit=2, offset=1)
    yield client.query(name, "text == 'nothing'", output_fields=["pk"])
    yield outcome(client.query, name, "no such thing ===")
    yield outcome(client.query, "no_such_collection", "pk > 0")


@scenario
def upserts_and_deletes(lib, client, name):
    make(lib, client, name)
    client.insert(name, list(rows_of(8)))
    changed = [{"pk": 3, "dense": [1, 0, 0, 0, 0], "text": "changed"}, {"pk": 9, "dense": [0] * 4 + [1], "text": "new"}]
    yield without(client.upsert(name, changed), "cost")
    yield client.query(name, "pk in [3, 9]", output_fields=["text"])
    yield client.query(name, "", output_fields=["count(*)"])
    for deleted in (client.delete(name, ids=[3, 4]), client.delete(name, 5)):
        yield deleted if isinstance(deleted, list) else without(deleted, "cost")
    client.delete(name, filter="pk in [6, 7]")
    yield client.query(name, "pk >= 0", output_fields=["pk"])
    yield outcome(client.delete, "no_such_collection", ids=[1])


@scenario
def keys_of_the_server_and_of_text(lib, client, name):
    make(lib, client, name, auto_id=True)
    rows = [without(row, "pk") for row in rows_of(3)]
    inserted = client.insert(name, rows)
    yield (inserted["insert_count"], len(set(inserted["ids"])), all(type(key) is int for key in inserted["ids"]))
    yield [without(row, "pk") for row in client.get(name, list(inserted["ids"]), output_fields=["text"])]


@scenario
def dynamic_fields(lib, client, name):
    make(lib, client, name, dynamic=True)
    rows = [row | {"colour": "red", "size": number} for number, row in enumerate(rows_of(3))]
    rows[2]["more"] = {"deep": [1, None, "é"]}
    yield without(client.insert(name, rows), "cost")
    yield client.query(name, "pk >= 0")
    yield client.query(name, 'colour == "red" and size > 0', output_fields=["colour", "text"])
    yield client.query(name, "pk == 2", output_fields=["more"])
    yield client.search(name, [[1, 0, 0, 0, 0]], limit=2, output_fields=["size"])
    yield client.search(name, [[1, 0, 0, 0, 0]], limit=2, output_fields=["*"])
    yield printed(client.search(name, [[1, 0, 0, 0, 0]], limit=1, output_fields=["size"]))


@scenario
def searches(lib, client, name):
    make(lib, client, name)
    client.insert(name, list(rows_of(40)))
    query = [0.5, 0.1, 0.9, 0.2, 0.4]
    yield [len(hits) for hits in client.search(name, [query])]
    yield client.search(name, [query], limit=3)
    yield client.search(name, np.array([query], np.float32), limit=3, output_fields=["dense", "text"])
    yield client.search(name, [query, query], limit=2, filter="pk > 20", output_fields=["pk"])
    yield client.search(name, [query], limit=2, offset=2)
    yield client.search(name, [query], limit=4, round_decimal=2)
    yield client.search(name, [query], limit=4, search_params={"metric_type": "IP", "params": {}})
    yield client.search(name, [query], limit=10, search_params={"params": {"radius": 0.9, "range_filter": 1.3}})
    yield client.search(name, [query], filter="pk < 0")
    yield client.search(name, [query], limit=2, partition_names=["_default"], consistency_level="Strong")
    yield outcome(client.search, name, [query], search_params={"metric_type": "L2"})
    yield outcome(client.search, name, [query[:4]])
    yield outcome(client.search, name, [query], filter="nothing ===")
    yield outcome(client.search, name, [query], partition_names=["nowhere"])


@scenario
def types_of_values(lib, client, name):
    fields = [
        lib.FieldSchema("key", lib.DataType.VARCHAR, is_primary=True, max_length=60),
        lib.FieldSchema("v", lib.DataType.FLOAT_VECTOR, dim=2),
        lib.FieldSchema("flag", lib.DataType.BOOL),
        lib.FieldSchema("tiny", lib.DataType.INT8),
        lib.FieldSchema("short", lib.DataType.INT16),
        lib.FieldSchema("number", lib.DataType.INT32),
        lib.FieldSchema("big", lib.DataType.INT64),
        lib.FieldSchema("single", lib.DataType.FLOAT),
        lib.FieldSchema("real", lib.DataType.DOUBLE),
        lib.FieldSchema("doc", lib.DataType.JSON),
        lib.FieldSchema("tags", lib.DataType.ARRAY, element_type=lib.DataType.VARCHAR, max_capacity=4, max_length=9),
        lib.FieldSchema("counts", lib.DataType.ARRAY, element_type=lib.DataType.INT64, max_capacity=4),
    ]
    client.create_collection(name, schema=lib.CollectionSchema(fields), consistency_level="Strong")
    client.create_index(name, index_params(lib, v="L2"))
    client.load_collection(name)
    row = {"flag": True, "tiny": -128, "short": 300, "number": -(2**31), "big": 2**63 - 1, "single": 0.1, "real": 0.1}
    rows = [
        {"key": "plain", "v": [0.1, 0.2], "doc": {"a": [1, 2.5, None]}, "tags": ["x", "é"], "counts": [1, -1], **row},
        {"key": "sp ace", "v": np.array([1, 2], "f4"), "doc": {}, "tags": [], "counts": [], **row, "flag": False},
        {
            "key": "é",
            "v": np.array([3, 4], "f8"),
            "doc": {"b": {"c": []}},
            "tags": ["y"],
            "counts": [2**62],
            **row,
            "tiny": 127,
        },
    ]
    yield without(client.insert(name, rows), "cost")
    yield client.get(name, ["plain", "sp ace", "é"])
    yield client.search(name, [[0, 0]], limit=3, output_fields=["*"])
    client.delete(name, ["plain"])
    yield client.query(name, "big > 0", output_fields=["key", "tags"])


@scenario
def iterators(lib, client, name):
    make(lib, client, name)
    client.insert(name, list(rows_of(70)))
    yield walked(client, client.query_iterator(name, batch_size=30, filter="pk >= 0", output_fields=["pk"]))
    yield walked(client, client.query_iterator(name, batch_size=7, filter="pk < 40", limit=20, output_fields=["text"]))
    yield walked(client, client.query_iterator(name, batch_size=10, limit=15, offset=5, output_fields=["pk"]))
    yield walked(client, client.query_iterator(name, filter="pk < 0", output_fields=["pk"]))
    yield [sorted(row) for page in walked(client, client.query_iterator(name, limit=2)) for row in page]
    query, params = [0.5, 0.1, 0.9, 0.2, 0.4], {"metric_type": "IP", "params": {}}
    pages = walked(client, client.search_iterator(name, [query], batch_size=25, search_params=params))
    hits = [hit for page in pages for hit in page]
    # How hits are spread over pages is the library's choice.
    yield sorted(hit["pk"] if "pk" in hit else hit["id"] for hit in hits)
    yield [round(hit["distance"], 5) for hit in hits]
    some = walked(client, client.search_iterator(name, [query], batch_size=9, limit=20, filter="pk > 30"))
    yield [hit.id for page in some for hit in page]
