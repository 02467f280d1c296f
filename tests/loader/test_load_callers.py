"""Where ``load`` and ``aload`` are called from: loops, threads, cancelled tasks."""

from __future__ import annotations

import asyncio
import threading

import pytest

import headrace
from headrace import ConfigError
from tests.fake.behaviours import stall
from tests.fake_milvus import FakeMilvus
from tests.loader.rows import SMALL, counts, load, table


def test_works_inside_a_running_loop_and_in_other_threads(fake):
    async def notebook():
        return load(fake, table(20))

    assert counts(asyncio.run(notebook())) == {"stored": 20}
    found = []
    thread = threading.Thread(target=lambda: found.append(load(fake, table(20, start=100))))
    thread.start()
    thread.join()
    assert counts(found[0]) == {"stored": 20}


def test_aload_takes_async_iterators_and_leaves_no_tasks(fake):
    async def rows():
        for start in range(0, 100, 10):
            yield table(10, start=start)
            await asyncio.sleep(0)

    async def main():
        report = await headrace.aload(rows(), collection="docs", uri=fake.uri, create=True)
        again = await headrace.aload(table(10, start=500), collection="docs", uri=fake.uri)
        assert len(asyncio.all_tasks()) == 1
        return report, again

    first, second = asyncio.run(main())
    assert counts(first) == {"stored": 100}
    assert counts(second) == {"stored": 10}
    assert fake.collections["docs"].count() == 110


def test_load_takes_an_async_iterator_too(fake):
    async def rows():
        yield table(10)

    assert counts(load(fake, rows())) == {"stored": 10}


def test_a_cancelled_aload_ends_everything(fake):
    fake.always("Insert", stall)

    async def main():
        running = asyncio.create_task(
            headrace.aload(table(5000), collection="docs", uri=fake.uri, create=True, **SMALL)
        )
        await asyncio.to_thread(fake.wait_for, lambda: fake.open_writes > 0)
        running.cancel()
        fake.release()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(asyncio.all_tasks()) == 1

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= before


def test_a_passed_endpoint_and_a_uri_together_are_refused(fake):
    with pytest.raises(ConfigError, match="endpoint"):
        headrace.load(table(1), collection="c", uri=fake.uri, endpoint=headrace.Endpoint())


def test_the_token_is_nowhere_in_the_report(tmp_path):
    with FakeMilvus(token="root:s3cret") as server:
        report = headrace.load(table(5), collection="docs", uri=server.uri, token="root:s3cret", create=True)
        assert "s3cret" not in report.to_json()
        assert "cm9vdDpzM2NyZXQ" not in report.to_json()
        with pytest.raises(headrace.MilvusException) as refused:
            headrace.load(table(5), collection="docs", uri=server.uri, token="root:wr0ng")
        assert "wr0ng" not in str(refused.value)
