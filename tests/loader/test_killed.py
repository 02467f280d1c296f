"""kill -9 of the loader, again and again: what the next runs leave is what one undisturbed run would have left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest

import headrace
from tests.fake.behaviours import apply_then, land_late, ok, refuse, refuse_rows, stall, stall_forever
from tests.loader.rows import SMALL, counts, hurry, load, table, write_parquet, writes

ROWS, IN_FLIGHT = 3000, 2
#: In a process of its own, because that is what a kill ends.
PROGRAM = """
import sys, headrace
headrace.load(sys.argv[1], uri=sys.argv[2], collection="docs", create=True, check=False, **eval(sys.argv[3]))
"""


@contextmanager
def loading(fake, path, **options):
    """A loader in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, str(path), fake.uri, repr({**SMALL, **options})]
    process = subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def kill_after(fake, path, requests, **options):
    """Kill a loader once so many of its requests came, or as many wait for an answer as may; whether one waited."""
    before = len(fake.calls)

    def ready():
        arrived = sum(call.method in ("Insert", "Upsert") for call in fake.calls[before:])
        return process.poll() is not None or (fake.open_writes and arrived >= requests) or fake.open_writes == IN_FLIGHT

    with loading(fake, path, max_in_flight=IN_FLIGHT, **options) as process:
        fake.wait_for(ready)
        waited = process.poll() is None and fake.open_writes > 0
        process.kill()
    return waited


def mixed(rng, fake):
    """Answers that come, that get lost after and before the rows are stored, and refusals."""
    slow = [ok] * 6 + [
        stall,
        stall_forever,
        apply_then(stall_forever),
        refuse(8, "rate limit exceeded[rate=1e+07]", legacy=49),
    ]

    async def behave(call):
        return await rng.choice(slow)(call)

    for method in ("Insert", "Upsert"):
        fake.always(method, behave)


@pytest.mark.parametrize(("seed", "mode"), [(1, "auto"), (2, "insert"), (3, "insert")])
def test_keyed_rows_are_there_once_whenever_the_loader_was_killed(fake, tmp_path, seed, mode):
    path = write_parquet(tmp_path / "a.parquet", ROWS, row_group_size=700)
    rng = random.Random(seed)
    mixed(rng, fake)
    killed = sum(kill_after(fake, path, rng.randint(1, 12), rpc_timeout=60.0, mode=mode) for _ in range(4))
    assert killed >= 3
    for method in ("Insert", "Upsert"):
        fake.always(method, ok)
    hurry()
    report = load(fake, path, verify="full", mode=mode)
    assert counts(report) == {"stored": ROWS}
    assert report.guarantee == "effectively-once"
    assert fake.collections["docs"].keys() == Counter(range(ROWS))
    assert load(fake, path).already_complete


def test_rows_with_server_made_keys_are_never_lost_and_doubles_are_within_what_is_said(fake, tmp_path):
    pq.write_table(table(ROWS).drop_columns(["id"]), tmp_path / "a.parquet")
    rng = random.Random(7)
    mixed(rng, fake)
    for _ in range(3):
        kill_after(fake, tmp_path / "a.parquet", rng.randint(2, 12), rpc_timeout=60.0, auto_id=True)
    for method in ("Insert", "Upsert"):
        fake.always(method, ok)
    hurry()
    report = load(fake, tmp_path / "a.parquet", auto_id=True)
    assert counts(report) == {"stored": ROWS}
    texts = Counter(row["text"] for row in fake.collections["docs"].dicts())
    assert set(texts) == {f"row {i}" for i in range(ROWS)}
    doubled = sum(number - 1 for number in texts.values())
    assert report.guarantee == "at-least-once"
    assert doubled == 0 or report.rows_possibly_duplicated > 0


def test_rows_that_a_killed_run_rejected_are_rejected_again_into_a_file_that_can_be_read(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", ROWS)
    fake.always("Insert", refuse_rows(lambda row: row["id"] == 5))
    fake.always("Upsert", refuse_rows(lambda row: row["id"] == 5))
    with loading(fake, path, max_in_flight=1) as process:
        fake.wait_for(lambda: len(fake.calls) > 40 or process.poll() is not None)
        process.kill()
    hurry()
    report = load(fake, path, check=False)
    assert counts(report) == {"stored": ROWS - 1, "rejected": 1}
    assert pq.read_table(report.rejects_file)["_row"].to_pylist() == [5]


def test_a_terminated_command_goes_on_where_it_was(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", ROWS)
    for method in ("Insert", "Upsert"):
        fake.script(method, *[ok] * 5)
        fake.always(method, stall)
    command = [sys.executable, "-m", "headrace", "load", str(path), "--collection", "docs", "--uri", fake.uri]
    command += ["--create", "--batch-bytes", "4096", "--quiet"]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE)
    try:
        fake.wait_for(lambda: fake.collections.get("docs") is not None and fake.open_writes > 0)
        process.send_signal(signal.SIGTERM)
        fake.release()
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 143
    stored = fake.collections["docs"].count()
    sent = len(writes(fake))
    done = subprocess.run(command, env=dict(os.environ), stdout=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 0
    # Everything was answered before it ended, so nothing is sent twice.
    assert sum(call.num_rows for call in writes(fake)[sent:]) == ROWS - stored
    assert fake.collections["docs"].keys() == Counter(range(ROWS))


def killed_with_a_request_on_its_way(fake, path):
    """A loader that was killed with its second insert still in the network; the keys that this holds.

    It lands once another write of these keys was stored.
    """
    fake.script("Insert", ok, land_late)
    with loading(fake, path, max_in_flight=1) as process:
        fake.wait_for(lambda: len(writes(fake)) == 2)
        process.kill()
    late = set(writes(fake)[1].batch()["id"].to_pylist())

    async def then_let_it_land(call):
        answer = await ok(call)
        if late & set(call.batch()["id"].to_pylist()):
            fake.release()
        return answer

    for method in ("Insert", "Upsert"):
        fake.always(method, then_let_it_land)
    hurry()
    return late


def test_a_request_of_a_killed_loader_that_lands_late_doubles_no_row(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    late = killed_with_a_request_on_its_way(fake, path)
    report = load(fake, path)
    assert counts(report) == {"stored": 300}
    assert sum(late & set(call.batch()["id"].to_pylist()) == late for call in writes(fake)) >= 3
    assert fake.collections["docs"].keys() == Counter(range(300))


def the_same_file_again(path):
    return path, {"again": True}


def a_file_that_changed(path):
    return write_parquet(path, 300, seed=1), {"changed": "reload"}


def another_file(path):
    return write_parquet(path.with_name("b.parquet"), 300, seed=1), {}


@pytest.mark.long
@pytest.mark.parametrize("then", [the_same_file_again, a_file_that_changed, another_file])
def test_nor_does_it_where_the_next_run_does_not_go_on_with_its_file(fake, tmp_path, then):
    path = write_parquet(tmp_path / "a.parquet", 300)
    killed_with_a_request_on_its_way(fake, path)
    source, options = then(path)
    report = load(fake, source, verify="full", **options)
    assert counts(report) == {"stored": 300}
    assert (report.mode, report.verify["status"]) == ("upsert", "ok")
    assert fake.collections["docs"].keys() == Counter(range(300))


def test_nor_does_it_where_the_next_thing_is_a_repair(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 300)
    killed_with_a_request_on_its_way(fake, path)
    fake.collections["docs"].loaded = True
    found = headrace.verify(path, collection="docs", uri=fake.uri, repair=True)
    assert found.ok
    assert fake.collections["docs"].keys() == Counter(range(300))
