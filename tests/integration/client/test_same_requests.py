"""What pymilvus puts into a search and what headrace does, compared field by field: servers of Milvus 3.0 are rare."""

from __future__ import annotations

import json

import pymilvus
import pytest
from pymilvus.client.prepare import Prepare
from pymilvus.grpc_gen import common_pb2, milvus_pb2

import headrace
from headrace import client_calls
from headrace.calls import LastWrite
from headrace.errors import ConfigError, SchemaError

VECTORS = [[0.5, 1.0], [2.0, 3.0]]


def decay(lib):
    return lib.Function(
        name="time_decay",
        input_field_names=["timestamp"],
        function_type=lib.FunctionType.RERANK,
        params={"reranker": "decay", "function": "gauss", "origin": 1000, "offset": 5, "decay": 0.5, "scale": 100},
    )


def boost(lib):
    params = {"reranker": "boost", "filter": "doctype == 'abstract'", "random_score": {"seed": 126}, "weight": 0.5}
    return lib.Function(
        name="boost", input_field_names=[], function_type=lib.FunctionType.RERANK, params=params, description="halved"
    )


def several(lib):
    return lib.FunctionScore(
        functions=[boost(lib), decay(lib)], params={"boost_mode": "Multiply", "function_mode": "Sum"}
    )


def lexical(lib):
    marks = lib.LexicalHighlighter(pre_tags=["<em>"], post_tags=["</em>"], highlight_search_text=True, fragment_size=40)
    marks.with_query("text", "milvus", "TextMatch")
    return marks


def semantic(lib):
    return lib.SemanticHighlighter(["what?"], ["text"], threshold=0.5, highlight_only=True)


CASES = {
    "nothing else": lambda lib: {},
    "decay": lambda lib: {"ranker": decay(lib)},
    "boost": lambda lib: {"ranker": boost(lib)},
    "several rankers": lambda lib: {"ranker": several(lib)},
    "marked words": lambda lib: {"highlighter": lexical(lib)},
    "marked meaning": lambda lib: {"highlighter": semantic(lib)},
    "keys": lambda lib: {"data": None, "ids": [4, 2]},
    "keys of text": lambda lib: {"data": None, "ids": ["a", "é"]},
    "texts": lambda lib: {"data": ["whats this?", "é"]},
    "offset and groups": lambda lib: {"offset": 3, "group_by_field": "g", "group_size": 2, "strict_group_size": True},
    "growing": lambda lib: {"ignore_growing": True, "round_decimal": 3},
}


def ours(**given):
    operation = client_calls.search("docs", **{"data": VECTORS, "anns_field": "v", **given})
    assert next(operation) == LastWrite("docs")
    return milvus_pb2.SearchRequest.FromString(operation.send(0).request.SerializeToString())


def theirs(**given):
    given = {"data": VECTORS, "anns_field": "v", "param": {}, "limit": 10, "expr": "", **given}
    return Prepare.search_requests_with_expr("docs", guarantee_timestamp=1, **given)


def shown(request):
    """A request's fields by name; parameters and vectors taken apart."""
    found = {field.name: value for field, value in request.ListFields()}
    if "placeholder_group" in found:
        found["placeholder_group"] = common_pb2.PlaceholderGroup.FromString(found["placeholder_group"])
    found["search_params"] = pairs(request.search_params)
    if "highlighter" in found:
        found["highlighter"] = found["highlighter"].type, pairs(found["highlighter"].params)
    return found


def pairs(parameters):
    """Parameters by name; servers read True and true alike."""
    return {pair.key: value_of(pair.value) for pair in parameters}


def value_of(text):
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text


@pytest.mark.parametrize("case", CASES)
def test_a_search_asks_for_the_same(case):
    given = CASES[case]
    assert shown(ours(**given(headrace))) == shown(theirs(**given(pymilvus)))


@pytest.mark.parametrize("ranker", [decay, lambda lib: lib.RRFRanker(20), lambda lib: lib.WeightedRanker(1)])
def test_a_hybrid_search_is_merged_by_the_same(ranker):
    part = headrace.AnnSearchRequest(VECTORS, "v")
    operation = client_calls.hybrid_search("docs", [part], ranker(headrace), rank_group_scorer="max", offset=2)
    next(operation)
    mine = milvus_pb2.HybridSearchRequest.FromString(operation.send(0).request.SerializeToString())
    other = Prepare.hybrid_search_request_with_ranker(
        "docs", [theirs()], ranker(pymilvus), 10, rank_group_scorer="max", offset=2, guarantee_timestamp=1
    )
    assert mine.function_score == other.function_score
    assert pairs(mine.rank_params) == pairs(other.rank_params)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "data and ids: expected one of them, found neither"),
        ({"data": VECTORS, "ids": [1]}, "data and ids: expected one of them, found both"),
        ({"ids": []}, "ids: expected keys of one type"),
        ({"ids": [1, "a"]}, "ids: expected keys of one type"),
        ({"data": VECTORS, "ranker": headrace.RRFRanker()}, "ranker: expected a Function or a FunctionScore"),
        ({"data": VECTORS, "highlighter": "em"}, "highlighter: expected a LexicalHighlighter"),
        (
            {"data": VECTORS, "search_params": {"order_by_fields": [{"order": "asc"}]}},
            "order_by_fields: expected dicts",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_named(given, words):
    operation = client_calls.search("docs", **given)
    with pytest.raises(ConfigError) as raised:
        next(operation)
        operation.send(0)
    assert words in str(raised.value)


def test_a_score_of_no_function_is_refused():
    with pytest.raises(SchemaError, match="functions: expected one Function or several, found none"):
        headrace.FunctionScore([])


def test_orders_and_groups_stand_beside_the_parameters_of_the_index():
    params = {
        "order_by_fields": [{"field": "price", "order": "desc"}, {"field": "year"}],
        "group_by_fields": ["a", "b"],
        "timezone": "UTC",
        "ef": 5,
    }
    sent = shown(ours(search_params=params))["search_params"]
    assert sent["order_by_fields"] == "price:desc,year:asc"
    assert (sent["group_by_fields"], sent["timezone"], sent["params"]) == ("a,b", "UTC", {"ef": 5})
