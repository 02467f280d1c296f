"""Rows for the loader's tests, and the call that most of them make."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import headrace
from headrace.state import state_home
from tests.fake.behaviours import ok, vanish_and_die
from tests.fake.store import Row

DIM = 8


def table(rows, *, start=0, dim=DIM, seed=0):
    """``rows`` keyed rows: id, text, a dense and a sparse vector."""
    rng = np.random.default_rng(seed + start)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rng.standard_normal(rows * dim, dtype=np.float32)), dim)
    offsets = pa.array(range(0, 2 * rows + 1, 2), pa.int32())
    pairs = pa.StructArray.from_arrays(
        [pa.array(np.tile([3, 9], rows).astype(np.int32)), pa.array(rng.random(2 * rows, dtype=np.float32))],
        ["index", "value"],
    )
    return pa.table(
        {
            "id": pa.array(range(start, start + rows), pa.int64()),
            "text": pa.array([f"row {i}" for i in range(start, start + rows)], pa.string()),
            "dense": vectors,
            "sparse": pa.ListArray.from_arrays(offsets, pairs),
        }
    )


def write_parquet(path, rows, *, row_group_size=100, **kwargs):
    """The same as a Parquet file; returns its path."""
    pq.write_table(table(rows, **kwargs), path, row_group_size=row_group_size)
    return path


#: Options that make many requests of few rows.
SMALL = {"batch_bytes": 4096, "rpc_timeout": 20.0}


def load(fake, source, **options):
    """Load into the collection ``docs`` of a fake server, in small requests."""
    options = {"create": True, "collection": "docs", **SMALL, **options}
    return headrace.load(source, uri=fake.uri, **options)


def counts(report):
    """Rows by verdict, those that are not 0; they add up."""
    names = ("stored", "superseded", "skipped", "rejected", "unknown", "unsent")
    verdicts = {name: getattr(report, f"rows_{name}") for name in names}
    assert sum(verdicts.values()) == report.rows_read
    return {name: rows for name, rows in verdicts.items() if rows}


def eventually(condition, seconds=100.0):
    """Return once ``condition()`` holds."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        pause.wait(0.005)


def interrupted(fake, source, *, after=3, lost=vanish_and_die, **options):
    """A load that ended early: some requests are stored, one was never answered."""
    options = {"max_in_flight": 1, "give_up_after": 0.3, "check": False, **options}
    for method in ("Insert", "Upsert"):
        fake.script(method, *[ok] * after, lost)
    report = load(fake, source, **options)
    assert report.exit_status == 4
    for method in ("Insert", "Upsert"):
        fake._scripts[method].clear()
    fake.revive()
    age(report.state_dir)
    return report


def age(directory, seconds=3600):
    """Let the run that used a state directory have ended an hour ago: nothing of it is on the way any more."""
    then = time.time() - seconds
    os.utime(Path(directory) / "journal.lock", (then, then))


def hurry(seconds=1.0):
    """Let what killed loaders sent be on its way for so many seconds only."""
    until = time.time() + seconds
    for lock in state_home().glob("*/journal.lock"):
        os.utime(lock, (until, until))


def somebody_stores(collection, *keys):
    """Store rows under these keys as another writer's insert would: beside what is there."""
    like = next(iter(collection.rows.values()))[0]
    for key in keys:
        batch = pa.RecordBatch.from_pylist([{**like.as_dict(), "id": key}], like.batch.schema)
        collection.rows.setdefault(key, []).append(Row(like.version, batch, 0))


def writes(fake):
    return fake.calls_of("Insert", "Upsert")


def rows_sent(calls):
    return sum(call.num_rows for call in calls)
