"""Each stored vector must find its own row; what excuses it, and what does not. Answers are made by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace._proto import common_pb2, milvus_pb2, schema_pb2
from headrace.collection_messages import CollectionInfo
from headrace.ndarrays import vector_bytes
from headrace.nearest import HITS, verify_nearest
from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.arrow_versions import arrow_array

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
        FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR),
    ]
)
INFO = CollectionInfo("c", SCHEMA)
PAIRS = pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))


def dense(vectors, keys=None):
    keys = list(range(1, len(vectors) + 1)) if keys is None else keys
    return pa.RecordBatch.from_arrays([pa.array(keys), pa.array(vectors, pa.list_(pa.float32(), 2))], names=["id", "v"])


def index(field, metric):
    params = [common_pb2.KeyValuePair(key="metric_type", value=metric)]
    return milvus_pb2.IndexDescription(index_name=field, field_name=field, params=params, state=3)


class Answers:
    """Answers DescribeIndex with ``indexes`` and each Search with the next of ``hits``: lists of (key, distance)."""

    def __init__(self, *hits, **indexes):
        self.hits = list(hits)
        self.indexes = indexes
        self.searches = []

    def run(self, operation):
        answer = None
        try:
            while True:
                rpc = operation.send(answer)
                answer = self._answer(rpc)
        except StopIteration as end:
            return end.value

    def _answer(self, rpc):
        if rpc.method == "DescribeIndex":
            return milvus_pb2.DescribeIndexResponse(index_descriptions=[index(f, m) for f, m in self.indexes.items()])
        self.searches.append(rpc.request)
        found = self.hits.pop(0)
        flat = [hit for query in found for hit in query]
        data = schema_pb2.SearchResultData(
            num_queries=len(found),
            topks=[len(query) for query in found],
            ids=schema_pb2.IDs(int_id=schema_pb2.LongArray(data=[key for key, _ in flat])),
            scores=[score for _, score in flat],
        )
        return milvus_pb2.SearchResults(results=data).SerializeToString()


def others(distance, count=HITS):
    return [(1000 + number, distance) for number in range(count)]


def test_a_row_that_finds_itself_is_fine():
    answers = Answers([[(1, 1.0)], [(9, 1.0), (2, 1.0)]], v="COSINE")
    assert answers.run(verify_nearest(INFO, dense([[1.0, 0.0], [0.0, 2.0]]))) == []
    assert answers.searches[0].nq == 2


def test_a_row_that_finds_only_others_is_named():
    answers = Answers([others(0.5)], v="COSINE")
    assert answers.run(verify_nearest(INFO, dense([[1.0, 0.0]]))) == [
        {
            "key": 1,
            "field": "v",
            "expected": "its own row among 10 hits by COSINE",
            "found": "10 others, from 1000 at 0.5",
        }
    ]


def test_a_row_that_finds_too_few_is_named():
    answers = Answers([[]], v="COSINE")
    assert answers.run(verify_nearest(INFO, dense([[1.0, 0.0]])))[0]["found"] == "no hit"


@pytest.mark.parametrize(
    ("metric", "distance", "lost"),
    [
        ("COSINE", 1.0, False),
        ("COSINE", 0.99, True),
        ("L2", 0.0, False),
        ("L2", 0.5, True),
        ("IP", 25.0, False),
        ("IP", 70.0, False),
        ("IP", 24.0, True),
    ],
)
def test_equally_near_or_nearer_hits_excuse_a_row(metric, distance, lost):
    answers = Answers([others(distance)], v=metric)
    assert bool(answers.run(verify_nearest(INFO, dense([[3.0, 4.0]])))) is lost


def test_sparse_vectors_are_searched_by_their_own_index():
    columns = [pa.array([1, 2]), pa.array([[{"index": 3, "value": 2.0}], []], PAIRS)]
    answers = Answers([[(1, 4.0)]], s="IP")
    assert answers.run(verify_nearest(INFO, pa.RecordBatch.from_arrays(columns, names=["id", "s"]))) == []
    # The empty row has no direction to search in.
    assert answers.searches[0].nq == 1


@pytest.mark.parametrize(
    ("dtype", "kind", "rows", "metric"),
    [
        (DataType.FLOAT16_VECTOR, pa.list_(pa.float16(), 8), [[3.0] * 8, [0.0] * 8], "COSINE"),
        (DataType.BFLOAT16_VECTOR, pa.binary(16), [b"\x40\x40" * 8, bytes(16)], "IP"),
        (DataType.INT8_VECTOR, pa.list_(pa.int8(), 8), [[-3] * 8, [0] * 8], "L2"),
        (DataType.BINARY_VECTOR, pa.binary(1), [b"\x81", b"\x00"], "HAMMING"),
        (DataType.BINARY_VECTOR, pa.binary(1), [b"\x81", b"\x00"], "JACCARD"),
    ],
)
def test_vectors_of_every_type_are_searched_as_they_are_stored(dtype, kind, rows, metric):
    schema = CollectionSchema([SCHEMA.primary_key, FieldSchema("v", dtype, dim=8, nullable=True)])
    batch = pa.RecordBatch.from_arrays([pa.array([1, 2, 3]), arrow_array([*rows, None], kind)], names=["id", "v"])
    answers = Answers([[(1, 1.0)]], v=metric)
    assert answers.run(verify_nearest(CollectionInfo("c", schema), batch)) == []
    placeholder = common_pb2.PlaceholderGroup.FromString(answers.searches[0].placeholder_group).placeholders[0]
    assert (placeholder.type, list(placeholder.values)) == (dtype, [vector_bytes(batch.column(1))[0].tobytes()])


def test_a_binary_vector_is_lost_where_others_are_nearer_than_nothing():
    schema = CollectionSchema([SCHEMA.primary_key, FieldSchema("v", DataType.BINARY_VECTOR, dim=8)])
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([b"a"], pa.binary(1))], names=["id", "v"])
    info = CollectionInfo("c", schema)
    assert Answers([others(0.0)], v="HAMMING").run(verify_nearest(info, batch)) == []
    assert len(Answers([others(1.0)], v="HAMMING").run(verify_nearest(info, batch))) == 1
    assert Answers(v="COSINE").run(verify_nearest(info, batch)) == []


def test_vectors_of_zeros_and_fields_without_a_known_metric_are_not_searched():
    assert Answers(v="COSINE").run(verify_nearest(INFO, dense([[0.0, 0.0]]))) == []
    assert Answers(v="HAMMING").run(verify_nearest(INFO, dense([[1.0, 0.0]]))) == []
    assert Answers().run(verify_nearest(INFO, dense([[1.0, 0.0]]))) == []


def test_no_rows_ask_nothing():
    answers = Answers(v="COSINE")
    assert answers.run(verify_nearest(INFO, dense([]))) == []
    assert answers.searches == []
