from __future__ import annotations

import asyncio

import pytest

from headrace._proto import milvus_pb2
from headrace.calls import Rpc, Sleep, drive_async, drive_sync
from headrace.errors import RpcError, TransportError

REQUEST, RESPONSE = milvus_pb2.GetVersionRequest(), milvus_pb2.GetVersionResponse


def failure():
    return RpcError("no", status="UNAVAILABLE")


class Answers:
    """A transport that answers from a list; an exception in it is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def call(self, method, request, *, timeout):
        self.asked.append((method, timeout))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else RESPONSE(version=answer).SerializeToString()


class AsyncAnswers(Answers):
    async def call(self, method, request, *, timeout):
        return super().call(method, request, timeout=timeout)


def run_sync(answers, operation, slept):
    return drive_sync(Answers(*answers), operation, sleep=slept.append)


def run_async(answers, operation, slept):
    async def sleep(seconds):
        slept.append(seconds)

    return asyncio.run(drive_async(AsyncAnswers(*answers), operation, sleep=sleep))


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "async"])
def run(request):
    return request.param


def two_versions():
    first = yield Rpc("GetVersion", REQUEST, RESPONSE, 3.0)
    yield Sleep(0.5)
    second = yield Rpc("GetVersion", REQUEST, RESPONSE, 3.0)
    return first.version, second.version


def test_answers_are_parsed_and_sent_in(run):
    slept = []
    assert run(["a", "b"], two_versions(), slept) == ("a", "b")
    assert slept == [0.5]


def test_failed_call_is_thrown_where_the_operation_stands(run):
    def falls_back():
        try:
            yield Rpc("GetVersion", REQUEST, RESPONSE)
        except RpcError as error:
            answer = yield Rpc("GetVersion", REQUEST, RESPONSE)
            return error.status, answer.version

    assert run([failure(), "b"], falls_back(), []) == ("UNAVAILABLE", "b")


def test_failure_that_is_not_caught_ends_the_operation(run):
    with pytest.raises(RpcError):
        run([failure()], two_versions(), [])


def test_junk_for_an_answer_is_thrown_in_too(run):
    with pytest.raises(TransportError, match="GetVersion: expected a GetVersionResponse, found 1 bytes"):
        run([b"\xff"], two_versions(), [])


def test_operation_is_closed_whatever_happens(run):
    closed = []

    def watched():
        try:
            yield Rpc("GetVersion", REQUEST, RESPONSE)
        finally:
            closed.append(True)

    with pytest.raises(RpcError):
        run([failure()], watched(), [])
    assert closed == [True]


def test_operation_that_asks_nothing_just_returns(run):
    def nothing():
        return 7
        yield

    assert run([], nothing(), []) == 7


def test_cancelled_drive_closes_its_operation():
    closed = []

    def watched():
        try:
            yield Sleep(3600)
        finally:
            closed.append(True)

    async def main():
        drive = asyncio.create_task(drive_async(AsyncAnswers(), watched()))
        await asyncio.sleep(0)
        drive.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drive

    asyncio.run(main())
    assert closed == [True]
