"""What answers mean, and how long to wait."""

from __future__ import annotations

import random

import grpc
import pytest

from headrace.errors import ConfigError
from headrace.retry import (
    GRPC_STATUS,
    LEGACY_CODE,
    LITE_CODE,
    MILVUS_CODE,
    AnswerClass,
    Backoff,
    Deadline,
    classify_code,
    classify_status,
    code_may_land,
    rate_hint,
    size_hint,
    status_may_land,
)


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


#: ``pkg/util/merr`` of Milvus 3.0, line by line: the codes of a class.
CODES = {
    AnswerClass.STORED: [0],
    AnswerClass.RETRY: [1, 103, 106, 110, 202, 2200],
    AnswerClass.THROTTLE: [4, 8, 11, 12, 1807],
    AnswerClass.DENY: [3, 7, 9, 1303],
    AnswerClass.SCHEMA: [109],
    AnswerClass.REJECT: [1100, 1101, 1700, 1701, 2400],
    AnswerClass.SPLIT: [1102],
    AnswerClass.FATAL: [
        *(6, 10, 100, 101, 102, 104, 105, 107, 108, 200, 201, 250),
        *range(300, 306),
        *(700, 701, 702, 703, 800, 801, 802, 1200, 1300, 1301, 1400, 1401, 1402),
        *(*range(1600, 1604), *range(1900, 1904), 2201, 2500, 3000),
    ],
    AnswerClass.AMBIGUOUS: [
        *(2, 5, 400, 401, 500, 501, 502, 503, 504, 505, 507),
        *(*range(600, 606), *range(901, 907), *range(1000, 1013), 1302, *range(1800, 1807)),
        *(*range(2000, 2100), 2100, 2101, *range(2300, 2317), 2401, 10000, 10001, 65535),
    ],
}
LEGACY = {
    AnswerClass.STORED: [0],
    AnswerClass.RETRY: [45, 56, 57],
    AnswerClass.THROTTLE: [49, 55],
    AnswerClass.DENY: [24, 48, 52, 53, 54],
    AnswerClass.SCHEMA: [62],
    AnswerClass.REJECT: [5, 7, 11],
    AnswerClass.FATAL: [3, 4, 25, 51],
    AnswerClass.AMBIGUOUS: [1, 15, 46, 47, 50, 100, 1000],
}


@pytest.mark.parametrize("expected", list(CODES), ids=lambda kind: kind.value)
def test_every_code_of_milvus_has_its_class(expected):
    for code in CODES[expected]:
        assert classify_code(code, 0 if code == 0 else 1) is expected, code


@pytest.mark.parametrize("expected", list(LEGACY), ids=lambda kind: kind.value)
def test_every_code_of_the_old_enum_has_its_class(expected):
    for code in LEGACY[expected]:
        assert classify_code(0, code) is expected, code


def test_nothing_is_in_the_tables_that_is_not_tested():
    assert set(MILVUS_CODE) == {code for codes in CODES.values() for code in codes}
    assert set(LEGACY_CODE) == {code for codes in LEGACY.values() for code in codes}


@pytest.mark.parametrize(
    "reason",
    [
        "value 'NaN' is not a number or infinity",
        "the length(7) of float data should divide the dim(4)",
        "currently only support DataType Int64 or VarChar as PrimaryField",
        "not support manually specifying the partition names if partition key mode is used",
        "invalid dimension: 0",
    ],
)
@pytest.mark.parametrize(("code", "legacy"), [(65535, 1), (0, 1)])
def test_a_known_validation_text_is_a_refusal_whatever_its_code(reason, code, legacy):
    assert classify_code(code, legacy, reason) is AnswerClass.REJECT


def test_a_server_may_mark_an_unexpected_error_as_the_callers():
    assert classify_code(65535, 1, "something", input_error=True) is AnswerClass.REJECT
    assert classify_code(5, 1, "something", input_error=True) is AnswerClass.AMBIGUOUS


def test_milvus_lite_has_numbers_of_its_own():
    found = {code: classify_code(code, code, "bad", lite=True) for code in LITE_CODE}
    assert found == {
        1: AnswerClass.AMBIGUOUS,
        6: AnswerClass.REJECT,
        11: AnswerClass.FATAL,
        35: AnswerClass.FATAL,
    }
    assert classify_code(100, 100, lite=True) is AnswerClass.FATAL
    assert classify_code(6, 1, "cross cluster routing") is AnswerClass.FATAL


@pytest.mark.parametrize(
    "reason",
    [
        "Expected bytes, got a 'int' object",
        "Expected bytes, got a 'bool' object",
        "Could not convert 'x' with type str: tried to convert to int64",
    ],
)
def test_a_value_that_a_column_of_milvus_lite_cannot_hold_is_a_refusal(reason):
    assert classify_code(1, 0, reason, lite=True) is AnswerClass.REJECT
    assert classify_code(1, 0, "list index out of range", lite=True) is AnswerClass.AMBIGUOUS
    assert classify_code(1, 56, reason) is AnswerClass.RETRY, "on a real server it is not ready"


def test_only_an_attempt_that_the_server_has_ended_cannot_land_later():
    unclear = [status for status in GRPC_STATUS if classify_status(status) is AnswerClass.AMBIGUOUS]
    assert {status for status in unclear if not status_may_land(status)} == {"UNKNOWN"}
    assert not status_may_land("RESOURCE_EXHAUSTED")
    assert [code for code in MILVUS_CODE if code_may_land(code)] == [10000, 10001]
    assert code_may_land(65535, "rpc error: context deadline exceeded")
    assert not code_may_land(65535, "append failed")


def test_reads_the_rate_and_the_size_that_a_server_names():
    assert rate_hint("please retry later: rate limit exceeded[rate=2097152]") == 2097152.0
    assert rate_hint("rate limit exceeded[rate=1.5e+06]") == 1.5e6
    assert [
        rate_hint(text) for text in ("quota exceeded", "rate limit exceeded[rate=0]", "rate limit exceeded[rate=..]")
    ] == [
        None,
        None,
        None,
    ]
    assert size_hint("grpc: received message larger than max (74383732 vs. 67108864)") == 67108864
    assert size_hint("CLIENT: Sent message larger than max (9 vs. 4)") == 4
    assert size_hint("larger than max") is None


def test_a_deadline_is_long_and_grows_with_the_server():
    deadline = Deadline(60.0)
    assert deadline.seconds() == 60.0
    deadline.answered(5.0)
    assert deadline.seconds() == 60.0
    deadline.answered(20.0)
    assert deadline.seconds() == 160.0
    assert deadline.seconds(expired=1) == 320.0
    assert deadline.seconds(expired=50) == 600.0
    for _ in range(64):
        deadline.answered(0.1)
    assert deadline.seconds() == 60.0, "what was long ago is forgotten"
    assert Deadline(900.0).seconds(expired=3) == 900.0


def test_waits_are_jittered_grow_and_are_capped():
    backoff, rng = Backoff(base=0.1, cap=5.0), random.Random(1)
    for attempt in range(200):
        wait = backoff.wait(attempt, rng)
        assert 0.0 <= wait <= min(5.0, 0.1 * 2.0 ** min(attempt, 60))
    assert len({backoff.wait(3, rng) for _ in range(50)}) == 50


@pytest.mark.parametrize("name", ["base", "cap"])
def test_refuses_a_backoff_that_never_waits(name):
    with pytest.raises(ConfigError) as refused:
        Backoff(**{name: 0.0})
    expected = f"back-off {name}: expected seconds above 0, found 0.0; give a positive number"
    assert str(refused.value) == expected
