"""The scenarios, a module for each kind of call."""

from __future__ import annotations

from tests.integration.client.harness import SCENARIOS
from tests.integration.client.scenarios import collections, databases, indexes, loading, schemas, server, users

__all__ = ["SCENARIOS", "collections", "databases", "indexes", "loading", "schemas", "server", "users"]
