"""The sender against scripted answers: every row of every request ends with one verdict."""

from __future__ import annotations

import asyncio
import random

import pyarrow as pa
import pytest

from headrace._proto import milvus_pb2
from headrace.batching import Span
from headrace.decoding import decode_request
from headrace.errors import ConnectError, HeadraceError, RpcError
from headrace.journal import Journal
from headrace.packing import make_packer
from headrace.rejects import RejectLimit, RejectsFile
from headrace.report import Account, Verdict
from headrace.retry import Backoff
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.sending import Ledger, Request, Sender, WriteTarget
from headrace.throttle import Throttle
from headrace.window import Window

SCHEMA = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True)])
PACKER = make_packer(SCHEMA, collection_name="c")


def reply(code=0, reason="", *, rows=0, legacy=None):
    message = milvus_pb2.MutationResult(insert_cnt=rows)
    message.status.code = code
    message.status.error_code = (1 if code else 0) if legacy is None else legacy
    message.status.reason = reason
    return message.SerializeToString()


class Wire:
    """A transport whose answers come from a function of (method, keys in the request)."""

    def __init__(self, answer):
        self.answer, self.sent, self.open, self.most_open = answer, [], 0, 0

    async def call(self, method, request, *, timeout):
        keys = decode_request(request).column("id").to_pylist()
        self.sent.append((method, keys))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            result = self.answer(method, keys)
            if asyncio.iscoroutine(result):
                result = await result
        finally:
            self.open -= 1
        if isinstance(result, Exception):
            raise result
        return reply(rows=len(keys)) if result is None else result


class Rig:
    """A sender with a clock of its own, which sleeping turns."""

    def __init__(self, tmp_path, answer, *, limit=2, key="id", max_rejects=None, budget=60.0):
        self.now = 0.0
        self.wire = Wire(answer)
        rejects, bound = RejectsFile(tmp_path), RejectLimit(max_rejects)
        self.ledger = Ledger(Account(), Journal(), rejects, bound, Window(1 << 20))
        self.sender = Sender(
            self.wire,
            WriteTarget(key=key, lite=False, repack=PACKER.pack_insert),
            self.ledger,
            throttle=Throttle(limit, clock=lambda: self.now),
            backoff=Backoff(budget=budget),
            rpc_timeout=60.0,
            clock=lambda: self.now,
            rng=random.Random(7),
            sleep=self.sleep,
        )

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)

    def submit(self, start, count):
        self.sender.submit(self.request(start, count))

    def request(self, start, count):
        payload = PACKER.pack_insert(pa.record_batch({"id": pa.array(range(start, start + count), pa.int64())}))
        self.ledger.account.read(count)
        self.ledger.window.reserve(len(payload), outgoing=True)
        return Request(payload, count, (Span("s", start, count),), len(payload), upsert=False)

    def run(self, *requests):
        async def main():
            running = asyncio.create_task(self.sender.run())
            for request in requests:
                self.submit(*request)
            self.sender.finish()
            await running

        asyncio.run(main())
        return self.verdicts()

    def verdicts(self):
        self.ledger.account.check()
        assert self.ledger.window.used == 0, "every charge is released"
        counts = {verdict: self.ledger.account.rows(verdict) for verdict in Verdict}
        return {verdict.value: rows for verdict, rows in counts.items() if rows}


def once(*answers):
    """Answers in turn, then success."""
    left = list(answers)
    return lambda method, keys: left.pop(0) if left else None


def test_keeps_as_many_in_flight_as_the_throttle_allows(tmp_path):
    async def slow():
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    rig = Rig(tmp_path, lambda method, keys: slow(), limit=3)
    assert rig.run(*[(i * 10, 10) for i in range(9)]) == {"stored": 90}
    assert rig.wire.most_open == 3
    assert rig.ledger.journal.watermark("s") == 90


@pytest.mark.parametrize(
    "answer",
    [
        ConnectError("no route"),
        RpcError("x", status="UNAVAILABLE", details="failed to connect to all addresses"),
        reply(1, "service not ready"),
        reply(8, "rate limit exceeded[rate=1]", legacy=49),
        reply(9, "quota exceeded[reason=memory quota exceeded]", legacy=48),
    ],
    ids=["connect", "unavailable", "not ready", "rate limit", "quota"],
)
def test_what_was_certainly_not_applied_goes_again_as_it_was(tmp_path, answer):
    rig = Rig(tmp_path, once(answer, answer))
    assert rig.run((0, 5)) == {"stored": 5}
    assert rig.wire.sent == [("Insert", [0, 1, 2, 3, 4])] * 3
    assert rig.now > 0, "it waited in between"
    assert rig.ledger.measurements.retries.total() == 2


AMBIGUOUS = RpcError("x", status="UNAVAILABLE", details="Socket closed")


