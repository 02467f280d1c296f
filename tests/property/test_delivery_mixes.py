"""Any mix of answers, losses and late writes, any order of keys: the collection ends as the account says.

The rules for each key, in the order of its rows in the source: a superseded row has a later one; nothing is stored
after a row that is unsent or unknown; the collection holds the last stored row once and nothing else, except rows
that the account calls unknown, and rows that were rejected because nobody could explain three equal answers.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import HeadraceError
from headrace.report import Verdict
from tests import virtual_time
from tests.fake.rig import AUTO_ID, KEYED, Rig
from tests.fake.wire import ok, refused
from tests.property.answers import ACTIONS, BAD

SETTLED = {Verdict.STORED, Verdict.SUPERSEDED, Verdict.REJECTED}
OPEN = {Verdict.UNKNOWN, Verdict.UNSENT}

MIXES = st.fixed_dictionaries(
    {
        "batches": st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=25), min_size=1, max_size=6),
        "actions": st.lists(st.sampled_from(sorted(ACTIONS)), max_size=25),
        "upsert": st.booleans(),
        "loaded": st.booleans(),
        "limit": st.integers(1, 4),
        "bad": st.booleans(),
        "stop": st.none() | st.floats(0.0, 200.0),
        "fatal_after": st.none() | st.integers(0, 30),
        "seed": st.integers(0, 1000),
    }
)


def play(mix, schema=KEYED):
    """Run a mix; returns the rig."""
    left = [ACTIONS[name] for name in mix["actions"]]
    bad = BAD if mix["bad"] else set()

    async def behave(wire, write):
        if mix["fatal_after"] is not None and len(wire.writes) > mix["fatal_after"]:
            return await refused(100, "collection not found", legacy=4)(wire, write)
        if bad & set(write.keys):
            return await refused(1100, "bad row", legacy=5)(wire, write)
        return await (left.pop(0) if left else ok)(wire, write)

    async def main(clock):
        with tempfile.TemporaryDirectory() as directory:
            rig = Rig(
                Path(directory),
                clock,
                schema=schema,
                upsert=mix["upsert"] and schema is KEYED,
                loaded=mix["loaded"],
                limit=mix["limit"],
                seed=mix["seed"],
                target_bytes=130,
            )
            rig.wire.default = behave
            if mix["stop"] is not None:
                stop = HeadraceError("stopped")
                asyncio.get_running_loop().call_later(mix["stop"], rig.sender.stop, stop)
            await rig.load(*mix["batches"])
            return rig

    return virtual_time.run(main)


def check_keyed(mix, rig):
    verdicts = rig.verdicts()
    assert sum(verdicts.values()) == len(rig.keys) == len(rig.fates)
    by_key = defaultdict(list)
    for row, key in enumerate(rig.keys):
        by_key[key].append(row)
    for key, rows in by_key.items():
        fates = [rig.fates[row] for row in rows]
        first_open = next((at for at, fate in enumerate(fates) if fate in OPEN), len(rows))
        assert set(fates[first_open:]) <= OPEN | {Verdict.SUPERSEDED}, (key, fates)
        assert fates[-1] is not Verdict.SUPERSEDED, (key, fates)
        stored = [row for row, fate in zip(rows, fates, strict=True) if fate is Verdict.STORED][-1:]
        perhaps = [
            row
            for row, fate in zip(rows, fates, strict=True)
            if fate is Verdict.UNKNOWN or (fate is Verdict.REJECTED and not (mix["bad"] and key in BAD))
        ]
        found = sorted(rig.wire.rows.get(key, ()))
        if perhaps:
            assert set(found) <= {*stored, *perhaps}, (key, fates, found)
        else:
            assert found == stored, (key, fates, found)
    sent = {version for write in rig.wire.writes for version in write.versions}
    superseded = {row for row, fate in rig.fates.items() if fate is Verdict.SUPERSEDED}
    assert not sent & superseded
    rejected = {rig.keys[row] for row, fate in rig.fates.items() if fate is Verdict.REJECTED}
    unexplained = [name for name in mix["actions"] if name.startswith(("unexpected", "broken"))]
    assert rejected <= BAD or len(unexplained) > 2
    assert rig.measured.possibly_duplicated == 0


def check_server_made(rig):
    verdicts = rig.verdicts()
    assert sum(verdicts.values()) == len(rig.keys)
    assert not verdicts.get("superseded")
    found = [version for versions in rig.wire.rows.values() for version in versions]
    doubled = len(found) - len(set(found))
    assert doubled == 0 or rig.measured.possibly_duplicated
    stored = {row for row, fate in rig.fates.items() if fate is Verdict.STORED}
    unsent = {row for row, fate in rig.fates.items() if fate is Verdict.UNSENT}
    assert stored <= set(found)
    assert not unsent & set(found)


@settings(max_examples=200)
@given(MIXES)
def test_rows_with_keys_end_as_the_account_says(mix):
    check_keyed(mix, play(mix))


@settings(max_examples=100)
@given(MIXES)
def test_rows_with_server_made_keys_end_as_the_account_says(mix):
    check_server_made(play({**mix, "bad": False}, AUTO_ID))


@pytest.mark.long
@settings(max_examples=3_000)
@given(MIXES)
def test_many_more_mixes(mix):
    check_keyed(mix, play(mix))
