"""Late writes: an attempt that was given up and is stored after all leaves nothing behind."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fake.rig import TIMEOUT, run_load
from tests.fake.wire import answered, fails, land_late, lose, ok, refused

ROWS = list(range(20))
ONCE = Counter((key, key) for key in ROWS)


def script(*actions):
    return lambda wire: wire.script.extend(actions)


@pytest.mark.parametrize("share", [0.2, 0.999, 1.0, 1.01])
@pytest.mark.parametrize("upsert", [False, True])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_write_that_lands_late_stands_once_whenever_it_lands(tmp_path, share, upsert, loaded):
    rig = run_load(tmp_path, ROWS, upsert=upsert, loaded=loaded, prepare=script(land_late(share)))
    assert rig.verdicts() == {"stored": 20}
    assert rig.wire.writes[0].landed == 1
    assert rig.wire.contents() == ONCE
    assert rig.wire.renewed == [0, 1], "connections are given up that a call was lost on, or may be"


def test_keys_are_counted_once_where_nothing_landed_late(tmp_path):
    rig = run_load(tmp_path, ROWS, prepare=script(lose(apply=True)))
    assert [write.method for write in rig.wire.writes] == ["Insert", "Upsert"]
    assert rig.wire.counts == 1
    assert rig.ledger.notes == {}


def test_what_cannot_be_counted_is_sent_once_more_at_the_end_and_noted(tmp_path):
    batches = [range(start, start + 20) for start in range(0, 2000, 20)]
    rig = run_load(tmp_path, *batches, loaded=False, limit=4, prepare=script(lose(apply=True)))
    first, last = rig.wire.writes[0], rig.wire.writes[-1]
    assert (last.method, last.keys) == ("Upsert", first.keys)
    assert last.began >= first.deadline
    assert sum(write.keys == first.keys for write in rig.wire.writes) == 3
    assert [(rows, "sent again at the end" in note) for note, rows in rig.ledger.notes.items()] == [(first.rows, True)]
    assert rig.verdicts() == {"stored": 2000}


def test_the_others_go_on_meanwhile(tmp_path):
    batches = [range(start, start + 20) for start in range(0, 2000, 20)]
    rig = run_load(tmp_path, *batches, limit=1, prepare=script(land_late(1.0)))
    first = rig.wire.writes[0]
    others = [write for write in rig.wire.writes if write.keys != first.keys]
    assert max(write.began for write in others) < first.deadline + TIMEOUT / 30, "nobody waited for the count"
    assert rig.verdicts() == {"stored": 2000}


def test_keys_stay_locked_until_the_old_attempt_cannot_land_any_more(tmp_path):
    # The same keys come again at once; the held upsert of the first ones must not overwrite them.
    rig = run_load(tmp_path, ROWS, ROWS, upsert=True, limit=4, target_bytes=60, prepare=script(land_late(1.0)))
    held = rig.wire.writes[0]
    later = [write for write in rig.wire.writes if min(write.versions) >= 20 and set(write.keys) & set(held.keys)]
    assert later
    assert all(write.began >= held.deadline for write in later)
    assert rig.wire.contents() == Counter((key, 20 + key) for key in ROWS)


def test_an_attempt_that_the_server_ended_needs_no_proof(tmp_path):
    rig = run_load(tmp_path, ROWS, prepare=script(refused(65535, "append failed", apply=True)))
    assert rig.verdicts() == {"stored": 20}
    assert rig.wire.counts == 0
    assert rig.wire.writes[-1].began < 10


def test_a_proxy_that_stopped_waiting_for_its_own_task_is_not_trusted(tmp_path):
    async def behave(wire, write):
        wire.land(write, wire.clock() + TIMEOUT / 2)
        return answered(65535, "context deadline exceeded")

    rig = run_load(tmp_path, ROWS, prepare=script(behave))
    assert rig.verdicts() == {"stored": 20}
    assert rig.wire.contents() == ONCE


def test_a_count_that_stays_wrong_leaves_the_rows_unknown(tmp_path):
    async def doubled(wire, write):
        wire.apply(write)
        for key in write.keys:
            wire.rows[key].append("somebody else's")
        return answered(rows=write.rows)

    def prepare(wire):
        wire.script.append(lose(apply=True))
        wire.default = doubled

    rig = run_load(tmp_path, ROWS, prepare=prepare)
    assert rig.verdicts() == {"unknown": 20}
    assert any("count of their keys is still wrong" in note for note in rig.ledger.notes)


def test_a_load_that_stops_before_the_proof_leaves_the_rows_unknown(tmp_path):
    async def revoked(wire, write):
        gone = any(write.method == "Upsert" for write in wire.writes[:-1])
        return await (fails("UNAUTHENTICATED", "revoked") if gone else ok)(wire, write)

    def prepare(wire):
        wire.script.append(lose(apply=True))
        wire.default = revoked

    rig = run_load(tmp_path, *[range(start, start + 20) for start in range(0, 200, 20)], limit=1, prepare=prepare)
    lost = rig.wire.writes[0].rows
    assert rig.verdicts()["unknown"] == lost
    assert rig.wire.contents()[0, 0] == 1, "acknowledged, and yet nobody knows what else may come"
