"""What the tests of libraries share: a server for each of their modules, which keeps what one program loaded."""

from __future__ import annotations

import pytest

from tests.fake_milvus import FakeMilvus


@pytest.fixture(scope="module")
def server():
    """A fake server."""
    with FakeMilvus() as fake:
        yield fake
