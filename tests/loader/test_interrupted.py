"""Interrupts of library calls: KeyboardInterrupt at every call of a load, cancellation of ``aload`` at every await."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
import types
from collections import Counter

import pytest

import headrace
from tests.fake.behaviours import ok, stall_forever
from tests.loader.rows import SMALL, counts, eventually, hurry, load, table, write_parquet

ROWS = 300


@pytest.fixture
def resumed_calls():
    """SIGINT as polars registers it: the kernel resumes the system call that it interrupted."""
    signal.siginterrupt(signal.SIGINT, False)
    yield
    signal.siginterrupt(signal.SIGINT, True)


@pytest.fixture
def our_threads():
    """The threads of headrace's that this test has begun and that are not over."""
    others = set(threading.enumerate())

    def running():
        return [
            thread for thread in threading.enumerate() if thread.name.startswith("headrace") and thread not in others
        ]

    return running


def interrupt(call):
    """What Ctrl-C does."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


async def interrupt_and_stay_silent(call):
    interrupt(call)
    return await stall_forever(call)


async def interrupt_and_answer(call):
    interrupt(call)
    await asyncio.sleep(0.2)
    return await ok(call)


@pytest.mark.usefixtures("resumed_calls")
@pytest.mark.parametrize(
    ("method", "behaviour"),
    [
        ("Connect", interrupt_and_stay_silent),
        ("DescribeCollection", interrupt_and_stay_silent),
        ("CreateCollection", interrupt_and_stay_silent),
        ("CreateIndex", interrupt_and_stay_silent),
        ("Insert", interrupt_and_answer),
        ("LoadCollection", interrupt_and_stay_silent),
        ("Query", interrupt_and_stay_silent),
    ],
)
def test_a_keyboard_interrupt_ends_the_call_and_the_same_call_completes_the_load(
    fake, tmp_path, our_threads, method, behaviour
):
    path = write_parquet(tmp_path / "a.parquet", ROWS)
    fake.script(method, behaviour)
    with pytest.raises(KeyboardInterrupt):
        load(fake, path, verify="count")
    eventually(lambda: not our_threads())
    for found in fake.collections.values():
        assert max(found.keys().values(), default=1) == 1
    hurry(0.0)
    report = load(fake, path, verify="full")
    assert counts(report) == {"stored": ROWS}
    assert fake.collections["docs"].keys() == Counter(range(ROWS))


@types.coroutine
def cancelled_at(point, coroutine):
    """Await a coroutine whose task is cancelled while it waits for the ``point``-th time."""
    step, number = lambda: coroutine.send(None), itertools.count(1)
    while True:
        try:
            future = step()
        except StopIteration as end:
            return end.value
        if next(number) == point:
            asyncio.current_task().cancel()
        try:
            yield future
        except BaseException as error:  # noqa: BLE001 - handed to where it belongs
            step = lambda error=error: coroutine.throw(error)  # noqa: E731
        else:
            step = lambda: coroutine.send(None)  # noqa: E731


async def rows():
    for start in range(0, ROWS, 100):
        yield table(100, start=start)
        await asyncio.sleep(0)


@pytest.mark.parametrize("source", [rows, lambda: table(ROWS)], ids=["async iterator", "table"])
def test_aload_can_be_cancelled_at_any_await(fake, our_threads, source):
    async def main(point, name):
        running = headrace.aload(source(), collection=name, uri=fake.uri, create=True, **SMALL)
        task = asyncio.ensure_future(_run(cancelled_at(point, running)))
        await asyncio.wait([task])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return task

    for point in itertools.count(1):
        name = f"c{point}"
        task = asyncio.run(main(point, name))
        eventually(lambda: not our_threads())
        found = fake.collections[name].keys() if name in fake.collections else Counter()
        assert found <= Counter(range(ROWS))
        if not task.cancelled():
            assert counts(task.result()) == {"stored": ROWS}
            break
    assert point > 1


async def _run(awaitable):
    return await awaitable
