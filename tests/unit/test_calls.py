from __future__ import annotations

import asyncio

import pytest

from headrace._proto import milvus_pb2
from headrace.calls import Compute, Forget, Recall, Rpc, Several, Sleep, drive_async, drive_sync
from headrace.errors import ConfigError, RpcError, TransportError
from headrace.known import AsyncKnown, Known

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


def test_bytes_are_sent_as_they_are_and_an_answer_without_a_class_is_bytes(run):
    def operation():
        return (yield Rpc("GetVersion", b"request", None, 3.0))

    assert run([b"answer"], operation(), []) == b"answer"


def test_work_is_done_and_its_error_thrown_where_it_was_asked_for(run):
    def refused():
        raise ConfigError("no")

    def operation():
        first = yield Compute(lambda: 7)
        try:
            yield Compute(refused)
        except ConfigError as error:
            return first, str(error)

    assert run([], operation(), []) == (7, "no")


def several(count, width=3, *, good=lambda _: True):
    def make():
        return (Rpc("GetVersion", REQUEST, RESPONSE, 3.0) for _ in range(count))

    def operation():
        return (yield Several(make(), width, good))

    return operation()


def test_several_calls_are_answered_in_order(run):
    answers = run(["a", "b", "c", "d", "e"], several(5), [])
    assert [answer.version for answer in answers] == ["a", "b", "c", "d", "e"]


def test_no_further_call_is_begun_after_a_failure(run):
    error = failure()
    outcomes = run(["a", error, "c", "d", "e"], several(5, width=1), [])
    assert outcomes[0].version == "a"
    assert outcomes[1:] == [error]


def test_no_further_call_is_begun_after_an_answer_that_is_not_good(run):
    outcomes = run(["a", "b", "c"], several(3, width=1, good=lambda answer: answer.version != "b"), [])
    assert [answer.version for answer in outcomes] == ["a", "b"]


def test_what_making_a_call_raises_is_thrown_into_the_operation(run):
    def make():
        yield Rpc("GetVersion", REQUEST, RESPONSE, 3.0)
        raise ConfigError("no")

    def operation():
        try:
            yield Several(make(), 2, lambda _: True)
        except ConfigError as error:
            return str(error)

    assert run(["a", "b"], operation(), []) == "no"


def test_so_many_calls_are_in_flight_as_may_be():
    class Waiting:
        """Answers nobody before four wait."""

        def __init__(self):
            self.open = self.most = 0
            self.full = asyncio.Event()

        async def call(self, method, request, *, timeout):
            self.open += 1
            self.most = max(self.most, self.open)
            if self.open == 4:
                self.full.set()
            await self.full.wait()
            self.open -= 1
            return b""

    async def main():
        caller = Waiting()
        answers = await drive_async(caller, several(20, width=4))
        return caller.most, len(answers)

    assert asyncio.run(main()) == (4, 20)


def remembering():
    def ask():
        return (yield Rpc("GetVersion", REQUEST, RESPONSE, 3.0)).version

    first = yield Recall("key", ask)
    again = yield Recall("key", ask)
    yield Forget("key")
    return first, again, (yield Recall("key", ask))


def test_without_a_memory_everything_is_asked_for_anew(run):
    assert run(["a", "b", "c"], remembering(), []) == ("a", "b", "c")


def test_a_memory_gives_what_it_holds_until_it_is_told_to_forget():
    memory = Known("somewhere", lambda: "db")
    assert drive_sync(Answers("a", "b"), remembering(), memory=memory) == ("a", "a", "b")

    async def main():
        # Another client of the same address knows it already.
        return await drive_async(AsyncAnswers("c"), remembering(), memory=AsyncKnown("somewhere", lambda: "db"))

    assert asyncio.run(main()) == ("b", "b", "c")


def test_a_call_that_may_change_collections_makes_a_memory_forget():
    def operation(method):
        yield Recall("key", lambda: answered("old"))
        yield Rpc(method, REQUEST, RESPONSE)
        return (yield Recall("key", lambda: answered("new")))

    def answered(value):
        return value
        yield

    for method, found in (("AddCollectionField", "new"), ("DropCollection", "new"), ("Insert", "old")):
        assert drive_sync(Answers("a"), operation(method), memory=Known(method, lambda: "")) == found


def test_what_was_asked_for_before_a_change_is_not_remembered_after_it():
    memory = Known("nowhere", lambda: "")

    def ask():
        memory.called("DropCollection")
        return "of before"

    assert memory.recall("key", ask) == "of before"
    assert memory.recall("key", lambda: "of now") == "of now"


def test_what_is_known_goes_with_the_last_client_of_an_address():
    first, second = Known("here", lambda: ""), Known("here", lambda: "")
    assert first.recall("key", lambda: "old") == "old"
    first.close()
    assert second.recall("key", lambda: "new") == "old"
    second.close()
    assert Known("here", lambda: "").recall("key", lambda: "new") == "new"
