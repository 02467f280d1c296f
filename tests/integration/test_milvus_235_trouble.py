"""Milvus 2.3.5 killed in the middle of a load, short of quota, or asking for credentials."""

from __future__ import annotations

import threading
import traceback

import numpy as np
import pytest

import headrace
from headrace import Endpoint, MilvusException
from headrace import operations as ops
from headrace.calls import drive_sync
from headrace.transport import SyncTransport
from tests.integration.readback import comparable, connect, count, stored_rows
from tests.integration.rows235 import simple
from tests.servers.milvus235 import Milvus235

pytestmark = pytest.mark.long

ROWS, CHUNK, DIM = 60_000, 500, 128
#: Small requests, so that some are in flight and some wait at any moment.
OPTIONS = {"create": True, "batch_bytes": 64 << 10, "check": False}

#: A restarted server counts and loads once the sessions of its former self have expired: 47 s with the default.
SOON_ITSELF = {"common.session.ttl": "5"}


@pytest.fixture
def server():
    """A server of the test's own, to be killed."""
    with Milvus235(SOON_ITSELF) as server:
        yield server


def verdicts(report):
    names = ("stored", "superseded", "skipped", "rejected", "unknown", "unsent")
    found = {name: getattr(report, f"rows_{name}") for name in names}
    assert sum(found.values()) == report.rows_read
    return {name: rows for name, rows in found.items() if rows}


class Outages:
    """Batches of ``rows`` for a load that is to meet outages: the server is killed in the middle of its answers.

    Args:
        server: Whom to kill.
        rows: What to load.
        after: Numbers of stored rows after each of which the server is killed once; the last third of the rows is
            held back until all of that is done.
        restart: Whether the server is started again each time.
    """

    def __init__(self, server, rows, after, *, restart=True):
        self._server, self._rows, self._restart = server, rows, restart
        self._due = list(after)
        self._strikes = []
        self._done = threading.Event()

    def progress(self, now):
        """Give this to the load."""
        if self._due and now.rows_stored >= self._due[0] and not (self._strikes and self._strikes[-1].is_alive()):
            self._due.pop(0)
            self._strikes.append(threading.Thread(target=self._strike, args=(not self._due,)))
            self._strikes[-1].start()

    def _strike(self, is_last):
        self._server.kill()
        if self._restart:
            self._server.restart()
        if is_last:
            self._done.set()

    def __iter__(self):
        held_back = self._rows.num_rows * 2 // 3
        for number, batch in enumerate(self._rows.to_batches(max_chunksize=CHUNK)):
            if number * CHUNK == held_back:
                assert self._done.wait(300), "the outages did not come"
            yield batch


def load_when_it_can(server, collection):
    """Load a collection into the memory of a server that was just restarted."""
    with SyncTransport(Endpoint(uri=server.uri)) as transport:
        drive_sync(transport, ops.patiently(lambda: ops.load_collection(collection), budget=120.0))


@pytest.mark.parametrize("mode", ["auto", "upsert"])
def test_a_keyed_load_goes_on_by_itself_after_the_server_was_killed(server, collection, mode):
    rows = simple(ROWS, dim=DIM)
    source = Outages(server, rows, [5_000, 20_000, 35_000])
    options = OPTIONS | {"mode": mode, "verify": "count", "progress": source.progress}
    report = headrace.load(iter(source), collection=collection, uri=server.uri, **options)
    assert report.failure is None
    assert verdicts(report) == {"stored": ROWS}
    assert (report.exit_status, report.source_exhausted) == (0, True)
    assert report.retries["ambiguous"] > 0
    with connect(server) as client:
        assert count(client, collection) == ROWS
        stored = stored_rows(client, collection)
    for found, expected in zip(stored, rows.to_pylist(), strict=True):
        assert comparable(found, single=("vector",)) == comparable(expected, single=("vector",))


def test_a_load_into_a_filled_collection_goes_on_and_is_proven_once_the_server_can_count(server, collection):
    headrace.load(simple(1_000, dim=DIM), collection=collection, uri=server.uri, create=True)
    source = Outages(server, simple(ROWS, dim=DIM, seed=1), [20_000])
    options = OPTIONS | {"verify": "sample", "progress": source.progress}
    report = headrace.load(iter(source), collection=collection, uri=server.uri, **options)
    assert (report.failure, report.mode) == (None, "upsert")
    assert verdicts(report) == {"stored": ROWS}
    assert (report.exit_status, report.verify["status"]) == (0, "ok")
    with connect(server) as client:
        assert count(client, collection) == ROWS


def test_a_load_into_a_server_that_stays_away_ends_with_an_exact_account(server, collection):
    rows = simple(ROWS, dim=DIM)
    source = Outages(server, rows, [20_000], restart=False)
    options = OPTIONS | {"give_up_after": 5.0, "progress": source.progress}
    report = headrace.load(iter(source), collection=collection, uri=server.uri, **options)
    found = verdicts(report)
    assert report.exit_status == 4
    assert "no request succeeded for 5 s" in report.status
    assert found["stored"] >= 20_000
    assert found.get("unknown", 0) + found["unsent"] > 0
    server.restart()
    load_when_it_can(server, collection)
    with connect(server) as client:
        stored = count(client, collection)
        keys = {row["id"] for row in stored_rows(client, collection, fields=["id"])}
    # Each stored row is there, each unsent one is not, each unknown one may be; in insert mode none is doubled,
    # because what was unanswered was never sent again to a server that took it.
    assert found["stored"] <= stored <= found["stored"] + found.get("unknown", 0)
    assert len(keys) == stored
    again = headrace.load(rows, collection=collection, uri=server.uri, verify="sample")
    assert (again.mode, again.exit_status) == ("upsert", 0)
    with connect(server) as client:
        assert count(client, collection) == ROWS


