"""Every operation against Milvus Lite, and what it stored read back by pymilvus."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from headrace import operations as ops
from headrace.client import MilvusClient
from headrace.errors import MilvusException
from headrace.operations import AnnSearchRequest, RRFRanker, WeightedRanker
from headrace.schema import CollectionSchema, DataType, FieldSchema, IndexParam
from tests.fake.encoding import encode_insert

SPARSE = pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))
SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.VARCHAR, is_primary=True, max_length=64),
        FieldSchema("dense", DataType.FLOAT_VECTOR, dim=4),
        FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR),
        FieldSchema("flag", DataType.BOOL),
        FieldSchema("tiny", DataType.INT8),
        FieldSchema("number", DataType.INT32, nullable=True),
        FieldSchema("big", DataType.INT64),
        FieldSchema("single", DataType.FLOAT),
        FieldSchema("real", DataType.DOUBLE),
        FieldSchema("doc", DataType.JSON),
        FieldSchema("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=4, max_length=9),
    ],
    enable_dynamic_field=True,
)
KEYS = ["plain", 'quo"te', "back\\slash", "new\nline", "tab\tbed", "accént"]
DENSE = np.random.default_rng(7).random((6, 4), dtype=np.float32)
ROWS = pa.record_batch(
    {
        "id": pa.array(KEYS),
        "dense": pa.FixedSizeListArray.from_arrays(pa.array(DENSE.ravel()), 4),
        "sparse": pa.array([[{"index": n, "value": 0.5}, {"index": n + 3, "value": 0.25}] for n in range(6)], SPARSE),
        "flag": pa.array([True, False] * 3),
        "tiny": pa.array([-128, 127, 0, 1, 2, 3], pa.int8()),
        "number": pa.array([1, None, -3, None, 5, 6], pa.int32()),
        "big": pa.array([2**63 - 1, -(2**63), 0, 1, 2, 3]),
        "single": pa.array([0.1, -0.0, 3e38, 1e-45, 5, 6], pa.float32()),
        "real": pa.array([0.1, 1e300, -1e-300, 3, 4, 5]),
        "doc": pa.array([json.dumps({"n": n, "é": [None, 1.5]}) for n in range(6)]),
        "tags": pa.array([["a", "b"], [], ["é"], ["c"], ["d"], ["e"]]),
        "$meta": pa.array([json.dumps({"colour": n}) for n in range(6)]),
    }
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    path = tmp_path_factory.mktemp("operations") / "a.db"
    with MilvusClient(path) as client:
        client.path = path
        client.create_collection(
            "docs",
            schema=SCHEMA,
            index_params=[
                IndexParam("dense", metric_type="COSINE"),
                IndexParam("sparse", metric_type="IP"),
                IndexParam("number"),
            ],
            properties={"headrace.id": "42"},
        )
        client._transport.call("Insert", encode_insert(ROWS, SCHEMA, "docs"), timeout=60)
        yield client


def test_schema_and_properties_are_kept(client):
    info = client.run(ops.describe_collection("docs"))
    # Milvus Lite 3.2 forgets the max_length of an array's elements.
    assert info.schema.fields[:-1] == SCHEMA.fields[:-1]
    assert info.schema["tags"].max_length == 65535
    assert info.schema.enable_dynamic_field
    assert info.properties == {"headrace.id": "42"}


def test_autoindex_is_accepted_for_every_type_of_field(client):
    found = {item.field_name: (item.index_type, item.metric_type) for item in client.run(ops.describe_index("docs"))}
    assert found == {
        "dense": ("AUTOINDEX", "COSINE"),
        "sparse": ("SPARSE_INVERTED_INDEX", "IP"),
        "number": ("INVERTED", ""),
    }


def test_rows_are_counted_with_and_without_a_filter(client):
    assert client.run(ops.count("docs")) == 6
    assert client.run(ops.count("docs", "tiny > 0")) == 4
    assert client.run(ops.count("docs", ops.keys_filter("id", KEYS[:2]))) == 2


def test_every_value_comes_back_bit_for_bit(client):
    found = client.run(ops.get_by_keys("docs", "id", KEYS))
    assert found.column("id").to_pylist() == KEYS
    assert set(found.schema.names) == set(ROWS.schema.names)
    for name in ROWS.schema.names:
        got, sent = found.column(name), ROWS.column(name)
        if name in ("doc", "$meta"):
            assert [json.loads(text) for text in got.to_pylist()] == [json.loads(text) for text in sent.to_pylist()]
        elif name == "sparse":
            assert got.to_pylist() == sent.to_pylist()
        else:
            assert got.equals(sent), name


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_any_text_finds_its_row(client, key):
    assert [row["id"] for row in client.get("docs", key, ["tiny"])] == [key]


def test_missing_keys_give_nothing(client):
    assert client.get("docs", ["nothing"]) == []


def test_dense_search_finds_the_vector_itself_first(client):
    hits = client.search("docs", DENSE[:2], anns_field="dense", limit=3, output_fields=["doc", "colour"])
    assert [row[0]["id"] for row in hits] == KEYS[:2]
    assert [len(row) for row in hits] == [3, 3]
    assert hits[0][0]["distance"] == pytest.approx(1, abs=1e-5)
    assert hits[0][0]["entity"] == {"doc": {"n": 0, "é": [None, 1.5]}, "colour": 0}


@pytest.mark.parametrize(
    "query",
    [
        {0: 1.0, 3: 0.5},
        [{3: 0.5, 0: 1.0}],
        ([0, 3], [1.0, 0.5]),
        csr_matrix(([1.0, 0.5], ([0, 0], [0, 3])), shape=(1, 10)),
    ],
)
def test_sparse_search_takes_every_form(client, query):
    (hits,) = client.search("docs", query, anns_field="sparse", limit=2)
    assert [(hit["id"], hit["distance"]) for hit in hits] == [(KEYS[0], 0.625), (KEYS[3], 0.25)]


def test_search_with_a_filter(client):
    (hits,) = client.search("docs", DENSE[0], anns_field="dense", filter="flag == false", limit=9)
    assert {hit["id"] for hit in hits} == set(KEYS[1::2])


@pytest.mark.parametrize("ranker", [RRFRanker(), WeightedRanker(0.5, 0.5)])
def test_hybrid_search_merges_both(client, ranker):
    parts = [AnnSearchRequest(DENSE[:1], "dense"), AnnSearchRequest({0: 1.0, 3: 0.5}, "sparse")]
    (hits,) = client.hybrid_search("docs", parts, ranker, limit=2, output_fields=["flag"])
    assert hits[0]["id"] == KEYS[0]
    assert hits[0]["entity"] == {"flag": True}


def test_life_of_a_collection(client):
    schema = CollectionSchema(
        [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]
    )
    client.create_collection("other", schema=schema, index_params=[IndexParam("v", metric_type="L2")])
    rows = pa.record_batch({"id": pa.array([1, 2]), "v": pa.array([[0, 0], [1, 1]], pa.list_(pa.float32(), 2))})
    client._transport.call("Insert", encode_insert(rows, schema, "other"), timeout=60)
    assert set(client.list_collections()) >= {"docs", "other"}
    # As pymilvus: the keys, where the engine repeats them.
    assert client.delete("other", ids=[1]) == [1]
    client.flush("other")
    assert client.query("other", output_fields=["count(*)"]) == [{"count(*)": 1}]
    client.drop_collection("other")
    assert not client.has_collection("other")
    with pytest.raises(MilvusException) as raised:
        client.query("other", limit=1)
    assert raised.value.code == 100


PYMILVUS_READS = """
import json, sys
from pymilvus import MilvusClient
client = MilvusClient(sys.argv[1])
# Not by key: pymilvus does not escape a backslash in one.
rows = client.query("docs", filter="tiny >= -128", output_fields=["*"])
for row in rows:
    row["dense"] = [float(x) for x in row["dense"]]
    row["sparse"] = sorted((int(k), float(v)) for k, v in row["sparse"].items())
    row["tags"] = list(row["tags"])
print(json.dumps([dict(row) for row in rows]))
"""


def test_pymilvus_and_headrace_read_the_same_values(client):
    # pymilvus runs in a process of its own (it changes the environment), over the address of our child.
    address = f"http://{client._transport._lease.address}"
    command = [sys.executable, "-W", "ignore", "-c", PYMILVUS_READS, address]
    theirs = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    ours = client.query("docs", "tiny >= -128")
    for row in ours:
        row["sparse"] = [list(pair) for pair in sorted(row["sparse"].items())]
    assert theirs == ours
