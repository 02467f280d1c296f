"""Counting distinct keys without keeping what need not be kept."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import distinct
from headrace.distinct import DistinctKeys
from headrace.keyfilter import key_codes


def add(keys, batch):
    keys.add(batch, np.sort(key_codes(batch)))


@given(st.lists(st.lists(st.integers(-20, 20))), st.sets(st.integers(-20, 20)))
def test_integers_are_counted_whatever_their_order(batches, without):
    keys = DistinctKeys()
    for batch in batches:
        add(keys, pa.array(batch, pa.int64()))
    assert keys.count(without) == len({key for batch in batches for key in batch} - without)


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([["a", "b"], ["c"]], 3),
        ([["c", "a"], ["b", "x" * 300]], 4),
        # Whether it is the same text is known to be next to certain, which is no proof.
        ([["a", "b"], ["b"]], None),
    ],
)
def test_texts_are_counted_where_all_are_different(batches, expected):
    keys = DistinctKeys()
    for batch in batches:
        add(keys, pa.array(batch))
    assert keys.count() == expected


@pytest.mark.parametrize(
    ("batches", "expected"), [([[1, 2], [3, 4]], 4), ([[2, 1], [3, 4]], 4), ([[3, 2], [1, 4]], None)]
)
def test_past_the_limit_only_keys_above_the_earlier_ones_are_counted(monkeypatch, batches, expected):
    monkeypatch.setattr(distinct, "MOST_KEPT", 3)
    keys = DistinctKeys()
    for batch in batches:
        add(keys, pa.array(batch, pa.int64()))
    assert keys.count() == expected
