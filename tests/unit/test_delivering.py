"""Every class of answer, with the exact account that it leaves."""

from __future__ import annotations

import random
from collections import Counter

import pyarrow.parquet as pq
import pytest

from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.fake.rig import AUTO_ID, KEYED, TIMEOUT, run_load
from tests.fake.wire import answered, fails, lose, ok, refused, some_shards

ROWS = list(range(20))
MANY = [range(start, start + 20) for start in range(0, 200, 20)]


def script(*actions):
    return lambda wire: wire.script.extend(actions)


def always(action):
    def prepare(wire):
        wire.default = action

    return prepare


def once_each(rig):
    """Every row of the source is stored once."""
    return rig.wire.contents() == Counter((key, key) for key in ROWS)


NOT_APPLIED = {
    "no connection": fails("UNAVAILABLE", "failed to connect to all addresses"),
    "not ready": refused(1, "service not ready"),
    "proxy not ready": fails("UNKNOWN", "Milvus Proxy is not ready yet"),
    "recovering": refused(106, "collection on recovering"),
    "rate limit": refused(8, "rate limit exceeded[rate=1000]", legacy=49),
    "task queue": refused(4, "too many requests"),
    "quota": refused(9, "quota exceeded[reason=memory quota exceeded]", legacy=48),
    "memory": refused(3, "memory limit exceeded"),
    "gateway": fails("RESOURCE_EXHAUSTED", "too many requests"),
}


@pytest.mark.parametrize("name", NOT_APPLIED)
def test_what_was_certainly_not_applied_goes_again_as_it_was(tmp_path, name):
    rig = run_load(tmp_path, ROWS, prepare=script(NOT_APPLIED[name], NOT_APPLIED[name]))
    assert rig.verdicts() == {"stored": 20}
    assert [write.method for write in rig.wire.writes] == ["Insert"] * 3
    assert len({write.payload for write in rig.wire.writes}) == 1
    assert rig.measured.retries.total() == 2
    assert once_each(rig)


def test_rows_with_server_made_keys_are_counted_once_however_their_request_is_cut(tmp_path):
    answers = (
        fails("CANCELLED"),
        refused(1100, "invalid parameter", legacy=5),
        fails("CANCELLED"),
        ok,
        fails("CANCELLED"),
    )
    rig = run_load(tmp_path, ROWS, schema=AUTO_ID, limit=1, prepare=script(*answers))
    assert rig.verdicts() == {"stored": 20}
    assert len(rig.wire.writes) == 6
    assert rig.measured.possibly_duplicated == 20


def test_a_rate_that_the_server_names_is_waited_out(tmp_path):
    rig = run_load(tmp_path, ROWS, prepare=script(refused(8, "rate limit exceeded[rate=50]", legacy=49)))
    first, second = rig.wire.writes
    assert second.began - first.began >= len(first.payload) / 50


