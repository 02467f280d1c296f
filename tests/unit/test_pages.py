"""Iterators over pages: what each request asks for, and where the walk ends."""

from __future__ import annotations

import asyncio
import json

import pytest

from headrace import operations as ops
from headrace._proto import common_pb2, milvus_pb2, schema_pb2
from headrace.calls import Recall
from headrace.client import AsyncMilvusClient, MilvusClient
from headrace.collection_messages import CollectionInfo
from headrace.errors import ConfigError
from headrace.schema import CollectionSchema, DataType, FieldSchema, IndexParam

SCHEMA = CollectionSchema(
    [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]
)
INFO = CollectionInfo("docs", SCHEMA, collection_id=44)


def pairs(messages):
    return {pair.key: pair.value for pair in messages}


class Server:
    """Answers searches from a list of (key, distance) and keeps the requests; with a token it keeps the place."""

    def __init__(self, hits, *, token="", metric="L2"):
        self.hits = hits
        self.token = token
        self.metric = metric
        self.requests = []

    def run(self, operation):
        answer = None
        try:
            while True:
                step = operation.send(answer)
                assert not isinstance(step, Recall)
                answer = self.index() if step.method == "DescribeIndex" else self.search(step.request)
        except StopIteration as end:
            return end.value

    def index(self):
        metric = common_pb2.KeyValuePair(key="metric_type", value=self.metric)
        found = milvus_pb2.IndexDescription(index_name="v", field_name="v", params=[metric], state=3)
        return milvus_pb2.DescribeIndexResponse(index_descriptions=[found])

    def search(self, request):
        self.requests.append(request)
        params = pairs(request.search_params)
        hits = self.hits
        if "search_iter_last_bound" in params:
            hits = [hit for hit in hits if hit[1] > float(params["search_iter_last_bound"])]
        inner = json.loads(params["params"])
        excluded = json.loads(request.dsl.removeprefix("id not in ")) if request.dsl.startswith("id not in") else []
        least, most = inner.get("range_filter", 0), inner.get("radius", 1e9)
        hits = [hit for hit in hits if least <= hit[1] < most and hit[0] not in excluded]
        hits = hits[: int(params["topk"])]
        data = schema_pb2.SearchResultData(
            num_queries=1,
            topks=[len(hits)],
            ids=schema_pb2.IDs(int_id=schema_pb2.LongArray(data=[key for key, _ in hits])),
            scores=[distance for _, distance in hits],
        )
        if self.token:
            data.search_iterator_v2_results.token = self.token
            data.search_iterator_v2_results.last_bound = hits[-1][1] if hits else 0
        return milvus_pb2.SearchResults(results=data, session_ts=77).SerializeToString()


def walk(server, pages):
    found = []
    while not found or found[-1]:
        found.append(server.run(pages.next()).ids())
    return found


