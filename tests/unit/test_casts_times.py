"""Text and timestamps become TIMESTAMPTZ; text that Milvus could not read is refused by row."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.casts import find_cast
from headrace.schema import DataType, FieldSchema

FIELD = FieldSchema("t", DataType.TIMESTAMPTZ, nullable=True)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_text_is_refused_by_row_where_it_is_no_time(kind):
    texts = [
        "2025-05-01T23:59:59Z",
        "2025-05-01T23:59:59.123456789+08:00",
        "2025-05-01T23:59:59",
        "2025-05-01 23:59:59.5",
        None,
        "2025-05-01",
        "2025-05-01 23:59:59Z",
        "2025-13-01T00:00:00Z",
        "2025-05-01T24:00:00Z",
        "2025-05-01T23:59:59+0800",
        "",
    ]
    converted, refused = find_cast(kind, FIELD).run(pa.array(texts, kind))
    assert converted.to_pylist() == texts
    assert [cell.row for cell in refused] == [5, 6, 7, 8, 9, 10]
    assert (refused[0].expected, refused[0].found, refused[0].remedy) == (
        "a time in ISO 8601",
        "'2025-05-01'",
        "write it like 2025-05-01T23:59:59+08:00",
    )


def test_text_that_is_not_utf8_is_refused_alone():
    offsets = pa.array([0, 1, 21], pa.int32()).buffers()[1]
    array = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff2025-05-01T23:59:59Z")])
    assert [cell.row for cell in find_cast(pa.string(), FIELD).run(array)[1]] == [0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_pass_as_they_are(unit):
    zoned, naive = (find_cast(pa.timestamp(unit, zone), FIELD) for zone in ("UTC", None))
    assert (zoned.run, zoned.note) == (None, "")
    assert (naive.run, naive.note) == (None, "times without a zone are taken in the collection's time zone")
