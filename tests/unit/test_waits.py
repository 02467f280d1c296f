"""Waits that a signal interrupts, also where the kernel resumes the system calls that it interrupted."""

from __future__ import annotations

import queue
import signal
import threading
from concurrent.futures import CancelledError, Future

import pytest

from headrace.waits import item_of, result_of


@pytest.fixture
def interrupt():
    """Sends SIGINT to the main thread a moment later, registered as polars does it."""
    signal.siginterrupt(signal.SIGINT, False)
    timer = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    yield timer.start
    timer.join()
    signal.siginterrupt(signal.SIGINT, True)


@pytest.mark.parametrize(
    "wait",
    [lambda: result_of(Future()), lambda: item_of(queue.Queue())],
    ids=["for a result", "for an item"],
)
def test_a_signal_interrupts_a_wait(interrupt, wait):
    with pytest.raises(KeyboardInterrupt):
        interrupt()
        wait()


def test_an_error_of_the_same_kind_as_the_timeout_is_raised():
    future = Future()
    future.set_exception(TimeoutError("of the call"))
    with pytest.raises(TimeoutError, match="of the call"):
        result_of(future)


def test_what_is_there_is_returned():
    items = queue.Queue()
    items.put(1)
    future = Future()
    future.set_result(2)
    assert (item_of(items), result_of(future)) == (1, 2)


def test_a_future_that_is_cancelled_and_that_nobody_runs_ends_the_wait():
    future = Future()
    threading.Timer(0.05, future.cancel).start()
    with pytest.raises(CancelledError):
        result_of(future)
