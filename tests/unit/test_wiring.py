"""What a load makes of its options."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.packing import make_packer
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.sources import decoded_bytes
from headrace.throttle import FIRST_BYTES
from headrace.wiring import connections, make_throttle, request_size, source_size

MIB = 1 << 20


@pytest.mark.parametrize("window", [64 * MIB, 256 * MIB, 64 << 10, 100])
@pytest.mark.parametrize("in_flight", [None, 1, 2, 8])
def test_source_batches_requests_and_copies_fit_into_the_window(window, in_flight):
    options = LoadOptions(window_bytes=window, max_in_flight=in_flight)
    size = request_size(options)
    at_first = min(in_flight or 2, 2)
    # Of the smallest windows a byte is more than a part.
    assert 1 <= size <= FIRST_BYTES
    assert 3 * size + size + 2 * at_first * size <= max(window, 8)
    assert at_first * size <= max(window * 3 // 16, 2), "copies"


DIM = 64
SCHEMA = CollectionSchema(
    [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=DIM)]
)


def cut(options, *, dtype=np.float32, **columns):
    """The size of source batches with these columns, and how much of a request of the first size they fill."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(500 * DIM, dtype)), DIM)
    sample = pa.record_batch({"id": pa.array(range(500)), "v": vectors, **columns})
    plan = plan_conform(sample.schema, SCHEMA, options=options, sample=sample)
    parts = SimpleNamespace(plan=plan, packer=make_packer(SCHEMA, collection_name="docs"))
    size = source_size(options, parts, sample)
    assert source_size(options) == source_size(options, parts, None) == request_size(options)
    read = decoded_bytes(sample.select(plan.source_columns))
    return size, size * parts.packer.encoded_len(plan.apply(sample).batch) / read / request_size(options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_source_batches_make_requests_of_the_first_size(dtype):
    note = pa.array(["what is not sent is not read " * 10] * 500)
    assert cut(LoadOptions(drop=("note",)), dtype=dtype, note=note)[1] == pytest.approx(1.0, rel=0.01)


def test_source_batches_are_no_larger_than_there_is_room_for():
    options = LoadOptions(window_bytes=8 * MIB)
    size, part = cut(options, dtype=np.float64)
    assert part < 0.99
    assert 3 * size + 5 * request_size(options) + options.window_bytes * 3 // 16 <= options.window_bytes


def test_rows_that_grow_in_a_request_are_read_by_a_quarter_of_it_at_least():
    schema = CollectionSchema(
        [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("t", DataType.VARCHAR, max_length=1000)]
    )
    texts = pa.RunEndEncodedArray.from_arrays([500], pa.array(["x" * 1000]))
    sample = pa.record_batch({"id": pa.array(range(500)), "t": texts})
    plan = plan_conform(sample.schema, schema, options=LoadOptions(), sample=sample)
    parts = SimpleNamespace(plan=plan, packer=make_packer(schema, collection_name="docs"))
    assert source_size(LoadOptions(), parts, sample) == FIRST_BYTES // 4


def test_rows_that_cannot_be_sent_decide_no_size():
    options = LoadOptions()
    vectors = pa.array([[1.0] * DIM, [None] * DIM], pa.list_(pa.float32()))
    sample = pa.record_batch({"id": [1, 2], "v": vectors})
    plan = plan_conform(sample.schema, SCHEMA, options=options, sample=sample)
    parts = SimpleNamespace(plan=plan, packer=make_packer(SCHEMA, collection_name="docs"))
    assert source_size(options, parts, sample) == request_size(options)


def test_the_first_requests_are_of_the_size_of_source_batches():
    for window in (64 * MIB, 16 * MIB, 1 * MIB):
        options = LoadOptions(window_bytes=window)
        assert make_throttle(options, lite=False).request_bytes == pytest.approx(request_size(options), rel=0.05)


def test_a_far_server_gets_more_connections():
    assert connections(LoadOptions()) == connections(LoadOptions(), round_trip=0.001) == 2
    assert connections(LoadOptions(), round_trip=0.05) == 8
    assert connections(LoadOptions(channels=3), round_trip=0.05) == 3
