"""What a chaos run rests on: enough strikes count or it says so, and it knows what should be stored."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pyarrow.parquet as pq
import pytest

from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.chaos.case import KINDS, Case
from tests.chaos.faults import same_rows
from tests.chaos.plan import Plan, carry_out
from tests.fake.encoding import encode_insert
from tests.loader.rows import table
from tests.servers.line import Exchange

SCHEMA = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True)])
STRIKES = {"often": 3, "once": 1, "never": 0}


@pytest.mark.parametrize("jobs", [1, 7])
def test_seeds_are_run_once_each_until_enough_strikes_of_every_fault_count(jobs):
    run, lock = [], threading.Lock()

    def attempt(seed):
        with lock:
            run.append(seed)
        return {"counted": STRIKES[seed.rpartition("-")[0]]}

    plan = Plan(STRIKES, 20)
    carry_out(plan, attempt, jobs)
    assert len(set(run)) == len(run)
    counted = Counter()
    for seed in run:
        fault = seed.rpartition("-")[0]
        counted[fault] += STRIKES[fault]
    assert counted["once"] == 20
    assert 20 <= counted["often"] < 20 + 3 * jobs
    # Nobody goes on for ever with what does not strike.
    assert 3 <= sum(seed.startswith("never") for seed in run) < 3 + jobs
    assert plan.missed() == {"never": 0}


def test_a_run_that_failed_has_no_strikes():
    plan = Plan(["a"], 1)
    carry_out(plan, lambda seed: {"error": "it broke"}, 2)
    assert plan.missed() == {"a": 0}


@pytest.mark.parametrize("seed", range(8))
def test_a_case_knows_the_last_row_of_every_key(tmp_path, seed):
    case = Case(random.Random(seed), tmp_path, 500)
    rows = pq.read_table(case.path)
    last = {row["id"]: row["number"] for row in rows.to_pylist()}
    found = {key: number for key, (number, _) in case.expected.items()}
    assert {key: found[key] for key in last} == last
    stays = found.keys() - last.keys()
    if case.earlier is None:
        assert not stays
    else:
        earlier = {row["id"] for row in pq.read_table(case.earlier).to_pylist()}
        assert stays == earlier - last.keys() != set()


def test_cases_have_every_kind_of_keys_and_the_same_seed_gives_the_same_one(tmp_path):
    cases = [Case(random.Random(seed), tmp_path, 100) for seed in range(24)]
    assert {case.kind for case in cases} == set(KINDS)
    again = Case(random.Random(23), tmp_path, 100)
    assert (again.expected, again.options) == (cases[-1].expected, cases[-1].options)


def test_a_repeat_is_known_by_its_keys():
    def write(start, rows):
        batch = table(rows, start=start).select(["id"]).combine_chunks().to_batches()[0]
        return Exchange(bytearray(5) + encode_insert(batch, SCHEMA, "docs"), asked=True)

    held = write(0, 10)
    assert same_rows(held, write(9, 10))
    assert not same_rows(held, write(10, 10))
    assert not same_rows(held, Exchange(bytearray(b"\0" * 5 + b"\xff\xff"), asked=True))
    assert not same_rows(held, Exchange(write(0, 10).data, asked=False))