def test_an_unclear_answer_goes_again_as_an_upsert_where_rows_have_keys(tmp_path):
    rig = Rig(tmp_path, once(AMBIGUOUS))
    assert rig.run((0, 3)) == {"stored": 3}
    assert [method for method, _ in rig.wire.sent] == ["Insert", "Upsert"]
    assert rig.ledger.measurements.possibly_duplicated == 0


def test_an_unclear_answer_with_server_made_keys_counts_as_possibly_doubled_once(tmp_path):
    rig = Rig(tmp_path, once(AMBIGUOUS, AMBIGUOUS), key=None)
    assert rig.run((0, 3)) == {"stored": 3}
    assert [method for method, _ in rig.wire.sent] == ["Insert"] * 3
    assert rig.ledger.measurements.possibly_duplicated == 3


@pytest.mark.parametrize(
    "raw", [b"\xff\xff\xff", reply(rows=2)], ids=["no MutationResult", "fewer rows acknowledged than sent"]
)
def test_an_answer_that_does_not_fit_is_unclear(tmp_path, raw):
    rig = Rig(tmp_path, once(raw))
    assert rig.run((0, 3)) == {"stored": 3}
    assert [method for method, _ in rig.wire.sent] == ["Insert", "Upsert"]


def test_without_progress_the_load_ends_with_rows_unsent(tmp_path):
    rig = Rig(tmp_path, lambda method, keys: ConnectError("refused"), limit=1)
    assert rig.run((0, 5), (5, 5)) == {"unsent": 10}
    assert "no request succeeded for 60 s; the last answer: refused" in str(rig.sender.failure)


def test_rows_that_may_be_there_end_as_unknown(tmp_path):
    rig = Rig(tmp_path, lambda method, keys: AMBIGUOUS if 0 in keys else ConnectError("refused"), limit=2)
    assert rig.run((0, 5), (5, 5)) == {"unknown": 5, "unsent": 5}


def test_a_fatal_answer_stops_everything(tmp_path):
    rig = Rig(tmp_path, lambda method, keys: reply(100, "collection not found", legacy=4), limit=1)
    assert rig.run((0, 5), (5, 5), (10, 5)) == {"unsent": 15}
    assert len(rig.wire.sent) == 1
    with pytest.raises(HeadraceError, match="collection not found"):
        rig.ledger.window.reserve(1, outgoing=True).result()


def test_a_refused_request_is_halved_until_the_bad_rows_stand_alone(tmp_path):
    bad = {3, 17}
    rig = Rig(tmp_path, lambda method, keys: reply(1100, "bad row", legacy=5) if bad & set(keys) else None)
    assert rig.run((0, 20)) == {"stored": 18, "rejected": 2}
    assert rig.ledger.refused_keys == bad
    stored = [key for _, keys in rig.wire.sent if not bad & set(keys) for key in keys]
    assert sorted(stored) == sorted(set(range(20)) - bad), "every other row was accepted once"
    assert rig.ledger.journal.watermark("s") == 20


def test_too_many_refused_rows_stop_the_load(tmp_path):
    rig = Rig(tmp_path, lambda method, keys: reply(1100, "bad row", legacy=5), max_rejects=1, limit=1)
    verdicts = rig.run((0, 8))
    assert verdicts == {"rejected": 2, "unsent": 6}
    assert "at most 1 refused rows" in str(rig.sender.failure)


def test_a_request_over_the_servers_limit_goes_in_halves(tmp_path):
    def answer(method, keys):
        if len(keys) > 3:
            return RpcError(
                "x", status="RESOURCE_EXHAUSTED", details="grpc: received message larger than max (9 vs. 4)"
            )
        return None

    rig = Rig(tmp_path, answer)
    assert rig.run((0, 10)) == {"stored": 10}


def test_after_a_stop_what_hangs_is_unknown_and_the_rest_unsent(tmp_path):
    hanging = []

    async def hang():
        hanging.append(1)
        await asyncio.Event().wait()

    rig = Rig(tmp_path, lambda method, keys: hang(), limit=2)

    async def main():
        running = asyncio.create_task(rig.sender.run())
        for start in (0, 5, 10):
            rig.submit(start, 5)
        while len(hanging) < 2:
            await asyncio.sleep(0)
        late = rig.request(15, 5)
        rig.sender.stop(HeadraceError("enough"))
        rig.sender.finish()
        await rig.sender.settled(grace=0.0)
        await running
        rig.sender.submit(late)  # granted in time, but nobody sends any more

    asyncio.run(main())
    assert rig.verdicts() == {"unknown": 10, "unsent": 10}


def test_a_cancelled_sender_leaves_no_row_without_a_verdict(tmp_path):
    rig = Rig(tmp_path, lambda method, keys: asyncio.Event().wait(), limit=1)

    async def main():
        running = asyncio.create_task(rig.sender.run())
        rig.submit(0, 5)
        rig.submit(5, 5)
        while not rig.wire.open:
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert rig.verdicts() == {"unknown": 5, "unsent": 5}
