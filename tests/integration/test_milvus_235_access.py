"""Milvus 2.3.5 behind TLS, asking for credentials, taking small requests: who gets in, and what ends in the middle."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import headrace
from headrace import ConnectError, Endpoint
from tests.integration.readback import connect, count, stored_rows
from tests.integration.rows235 import simple
from tests.servers.milvus235 import Milvus235

pytestmark = pytest.mark.long

TLS = Path(__file__).parents[1] / "data" / "tls"
ROOT = "root:Milvus"
ROWS, CHUNK, DIM = 20_000, 500, 128
#: The largest request in bytes that the server takes.
LARGEST = 1 << 20


@pytest.fixture(scope="module")
def server():
    """A server with a certificate of an authority that only its clients know."""
    settings = {"common.security.authorizationEnabled": "true", "proxy.grpc.serverMaxRecvSize": str(LARGEST)}
    with Milvus235(settings, tls=TLS) as server:
        yield server


@pytest.fixture
def client(server):
    """The referee."""
    with connect(server, token=ROOT, server_pem_path=str(server.ca), server_name="localhost") as client:
        yield client


def endpoint(server, **options):
    return Endpoint(**{"uri": server.uri, "token": ROOT, "ca_cert": server.ca, **options})


def verdicts(report):
    names = ("stored", "superseded", "skipped", "rejected", "unknown", "unsent")
    found = {name: getattr(report, f"rows_{name}") for name in names}
    assert sum(found.values()) == report.rows_read
    return {name: rows for name, rows in found.items() if rows}


class Stroke:
    """Batches of ``rows`` for a load; when ``after`` of them are stored something happens, then the rest is read."""

    def __init__(self, rows, after, happen):
        self._rows, self._after = rows, after
        self._begun = threading.Event()
        self._thread = threading.Thread(target=happen)

    def progress(self, now):
        """Give this to the load."""
        if now.rows_stored >= self._after and not self._begun.is_set():
            self._thread.start()
            self._begun.set()

    def __iter__(self):
        for number, batch in enumerate(self._rows.to_batches(max_chunksize=CHUNK)):
            if number * CHUNK == self._rows.num_rows // 2:
                assert self._begun.wait(60), "too little was stored"
                self._thread.join()
            yield batch


def load(server, source, collection, **options):
    where = endpoint(server, **{key: options.pop(key) for key in ("token",) if key in options})
    options = {"batch_bytes": 64 << 10, "check": False, **options}
    return headrace.load(source, collection=collection, endpoint=where, **options)


def test_an_authority_of_ones_own_is_trusted_where_it_is_named(server, client, collection):
    report = load(server, simple(1_000, dim=DIM), collection, create=True, verify="full")
    assert (report.exit_status, report.verify["status"]) == (0, "ok")
    assert count(client, collection) == 1_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"ca_cert": TLS / "client.pem"},
        {"ca_cert": None},
        {"server_name": "elsewhere.test"},
        {"uri": "http", "ca_cert": None},
    ],
    ids=["another authority", "no authority", "another host", "no TLS"],
)
def test_a_server_that_cannot_be_trusted_is_one_clear_error(server, client, collection, wrong):
    if "uri" in wrong:
        wrong = wrong | {"uri": f"http://{server.address}"}
    with pytest.raises(ConnectError) as raised:
        headrace.load(simple(10), collection=collection, endpoint=endpoint(server, timeout=2.0, **wrong), create=True)
    message = str(raised.value)
    assert message.startswith(f"server {server.address}: expected a Milvus server within 2 s, found ")
    assert message.endswith("check that it is running, its host and port, and http:// or https://")
    assert not client.has_collection(collection)


def test_credentials_that_are_revoked_in_the_middle_end_the_load_with_its_account(server, client, collection):
    load(server, simple(10, dim=DIM), collection, create=True)
    client.create_user("leaver", "Their-s3cret")
    client.create_role("leaver")
    client.grant_privilege("leaver", "Global", "DescribeCollection", "*")
    for privilege in ("Insert", "Upsert"):
        client.grant_privilege("leaver", "Collection", privilege, collection)
    client.grant_role("leaver", "leaver")
    source = Stroke(simple(ROWS, start=10, dim=DIM), ROWS // 4, lambda: client.drop_user("leaver"))
    report = load(
        server, iter(source), collection, token="leaver:Their-s3cret", mode="insert", progress=source.progress
    )
    found = verdicts(report)
    assert report.exit_status == 4
    assert report.failure.startswith("the server refuses this load: Insert: UNAUTHENTICATED: ")
    assert "s3cret" not in report.to_json()
    assert found["stored"] >= ROWS // 4
    assert found["unsent"] > 0
    assert count(client, collection) == found["stored"] + 10, "what was refused was not stored"
    again = load(server, simple(ROWS, start=10, dim=DIM), collection, verify="count")
    assert (again.mode, again.exit_status, count(client, collection)) == ("upsert", 0, ROWS + 10)


def test_a_collection_that_is_dropped_in_the_middle_ends_the_load_with_nothing_stored(server, client, collection):
    source = Stroke(simple(ROWS, dim=DIM), ROWS // 4, lambda: client.drop_collection(collection))
    report = load(server, iter(source), collection, create=True, progress=source.progress)
    found = verdicts(report)
    assert report.exit_status == 4
    assert "collection" in report.failure
    assert found.keys() == {"unknown", "unsent"}, "what was stored went with it"
    assert found["unknown"] >= ROWS // 4
    assert not client.has_collection(collection)


def test_requests_over_the_limit_go_in_pieces(server, client, collection):
    report = load(server, simple(ROWS, dim=DIM), collection, create=True, batch_bytes=4 * LARGEST, verify="sample")
    assert verdicts(report) == {"stored": ROWS}
    assert report.exit_status == 0
    assert report.retries["split"] > 0
    assert set(report.retries) == {"split"}
    assert [row["number"] for row in stored_rows(client, collection, fields=["number"])] == [
        10 * key for key in range(ROWS)
    ]
    assert count(client, collection) == ROWS
