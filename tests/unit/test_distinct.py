"""Counting distinct keys without keeping what need not be kept."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import distinct
from headrace.distinct import DistinctKeys


@given(st.lists(st.lists(st.integers(-20, 20))), st.sets(st.integers(-20, 20)))
def test_integers_are_counted_whatever_their_order(batches, without):
    keys = DistinctKeys()
    for batch in batches:
        keys.add(pa.array(batch, pa.int64()))
    assert keys.count(without) == len({key for batch in batches for key in batch} - without)


def test_ascending_strings_are_distinct_and_others_unknown():
    keys = DistinctKeys()
    keys.add(pa.array(["a", "b"]))
    keys.add(pa.array(["c"]))
    assert keys.count() == 3
    keys.add(pa.array(["c"]))
    assert keys.count() is None


@pytest.mark.parametrize(("batches", "expected"), [([[1, 2], [3, 4]], 4), ([[2, 1], [3, 4]], None)])
def test_past_the_limit_only_ascending_keys_are_counted(monkeypatch, batches, expected):
    monkeypatch.setattr(distinct, "MOST_KEPT", 3)
    keys = DistinctKeys()
    for batch in batches:
        keys.add(pa.array(batch, pa.int64()))
    assert keys.count() == expected
