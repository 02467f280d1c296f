"""Milvus 2.3.5 killed in the middle of a load, short of quota, or asking for credentials."""

from __future__ import annotations

import threading
import traceback

import numpy as np
import pytest

import headrace
from headrace import Endpoint, MilvusException
from tests.integration.readback import comparable, connect, count, stored_rows
from tests.integration.rows235 import simple
from tests.servers.milvus235 import Milvus235

pytestmark = pytest.mark.long

ROWS, CHUNK = 20_000, 500
#: Small requests, so that some are in flight and some wait at any moment.
OPTIONS = {"create": True, "batch_bytes": 64 << 10, "check": False}


@pytest.fixture
def server():
    """A server of the test's own, to be killed."""
    with Milvus235() as server:
        yield server


def verdicts(report):
    names = ("stored", "superseded", "skipped", "rejected", "unknown", "unsent")
    found = {name: getattr(report, f"rows_{name}") for name in names}
    assert sum(found.values()) == report.rows_read
    return {name: rows for name, rows in found.items() if rows}


class Outages:
    """Batches of ``rows``; before some of them the server is killed and, elsewhere, started again."""

    def __init__(self, server, rows, before, *, restart=True):
        self._server, self._rows, self._before, self._restart = server, rows, before, restart
        self._restarts = []

    def __iter__(self):
        for number, batch in enumerate(self._rows.to_batches(max_chunksize=CHUNK)):
            if number in self._before:
                self.join()
                self._server.kill()
                if self._restart:
                    self._restarts.append(threading.Thread(target=self._server.restart))
                    self._restarts[-1].start()
            yield batch

    def join(self):
        for thread in self._restarts:
            thread.join()


@pytest.mark.parametrize("mode", ["auto", "upsert"])
def test_a_keyed_load_goes_on_by_itself_after_the_server_was_killed(server, collection, mode):
    rows = simple(ROWS)
    source = Outages(server, rows, {8, 20, 32})
    report = headrace.load(iter(source), collection=collection, uri=server.uri, mode=mode, verify="count", **OPTIONS)
    source.join()
    assert report.failure is None
    assert verdicts(report) == {"stored": ROWS}
    assert (report.exit_status, report.source_exhausted) == (0, True)
    assert sum(report.retries.values()) > 0
    with connect(server) as client:
        assert count(client, collection) == ROWS
        stored = stored_rows(client, collection)
    for found, expected in zip(stored, rows.to_pylist(), strict=True):
        assert comparable(found, single=("vector",)) == comparable(expected, single=("vector",))


def test_a_load_into_a_server_that_stays_away_ends_with_an_exact_account(server, collection):
    source = Outages(server, simple(ROWS), {20}, restart=False)
    report = headrace.load(iter(source), collection=collection, uri=server.uri, give_up_after=5.0, **OPTIONS)
    found = verdicts(report)
    assert report.exit_status == 4
    assert "no request succeeded for 5 s" in report.status
    assert found["stored"] > 0
    assert found["unknown"] + found["unsent"] > 0
    server.restart()
    again = headrace.load(simple(ROWS), collection=collection, uri=server.uri, searchable="before", verify="count")
    assert again.exit_status == 0
    with connect(server) as client:
        assert count(client, collection) == ROWS


def test_rows_with_keys_of_the_server_are_all_there_after_it_was_killed_and_doubles_are_told(server, collection):
    rows = simple(ROWS).drop_columns(["id"])
    source = Outages(server, rows, {20})
    report = headrace.load(iter(source), collection=collection, uri=server.uri, auto_id=True, **OPTIONS)
    source.join()
    assert verdicts(report) == {"stored": ROWS}
    with connect(server) as client:
        stored = [row["number"] for row in stored_rows(client, collection, fields=["number"])]
    assert set(stored) == set(rows["number"].to_pylist())
    assert ROWS <= len(stored) <= ROWS + report.rows_possibly_duplicated


