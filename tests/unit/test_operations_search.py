from __future__ import annotations

import numpy as np
import pytest

from headrace import operations as ops
from headrace._proto import common_pb2, milvus_pb2, schema_pb2
from headrace.collection_messages import schema_to_proto
from headrace.errors import ConfigError, InputError
from headrace.schema import CollectionSchema, ConsistencyLevel, DataType, FieldSchema


def answer_of(operation, answer):
    """Run an operation of one call against an answer; returns its request and its result."""
    step = next(operation)
    try:
        operation.send(answer.SerializeToString())
    except StopIteration as end:
        return step, end.value
    raise AssertionError("the operation asks for more")


def pairs(messages):
    return {pair.key: pair.value for pair in messages}


def test_search_request_and_its_hits():
    results = schema_pb2.SearchResultData(num_queries=2, top_k=2, topks=[2, 1], scores=[0.5, 0.25, 0.125])
    results.ids.int_id.data.extend([3, 4, 5])
    results.fields_data.add(field_name="title", type=DataType.VARCHAR).scalars.string_data.data.extend("abc")
    operation = ops.search(
        "docs",
        [[1, 2], [3, 4]],
        ops.Scope("id > 1", None, ["title"], ["p"], ConsistencyLevel.BOUNDED),
        anns_field="dense",
        limit=2,
        search_params={"metric_type": "COSINE", "params": {"ef": 64}},
        options={"offset": 1},
    )
    step, hits = answer_of(operation, milvus_pb2.SearchResults(results=results))
    assert hits == [
        [
            {"id": 3, "distance": 0.5, "entity": {"title": "a"}},
            {"id": 4, "distance": 0.25, "entity": {"title": "b"}},
        ],
        [{"id": 5, "distance": 0.125, "entity": {"title": "c"}}],
    ]
    request = step.request
    assert step.method == "Search"
    assert (request.nq, request.dsl, request.dsl_type) == (2, "id > 1", 1)
    assert list(request.output_fields) == ["title"]
    assert list(request.partition_names) == ["p"]
    assert (request.consistency_level, request.guarantee_timestamp) == (2, 2)
    assert pairs(request.search_params) == {
        "topk": "2",
        "params": '{"ef": 64}',
        "round_decimal": "-1",
        "ignore_growing": "false",
        "metric_type": "COSINE",
        "anns_field": "dense",
        "offset": "1",
    }
    group = common_pb2.PlaceholderGroup.FromString(request.placeholder_group)
    assert [(item.tag, item.type, len(item.values)) for item in group.placeholders] == [("$0", 101, 2)]


def test_search_without_hits_has_a_list_for_each_query():
    results = schema_pb2.SearchResultData(num_queries=2, topks=[0, 0])
    assert answer_of(ops.search("docs", [[1], [2]]), milvus_pb2.SearchResults(results=results))[1] == [[], []]


@pytest.mark.parametrize(
    ("ranker", "strategy", "params"),
    [
        (ops.RRFRanker(), "rrf", '{"k": 60}'),
        (ops.WeightedRanker(0.25, 1), "weighted", '{"weights": [0.25, 1], "norm_score": true}'),
    ],
)
def test_hybrid_search_request(ranker, strategy, params):
    parts = [ops.AnnSearchRequest([[1, 2]], "dense", limit=5), ops.AnnSearchRequest({3: 1.0}, "sparse", expr="id > 1")]
    results = schema_pb2.SearchResultData(num_queries=1, topks=[0])
    step, hits = answer_of(
        ops.hybrid_search("docs", parts, ranker, ops.Scope(output_fields=["title"]), limit=4),
        milvus_pb2.SearchResults(results=results),
    )
    assert hits == [[]]
    assert step.method == "HybridSearch"
    assert pairs(step.request.rank_params) == {
        "strategy": strategy,
        "params": params,
        "limit": "4",
        "round_decimal": "-1",
        "offset": "0",
    }
    assert [pairs(part.search_params)["anns_field"] for part in step.request.requests] == ["dense", "sparse"]
    assert [pairs(part.search_params)["topk"] for part in step.request.requests] == ["5", "10"]
    assert step.request.requests[1].dsl == "id > 1"


def test_limit_below_one_is_refused_before_a_call():
    with pytest.raises(ConfigError, match="limit: expected a number of at least 1, found 0; give a positive number"):
        next(ops.search("docs", [[1, 2]], limit=0))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ops.RRFRanker(0), "k: expected a number above 0 and below 16384, found 0; 60 is usual"),
        (lambda: ops.WeightedRanker(0.5, 1.5), "weights: expected numbers from 0 to 1, found 1.5; scale them"),
    ],
)
def test_rankers_refuse_what_the_server_would(make, text):
    with pytest.raises(ConfigError) as raised:
        make()
    assert str(raised.value) == text


HALF = FieldSchema("half", DataType.FLOAT16_VECTOR, dim=2)
BITS = FieldSchema("bits", DataType.BINARY_VECTOR, dim=8)


def asked(step, answer):
    """What a memory would give that knows nothing and asks."""
    asking = step.make()
    assert next(asking).method == "DescribeCollection"
    with pytest.raises(StopIteration) as end:
        asking.send(answer)
    return end.value.value


def described(*fields):
    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), *fields])
    return milvus_pb2.DescribeCollectionResponse(schema=schema_to_proto(schema, "docs"), collection_name="docs")


def placeholder_of(request):
    group = common_pb2.PlaceholderGroup.FromString(request.placeholder_group)
    return group.placeholders[0].type, list(group.placeholders[0].values)


def test_the_collection_is_asked_what_bytes_and_small_numbers_are():
    vector = np.array([1, -2], np.float16)
    for data, anns_field, fields in (
        (vector, "", [HALF]),
        ([vector.tobytes()], "half", [BITS, HALF]),
    ):
        operation = ops.search("docs", data, anns_field=anns_field)
        step = operation.send(asked(next(operation), described(*fields)))
        assert placeholder_of(step.request) == (102, [vector.tobytes()])


def test_a_type_that_the_caller_knows_is_not_asked_for():
    step = next(ops.search("docs", [b"abcd"], vector_type=DataType.BFLOAT16_VECTOR))
    assert placeholder_of(step.request) == (103, [b"abcd"])


def test_bytes_are_bits_where_the_field_is_not_known():
    operation = ops.search("docs", [b"a"])
    known = asked(next(operation), described(HALF, BITS))
    assert placeholder_of(operation.send(known).request) == (100, [b"a"])


def test_vectors_of_another_type_are_refused_before_the_search():
    operation = ops.search("docs", np.zeros(2, np.int8), anns_field="half")
    known = asked(next(operation), described(HALF))
    with pytest.raises(InputError, match="data: expected vectors for FLOAT16_VECTOR, found INT8_VECTOR"):
        operation.send(known)


def test_the_parts_of_a_hybrid_search_have_their_fields_types():
    parts = [ops.AnnSearchRequest([b"a"], "bits"), ops.AnnSearchRequest([[1.0, 2.0]], "dense")]
    operation = ops.hybrid_search("docs", parts, ops.RRFRanker())
    step = operation.send(asked(next(operation), described(BITS, FieldSchema("dense", DataType.FLOAT_VECTOR, dim=2))))
    assert [placeholder_of(part)[0] for part in step.request.requests] == [100, 101]