HITS = [(key, float(key // 2)) for key in range(10)]


def test_a_server_that_keeps_the_place_is_told_where_to_go_on():
    server = Server([(key, float(key)) for key in range(7)], token="t1")
    assert walk(server, ops.SearchPages(INFO, "docs", [[0, 0]], batch_size=3)) == [[0, 1, 2], [3, 4, 5], [6], []]
    first, second = (pairs(request.search_params) for request in server.requests[:2])
    assert (first["iterator"], first["search_iter_v2"], first["search_iter_batch_size"]) == ("true", "true", "3")
    assert (first["collection_id"], first["topk"], first["anns_field"]) == ("44", "3", "v")
    assert "search_iter_id" not in first
    assert (second["search_iter_id"], second["search_iter_last_bound"]) == ("t1", "2.0")
    assert [request.guarantee_timestamp for request in server.requests[:2]] == [0, 77]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 9, 10, 11])
def test_rings_find_every_row_once_where_the_server_keeps_no_place(batch_size):
    pages = walk(Server(HITS), ops.SearchPages(INFO, "docs", [[0, 0]], batch_size=batch_size))
    assert [key for page in pages for key in page] == [key for key, _ in HITS]
    assert all(len(page) == batch_size for page in pages[:-2])


def test_rings_of_a_similarity_go_down():
    server = Server([(1, 3.0), (2, 2.0)], metric="IP")
    pages = ops.SearchPages(INFO, "docs", [[0, 0]], ops.Scope("id > 0"), batch_size=2)
    assert server.run(pages.next()).ids() == [1, 2]
    server.run(pages.next())
    inner = pairs(server.requests[1].search_params)["params"]
    assert inner == '{"radius": 1.0, "range_filter": 2.0}'
    assert server.requests[1].dsl == "(id > 0) and id not in [2]"


def test_rings_end_at_the_radius_of_the_caller():
    server = Server(HITS)
    params = {"metric_type": "L2", "params": {"radius": 2.5}}
    pages = walk(server, ops.SearchPages(INFO, "docs", [[0, 0]], batch_size=4, search_params=params))
    assert pages == [[0, 1, 2, 3], [4, 5], []]


def test_a_limit_ends_the_walk_and_a_filter_of_the_caller_is_filled_up():
    server = Server([(key, float(key)) for key in range(20)], token="t")
    pages = ops.SearchPages(
        INFO, "docs", [[0, 0]], batch_size=3, limit=5, external_filter=lambda hits: [hit for hit in hits if hit.id % 2]
    )
    assert walk(server, pages) == [[1, 3, 5], [7, 9], []]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: ops.SearchPages(INFO, "docs", [[0, 0]], batch_size=0),
            "batch_size: expected a number from 1 to 16384",
        ),
        (
            lambda: ops.QueryPages(INFO, "docs", ops.Scope(), batch_size=16_385),
            "batch_size: expected a number from 1 to 16384",
        ),
        (lambda: next(ops.SearchPages(INFO, "docs", [[0, 0]] * 2).next()), "data: expected one query vector, found 2"),
        (
            lambda: ops.SearchPages(CollectionInfo("d", SCHEMA.with_fields([*SCHEMA, FieldSchema("w", 104)])), "d", {}),
            "anns_field: expected one of v, w, found none",
        ),
    ],
)
def test_what_cannot_be_walked_through_is_refused(make, text):
    with pytest.raises(ConfigError) as raised:
        make()
    assert str(raised.value).startswith(text)


@pytest.fixture
def docs(fake):
    with MilvusClient(fake.uri) as client:
        client.create_collection("docs", schema=SCHEMA, index_params=[IndexParam("v", metric_type="L2")])
        client.insert("docs", [{"id": n, "v": [0, 0]} for n in range(25)])
    return fake


def test_a_query_is_walked_through_by_keys(docs):
    docs.calls.clear()
    with MilvusClient(docs.uri) as client:
        pages = client.query_iterator("docs", batch_size=10, output_fields=["id"], limit=22)
        assert [[row["id"] for row in page] for page in pages] == [
            list(range(10)),
            list(range(10, 20)),
            [20, 21],
        ]
        assert pages.next() == []
        pages.close()
    requests = [call.request for call in docs.calls_of("Query")]
    assert [request.expr for request in requests] == ["", "id > 9", "id > 19"]
    assert [pairs(request.query_params)["limit"] for request in requests] == ["10", "10", "2"]
    assert pairs(requests[0].query_params)["iterator"] == "True"


def test_rows_are_skipped_before_the_first_page(docs):
    with MilvusClient(docs.uri) as client:
        pages = client.query_iterator("docs", batch_size=10, output_fields=["id"], offset=21)
        assert [row["id"] for page in pages for row in page] == [21, 22, 23, 24]
        assert client.query_iterator("docs", offset=99).next() == []


def test_pages_are_awaited(docs):
    async def main():
        async with AsyncMilvusClient(docs.uri) as client:
            rows = await client.query_iterator("docs", batch_size=10, output_fields=["id"])
            hits = await client.search_iterator("docs", [[0, 0]], batch_size=30)
            found = [len(page) async for page in rows], [len(page) async for page in hits]
            await rows.close()
            return found

    assert asyncio.run(main()) == ([10, 10, 5], [25])