def test_what_was_acknowledged_before_a_kill_is_there_after_it(server, collection):
    report = headrace.load(simple(ROWS), collection=collection, uri=server.uri, create=True, searchable="no")
    assert report.rows_stored == ROWS
    server.restart()
    with connect(server) as client:
        client.load_collection(collection)
        assert count(client, collection) == ROWS


def test_a_write_quota_slows_a_load_down_and_loses_nothing(collection):
    settings = {
        "quotaAndLimits.enabled": "true",
        "quotaAndLimits.dml.enabled": "true",
        "quotaAndLimits.dml.insertRate.collection.max": "1",
        "quotaAndLimits.dml.upsertRate.collection.max": "1",
    }
    with Milvus235(settings) as server:
        rows = simple(ROWS)
        report = headrace.load(rows, collection=collection, uri=server.uri, verify="count", **OPTIONS)
        assert verdicts(report) == {"stored": ROWS}
        assert (report.exit_status, report.rows_possibly_duplicated) == (0, 0)
        assert set(report.retries) == {"throttle"}
        assert report.throttled_seconds > 0
        with connect(server) as client:
            assert count(client, collection) == ROWS
            numbers = [row["number"] for row in stored_rows(client, collection, fields=["number"])]
        assert numbers == rows["number"].to_pylist()


@pytest.fixture(scope="module")
def guarded():
    """A server that wants credentials."""
    with Milvus235({"common.security.authorizationEnabled": "true"}) as server:
        yield server


@pytest.mark.parametrize("token", [None, "root:Wrong-s3cret", "somebody:Wrong-s3cret", "Wrong-s3cret"])
def test_credentials_that_are_missing_or_wrong_are_one_clear_error_without_them(guarded, collection, caplog, token):
    endpoint = Endpoint(uri=guarded.uri, token=token)
    with pytest.raises(MilvusException) as raised:
        headrace.load(simple(10), collection=collection, endpoint=endpoint, create=True)
    error = raised.value
    assert error.code == 1400
    given = "no credentials" if token is None else "credentials that it refused"
    assert str(error).startswith(
        f"Connect: the server refused with code 1400: server {guarded.address}: "
        f"expected credentials that it accepts, found {given}"
    )
    assert str(error).endswith("; give user:password or an API key as the token (MILVUS_TOKEN)")
    shown = "".join(traceback.format_exception(error)) + repr(endpoint) + caplog.text
    assert "s3cret" not in shown
    assert endpoint.authorization is None or endpoint.authorization not in shown


def test_the_right_credentials_load(guarded, collection):
    for given in ({"token": "root:Milvus"}, {"user": "root", "password": "Milvus"}):
        report = headrace.load(simple(100), collection=collection, uri=guarded.uri, create=True, verify="full", **given)
        assert report.exit_status == 0
        assert "root:Milvus" not in report.to_json()


def test_a_user_without_the_privilege_to_write_is_refused_at_once(guarded, collection):
    headrace.load(simple(10), collection=collection, uri=guarded.uri, token="root:Milvus", create=True)
    with connect(guarded, token="root:Milvus") as client:
        client.create_user("reader", "Reader-s3cret")
        client.create_role("readers")
        for privilege in ("DescribeCollection", "Query", "GetLoadState"):
            client.grant_privilege("readers", "Collection", privilege, collection)
        client.grant_role("reader", "readers")
    report = headrace.load(
        simple(10, start=10),
        collection=collection,
        uri=guarded.uri,
        token="reader:Reader-s3cret",
        check=False,
    )
    assert verdicts(report) == {"unsent": 10}
    assert report.exit_status == 4
    assert "PermissionDenied" in report.failure.replace("PERMISSION_DENIED", "PermissionDenied")
    assert "s3cret" not in report.to_json()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_servers_run_side_by_side(milvus235, server, collection, dtype):
    data = {"id": np.arange(50), "vector": np.ones((50, 8), dtype)}
    for where in (milvus235, server):
        assert headrace.load(data, collection=collection, uri=where.uri, create=True, verify="full").exit_status == 0
    assert milvus235.uri != server.uri
