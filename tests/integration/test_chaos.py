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

#: Faults, each with the number of the seed that is done soonest; together they have every kind of keys.
FAULTS = {
    "reset": 2,
    "reset-early": 2,
    "cut": 3,
    "requests-lost": 2,
    "answers-lost": 4,
    "black-hole": 6,
    "held": 3,
    "loader-killed": 2,
    "loader-killed-early": 4,
    "loader-killed-held": 5,
}
#: Those in which the network delivers a write after its end.
LATE = {"held", "loader-killed-held"}
#: Runs of a fault, with seeds that follow each other, until a strike meets a write: that is a matter of milliseconds.
MOST_RUNS = 4
ROWS, DIM = 150, 64


def struck(server, fault):
    """The lines of the runs of a fault, the last of which met a write, where any did."""
    lines = []
    for number in range(FAULTS[fault], FAULTS[fault] + MOST_RUNS):
        lines.append(run(server, f"{fault}-{number}"))
        if not lines[-1]["ok"] or (lines[-1]["counted"] and (lines[-1]["late"] or fault not in LATE)):
            break
    return lines


def test_keyed_rows_are_there_once_whatever_happens_on_the_way(milvus235):
    # Most of the time each of them waits for what may still land.
    with ThreadPoolExecutor(len(FAULTS)) as pool:
        found = dict(zip(FAULTS, pool.map(lambda fault: struck(milvus235, fault), FAULTS), strict=True))
    assert [line for lines in found.values() for line in lines if not line["ok"]] == []
    assert [fault for fault, lines in found.items() if not lines[-1]["counted"]] == []
    assert {fault for fault, lines in found.items() if lines[-1]["late"]} == LATE


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
