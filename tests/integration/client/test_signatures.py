"""Every parameter that pymilvus's clients name is taken under its name, at its place, with its default."""

from __future__ import annotations

import inspect

import pymilvus
import pytest

import headrace

#: Languages of their own, which only Milvus 3.0 has.
LATER = {"search": {"function_chains", "search_aggregation"}}
#: Defaults that say the same in other words: a limit of -1 is none, an index that is not named is the only one.
OTHERWISE = {("describe_index", "index_name"), ("search", "data")}
NONE = (None, "", -1, False)
METHODS = sorted(
    name for name in dir(headrace.MilvusClient) if not name.startswith("_") and hasattr(pymilvus.MilvusClient, name)
)


def parameters(client, name):
    found = inspect.signature(getattr(client, name)).parameters.values()
    wanted = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [item for item in found if item.kind in wanted and item.name != "self"]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_what_pymilvus_names(name):
    theirs = [item for item in parameters(pymilvus.MilvusClient, name) if item.name not in LATER.get(name, ())]
    ours = {item.name: item for item in parameters(headrace.MilvusClient, name)}
    assert {item.name for item in theirs} - set(ours) == set()
    places = [item.name for item in ours.values() if item.kind is item.POSITIONAL_OR_KEYWORD]
    wanted = [item.name for item in theirs if item.kind is item.POSITIONAL_OR_KEYWORD]
    assert places[: len(wanted)] == wanted
    for item in theirs:
        found = ours[item.name].default
        same = found == item.default or (found in NONE and item.default in NONE)
        assert same or (name, item.name) in OTHERWISE


def test_the_awaited_client_takes_what_pymilvus_s_names():
    for name in METHODS:
        if hasattr(pymilvus.AsyncMilvusClient, name):
            theirs = {item.name for item in parameters(pymilvus.AsyncMilvusClient, name)}
            ours = {item.name for item in parameters(headrace.AsyncMilvusClient, name)}
            assert theirs - ours - LATER.get(name, set()) == set(), name


def test_none_of_the_calls_is_missing():
    assert len(METHODS) > 70
