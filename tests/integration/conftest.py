"""Real servers for the tests of this directory, started when the first test wants them.

Each fixture is an object with ``uri`` and ``running``, shared by all tests.
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from headrace import embedded
from tests.servers.lite251 import Lite251
from tests.servers.milvus235 import ROOT_TOKEN, Milvus235

#: Fixtures that start a server which has to be installed first: their tests are long ones, whatever they do.
_INSTALLED = {"guarded235", "lite251", "milvus235"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what needs an installed server, before pytest chooses by marker."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        # Of all tests, not only those of this directory: elsewhere a parameter of that name may be anything.
        if _INSTALLED & {*getattr(item, "fixturenames", ()), str(params.get("server"))}:
            item.add_marker(pytest.mark.long)


@pytest.fixture
def server(request):
    """The server that ``indirect`` names."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def lite322(tmp_path_factory):
    """The Milvus Lite 3.2 that headrace runs for a path, at its address."""
    lease = embedded.acquire(tmp_path_factory.mktemp("lite") / "a.db")
    try:
        yield SimpleNamespace(uri=f"http://{lease.address}", running=True, token="")
    finally:
        lease.release()


@pytest.fixture(scope="session")
def milvus235():
    """A Milvus 2.3.5 server with its default settings."""
    with Milvus235() as server:
        server.token = ""
        yield server


@pytest.fixture(scope="session")
def guarded235():
    """A Milvus 2.3.5 server that asks who comes; ``token`` is its root's."""
    with Milvus235({"common.security.authorizationEnabled": "true"}) as server:
        yield SimpleNamespace(uri=server.uri, running=True, token=ROOT_TOKEN)


@pytest.fixture(scope="session")
def lite251():
    """A Milvus Lite 2.5.1."""
    with Lite251() as server:
        yield server


@pytest.fixture
def collection(request):
    """A collection name that no other test has."""
    return re.sub(r"\W", "_", request.node.name)[:200]


@pytest.fixture(autouse=True)
def _no_credentials_from_outside(monkeypatch):
    for name in ("MILVUS_URI", "MILVUS_TOKEN", "MILVUS_DB"):
        monkeypatch.delenv(name, raising=False)
