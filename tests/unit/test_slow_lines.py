"""A line on which a request of the usual size takes longer than its deadline, in virtual time."""

from __future__ import annotations

from collections import Counter

import pytest

from headrace import delivering
from tests.fake.rig import AUTO_ID, TIMEOUT, run_load
from tests.fake.wire import fails, ok, over_a_slow_line

FIRST = 1 << 40
#: Two requests of about ten kilobytes.
KEYS = [range(FIRST, FIRST + 1_000), range(FIRST + 1_000, FIRST + 2_000)]
BIG = 10_000
#: Bytes per second: what was sent at first takes more than two deadlines, a quarter of it less than one.
RATE = 50


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(delivering, "SMALL", 500)


def slow(wire):
    wire.default = over_a_slow_line(RATE)


def once_each(rig):
    assert rig.verdicts() == {"stored": 2_000}
    assert rig.wire.contents() == Counter((FIRST + row, row) for row in range(2_000))


def test_requests_that_expire_go_in_smaller_ones_and_so_does_everything_after_them(tmp_path):
    rig = run_load(tmp_path, *KEYS, prepare=slow, limit=1, budget=2 * TIMEOUT, target_bytes=BIG)
    once_each(rig)
    first, *others = rig.wire.writes
    assert len(first.payload) / RATE > 2 * TIMEOUT
    assert all(len(write.payload) < len(first.payload) / 3 for write in others)
    # Nobody knows what became of the first one: its parts replace what there may be.
    assert {write.method for write in others if not set(first.keys).isdisjoint(write.keys)} == {"Upsert"}
    assert rig.measured.retries == {"ambiguous": 1}


def test_rows_with_server_made_keys_are_counted_once_when_they_go_in_smaller_requests(tmp_path):
    options = {"limit": 1, "target_bytes": BIG, "schema": AUTO_ID}
    rig = run_load(tmp_path, *KEYS, prepare=slow, **options)
    assert rig.verdicts() == {"stored": 2_000}
    assert rig.measured.possibly_duplicated == rig.wire.writes[0].rows


def test_a_size_that_was_stored_before_is_kept_when_one_expires(tmp_path):
    def prepare(wire):
        wire.script.extend([ok, fails("DEADLINE_EXCEEDED", "Deadline Exceeded")])

    rig = run_load(tmp_path, *KEYS, prepare=prepare, limit=1, target_bytes=BIG)
    once_each(rig)
    assert len({write.payload for write in rig.wire.writes}) == 2


def test_a_server_that_answers_nothing_is_given_up_in_time_whatever_the_size(tmp_path):
    def prepare(wire):
        wire.default = over_a_slow_line(1)

    rig = run_load(tmp_path, *KEYS, prepare=prepare, limit=1, budget=2 * TIMEOUT, target_bytes=BIG)
    assert "no request succeeded for 120 s" in str(rig.sender.failure)
    assert rig.wire.writes[-1].began <= 2 * TIMEOUT
    assert all(len(write.payload) > 500 / 4 for write in rig.wire.writes)
