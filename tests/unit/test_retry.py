"""What answers mean, and how long to wait."""

from __future__ import annotations

import random

import grpc
import pytest

from headrace.errors import ConfigError
from headrace.retry import GRPC_STATUS, AnswerClass, Backoff, classify_code, classify_status


def test_every_grpc_status_but_ok_has_a_class():
    assert set(GRPC_STATUS) == {code.name for code in grpc.StatusCode} - {"OK"}


@pytest.mark.parametrize(
    ("status", "details", "expected"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses; last error: Connection refused", AnswerClass.RETRY),
        ("UNAVAILABLE", "recvmsg:Connection reset by peer", AnswerClass.AMBIGUOUS),
        ("UNAVAILABLE", "Socket closed", AnswerClass.AMBIGUOUS),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", AnswerClass.AMBIGUOUS),
        ("CANCELLED", "", AnswerClass.AMBIGUOUS),
        ("UNKNOWN", "Milvus Proxy is not ready yet", AnswerClass.RETRY),
        ("UNKNOWN", "panic", AnswerClass.AMBIGUOUS),
        ("INTERNAL", "grpc: error unmarshalling request: string field contains invalid UTF-8", AnswerClass.REJECT),
        ("INTERNAL", "Received RST_STREAM with error code 2", AnswerClass.AMBIGUOUS),
        ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (74383732 vs. 67108864)", AnswerClass.SPLIT),
        ("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max", AnswerClass.SPLIT),
        ("RESOURCE_EXHAUSTED", "CLIENT: Sent message larger than max", AnswerClass.SPLIT),
        ("RESOURCE_EXHAUSTED", "grpc: trying to send message larger than max (9 vs. 4)", AnswerClass.AMBIGUOUS),
        ("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max", AnswerClass.AMBIGUOUS),
        ("RESOURCE_EXHAUSTED", "too many requests", AnswerClass.THROTTLE),
        ("UNAUTHENTICATED", "auth check failure", AnswerClass.FATAL),
        ("PERMISSION_DENIED", "PrivilegeInsert: permission deny", AnswerClass.FATAL),
        ("UNIMPLEMENTED", "", AnswerClass.FATAL),
        ("ABORTED", "", AnswerClass.AMBIGUOUS),
        ("SOMETHING_NEW", "", AnswerClass.AMBIGUOUS),
    ],
)
def test_classifies_grpc_statuses(status, details, expected):
    assert classify_status(status, details) is expected


@pytest.mark.parametrize(
    ("code", "legacy", "reason", "expected"),
    [
        (0, 0, "", AnswerClass.STORED),
        (0, 49, "rate limit", AnswerClass.THROTTLE),
        (0, 1, "some error", AnswerClass.AMBIGUOUS),
        (8, 49, "rate limit exceeded[rate=2097152]", AnswerClass.THROTTLE),
        (9, 48, "quota exceeded[reason=memory quota exceeded]", AnswerClass.DENY),
        (1, 56, "service not ready", AnswerClass.RETRY),
        (2, 1, "service unavailable", AnswerClass.AMBIGUOUS),
        (5, 1, "service internal error", AnswerClass.AMBIGUOUS),
        (100, 4, "collection not found", AnswerClass.FATAL),
        (109, 62, "collection schema mismatch", AnswerClass.SCHEMA),
        (1100, 5, "invalid parameter", AnswerClass.REJECT),
        (1102, 1, "parameter too large", AnswerClass.SPLIT),
        (1401, 1, "not permitted", AnswerClass.FATAL),
        (1001, 1, "IO failed: invalid character 'x' looking for beginning of value", AnswerClass.REJECT),
        (1001, 1, "IO failed: json: cannot unmarshal number into Go value", AnswerClass.REJECT),
        (1001, 1, "IO failed: disk", AnswerClass.AMBIGUOUS),
        (65535, 1, "value 'NaN' is not a number or infinity", AnswerClass.REJECT),
        (65535, 1, "the length(7) of float data should divide the dim(4)", AnswerClass.REJECT),
        (65535, 1, "context deadline exceeded", AnswerClass.AMBIGUOUS),
        (31337, 1, "a code from the future", AnswerClass.AMBIGUOUS),
    ],
)
def test_classifies_milvus_codes(code, legacy, reason, expected):
    assert classify_code(code, legacy, reason) is expected


def test_milvus_lite_uses_six_for_bad_data():
    assert classify_code(6, 6, "bad", lite=True) is AnswerClass.REJECT
    assert classify_code(6, 1, "cross cluster routing") is AnswerClass.FATAL


def test_waits_are_jittered_grow_and_are_capped():
    backoff, rng = Backoff(base=0.1, cap=5.0), random.Random(1)
    for attempt in range(200):
        wait = backoff.wait(attempt, rng)
        assert 0.0 <= wait <= min(5.0, 0.1 * 2.0 ** min(attempt, 60))
    assert len({backoff.wait(3, rng) for _ in range(50)}) == 50


def test_the_budget_counts_from_the_last_progress():
    assert not Backoff(budget=10.0).spent(9.99)
    assert Backoff(budget=10.0).spent(10.0)


@pytest.mark.parametrize("name", ["base", "cap", "budget"])
def test_refuses_a_backoff_that_never_waits_or_never_ends(name):
    with pytest.raises(ConfigError) as refused:
        Backoff(**{name: 0.0})
    expected = f"back-off {name}: expected seconds above 0, found 0.0; give a positive number"
    assert str(refused.value) == expected
