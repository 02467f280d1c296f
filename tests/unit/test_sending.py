"""The sender: how much it sends at once, and what stopping and cancelling leave behind."""

from __future__ import annotations

import asyncio

import pytest

from headrace.errors import HeadraceError
from tests import virtual_time
from tests.fake.rig import Rig, run_load
from tests.fake.wire import fails, refused

BATCHES = [list(range(start, start + 5)) for start in range(0, 45, 5)]


async def hang(wire, write):
    await asyncio.Event().wait()


@pytest.mark.parametrize("limit", [1, 2])
def test_keeps_as_many_in_flight_as_the_throttle_allows(tmp_path, limit):
    rig = run_load(tmp_path, *BATCHES, limit=limit, target_bytes=40)
    assert rig.verdicts() == {"stored": 45}
    assert len(rig.wire.writes) > 6
    assert rig.wire.most_open == limit
    assert rig.ledger.journal.watermark("s") == 45


def test_without_progress_the_load_ends_with_rows_unsent(tmp_path):
    def prepare(wire):
        wire.default = fails("UNAVAILABLE", "failed to connect to all addresses")

    rig = run_load(tmp_path, range(5), range(5, 10), limit=1, budget=60.0, prepare=prepare)
    assert rig.verdicts() == {"unsent": 10}
    assert "no request succeeded for 60 s; the last answer: UNAVAILABLE: failed to connect" in str(rig.sender.failure)


def test_a_fatal_answer_stops_everything(tmp_path):
    def prepare(wire):
        wire.default = refused(100, "collection not found", legacy=4)

    rig = run_load(tmp_path, *BATCHES, limit=1, target_bytes=40, prepare=prepare)
    assert rig.verdicts() == {"unsent": rig.ledger.account.rows_read()}
    assert len(rig.wire.writes) == 1
    with pytest.raises(HeadraceError, match="collection not found"):
        rig.ledger.window.reserve(1, outgoing=True).result()


def test_too_many_refused_rows_stop_the_load(tmp_path):
    def prepare(wire):
        wire.default = refused(1100, "bad row", legacy=5)

    rig = run_load(tmp_path, range(8), max_rejects=1, limit=1, prepare=prepare)
    assert rig.verdicts() == {"rejected": 2, "unsent": 6}
    assert "at most 1 refused rows" in str(rig.sender.failure)


async def begin(rig, *batches):
    """Feed until as many requests hang as may be in flight."""
    running = asyncio.create_task(rig.sender.run())
    for keys in batches:
        await rig.feed(keys)
    await rig.flush()
    while rig.wire.open < 2:
        await asyncio.sleep(0.1)
    return running


def test_all_that_one_request_held_back_leave_when_it_is_answered(tmp_path):
    async def main(clock):
        rig = Rig(tmp_path, clock, target_bytes=400)
        running = asyncio.create_task(rig.sender.run())
        for keys in ([1, 2, 3, 4], [1, 2], [3, 4]):
            await rig.feed(keys)
            await rig.flush()
        rig.sender.finish()
        await running
        return rig

    rig = virtual_time.run(main)
    assert [write.keys for write in rig.wire.writes] == [[1, 2, 3, 4], [1, 2], [3, 4]]
    first, *others = [write.began for write in rig.wire.writes]
    assert others == [first + rig.wire.latency] * 2


def test_after_a_stop_what_hangs_is_unknown_and_the_rest_unsent(tmp_path):
    async def main(clock):
        rig = Rig(tmp_path, clock, target_bytes=40)
        rig.wire.default = hang
        running = await begin(rig, *BATCHES)
        sent = sum(write.rows for write in rig.wire.writes)
        rig.sender.stop(HeadraceError("enough"))
        rig.sender.finish()
        await rig.sender.settled(grace=lambda: 5.0)
        await running
        return rig, sent

    rig, sent = virtual_time.run(main)
    assert rig.verdicts() == {"unknown": sent, "unsent": 45 - sent}


def test_a_cancelled_sender_leaves_no_row_without_a_verdict(tmp_path):
    async def main(clock):
        rig = Rig(tmp_path, clock, target_bytes=40)
        rig.wire.default = hang
        running = await begin(rig, *BATCHES)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(asyncio.all_tasks()) == 1
        return rig, sum(write.rows for write in rig.wire.writes)

    rig, sent = virtual_time.run(main)
    assert rig.verdicts() == {"unknown": sent, "unsent": 45 - sent}


def test_a_request_that_comes_after_the_end_is_unsent(tmp_path):
    async def main(clock):
        rig = Rig(tmp_path, clock)
        rig.sender.finish()
        await rig.sender.run()
        await rig.feed([1, 2, 3])
        await rig.flush()
        return rig

    assert virtual_time.run(main).verdicts() == {"unsent": 3}