UNCLEAR = {
    "connection lost before": lose(apply=False),
    "connection lost after": lose(apply=True),
    "stream broken": fails("INTERNAL", "Received RST_STREAM with error code 2", apply=True),
    "cancelled": fails("CANCELLED", "", apply=True),
    "panic": fails("UNKNOWN", "runtime error: index out of range", apply=True),
    "data loss": fails("DATA_LOSS", "", apply=True),
    "answer too large": fails("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max (9 vs. 4)", apply=True),
    "internal": refused(5, "service internal error", apply=True),
    "unavailable": refused(2, "service unavailable", apply=True),
    "channel": refused(500, "channel not found", apply=True),
    "unexpected": refused(65535, "something else", apply=True),
    "unexpected, not applied": refused(65535, "something else"),
    "server's deadline": refused(10001, "context deadline exceeded", apply=True),
    "some shards": some_shards(refused(65535, "append failed")),
    "some shards, then lost": some_shards(lose(apply=False)),
    "unknown code": refused(31337, "a code from the future", apply=True),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_an_unclear_answer_goes_again_as_an_upsert_of_the_same_bytes(tmp_path, name):
    rig = run_load(tmp_path, ROWS, prepare=script(UNCLEAR[name]))
    assert rig.verdicts() == {"stored": 20}
    assert [write.method for write in rig.wire.writes] == ["Insert", "Upsert"]
    assert len({write.payload for write in rig.wire.writes}) == 1
    assert rig.measured.possibly_duplicated == 0
    assert once_each(rig)


@pytest.mark.parametrize("name", ["stream broken", "unexpected", "some shards"])
def test_rows_with_server_made_keys_go_again_and_are_counted_once(tmp_path, name):
    rig = run_load(tmp_path, ROWS, schema=AUTO_ID, prepare=script(UNCLEAR[name], UNCLEAR[name]))
    assert rig.verdicts() == {"stored": 20}
    assert [write.method for write in rig.wire.writes] == ["Insert"] * 3
    assert rig.measured.possibly_duplicated == 20
    assert len(rig.wire.rows) > 20, "some are doubled, as the report says they may be"


@pytest.mark.parametrize("name", ["connection lost after", "unexpected", "server's deadline"])
def test_at_most_once_leaves_them_unknown_instead(tmp_path, name):
    rig = run_load(tmp_path, *MANY, schema=AUTO_ID, at_most_once=True, limit=1, prepare=script(UNCLEAR[name]))
    sent = rig.wire.writes[0].rows
    assert rig.verdicts() == {"stored": 200 - sent, "unknown": sent}
    assert rig.measured.possibly_duplicated == 0
    assert len(rig.wire.rows) == 200
    assert any("at most once" in note for note in rig.ledger.notes)


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", answered(rows=2)], ids=["no MutationResult", "fewer rows"])
def test_an_answer_that_does_not_fit_is_unclear(tmp_path, raw):
    async def behave(wire, write):
        wire.apply(write)
        return raw

    rig = run_load(tmp_path, ROWS, prepare=script(behave))
    assert rig.verdicts() == {"stored": 20}
    assert [write.method for write in rig.wire.writes] == ["Insert", "Upsert"]
    assert once_each(rig)


def refuses(bad, behave, *, otherwise=ok):
    """Refuse requests that hold a bad key."""

    async def either(wire, write):
        return await (behave if bad & set(write.keys) else otherwise)(wire, write)

    return either


REFUSALS = {
    "invalid parameter": refused(1100, "bad row", legacy=5),
    "known text": refused(65535, "value 'NaN' is not a number or infinity"),
    "marked by the server": refused(65535, "something is wrong", extra_info={"is_input_error": "true"}),
    "malformed": fails("INTERNAL", "grpc: error unmarshalling request: invalid UTF-8"),
    "unexplained, three times": refused(65535, "an odd failure"),
    "panics, three times": fails("UNKNOWN", "runtime error"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_request_is_halved_until_the_bad_rows_stand_alone(tmp_path, name):
    bad = {3, 17}
    rig = run_load(tmp_path, ROWS, limit=1, prepare=always(refuses(bad, REFUSALS[name])))
    assert rig.verdicts() == {"stored": 18, "rejected": 2}
    assert rig.ledger.refused_keys == {"": bad}
    assert rig.wire.contents() == Counter((key, key) for key in ROWS if key not in bad)
    assert rig.ledger.journal.watermark("s") == 20
    rejects = pq.read_table(rig.rejects.path).to_pylist()
    assert sorted((row["_row"], row["id"], row["_verdict"]) for row in rejects) == [
        (3, 3, "rejected"),
        (17, 17, "rejected"),
    ]


def test_a_server_that_fails_at_everything_is_no_reason_to_reject_a_row(tmp_path):
    rig = run_load(tmp_path, ROWS, budget=60.0, prepare=always(refused(5, "service internal error")))
    assert rig.verdicts() == {"unknown": 20}
    assert "no request succeeded for 60 s" in str(rig.sender.failure)


def test_a_request_over_the_servers_limit_goes_in_pieces_and_the_limit_is_remembered(tmp_path):
    async def behave(wire, write):
        if len(write.payload) > 100:
            details = f"grpc: received message larger than max ({len(write.payload)} vs. 100)"
            return await fails("RESOURCE_EXHAUSTED", details)(wire, write)
        return await ok(wire, write)

    rig = run_load(
        tmp_path, *[range(start, start + 20) for start in range(0, 400, 20)], limit=1, prepare=always(behave)
    )
    assert rig.verdicts() == {"stored": 400}
    assert sum(len(write.payload) > 100 for write in rig.wire.writes) == 1
    assert rig.measured.retries == {"split": 1}


def test_a_limit_without_a_number_is_found_by_halving(tmp_path):
    async def behave(wire, write):
        behaviour = refused(1102, "parameter too large") if write.rows > 3 else ok
        return await behaviour(wire, write)

    rig = run_load(tmp_path, ROWS, prepare=always(behave))
    assert rig.verdicts() == {"stored": 20}
    assert once_each(rig)


def test_a_role_that_may_not_upsert_leaves_unclear_rows_unknown_and_loads_the_rest(tmp_path):
    async def behave(wire, write):
        if write.method == "Upsert":
            return await fails("PERMISSION_DENIED", "PrivilegeUpsert: permission deny")(wire, write)
        return await ok(wire, write)

    def prepare(wire):
        wire.default = behave
        wire.script.append(lose(apply=True))

    rig = run_load(tmp_path, range(20), range(20, 200), limit=1, prepare=prepare)
    lost = rig.wire.writes[0].rows
    assert rig.verdicts() == {"stored": 200 - lost, "unknown": lost}
    assert rig.sender.failure is None


@pytest.mark.parametrize(
    "refusal",
    [
        fails("UNAUTHENTICATED", "auth check failure"),
        fails("PERMISSION_DENIED", "PrivilegeInsert: permission deny"),
        refused(1401, "permission deny"),
        refused(100, "collection not found[collection=c]", legacy=4),
        refused(800, "database not found"),
        refused(200, "partition not found", legacy=15),
        fails("UNIMPLEMENTED", "unknown method Insert"),
    ],
)
def test_a_right_or_a_collection_that_is_gone_ends_the_load_with_an_exact_account(tmp_path, refusal):
    def prepare(wire):
        wire.script.extend([ok, ok])
        wire.default = refusal

    batches = [range(start, start + 20) for start in range(0, 200, 20)]
    rig = run_load(tmp_path, *batches, limit=1, prepare=prepare)
    stored = sum(write.rows for write in rig.wire.writes[:2])
    assert rig.verdicts() == {"stored": stored, "unsent": rig.ledger.account.rows_read() - stored}
    assert len(rig.wire.writes) == 3
    assert "the server refuses this load" in str(rig.sender.failure)


# -- poison ----------------------------------------------------------------------------------------------------------


def dies_of(bad):
    """A server that becomes unreachable, with everything in flight, whenever it gets one of these keys."""
    return refuses(bad, lose(apply=False))


@pytest.mark.parametrize("limit", [1, 4])
def test_a_request_that_the_server_does_not_survive_is_set_aside(tmp_path, limit):
    rig = run_load(tmp_path, *MANY, limit=limit, prepare=always(dies_of({33})))
    whole = [write for write in rig.wire.writes if 33 in write.keys]
    largest = max(write.rows for write in whole)
    assert sum(write.rows == largest for write in whole) <= 2, "at most twice whole"
    verdicts = rig.verdicts()
    assert verdicts == {"stored": 200 - verdicts["unknown"], "unknown": verdicts["unknown"]}
    rejects = pq.read_table(rig.rejects.path).to_pylist()
    assert {row["_verdict"] for row in rejects} == {"unknown"}
    assert len(rejects) == verdicts["unknown"] <= largest
    assert 33 in {row["id"] for row in rejects}
    assert rig.wire.contents() == Counter((key, key) for key in range(200) if key not in {row["id"] for row in rejects})


def test_it_is_taken_apart_where_that_was_asked_for(tmp_path):
    rig = run_load(tmp_path, *MANY, limit=4, bisect_poison=True, prepare=always(dies_of({33, 34, 150})))
    assert rig.verdicts() == {"stored": 197, "unknown": 3}
    assert sorted(row["id"] for row in pq.read_table(rig.rejects.path).to_pylist()) == [33, 34, 150]


def test_suspects_go_alone(tmp_path):
    rig = run_load(tmp_path, *MANY, limit=2, prepare=script(lose(apply=False), lose(apply=True), ok))
    assert rig.verdicts() == {"stored": 200}
    again = [write for write in rig.wire.writes if write.method == "Upsert"]
    assert len(again) == 2
    assert all(write.alone for write in again)


@pytest.mark.parametrize("seed", range(5))
def test_a_server_that_is_killed_again_and_again_poisons_nobody(tmp_path, seed):
    kills = [start + random.Random(seed + start).random() * 2 for start in range(0, 60, 6)]

    async def behave(wire, write):
        killed = any(write.began <= at < wire.clock() for at in kills)
        away = any(at <= write.began < at + 1 for at in kills)
        gone = fails("UNAVAILABLE", "failed to connect to all addresses")
        return await (lose(apply=seed % 2 == 0) if killed else gone if away else ok)(wire, write)

    def prepare(wire):
        wire.latency, wire.default = 0.2, behave

    batches = [range(start, start + 20) for start in range(0, 4000, 20)]
    rig = run_load(tmp_path, *batches, limit=4, target_bytes=80, prepare=prepare)
    assert rig.verdicts() == {"stored": 4000}
    assert rig.measured.retries["ambiguous"] > 10
    assert rig.wire.contents() == Counter((key, key) for key in range(4000))


# -- schema changes --------------------------------------------------------------------------------------------------

CHANGED = refused(109, "collection schema mismatch", legacy=62)


def changes_to(schema, *, timestamp=5, collection_id=7):
    """The collection has another schema; whoever does not know it is refused."""

    async def behave(wire, write):
        wire.schema, wire.timestamp, wire.collection_id = schema, timestamp, collection_id
        return await (ok if write.timestamp == timestamp else CHANGED)(wire, write)

    return behave


MORE = CollectionSchema([*KEYED.fields, FieldSchema("w", DataType.INT64, nullable=True)])


def test_a_field_that_may_be_left_out_is_followed(tmp_path):
    rig = run_load(tmp_path, *MANY, prepare=always(changes_to(MORE)))
    assert rig.verdicts() == {"stored": 200}
    assert rig.wire.writes[-1].timestamp == 5
    assert rig.measured.retries["schema"] <= 2, "those in flight; later ones know"
    assert next(write.method for write in rig.wire.writes if write.timestamp == 5) == "Upsert"


def test_rows_without_keys_of_their_own_may_then_be_doubled(tmp_path):
    more = CollectionSchema([*AUTO_ID.fields, FieldSchema("w", DataType.INT64, nullable=True)])
    rig = run_load(tmp_path, ROWS, schema=AUTO_ID, prepare=always(changes_to(more)))
    assert rig.verdicts() == {"stored": 20}
    assert rig.measured.possibly_duplicated == 20


ENDS = {
    "vanished": (CollectionSchema(KEYED.fields[:1]), 7, "field 'v', while loading: expected the field"),
    "another type": (
        CollectionSchema([KEYED.fields[0], FieldSchema("v", DataType.VARCHAR, max_length=9)]),
        7,
        "field 'v', while loading: expected the type",
    ),
    "a field that needs a value": (
        CollectionSchema([*KEYED.fields, FieldSchema("w", DataType.INT64)]),
        7,
        "no further field that needs a value",
    ),
    "another collection": (KEYED, 8, "found another one of that name"),
    "no collection": (None, 7, "found none of that name"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_change_that_rows_do_not_fit_ends_the_load_with_its_account(tmp_path, name):
    schema, collection_id, words = ENDS[name]

    def prepare(wire):
        wire.script.append(ok)
        wire.default = changes_to(schema, collection_id=collection_id)

    rig = run_load(tmp_path, *MANY, limit=1, prepare=prepare)
    first, second = rig.wire.writes
    read = rig.ledger.account.rows_read()
    assert rig.verdicts() == {
        "stored": first.rows,
        "unknown": second.rows,
        "unsent": read - first.rows - second.rows,
    }
    assert words in str(rig.sender.failure)


def test_a_mismatch_that_the_server_cannot_explain_ends_the_load(tmp_path):
    rig = run_load(tmp_path, ROWS, prepare=always(CHANGED))
    assert rig.verdicts() == {"unknown": 20}
    assert len(rig.wire.writes) == 3


def test_a_deadline_that_expires_is_doubled_for_the_request(tmp_path):
    async def slow(wire, write):
        if write.deadline - write.began < 4 * TIMEOUT:
            return await fails("DEADLINE_EXCEEDED", "Deadline Exceeded")(wire, write)
        return await ok(wire, write)

    rig = run_load(tmp_path, ROWS, prepare=always(slow))
    assert rig.verdicts() == {"stored": 20}
    assert [write.deadline - write.began for write in rig.wire.writes] == [TIMEOUT, 2 * TIMEOUT, 4 * TIMEOUT]
