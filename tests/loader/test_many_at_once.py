"""Many loads at once: threads, event loops, collections, processes; and two loaders that want one journal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

import headrace
from headrace import JournalError
from tests.fake.behaviours import stall
from tests.fake_milvus import FakeMilvus
from tests.loader.rows import SMALL, counts, load, table, write_parquet, writes


def test_two_loads_into_one_collection_at_once_store_the_rows_of_both(fake):
    load(fake, table(1, start=9999))
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda start: load(fake, table(1000, start=start)), (0, 1000)))
    assert [counts(report) for report in reports] == [{"stored": 1000}] * 2
    assert fake.collections["docs"].keys() == Counter([*range(2000), 9999])


def test_two_loads_of_the_same_rows_at_once_leave_each_key_once(fake):
    load(fake, table(1, start=9999))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: load(fake, table(500), verify="full"), range(2)))
    assert fake.collections["docs"].keys() == Counter([*range(500), 9999])


def test_two_collections_are_loaded_at_once_from_event_loops_of_their_own(fake, tmp_path):
    paths = {name: write_parquet(tmp_path / f"{name}.parquet", 700) for name in ("one", "two", "three")}

    async def some(name):
        sources = (paths[name], table(100, start=5000), table(100, start=6000))
        options = {"collection": name, "uri": fake.uri, **SMALL}
        first = await headrace.aload(sources[0], create=True, **options)
        return [first, *await asyncio.gather(*(headrace.aload(source, **options) for source in sources[1:]))]

    with ThreadPoolExecutor(3) as pool:
        reports = [report for found in pool.map(lambda name: asyncio.run(some(name)), paths) for report in found]
    assert sum(report.rows_stored for report in reports) == 3 * 900
    for name in paths:
        assert fake.collections[name].keys() == Counter([*range(700), *range(5000, 5100), *range(6000, 6100)])


def test_one_journal_serves_one_loader_and_the_second_is_told_whose_it_is(fake, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 500)
    fake.always("Insert", stall)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(load, fake, path, max_in_flight=1)
        fake.wait_for(lambda: fake.open_writes > 0)
        sent = len(writes(fake))
        with pytest.raises(JournalError, match=f"process {os.getpid()} on .*--state-dir each"):
            load(fake, path)
        assert len(writes(fake)) == sent
        fake.release()
        assert counts(first.result()) == {"stored": 500}
    assert load(fake, path).already_complete


#: Forks in all the ways there are; in a process of its own, in which nothing else uses gRPC.
FORKING = """
import multiprocessing, os, sys, headrace
from headrace import Loader
from tests.loader.rows import table

def load(start):
    return headrace.load(table(50, start=start), collection="docs", uri=sys.argv[1], create=True).rows_stored

def in_child(work):
    if (child := os.fork()) == 0:
        try:
            print(work(), flush=True)
        except headrace.ConfigError as error:
            print(error, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def leave(block):
    block.__exit__(None, None, None)

if __name__ == "__main__":
    load(0)
    in_child(lambda: load(100))
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with context.Pool(1, initializer=sys.argv.__setitem__, initargs=(1, sys.argv[1])) as pool:
            print(pool.map(load, [200 if method == "fork" else 300]), flush=True)
    block = Loader("docs", uri=sys.argv[1])
    with block as loader:
        loader.put(table(10, start=400))
        in_child(lambda: load(900))
        for work in (lambda: loader.put(table(5000, start=900)), loader.drain, lambda: leave(block)):
            in_child(work)
    print(loader.report.rows_stored, load(500), flush=True)
"""


def test_a_forked_process_loads_or_says_why_it_cannot_and_its_parent_goes_on(tmp_path):
    program = tmp_path / "forking.py"
    program.write_text(FORKING)
    with FakeMilvus() as fake:
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
        command = [sys.executable, str(program), fake.uri]
        done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        *loaded, amid, put, drain, leave, last = done.stdout.splitlines()
        assert loaded == ["50", "[50]", "[50]"]
        assert "forked while its parent was loading: gRPC does not work here; load in the process that forks" in amid
        for refused in (put, drain, leave):
            assert "expected the process that began it, found one that was forked from it" in refused
        assert last == "10 50"
        rows = [start + row for start in (0, 100, 200, 300, 500) for row in range(50)]
        assert fake.collections["docs"].keys() == Counter([*rows, *range(400, 410)])
