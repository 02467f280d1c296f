"""What a server says of itself."""

from __future__ import annotations

from tests.integration.client.harness import scenario

__all__: list[str] = []


@scenario
def the_server(lib, client, name):
    yield client.get_server_version()
    yield client.get_server_version(detail=True)
    yield client.get_server_type()
