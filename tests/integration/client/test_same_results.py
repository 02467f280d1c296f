from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pymilvus
import pytest

import headrace
from tests.integration.client.harness import LITE, Awaiting, observe
from tests.integration.client.scenarios import SCENARIOS

CLIENTS = {"sync": headrace.MilvusClient, "async": Awaiting}
#: Both clients drive the same operations, which the slower engines need to be asked for once.
CASES = [
    pytest.param(given, engine, client, id=f"{given.name}-{engine}-{kind}")
    for given in SCENARIOS
    for engine in given.engines
    for kind, client in CLIENTS.items()
    if kind == "sync" or engine == LITE
]


@pytest.fixture(scope="module")
def references():
    """What pymilvus's users see, by scenario and engine: asked once for both of headrace's clients."""
    return {}


@pytest.fixture(autouse=True)
def _pymilvus_looks_at_once(monkeypatch):
    # It waits half a second before its first look at an index.
    pause = SimpleNamespace(time=time.time, sleep=lambda seconds: threading.Event().wait(min(seconds, 0.01)))
    monkeypatch.setattr("pymilvus.client.grpc_handler.time", pause)


@pytest.mark.parametrize(("given", "server", "client"), CASES, indirect=["server"])
def test_a_scenario_sees_what_it_sees_with_pymilvus(given, server, client, references):
    key = given.name, server.uri
    if key not in references:
        references[key] = run(given, pymilvus, pymilvus.MilvusClient(server.uri, token=server.token))
    assert run(given, headrace, client(server.uri, token=server.token)) == references[key]


def run(given, lib, client):
    try:
        return observe(given, lib, client)
    finally:
        client.close()
