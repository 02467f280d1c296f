"""The window: backpressure in bytes."""

from __future__ import annotations

import threading

import pytest

from headrace.errors import HeadraceError
from headrace.window import Window


def test_grants_in_order_and_counts_the_peak():
    window = Window(100)
    first, second = window.reserve(60, outgoing=True), window.reserve(40, outgoing=False)
    third = window.reserve(1, outgoing=True)
    assert first.done()
    assert second.done()
    assert not third.done()
    assert window.waiting == 1
    window.release(40, outgoing=False)
    assert third.done()
    assert (window.used, window.peak) == (61, 100)


def test_a_small_reservation_does_not_overtake_a_large_one():
    window = Window(100)
    window.reserve(90, outgoing=True)
    large, small = window.reserve(50, outgoing=True), window.reserve(1, outgoing=True)
    assert not large.done()
    assert not small.done()
    window.release(90, outgoing=True)
    assert large.done()
    assert small.done()


def test_a_request_larger_than_the_window_passes_alone():
    window = Window(100)
    source = window.reserve(30, outgoing=False)
    huge = window.reserve(500, outgoing=True)
    assert source.done()
    assert huge.done(), "nothing sent is outstanding, so waiting would be for ever"
    after = window.reserve(500, outgoing=True)
    assert not after.done()
    window.release(500, outgoing=True)
    assert after.done()


def test_few_requests_are_ready_where_that_is_asked_for():
    window = Window(100)
    window.keep_ready(20)
    assert window.take(15, outgoing=True)
    assert window.take(15, outgoing=True), "15 bytes that are ready are fewer than 20"
    assert not window.take(1, outgoing=True)
    assert window.take(1, outgoing=False), "a source batch is no request"
    third, source = window.reserve(15, outgoing=True), window.reserve(1, outgoing=False)
    window.leave(15)
    assert third.done()
    assert source.done()
    fourth = window.reserve(15, outgoing=True)
    window.release(15, outgoing=True, left=True)
    assert not fourth.done(), "what has left was not among those that are ready"
    window.release(15, outgoing=True)
    assert fourth.done()
    assert (window.used, window.waiting) == (32, 0)


def test_more_requests_are_ready_where_many_are_on_their_way():
    window = Window(200)
    window.keep_ready(10)
    for _ in range(6):
        assert window.take(15, outgoing=True)
        window.leave(15)
    assert [window.take(15, outgoing=True) for _ in range(3)] == [True, True, False], "30 are a third of 90"


def test_bytes_are_taken_at_once_only_where_nobody_waits():
    window = Window(10)
    assert window.take(6, outgoing=True)
    waiting = window.reserve(6, outgoing=True)
    assert not window.take(1, outgoing=True)
    window.release(6, outgoing=True)
    assert waiting.done()
    window.close(HeadraceError("stopped"))
    assert not window.take(1, outgoing=True)


def test_closing_fails_those_who_wait_and_those_who_come():
    window = Window(10)
    window.reserve(10, outgoing=True)
    waiting = window.reserve(1, outgoing=True)
    window.close(HeadraceError("stopped"))
    for future in (waiting, window.reserve(1, outgoing=True)):
        with pytest.raises(HeadraceError, match="stopped"):
            future.result(timeout=0)


def test_a_withdrawn_reservation_takes_nothing():
    window = Window(10)
    held = window.reserve(10, outgoing=True)
    waiting, behind = window.reserve(5, outgoing=True), window.reserve(5, outgoing=True)
    window.withdraw(waiting, 5, outgoing=True)
    window.withdraw(held, 10, outgoing=True)
    assert behind.done()
    assert window.used == 5


def test_threads_never_hold_more_than_the_limit():
    window, over = Window(1000), []

    def worker(size: int) -> None:
        for _ in range(200):
            window.reserve(size, outgoing=True).result(timeout=60)
            if window.used > 1000:
                over.append(window.used)
            window.release(size, outgoing=True)

    threads = [threading.Thread(target=worker, args=(size,)) for size in (100, 300, 500, 700)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not over
    assert window.used == 0
    assert window.peak <= 1000
