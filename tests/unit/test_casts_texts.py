"""Dates, times, decimals and UUIDs as text, timestamps as microseconds."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import numpy as np
import pyarrow as pa
import pytest

from headrace.casts import find_cast
from headrace.casts.texts import is_uuid
from headrace.schema import DataType, FieldSchema
from tests.uuids import uuids

TEXT = FieldSchema("f", DataType.VARCHAR, max_length=100)
NUMBER = FieldSchema("f", DataType.INT64)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([dt.date(2025, 5, 1), None], pa.date32()), ["2025-05-01", None]),
        (pa.array([dt.date(1969, 1, 2)], pa.date64()), ["1969-01-02"]),
        (pa.array([dt.time(23, 59, 1, 5)], pa.time64("us")), ["23:59:01.000005"]),
        (pa.array([dt.time(1, 2, 3)], pa.time32("s")), ["01:02:03"]),
        (pa.array([decimal.Decimal("-12.50"), None], pa.decimal128(10, 2)), ["-12.50", None]),
        (pa.array([dt.date(2025, 5, 1)] * 2, pa.date32()).dictionary_encode(), ["2025-05-01"] * 2),
    ],
)
def test_values_are_written_whole(values, texts):
    cast = find_cast(values.type, TEXT)
    written, refused = cast.run(values)
    assert (written.to_pylist(), refused) == (texts, [])
    assert cast.note.endswith("are written as text")


def test_uuids_are_written_in_36_characters():
    values = [uuid.UUID(int=5), None, uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")]
    array = uuids(values)
    assert is_uuid(array.type)
    written, _ = find_cast(array.type, TEXT).run(array.slice(0))
    assert written.to_pylist() == [str(values[0]), None, str(values[2])]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_are_microseconds_since_1970_in_utc(unit, zone):
    array = pa.array([0, 1, None, -1], pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp(unit))
    array = array.view(pa.timestamp(unit, zone))
    numbers, refused = find_cast(array.type, NUMBER).run(array)
    assert (numbers.to_pylist(), refused) == ([0, 1_000_000, None, -1_000_000], [])


def test_parts_of_microseconds_and_times_beyond_64_bits_are_refused():
    array = pa.array([1000, 1001, None], pa.int64()).cast(pa.timestamp("ns"))
    numbers, refused = find_cast(array.type, NUMBER).run(array)
    assert (numbers[0].as_py(), [cell.row for cell in refused]) == (1, [1])
    assert refused[0].found == "1001"
    far = pa.array(np.array([1 << 50, 5]), pa.int64()).cast(pa.timestamp("s"))
    numbers, refused = find_cast(far.type, NUMBER).run(far)
    assert (numbers[1].as_py(), [cell.row for cell in refused]) == (5_000_000, [0])
