"""Casts that a person asks for by a type's name."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from headrace.casts.asked import asked_cast
from headrace.errors import SchemaError
from tests.uuids import uuids


def cast(array, name):
    """The rows as they are asked for, and the refused ones."""
    target, how = asked_cast(array.type, name, "c")
    values, refused = how.run(array)
    assert values.type == target
    assert [values[cell.row].as_py() for cell in refused] == [None] * len(refused)
    return values.to_pylist(), refused


def note(kind, name):
    return asked_cast(kind, name, "c")[1].note


def problem(kind, name):
    with pytest.raises(SchemaError) as caught:
        asked_cast(kind, name, "c")
    return str(caught.value)


NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_times_with_and_without_a_zone_are_one_column(kind):
    written = [
        "2024-01-01T00:00:00Z",
        "2024-01-01T02:00:00+02:00",
        "2023-12-31 22:00:00-0200",
        "2023-12-31T22:00-02",
        "2024-01-01T00:00:00.000000",
        "2024-01-01 00:00:00",
        "2024-01-01",
        None,
    ]
    values, refused = cast(pa.array(written).cast(kind), "timestamp")
    assert refused == []
    assert values == [NEW_YEAR] * 7 + [None]
    assert note(kind, "timestamp") == f"cast from {kind} (by the offset of each value; UTC for one that has none)"


def test_text_that_is_no_time_is_refused_by_row():
    values, refused = cast(pa.array(["2024-01-01", "soon", None, "2024-13-01T00:00:00Z", "1704067200000"]), "timestamp")
    assert values == [NEW_YEAR, None, None, None, None]
    assert [(cell.row, cell.expected, cell.found) for cell in refused] == [
        (1, "a value that becomes timestamp[us, tz=UTC]", "'soon'"),
        (3, "a value that becomes timestamp[us, tz=UTC]", "'2024-13-01T00:00:00Z'"),
        (4, "a value that becomes timestamp[us, tz=UTC]", "'1704067200000'"),
    ]


def test_text_that_is_no_utf8_is_refused_by_row():
    offsets, data = pa.array([0, 10, 12], pa.int32()).buffers()[1], pa.py_buffer(b"2024-01-01\xff\xfe")
    values, refused = cast(pa.StringArray.from_buffers(2, offsets, data), "timestamp")
    assert values == [NEW_YEAR, None]
    assert [(cell.row, cell.found) for cell in refused] == [(1, "'\ufffd\ufffd'")]


@pytest.mark.parametrize("kind", [pa.int64(), pa.int32(), pa.uint64()])
def test_integers_are_times_only_with_their_unit(kind):
    for found in (kind, pa.dictionary(pa.int8(), kind)):
        assert problem(found, "timestamp") == (
            "--cast c:timestamp: expected a unit, one of timestamp[s], timestamp[ms], timestamp[us], timestamp[ns], "
            f"found a column of {kind}; say what they count: "
            "--cast 'c:timestamp[ms]' where it is milliseconds since 1970-01-01 UTC"
        )
    assert cast(pa.array([1704067200, None], pa.int64()).cast(kind), "timestamp[s]") == ([NEW_YEAR, None], [])


@pytest.mark.parametrize(
    ("unit", "factor", "words"),
    [("s", 1, "seconds"), ("ms", 10**3, "milliseconds"), ("us", 10**6, "microseconds"), ("ns", 10**9, "nanoseconds")],
)
def test_each_unit_is_taken_and_shown(unit, factor, words):
    values, _ = cast(pa.array([1704067200 * factor]), f"timestamp[{unit}]")
    assert values == [NEW_YEAR]
    assert note(pa.int64(), f"timestamp[{unit}]") == f"cast from int64 ({words} since 1970-01-01 UTC)"
    assert note(pa.timestamp(unit), "int64") == f"cast from timestamp[{unit}] (to {words} since 1970-01-01 UTC)"


def test_integers_beyond_64_bits_with_a_sign_are_refused_by_row():
    values, refused = cast(pa.array([0, 2**63], pa.uint64()), "timestamp[ms]")
    assert values == [datetime(1970, 1, 1, tzinfo=UTC), None]
    assert [(cell.row, cell.found) for cell in refused] == [(1, str(2**63))]


def test_timestamps_and_dates_keep_their_moment():
    assert cast(pa.array([date(2024, 1, 1)]), "timestamp")[0] == [NEW_YEAR]
    assert note(pa.date32(), "timestamp") == "cast from date32[day]"
    assert cast(pa.array([NEW_YEAR], pa.timestamp("s", "UTC")), "timestamp[ms]")[0] == [NEW_YEAR]
    assert note(pa.timestamp("s", "UTC"), "timestamp[ms]") == "cast from timestamp[s, tz=UTC]"
    assert note(pa.timestamp("s"), "timestamp").endswith(" (times without a zone are taken as UTC)")


def test_times_that_python_has_no_value_for_are_refused_by_row():
    values, refused = cast(pa.array([2**62, None], pa.timestamp("ms", "UTC")), "timestamp[ns]")
    assert values == [None, None]
    assert [(cell.row, cell.found) for cell in refused] == [(0, f"{2**62} in timestamp[ms, tz=UTC]")]


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.float64()])
def test_numbers_are_no_dates(kind):
    assert problem(kind, "date") == (
        f"--cast c:date: expected a type that becomes date32[day], found {kind}; cast it in the source"
    )


def test_uuids_are_cast_to_their_text_and_to_nothing_else():
    keys = [uuid.UUID(int=1), None, uuid.UUID(int=2**127)]
    assert cast(uuids(keys), "varchar") == ([None if key is None else str(key) for key in keys], [])
    assert "expected a type that becomes int64, found extension<arrow.uuid" in problem(uuids([]).type, "int64")
    assert cast(uuids(keys), "uuid") == cast(uuids(keys).storage, "uuid") == cast(uuids(keys), "varchar")
    assert problem(pa.binary(15), "uuid") == (
        "--cast c:uuid: expected UUIDs, or 16 bytes each, found fixed_size_binary[15]; cast it in the source"
    )


@pytest.mark.parametrize("kind", [pa.list_(pa.int8(), 2), pa.list_(pa.uint8()), pa.large_list(pa.int16())])
def test_lists_of_integers_are_cast_by_their_elements(kind):
    rows = pa.array([[9, 9], [1, 2], None, [100, 4]], kind).slice(1)
    values, refused = cast(rows, "float")
    assert (values, refused) == ([[1, 2], None, [100, 4]], [])
    assert pa.types.is_fixed_size_list(asked_cast(kind, "float", "c")[0]) == pa.types.is_fixed_size_list(kind)
    assert note(kind, "float") == f"cast from {kind}"


def test_lists_that_floats_do_not_hold_exactly_are_no_lists_of_floats():
    assert "expected a type that becomes float, found list<" in problem(pa.list_(pa.int32()), "float")
    assert cast(pa.array([[2**31 - 1]], pa.list_(pa.int32())), "double") == ([[2**31 - 1]], [])


def test_what_json_cannot_say_is_refused_by_row():
    values, refused = cast(pa.array([[1.5], [float("nan")], None]), "varchar")
    assert values == ["[1.5]", None, None]
    assert [(cell.row, cell.found) for cell in refused] == [(1, "NaN or infinity")]
