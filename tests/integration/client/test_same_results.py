from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pymilvus
import pytest

import headrace
from tests.integration.client.harness import Awaiting, observe
from tests.integration.client.scenarios import SCENARIOS

CASES = [pytest.param(given, engine, id=f"{given.name}-{engine}") for given in SCENARIOS for engine in given.engines]


@pytest.fixture(scope="module")
def references():
    """What pymilvus's users see, by scenario and engine: asked once for both of headrace's clients."""
    return {}


@pytest.fixture(autouse=True)
def _pymilvus_looks_at_once(monkeypatch):
    # It waits half a second before its first look at an index.
    pause = SimpleNamespace(time=time.time, sleep=lambda seconds: threading.Event().wait(min(seconds, 0.01)))
    monkeypatch.setattr("pymilvus.client.grpc_handler.time", pause)


@pytest.mark.parametrize("kind", [headrace.MilvusClient, Awaiting], ids=["sync", "async"])
@pytest.mark.parametrize(("given", "server"), CASES, indirect=["server"])
def test_a_scenario_sees_what_it_sees_with_pymilvus(given, server, kind, references):
    key = given.name, server.uri
    if key not in references:
        references[key] = run(given, pymilvus, pymilvus.MilvusClient(server.uri, token=server.token))
    assert run(given, headrace, kind(server.uri, token=server.token)) == references[key]


def run(given, lib, client):
    try:
        return observe(given, lib, client)
    finally:
        client.close()
