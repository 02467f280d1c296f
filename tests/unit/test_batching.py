"""Cutting and joining: sizes near the target, rows never lost, and every row still has its name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.batching import TOLERANCE, Aim, Batcher, Piece, Span, locate, own, slice_spans, span_rows, take_spans
from headrace.errors import InternalError
from headrace.packing import make_packer
from headrace.schema import CollectionSchema, DataType, FieldSchema

SCHEMA = CollectionSchema(
    [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("text", DataType.VARCHAR, max_length=65535)]
)
PACKER = make_packer(SCHEMA, collection_name="c")
SPANS = st.lists(
    st.builds(Span, st.sampled_from(["a", "b"]), st.integers(0, 1000), st.integers(1, 20)), min_size=1, max_size=5
).map(tuple)


def rows_of(spans):
    return [(span.source, span.start + i) for span in spans for i in range(span.count)]


def piece_of(batch, spans):
    return Piece(batch, spans, PACKER.encoded_len(batch))


def batch_of(start, lengths):
    ids = pa.array(range(start, start + len(lengths)), pa.int64())
    return pa.record_batch({"id": ids, "text": pa.array(["x" * n for n in lengths], pa.string())})


@given(SPANS, st.data())
def test_slices_of_spans_name_the_same_rows(spans, data):
    total = span_rows(spans)
    offset = data.draw(st.integers(0, total))
    length = data.draw(st.integers(0, total - offset))
    assert rows_of(slice_spans(spans, offset, length)) == rows_of(spans)[offset : offset + length]


@given(SPANS, st.data())
def test_taken_spans_name_the_kept_rows(spans, data):
    kept = data.draw(st.lists(st.integers(0, span_rows(spans) - 1), unique=True).map(sorted))
    all_rows = rows_of(spans)
    assert rows_of(take_spans(spans, np.array(kept, np.int64))) == [all_rows[i] for i in kept]


def test_locates_a_row_and_refuses_one_that_is_not_there():
    spans = (Span("a", 10, 2), Span("b", 0, 1))
    assert [locate(spans, i) for i in range(3)] == [("a", 10), ("a", 11), ("b", 0)]
    with pytest.raises(InternalError):
        locate(spans, 3)


def test_an_own_copy_shares_no_memory_and_drops_what_a_slice_left_out():
    numbers = np.arange(10_000, dtype=np.int64)
    batch = pa.record_batch({"n": pa.array(numbers)}).slice(100, 10)
    copy = own(batch)
    assert copy.equals(batch)
    assert copy.get_total_buffer_size() < 1000
    numbers[:] = 0
    assert copy.column("n").to_pylist() == list(range(100, 110))


@given(
    st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=30), min_size=1, max_size=12),
    st.integers(200, 4000),
)
def test_every_row_comes_out_once_in_order_and_near_the_target(batches, target):
    batcher = Batcher(PACKER, aim=lambda: Aim(target), copy_waiting=True)
    pieces, start = [], 0
    for lengths in batches:
        pieces += batcher.add(piece_of(batch_of(start, lengths), (Span("s", start, len(lengths)),)))
        start += len(lengths)
    pieces += batcher.flush()
    assert batcher.waiting_rows == 0
    assert [i for piece in pieces for i in piece.batch.column("id").to_pylist()] == list(range(start))
    assert [row for piece in pieces for _, row in rows_of(piece.spans)] == list(range(start))
    for piece in pieces:
        assert piece.size == len(PACKER.pack_insert(piece.batch))
        assert piece.size <= target * TOLERANCE or piece.batch.num_rows == 1


def test_a_large_batch_is_cut_without_a_copy():
    column = pa.array(["x" * 100] * 1000)
    batch = pa.record_batch({"id": pa.array(range(1000), pa.int64()), "text": column})
    pieces = Batcher(PACKER, aim=lambda: Aim(10_000), copy_waiting=True).add(piece_of(batch, (Span("s", 0, 1000),)))
    assert len(pieces) > 5
    address = column.buffers()[2].address
    assert {piece.batch.column("text").buffers()[2].address for piece in pieces} == {address}
    sizes = [piece.size for piece in pieces]
    assert max(sizes) < 1.5 * min(sizes), "pieces are even"


def test_small_batches_wait_and_are_joined():
    batcher = Batcher(PACKER, aim=lambda: Aim(10_000), copy_waiting=True)
    assert batcher.add(piece_of(batch_of(0, [10] * 5), (Span("s", 0, 5),))) == []
    assert batcher.add(piece_of(batch_of(5, [10] * 5), (Span("s", 5, 5),))) == []
    assert batcher.waiting_rows == 10
    (piece,) = batcher.flush()
    assert piece.spans == (Span("s", 0, 10),)
    assert batcher.flush() == []


def test_an_empty_batch_makes_nothing():
    batcher = Batcher(PACKER, aim=lambda: Aim(10_000), copy_waiting=True)
    assert batcher.add(piece_of(batch_of(0, []), ())) == []
    assert batcher.flush() == []
