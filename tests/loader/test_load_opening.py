"""A connection or a loader that is lost while the collection is opened: nothing was sent, and the load goes on."""

from __future__ import annotations

from collections import Counter

import grpc
import pytest

from tests.fake.behaviours import abort, apply_then, ok, refuse, vanish
from tests.loader.rows import counts, load, table

_OPENING = ("DescribeCollection", "GetVersion", "CreateIndex", "LoadCollection", "GetLoadState", "Query")


@pytest.mark.parametrize("method", _OPENING)
@pytest.mark.parametrize("lost", [vanish, apply_then(vanish)], ids=["request", "answer"])
def test_a_connection_that_is_lost_while_a_collection_is_opened_is_made_again(fake, method, lost):
    if method in ("GetLoadState", "Query"):
        load(fake, table(10, start=1000))
    calls = len(fake.calls_of(method))
    fake.script(method, lost)
    report = load(fake, table(100), searchable="before", verify="count")
    assert counts(report) == {"stored": 100}
    assert len(fake.calls_of(method)) >= calls + 2


def test_a_collection_is_created_once_although_the_answer_was_lost(fake):
    fake.script("CreateCollection", apply_then(vanish))
    report = load(fake, table(100))
    assert (counts(report), report.created, report.mode) == ({"stored": 100}, True, "insert")
    assert len(fake.calls_of("CreateCollection")) == 1
    assert set(fake.collections["docs"].indexes) == {"dense", "sparse"}


def test_a_collection_that_was_not_created_is_asked_for_again(fake):
    fake.script("CreateCollection", vanish, vanish)
    assert load(fake, table(100)).created
    assert fake.collections["docs"].count() == 100


def test_a_collection_that_is_created_late_is_known_again(fake):
    # The first request lands between the question whether it did and the second request.
    fake.script("CreateCollection", vanish, apply_then(refuse(65535, "create duplicate collection")))
    assert load(fake, table(100)).created


def test_a_collection_that_somebody_else_made_meanwhile_is_not_taken_for_created(fake):
    async def somebody_else(call):
        request = call.request
        # Made by other software, which marks nothing.
        del request.properties[:]
        call.raw = request.SerializeToString()
        call.apply()
        return await refuse(65535, "create duplicate collection with different parameters")(call)

    fake.script("CreateCollection", somebody_else)
    report = load(fake, table(100))
    assert (counts(report), report.created, report.mode) == ({"stored": 100}, False, "upsert")


@pytest.mark.parametrize("searchable", ["after", "before"])
def test_the_next_run_makes_the_indexes_that_a_killed_one_did_not_come_to_make(fake, searchable):
    load(fake, table(10))
    docs = fake.collections["docs"]
    docs.loaded = False
    del docs.indexes["sparse"]
    report = load(fake, table(100, start=10), searchable=searchable, verify="full")
    assert (counts(report), report.exit_status) == ({"stored": 100}, 0)
    assert docs.keys() == Counter(range(110))
    assert [call.request.field_name for call in fake.calls_of("CreateIndex")] == ["dense", "sparse", "sparse"]
    assert docs.loaded


def test_a_role_that_may_not_ask_for_indexes_loads_into_what_there_is(fake):
    load(fake, table(10))
    fake.script("DescribeIndex", abort(grpc.StatusCode.PERMISSION_DENIED, "PrivilegeIndexDetail: permission deny"), ok)
    assert counts(load(fake, table(100, start=10))) == {"stored": 100}
