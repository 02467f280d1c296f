"""Collections: made, described, listed, dropped."""

from __future__ import annotations

from tests.integration.client.harness import outcome, scenario

__all__: list[str] = []


@scenario
def missing_collections(lib, client, name):
    yield client.has_collection(name)
    yield client.drop_collection(name)
    yield outcome(client.describe_collection, name)
