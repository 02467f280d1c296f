"""``headrace speedtest``: a temporary collection that is gone afterwards, whatever happens."""

from __future__ import annotations

import os
import pty
import signal

import pytest

from headrace import Endpoint
from headrace.errors import MilvusException
from headrace.speedtest import SpeedTest
from tests.fake.behaviours import ok, refuse, stall


class Clock:
    """A clock that goes on by a second with every look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def test_says_what_the_server_took_and_leaves_nothing(fake, monkeypatch, tmp_path):
    monkeypatch.setattr("headrace.speedtest.BATCH_BYTES", 4096)
    report = SpeedTest(Endpoint.resolve(fake.uri), dim=8, seconds=5, clock=Clock()).run()
    # The clock is looked at when it begins, and before each batch of 128 rows but the first.
    assert (report.rows, report.status, report.exit_status) == (5 * 128, "done", 0)
    assert (report.removed, fake.collections) == (True, {})
    assert report.rows_per_second > 0
    assert report.concurrency["in_flight"] >= 1


def test_a_collection_that_cannot_be_removed_is_named(fake, monkeypatch):
    monkeypatch.setattr("headrace.speedtest.BATCH_BYTES", 4096)
    fake.always("DropCollection", refuse(1401, "permission deny"))
    report = SpeedTest(Endpoint.resolve(fake.uri), dim=8, seconds=1, clock=Clock()).run()
    assert (report.removed, report.exit_status) == (False, 4)
    assert f"{report.collection} could not be removed" in report.status


def test_a_server_that_refuses_the_collection_ends_the_test(fake):
    fake.always("CreateCollection", refuse(1401, "permission deny"))
    with pytest.raises(MilvusException, match="permission deny"):
        SpeedTest(Endpoint.resolve(fake.uri), dim=8, seconds=1).run()


def test_without_a_terminal_the_answer_has_to_be_given(headrace, fake):
    ended = headrace.run("speedtest", "--uri", fake.uri)
    assert ended.status == 2
    assert "--yes says that it may" in ended.err
    assert fake.calls_of("CreateCollection") == []


def test_whoever_says_no_is_left_alone(headrace, fake):
    ours, theirs = pty.openpty()
    process = headrace.start("speedtest", "--uri", fake.uri, stdin=theirs)
    os.close(theirs)
    os.write(ours, b"n\n")
    ended = headrace.wait(process)
    os.close(ours)
    assert (ended.status, ended.document["message"]) == (2, "speedtest: nothing was made")
    assert "Make the temporary collection headrace_speedtest_" in ended.err
    assert fake.calls_of("CreateCollection") == []


def test_the_collection_is_removed_after_an_interrupt_too(headrace, fake):
    fake.script("Insert", ok, stall)
    process = headrace.start("speedtest", "--uri", fake.uri, "--dim", "8", "--yes")
    fake.wait_for(lambda: len(fake.calls_of("Insert")) >= 2)
    process.send_signal(signal.SIGINT)
    for line in process.stderr:
        if "once more to leave at once" in line:
            break
    fake.release()
    ended = headrace.wait(process)
    assert (ended.status, ended.document["removed"]) == (130, True)
    assert fake.collections == {}
