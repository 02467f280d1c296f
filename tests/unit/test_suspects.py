"""Who is suspected of a server's end, in virtual time: nobody who had company."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.fake.rig import run_load
from tests.fake.wire import lose, ok

MANY = [range(start, start + 20) for start in range(0, 200, 20)]


def lost_after(seconds):
    async def behave(wire, write):
        await asyncio.sleep(seconds)
        return await lose(apply=False)(wire, write)

    return behave


def test_a_request_is_not_alone_to_blame_where_another_one_was_lost_with_it_and_told_first(tmp_path):
    # The first one leaves alone and is told last; later a network trouble meets it once more, alone this time.
    def prepare(wire):
        wire.script.extend([ok, ok, lost_after(1.0), lost_after(0.9), lose(apply=False)])

    rig = run_load(tmp_path, *MANY, limit=2, target_bytes=80, prepare=prepare)
    assert rig.verdicts() == {"stored": 200}
    assert rig.wire.contents() == Counter((key, key) for key in range(200))
    lost = [write for write in rig.wire.writes if write.method == "Insert" and write.landed == 0]
    assert len(lost) == 2
    alone = next(write for write in rig.wire.writes if write.method == "Upsert")
    assert alone.alone
