"""Fixtures that every test may use. As part of the package ``tests`` it also makes ``tests.fake_milvus`` importable."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.fake_milvus import FakeMilvus

# A busy machine is no fault of the code: examples are bounded by number, never by time.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")


@pytest.fixture
def fake():
    """A running fake Milvus server, stopped after the test."""
    with FakeMilvus() as server:
        yield server
