"""The reservoir: uniform, bounded, and true to what a collection holds when keys repeat."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from headrace.batching import Placed, Span
from headrace.sampling import Reservoir


def rows(keys, marks=None, kind=None, *, names=("id", "mark"), start=0):
    marks = list(range(len(keys))) if marks is None else marks
    batch = pa.RecordBatch.from_arrays([pa.array(keys, kind), pa.array(marks, pa.int64())], names=names)
    return Placed(batch, (Span("source", start, len(keys)),))


def sampled(reservoir):
    return [row for found in reservoir.batches() for row in found.batch.to_pylist()]


@pytest.mark.parametrize("key", ["id", None])
def test_holds_every_row_while_there_is_room(key):
    reservoir = Reservoir(10, key=key)
    reservoir.add(rows([1, 2, 3]))
    reservoir.add(rows([4]))
    assert [row["id"] for row in sampled(reservoir)] == [1, 2, 3, 4]


@pytest.mark.parametrize("key", ["id", None])
def test_never_holds_more_than_its_size(key):
    reservoir = Reservoir(10, key=key, seed=1)
    for start in range(0, 1000, 100):
        reservoir.add(rows(list(range(start, start + 100))))
    keys = [row["id"] for row in sampled(reservoir)]
    assert len(keys) == len(set(keys)) == 10


@pytest.mark.parametrize("key", ["id", None])
def test_every_row_has_the_same_chance(key):
    hits = Counter()
    for seed in range(400):
        reservoir = Reservoir(5, key=key, seed=seed)
        for start in range(0, 50, 10):
            reservoir.add(rows(list(range(start, start + 10))))
        hits.update(row["id"] for row in sampled(reservoir))
    # 400 draws with probability 0.1: mean 40, standard deviation 6.
    assert min(hits[key] for key in range(50)) > 15
    assert max(hits[key] for key in range(50)) < 65


def test_a_later_row_with_a_sampled_key_replaces_it():
    reservoir = Reservoir(10, key="id")
    reservoir.add(rows([1, 2, 1], [10, 20, 11]))
    reservoir.add(rows([2, 3], [21, 30]))
    assert {row["id"]: row["mark"] for row in sampled(reservoir)} == {1: 11, 2: 21, 3: 30}


def test_sampled_rows_are_the_last_with_their_key_however_keys_repeat():
    random = np.random.default_rng(3)
    for seed in range(50):
        reservoir = Reservoir(7, key="id", seed=seed)
        last = {}
        mark = 0
        for _ in range(6):
            keys = random.integers(0, 40, size=15).tolist()
            marks = list(range(mark, mark + 15))
            mark += 15
            last.update(zip(keys, marks, strict=True))
            reservoir.add(rows(keys, marks))
        found = sampled(reservoir)
        assert len({row["id"] for row in found}) == len(found) <= 7
        assert all(last[row["id"]] == row["mark"] for row in found)


def test_text_keys_are_keys_too():
    reservoir = Reservoir(3, key="id")
    reservoir.add(rows(["a", 'b"\\'], [1, 2], pa.large_string()))
    reservoir.add(rows(['b"\\'], [3], pa.large_string()))
    assert {row["id"]: row["mark"] for row in sampled(reservoir)} == {"a": 1, 'b"\\': 3}


def test_kept_rows_share_no_memory_with_their_batch():
    numbers = np.arange(4, dtype=np.int64)
    batch = pa.RecordBatch.from_arrays([pa.array(numbers), pa.array(numbers)], names=["id", "mark"])
    reservoir = Reservoir(10, key=None)
    reservoir.add(Placed(batch, (Span("source", 0, 4),)))
    numbers[:] = 99
    assert [row["id"] for row in sampled(reservoir)] == [0, 1, 2, 3]


def test_rows_of_two_schemas_come_back_as_two_batches():
    reservoir = Reservoir(10, key="id")
    reservoir.add(rows([1]))
    reservoir.add(rows([2], names=["id", "other"]))
    assert [found.batch.schema.names for found in reservoir.batches()] == [["id", "mark"], ["id", "other"]]


def test_an_empty_reservoir_has_no_batches():
    reservoir = Reservoir(10, key="id")
    reservoir.add(rows([], [], pa.int64()))
    assert reservoir.batches() == []


def test_every_sampled_row_knows_where_it_comes_from():
    reservoir = Reservoir(20, key="id", seed=2)
    for start in range(0, 400, 50):
        reservoir.add(rows(list(range(start, start + 50)), start=start))
    (found,) = reservoir.batches()
    assert [(span.source, span.start, span.count) for span in found.spans] == [
        ("source", key, 1) for key in found.batch.column("id").to_pylist()
    ]
