"""Keys in the order of the source: nothing is overlooked, and little is suspected."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.keyfilter import KeyFilter, key_codes
from headrace.ordering import KeyOrder, last_of_each_key, sorted_codes
from tests.fake.rig import run_load
from tests.fake.wire import fails, lose, ok

TEXTS = st.text(max_size=200)


def codes(values):
    return np.array(values, np.int64)


def repeated(order, values):
    mask = order.repeated(codes(values), np.sort(codes(values)))
    return [] if mask is None else codes(values)[mask].tolist()


@given(st.lists(TEXTS, min_size=1, max_size=30))
def test_equal_texts_have_equal_codes_wherever_they_stand(texts):
    array = pa.array(texts, pa.string())
    padded = pa.concat_arrays([pa.array(["before"]), array, pa.array(["after"])]).slice(1, len(texts))
    assert key_codes(array).tolist() == key_codes(padded).tolist()
    assert key_codes(array).tolist() == [int(key_codes(pa.array([text]))[0]) for text in texts]


def test_texts_that_differ_anywhere_near_their_ends_have_other_codes():
    base = "k" * 300
    texts = {base[:at] + "x" + base[at + 1 :] for at in (*range(64), *range(236, 300))} | {base, base + "k", base[1:]}
    assert len(set(key_codes(pa.array(sorted(texts), pa.large_string())).tolist())) == len(texts)


def test_the_filter_never_forgets_and_rarely_guesses_wrong():
    rng = np.random.default_rng(1)
    keys = rng.permutation(3_000_000)[:1_000_000].astype(np.int64)
    seen = KeyFilter()
    for part in np.split(keys, 50):
        seen.add(seen.probe(part))
    assert seen.test(seen.probe(keys)).all()
    assert seen.test(seen.probe(np.arange(3_000_000, 3_100_000))).mean() < 0.001


def test_the_filter_takes_any_number_of_keys():
    seen = KeyFilter()
    keys = np.arange(60_000, dtype=np.int64)
    for start in range(700):
        seen.add(seen.probe(keys + start * 60_000))
    assert seen.test(seen.probe(keys)).all()
    assert seen.test(seen.probe(keys - 10**9)).mean() < 0.5


def test_ascending_keys_are_never_suspected():
    order = KeyOrder(upsert=False)
    for start in range(0, 10_000, 100):
        assert repeated(order, range(start, start + 100)) == []
    assert repeated(order, range(20_000, 30_000, 7)) == []


def test_consecutive_keys_of_files_in_any_order_are_never_suspected():
    order = KeyOrder(upsert=False)
    parts = [range(start, start + 100) for start in range(0, 10_000, 100)]
    random.Random(1).shuffle(parts)
    assert [key for part in parts for key in repeated(order, part)] == []
    assert repeated(order, [5, -1, 9_999, 10_000]) == [5, 9_999]


@given(st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=20, unique=True), max_size=20))
def test_a_key_that_came_before_is_always_seen(batches):
    order, before = KeyOrder(upsert=False), set()
    for keys in batches:
        found = repeated(order, keys)
        assert set(found) >= before & set(keys)
        before |= set(keys)


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 20), min_size=1, max_size=8, unique=True), st.booleans()), max_size=20)
)
def test_in_upsert_mode_only_locked_keys_wait(steps):
    order, claims = KeyOrder(upsert=True), []
    for keys, end in steps:
        locked = {int(code) for claim in claims for code in claim.codes}
        found = repeated(order, keys)
        assert set(found) == locked & set(keys)
        fresh = sorted(set(keys) - set(found))
        order.lane_enters()
        claims.append(order.enter(codes(fresh), late=False))
        if found:
            claims.append(late := order.enter(codes(sorted(found)), late=True))
            assert not late.ready
            assert {int(code) for claim in late.after for code in claim.codes} >= set(found)
        if end:
            for claim in claims:
                order.end(claim, settled=True)
            claims.clear()


@given(st.lists(st.integers(0, 10), min_size=1, max_size=30))
def test_the_last_row_of_each_key_remains(keys):
    for array in (pa.array(keys, pa.int64()), pa.array([f"key {key}" for key in keys])):
        found = key_codes(array)
        ordered, distinct = sorted_codes(found)
        assert distinct == (len(set(keys)) == len(keys))
        expected = sorted({key: row for row, key in enumerate(keys)}.values())
        assert last_of_each_key(array, found, ordered).tolist() == expected


def test_texts_with_equal_codes_are_still_told_apart():
    array = pa.array(["a", "b", "a", "c"])
    same = np.zeros(4, np.int64)
    assert last_of_each_key(array, same, same).tolist() == [1, 2, 3]


# -- in a load -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upsert", [False, True])
@pytest.mark.parametrize("limit", [1, 4])
def test_the_later_row_wins_in_every_mode(tmp_path, upsert, limit):
    keys = [random.Random(row).randrange(60) for row in range(1000)]
    batches = [keys[start : start + 50] for start in range(0, 1000, 50)]
    rig = run_load(tmp_path, *batches, upsert=upsert, limit=limit, target_bytes=200)
    last = {key: row for row, key in enumerate(keys)}
    assert rig.wire.contents() == Counter(last.items())
    sent = sum(write.rows for write in rig.wire.writes)
    assert rig.verdicts() == {"stored": sent, "superseded": 1000 - sent}


def test_in_insert_mode_only_repeated_keys_are_upserted_and_after_the_first_is_stored(tmp_path):
    rig = run_load(tmp_path, range(30), [100, 5, 101], [5, 102, 7], limit=4)
    inserted = [key for write in rig.wire.writes if write.method == "Insert" for key in write.keys]
    upserted = [write for write in rig.wire.writes if write.method == "Upsert"]
    assert sorted(inserted) == [*range(30), 100, 101, 102]
    assert [(write.keys, write.versions) for write in upserted] == [([5, 7], [33, 35])]
    first = next(write for write in rig.wire.writes if 5 in write.keys)
    assert upserted[0].began > first.began + rig.wire.latency / 2
    assert rig.verdicts() == {"stored": 35, "superseded": 1}


def test_a_key_of_a_row_that_failed_is_not_sent_again_out_of_order(tmp_path):
    async def behave(wire, write):
        return await (lose(apply=False) if 5 in write.keys and len(wire.writes) < 40 else ok)(wire, write)

    def prepare(wire):
        wire.default = behave

    batches = [range(20), range(20, 40), [5], range(40, 60)]
    rig = run_load(tmp_path, *batches, limit=1, prepare=prepare)
    lost = rig.wire.writes[0].rows
    assert rig.verdicts() == {"stored": 60 - lost, "unknown": lost, "unsent": 1}
    assert any("earlier row with their key" in note for note in rig.ledger.notes)


def test_a_role_that_may_not_upsert_leaves_repeated_keys_unsent(tmp_path):
    async def behave(wire, write):
        denied = fails("PERMISSION_DENIED", "PrivilegeUpsert: permission deny")
        return await (denied if write.method == "Upsert" else ok)(wire, write)

    def prepare(wire):
        wire.default = behave

    rig = run_load(tmp_path, range(20), [3, 30], prepare=prepare, target_bytes=60)
    assert rig.verdicts() == {"stored": 21, "unsent": 1}