def test_rows_with_keys_of_the_server_are_all_there_after_it_was_killed_and_doubles_are_told(server, collection):
    rows = simple(ROWS, dim=DIM).drop_columns(["id"])
    source = Outages(server, rows, [20_000])
    options = OPTIONS | {"auto_id": True, "verify": "count", "progress": source.progress}
    report = headrace.load(iter(source), collection=collection, uri=server.uri, **options)
    assert verdicts(report) == {"stored": ROWS}
    assert report.rows_possibly_duplicated > 0
    with connect(server) as client:
        stored = [row["number"] for row in stored_rows(client, collection, fields=["number"])]
    assert set(stored) == set(rows["number"].to_pylist())
    assert ROWS <= len(stored) <= ROWS + report.rows_possibly_duplicated
    if more := len(stored) - ROWS:
        doubled = report.rows_possibly_duplicated
        note = f"{more} rows more, of the {doubled} that were sent again after an unclear answer"
        assert (report.verify["status"], report.verify["note"]) == ("mismatch", note)
    else:
        assert report.verify["status"] == "ok"


def test_what_was_acknowledged_before_a_kill_is_there_after_it(server, collection):
    report = headrace.load(simple(ROWS, dim=DIM), collection=collection, uri=server.uri, create=True, searchable="no")
    assert report.rows_stored == ROWS
    server.restart()
    load_when_it_can(server, collection)
    with connect(server) as client:
        assert count(client, collection) == ROWS


def test_a_write_quota_slows_a_load_down_and_loses_nothing(collection):
    settings = {
        "quotaAndLimits.enabled": "true",
        "quotaAndLimits.dml.enabled": "true",
        "quotaAndLimits.dml.insertRate.collection.max": "2",
    }
    with Milvus235(settings) as server:
        # The quota of a new collection takes effect some seconds after its creation; reading it back takes longer.
        headrace.load(simple(10, dim=DIM), collection=collection, uri=server.uri, verify="count", **OPTIONS)
        rows = simple(ROWS, start=10, dim=DIM)
        report = headrace.load(rows, collection=collection, uri=server.uri, mode="insert", verify="count", **OPTIONS)
        assert verdicts(report) == {"stored": ROWS}
        assert (report.exit_status, report.rows_possibly_duplicated) == (0, 0)
        assert set(report.retries) == {"throttle"}
        assert report.throttled_seconds > 0
        with connect(server) as client:
            assert count(client, collection) == ROWS + 10
            numbers = [row["number"] for row in stored_rows(client, collection, fields=["number"])]
        assert numbers == [10 * key for key in range(ROWS + 10)]


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


def grant(server, collection, user, *privileges):
    """Make a user who may do what ``privileges`` name, and nothing else."""
    with connect(server, token="root:Milvus") as client:
        client.create_user(user, "Their-s3cret")
        client.create_role(user)
        for privilege in privileges:
            kind, name = ("Global", "*") if privilege == "DescribeCollection" else ("Collection", collection)
            client.grant_privilege(user, kind, privilege, name)
        client.grant_role(user, user)


def test_a_role_that_may_only_insert_can_load_by_inserting(guarded, collection):
    headrace.load(simple(10), collection=collection, uri=guarded.uri, token="root:Milvus", create=True)
    grant(guarded, collection, "writer", "DescribeCollection", "Insert")
    options = {"collection": collection, "uri": guarded.uri, "token": "writer:Their-s3cret"}
    assert headrace.load(simple(100, start=10), mode="insert", **options).exit_status == 0
    with connect(guarded, token="root:Milvus") as client:
        assert count(client, collection) == 110


def test_a_role_that_may_not_write_is_refused_at_once(guarded, collection):
    headrace.load(simple(10), collection=collection, uri=guarded.uri, token="root:Milvus", create=True)
    grant(guarded, collection, "reader", "DescribeCollection", "Query")
    report = headrace.load(
        simple(10, start=10), collection=collection, uri=guarded.uri, token="reader:Their-s3cret", check=False
    )
    assert verdicts(report) == {"unsent": 10}
    assert report.exit_status == 4
    assert report.failure == (
        "the server refuses this load: Upsert: PERMISSION_DENIED: PrivilegeUpsert: permission deny to reader"
    )
    assert "s3cret" not in report.to_json()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_servers_run_side_by_side(milvus235, server, collection, dtype):
    data = {"id": np.arange(50), "vector": np.ones((50, 8), dtype)}
    for where in (milvus235, server):
        assert headrace.load(data, collection=collection, uri=where.uri, create=True, verify="full").exit_status == 0
    assert milvus235.uri != server.uri
