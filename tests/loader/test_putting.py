"""``Loader``: rows from a running program, with backpressure and no row lost."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import grpc
import numpy as np
import pytest

import headrace
from headrace import ConfigError, Loader, RowsRejectedError, RowsUnsentError
from tests.fake.behaviours import abort, refuse, stall
from tests.loader.rows import DIM, eventually, table

SCHEMA = headrace.CollectionSchema(
    [
        headrace.FieldSchema("id", headrace.DataType.INT64, is_primary=True),
        headrace.FieldSchema("v", headrace.DataType.FLOAT_VECTOR, dim=DIM),
    ]
)


def columns(start, rows, value=None):
    vectors = np.full((rows, DIM), start if value is None else value, np.float32)
    return {"id": np.arange(start, start + rows), "v": vectors}


def stored_vectors(fake):
    return {row["id"]: row["v"] for row in fake.collections["docs"].dicts()}


def test_puts_rows_from_plain_code_and_reports(fake):
    with Loader("docs", uri=fake.uri, schema=SCHEMA) as loader:
        for start in range(0, 100, 10):
            loader.put(columns(start, 10))
        with pytest.raises(ConfigError, match="running"):
            _ = loader.report
        loader.drain()
        assert loader.watermark == 100
        assert fake.collections["docs"].count() == 100
    assert (loader.report.rows_stored, loader.report.exit_status) == (100, 0)
    assert fake.collections["docs"].loaded


def test_puts_rows_from_coroutines(fake):
    async def main():
        async with Loader("docs", uri=fake.uri, schema=SCHEMA) as loader:
            await asyncio.gather(*(loader.put(columns(start, 10)) for start in range(0, 100, 10)))
            await loader.drain()
            assert loader.watermark == 100
        assert len(asyncio.all_tasks()) == 1
        return loader.report

    assert asyncio.run(main()).rows_stored == 100


def test_any_thread_may_put(fake):
    with Loader("docs", uri=fake.uri, schema=SCHEMA) as loader:
        threads = [threading.Thread(target=loader.put, args=(columns(start, 25),)) for start in range(0, 200, 25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert fake.collections["docs"].keys() == Counter(range(200))


def test_takes_tables_and_lists_of_dicts_too(fake):
    with Loader("docs", uri=fake.uri, create=True) as loader:
        loader.put(table(10))
        loader.put(table(10, start=10).to_pylist())
    assert fake.collections["docs"].count() == 20


@pytest.mark.parametrize("rows", [3, 400], ids=["joined with others", "sent alone"])
def test_the_caller_may_overwrite_its_arrays_after_put(fake, rows):
    """One pair of arrays serves a thousand puts, while the server answers nothing until the end."""
    fake.always("Insert", stall)
    ids, vectors = np.empty(rows, np.int64), np.empty((rows, DIM), np.float32)
    window = 256 << 20  # everything fits, so that nothing is sent before the last put
    with Loader("docs", uri=fake.uri, schema=SCHEMA, batch_bytes=16384, window_bytes=window) as loader:
        for number in range(1000):
            ids[:] = np.arange(number * rows, (number + 1) * rows)
            vectors[:] = ids[:, None]
            loader.put({"id": ids, "v": vectors})
        fake.release()
    assert loader.report.rows_stored == 1000 * rows
    found = stored_vectors(fake)
    assert len(found) == 1000 * rows
    assert all(vector == [float(key)] * DIM for key, vector in found.items())


def test_put_waits_while_the_window_is_full_and_memory_stays_bounded(fake):
    fake.always("Insert", stall)
    window = 1 << 20
    with Loader("docs", uri=fake.uri, schema=SCHEMA, window_bytes=window, batch_bytes=65536) as loader:
        put, block = [], columns(0, 1500)

        def feed():
            for number in range(60):
                loader.put({**block, "id": block["id"] + number * 1500})
                put.append(number)

        feeder = threading.Thread(target=feed)
        feeder.start()
        session = loader._session
        eventually(lambda: session.window.waiting > 0)
        before = len(put)
        assert before < 60
        assert session.window.used <= window
        fake.release()
        feeder.join()
    assert loader.report.rows_stored == 90_000
    assert loader.report.peak_in_flight_bytes <= window
    assert fake.peak_writes <= 2 * loader.report.concurrency["in_flight"]


def test_a_cancelled_put_gives_the_arrays_back_and_keeps_the_account(fake):
    fake.always("Insert", stall)

    async def main():
        options = {"window_bytes": 1 << 17, "batch_bytes": 8192, "check": False}
        async with Loader("docs", uri=fake.uri, schema=SCHEMA, **options) as loader:
            putting = asyncio.create_task(loader.put(columns(0, 20_000)))
            await asyncio.to_thread(eventually, lambda: loader._session.window.waiting > 0)
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting
            fake.release()
            await loader.put(columns(50_000, 10))
        assert len(asyncio.all_tasks()) == 1
        return loader.report

    report = asyncio.run(main())
    assert report.rows_read == 20_010
    assert report.rows_stored + report.rows_unsent == 20_010
    assert report.rows_unsent > 0
    assert report.rows_stored == fake.collections["docs"].count()


def test_an_exception_in_the_block_passes_and_nothing_waits_for_a_stalled_server(fake):
    sink = None

    def block():
        nonlocal sink
        with Loader("docs", uri=fake.uri, schema=SCHEMA) as sink:
            sink.put(columns(0, 10))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert sink.report.rows_read == 10
    assert sink.report.rows_unsent + sink.report.rows_stored == 10
    assert "ZeroDivisionError" in sink.report.failure


def test_leaving_the_block_raises_where_rows_were_rejected(fake):
    bad = columns(0, 10)
    bad["v"][4, 0] = np.nan
    with pytest.raises(RowsRejectedError) as refused, Loader("docs", uri=fake.uri, schema=SCHEMA) as loader:
        loader.put(bad)
    assert refused.value.report.rows_rejected == 1
    assert loader.report.rows_stored == 9


def test_puts_after_a_fatal_answer_say_why(fake):
    fake.always("Insert", refuse(1401, "permission deny"))
    with Loader("docs", uri=fake.uri, schema=SCHEMA, check=False) as loader:
        loader.put(columns(0, 10))
        with pytest.raises(headrace.HeadraceError, match="permission deny"):
            loader.drain()
        with pytest.raises(headrace.HeadraceError, match="permission deny"):
            loader.put(columns(10, 10_000))
    assert loader.report.rows_stored == 0
    assert loader.report.rows_unsent == loader.report.rows_read


def test_rows_that_do_not_fit_are_refused_and_not_taken(fake):
    with Loader("docs", uri=fake.uri, schema=SCHEMA) as loader:
        loader.put(columns(0, 5))
        with pytest.raises(headrace.InputError, match="v"):
            loader.put({"id": np.arange(5), "v": np.ones((4, DIM), np.float32)})
        loader.put(columns(5, 5))
    assert fake.collections["docs"].keys() == Counter(range(10))


def test_few_rows_are_sent_without_waiting_for_more(fake):
    with Loader("docs", uri=fake.uri, schema=SCHEMA) as loader:
        loader.put(columns(0, 3))
        fake.wait_for(lambda: "docs" in fake.collections and fake.collections["docs"].count() == 3)


def test_a_loader_is_used_once(fake):
    loader = Loader("docs", uri=fake.uri, schema=SCHEMA)
    with loader:
        pass
    with pytest.raises(ConfigError, match="make a new Loader"), loader:
        pass


def test_a_loader_that_was_given_nothing_reports_nothing(fake):
    with Loader("docs", uri=fake.uri) as loader:
        loader.drain()
    assert (loader.report.rows_read, loader.report.exit_status) == (0, 0)


@pytest.mark.parametrize("options", [{"verify": "full"}, {"limit": 5}])
def test_options_that_need_a_source_are_refused(options):
    with pytest.raises(ConfigError, match="Loader"):
        Loader("docs", **options)


def test_unanswered_rows_are_unknown_when_the_block_ends_early(fake):
    fake.always("Insert", abort(grpc.StatusCode.CANCELLED, "gone"))
    fake.always("Upsert", abort(grpc.StatusCode.CANCELLED, "gone"))
    with pytest.raises(RowsUnsentError), Loader("docs", uri=fake.uri, schema=SCHEMA, give_up_after=0.3) as loader:
        loader.put(columns(0, 10))
    assert loader.report.rows_unknown == 10


def test_cancelling_one_put_leaves_the_others_alone(fake):
    fake.always("Insert", stall)

    async def main():
        options = {"window_bytes": 1 << 17, "batch_bytes": 8192, "check": False}
        async with Loader("docs", uri=fake.uri, schema=SCHEMA, **options) as loader:
            first = asyncio.create_task(loader.put(columns(0, 20_000)))
            await asyncio.to_thread(eventually, lambda: loader._session.window.waiting > 0)
            second = asyncio.create_task(loader.put(columns(50_000, 10)))
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            first.cancel()
            await asyncio.sleep(0)
            first.cancel()  # an impatient caller cancels twice
            fake.release()
            with pytest.raises(asyncio.CancelledError):
                await first
            await loader.put(columns(60_000, 20_000))
        return loader.report

    report = asyncio.run(main())
    assert report.rows_read == report.rows_stored + report.rows_unsent
    assert fake.collections["docs"].keys().keys() >= set(range(60_000, 80_000))


def test_columns_that_appear_later_are_kept_in_the_dynamic_field(fake):
    with Loader("docs", uri=fake.uri, create=True, dynamic=True, vector=("v",)) as loader:
        loader.put([{"id": 1, "v": [0.5] * DIM}])
        loader.put([{"id": 2, "v": [0.5] * DIM, "colour": "red"}])
    found = {row["id"]: row for row in fake.collections["docs"].dicts()}
    assert "red" in str(found[2])


def test_rows_of_other_columns_are_refused_and_not_counted(fake):
    with Loader("docs", uri=fake.uri, schema=SCHEMA) as loader:
        loader.put(columns(0, 5))
        with pytest.raises(headrace.InputError, match="more"):
            loader.put({**columns(5, 5), "more": np.arange(5)})
    assert (loader.report.rows_read, loader.report.rows_stored) == (5, 5)


def test_drain_says_that_rows_were_refused(fake):
    bad = columns(0, 10)
    bad["v"][4, 0] = np.nan
    with Loader("docs", uri=fake.uri, schema=SCHEMA, check=False) as loader:
        loader.put(bad)
        with pytest.raises(headrace.HeadraceError, match="1 refused rows"):
            loader.drain()
        loader.put(columns(10, 10))
        loader.drain()
    assert loader.report.rows_stored == 19


def test_a_stop_while_nothing_was_sent_yet_is_in_the_report(fake):
    endpoint, options = headrace.Endpoint(uri=fake.uri), headrace.LoadOptions(create=True)
    job = headrace.loader.LoadJob(table(10), collection="docs", endpoint=endpoint, options=options)
    job.stop("SIGTERM")
    report = job.run()
    assert (report.exit_status, report.interrupted, report.rows_read) == (143, "SIGTERM", 0)
    assert fake.calls_of("CreateCollection") == []
    job.stop("SIGTERM")  # too late to matter
