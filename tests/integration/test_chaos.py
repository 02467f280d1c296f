"""Milvus 2.3.5 behind a bad network, and loaders that are killed: a few of the moments that ``make chaos`` tries.

Kills of the server itself are in ``test_milvus_235_trouble.py``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

import headrace
from tests.chaos.run import run
from tests.integration.readback import connect, count
from tests.integration.rows235 import simple
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.long

#: Those that are done soonest, of every kind of keys.
SEEDS = (
    "reset-2",
    "reset-early-2",
    "cut-3",
    "requests-lost-2",
    "answers-lost-4",
    "black-hole-6",
    "held-3",
    "loader-killed-2",
    "loader-killed-early-4",
    "loader-killed-held-5",
)
ROWS, DIM = 150, 64


def test_keyed_rows_are_there_once_whatever_happens_on_the_way(milvus235):
    # Most of the time each of them waits for what may still land.
    with ThreadPoolExecutor(len(SEEDS)) as pool:
        lines = list(pool.map(lambda seed: run(milvus235, seed), SEEDS))
    assert [line for line in lines if not line["ok"]] == []
    assert [line["seed"] for line in lines if not line["counted"]] == []
    assert [line["seed"] for line in lines if line["late"]] == ["held-3", "loader-killed-held-5"]


def test_a_write_that_the_network_held_back_doubles_rows_that_are_only_sent_again(milvus235, collection):
    rows = simple(ROWS, dim=DIM)
    headrace.load(rows.slice(0, 0), collection=collection, uri=milvus235.uri, create=True)
    with Proxy(milvus235.address) as network:
        network.hold()
        with connect(network, dedicated=True) as client, pytest.raises(grpc.RpcError):
            client.insert(collection, rows.to_pylist(), timeout=2)
        with connect(network, dedicated=True) as client:
            client.insert(collection, rows.to_pylist(), timeout=20)
        assert [held.delivered for held in network.held] == [True]
    with connect(milvus235) as client:
        assert count(client, collection) == 2 * ROWS


@pytest.mark.parametrize("searchable", ["before", "after"])
def test_a_write_that_the_network_held_back_doubles_nothing_in_a_load(milvus235, collection, searchable):
    rows = simple(ROWS, dim=DIM)
    with Proxy(milvus235.address) as network:
        network.hold()
        options = {"create": True, "searchable": searchable, "rpc_timeout": 3.0}
        report = headrace.load(rows, collection=collection, uri=network.uri, **options)
        assert [held.delivered for held in network.held] == [True]
    assert (report.rows_stored, report.mode, report.guarantee) == (ROWS, "insert", "effectively-once")
    with connect(milvus235) as client:
        assert count(client, collection) == ROWS
