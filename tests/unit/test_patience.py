"""Asking again while a server comes to itself, under a clock of the test's own."""

from __future__ import annotations

import pytest

from headrace import ConnectError, MilvusException, RpcError, SchemaError
from headrace.calls import Sleep
from headrace.operations import patiently

RECOVERING = MilvusException("unrecoverable error", code=65535, method="LoadCollection")


def drive(outcomes, budget):
    """What comes of the attempts, how many there were, and the pauses between them."""
    attempts, now, pauses = iter(outcomes), [0.0], []

    def attempt():
        outcome = next(attempts)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
        yield  # makes it an operation

    operation = patiently(attempt, budget=budget, clock=lambda: now[0])
    try:
        step = next(operation)
        while True:
            assert isinstance(step, Sleep)
            pauses.append(step.seconds)
            now[0] += step.seconds
            step = operation.send(None)
    except StopIteration as end:
        return end.value, pauses


@pytest.mark.parametrize(
    "error",
    [
        RECOVERING,
        MilvusException("failed to query: collection not loaded", code=101),
        MilvusException("not ready", code=1),
        RpcError("gone", status="UNAVAILABLE", details="Socket closed"),
        ConnectError("nobody"),
    ],
)
def test_what_may_pass_is_asked_again(error):
    assert drive([error, error, "done"], budget=10.0) == ("done", [0.25, 0.5])


@pytest.mark.parametrize(
    "error",
    [
        MilvusException("index not found", code=700),
        MilvusException("memory limit exceeded", code=3),
        RpcError("no", status="UNAUTHENTICATED"),
        SchemaError("a bug of the caller"),
    ],
)
def test_what_will_not_pass_is_raised_at_once(error):
    with pytest.raises(type(error)) as raised:
        drive([error], budget=10.0)
    assert raised.value is error


def test_pauses_grow_to_four_seconds_and_end_with_the_budget():
    pauses = []

    def attempt():
        raise RECOVERING
        yield

    now = [0.0]
    operation = patiently(attempt, budget=20.0, clock=lambda: now[0])
    with pytest.raises(MilvusException):
        while True:
            pauses.append(next(operation).seconds)
            now[0] += pauses[-1]
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
