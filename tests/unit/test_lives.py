"""Loads that are killed and run again, in virtual time: what a request of a former life may still do."""

from __future__ import annotations

import asyncio

import pytest

from headrace.report import Verdict
from tests.fake.lives import World
from tests.fake.wire import fails, land_late, ok, refused

#: Longer than any deadline.
LONG = 4000.0


def finish(world, **options):
    """Run the command once more, to its end and to that of everything that is on its way."""
    life = world.start(**options)
    world.run(life.ended())
    life.end()
    world.run(asyncio.sleep(LONG))
    world.close()
    assert set(life.fates.values()) <= {Verdict.STORED, Verdict.SUPERSEDED}
    return life


def contents(world):
    return {key: versions for key, versions in world.wire.rows.items() if versions}


@pytest.mark.parametrize("answers", [[], [fails("CANCELLED")]], ids=["answered", "lost again"])
def test_a_request_with_a_longer_deadline_is_waited_for_as_long(tmp_path, answers):
    """Its second attempt has twice the deadline, and is stored at its end; a later row of key 1 comes after that."""
    world = World(tmp_path, [[1, 2, 3], [1]], target_bytes=1, limit=1, pace=100.0)
    world.wire.script.extend([land_late(), land_late()])
    life = world.start()
    world.run(life.requests(2))
    world.run(asyncio.sleep(0.05))
    life.kill()
    world.wire.script.extend(answers)
    finish(world)
    assert world.wire.writes[1].deadline - world.wire.writes[1].began == 120.0
    assert contents(world) == {1: [3], 2: [1], 3: [2]}


@pytest.mark.parametrize("answers", [[], [refused(1102, "parameter too large")]], ids=["whole", "in halves"])
def test_a_late_row_of_a_former_life_does_not_replace_the_later_row_of_its_key(tmp_path, answers):
    """Row 0 was on its way when the loader was killed; the next life leaves it out, because row 1 replaces it."""
    world = World(tmp_path, [[7, 7, 8]], mode="upsert", limit=1, marks=1, target_bytes=1)
    world.wire.script.append(land_late())
    life = world.start()
    world.run(life.requests(1))
    world.run(asyncio.sleep(0.5))
    life.kill()
    world.target_bytes = 1000
    world.wire.script.extend(answers)
    last = finish(world)
    assert last.fates == {0: Verdict.SUPERSEDED, 1: Verdict.STORED, 2: Verdict.STORED}
    assert contents(world) == {7: [1], 8: [2]}


def killed_with_a_request_on_its_way(world):
    """The first request of the world was sent, and will be stored at its deadline."""
    world.wire.script.append(land_late())
    life = world.start()
    world.run(life.requests(1))
    world.run(asyncio.sleep(0.5))
    life.kill()


def test_a_late_row_of_a_former_life_stays_no_double_where_its_request_is_cut(tmp_path):
    world = World(tmp_path, [[1, 2, 3, 4]], limit=1, target_bytes=1000)
    killed_with_a_request_on_its_way(world)
    world.wire.script.append(refused(1102, "parameter too large"))
    finish(world)
    assert contents(world) == {1: [0], 2: [1], 3: [2], 4: [3]}


def test_a_late_row_of_a_former_life_stays_no_double_where_all_rows_are_sent_again(tmp_path):
    world = World(tmp_path, [[1, 2, 3]], limit=1, target_bytes=1)
    killed_with_a_request_on_its_way(world)
    finish(world, again=True)
    assert contents(world) == {1: [0], 2: [1], 3: [2]}


def test_what_is_sent_again_may_be_killed_too(tmp_path):
    world = World(tmp_path, [[1, 2, 3]], limit=1, target_bytes=1)
    killed_with_a_request_on_its_way(world)
    life = world.start(again=True)
    life.kill()
    finish(world)
    assert contents(world) == {1: [0], 2: [1], 3: [2]}


def test_rows_that_are_sent_again_are_upserted_also_where_inserts_were_asked_for(tmp_path):
    world = World(tmp_path, [[1, 2, 3]], mode="insert")
    life = world.start()
    world.run(life.ended())
    life.end()
    world.start(again=True).kill()
    finish(world)
    assert contents(world) == {1: [0], 2: [1], 3: [2]}


def test_rows_that_are_sent_again_into_an_emptied_collection_are_inserted(tmp_path):
    world = World(tmp_path, [[1, 2, 3]])
    life = world.start()
    world.run(life.ended())
    life.end()
    world.wire.rows.clear()
    world.run(asyncio.sleep(100.0))
    finish(world, again=True)
    assert contents(world) == {1: [0], 2: [1], 3: [2]}
    assert {write.method for write in world.wire.writes} == {"Insert"}


def test_a_late_row_of_a_file_that_changed_since_does_not_replace_the_new_one(tmp_path):
    world = World(tmp_path, [[1, 2, 3]], mode="upsert", limit=1, target_bytes=1)
    killed_with_a_request_on_its_way(world)
    world.files = [[9, 2, 1, 3]]
    finish(world, changed="reload")
    assert contents(world) == {1: [2], 2: [1], 3: [3], 9: [0]}


def test_what_is_sent_once_nothing_can_be_late_any_more_is_sent_once(tmp_path):
    world = World(tmp_path, [[1, 2, 3, 4, 5, 6]], limit=1, target_bytes=1)
    killed_with_a_request_on_its_way(world)
    world.run(asyncio.sleep(100.0))
    sent = len(world.wire.writes)
    finish(world, again=True)
    assert len(world.wire.writes) == sent + 6


def test_a_key_that_a_former_life_inserted_is_upserted_when_it_comes_again(tmp_path):
    world = World(tmp_path, [[1, 2, 3, 4], [2, 5]], mode="insert", marks=1, target_bytes=1, limit=1, pace=9.0)
    life = world.start()
    world.run(life.requests(4))
    world.run(asyncio.sleep(0.5 - world.clock()))
    life.kill()
    finish(world)
    assert contents(world) == {1: [0], 2: [4], 3: [2], 4: [3], 5: [5]}
    methods = {write.keys[0]: write.method for write in world.wire.writes}
    assert methods == {1: "Insert", 2: "Upsert", 3: "Insert", 4: "Insert", 5: "Insert"}, "none is above all, so new"


def test_rows_that_a_former_life_may_have_doubled_are_still_counted(tmp_path):
    world = World(tmp_path, [[1, 2, 3]], keyed=False)
    world.wire.script.extend([fails("INTERNAL", "RST_STREAM", apply=True), ok])
    life = world.start()
    world.run(life.requests(2))
    world.run(asyncio.sleep(5.0))
    life.kill()
    last = finish(world)
    assert sum(map(len, world.wire.rows.values())) == 6
    assert last.rig.measured.possibly_duplicated == 0
    assert last.rig.ledger.journal.rows_doubled() == 3
