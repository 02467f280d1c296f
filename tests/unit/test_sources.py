"""Any source: parts in row order, bounded batches, columns by name."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import SourceError
from headrace.sources import Part, open_source
from headrace.sources.base import decoded_bytes, row_slices
from tests.source_reading import TABLE, read

# Slices


@pytest.mark.parametrize("max_bytes", [1, 100, 1000, 10_000, 1 << 30])
def test_slices_are_bounded_and_complete(max_bytes):
    batch = TABLE.to_batches()[0]
    pieces = list(row_slices(batch, max_bytes))
    assert pa.Table.from_batches(pieces).equals(TABLE)
    for piece in pieces:
        assert decoded_bytes(piece) <= 17 * max_bytes // 16 or piece.num_rows == 1


@given(st.lists(st.text(max_size=50), max_size=40), st.integers(1, 300))
def test_rows_of_any_width_are_cut_within_the_bound(texts, max_bytes):
    batch = pa.record_batch({"t": pa.array(texts, pa.string())})
    pieces = list(row_slices(batch, max_bytes))
    assert [text for piece in pieces for text in piece.column(0).to_pylist()] == texts
    assert all(decoded_bytes(piece) <= 17 * max_bytes // 16 or piece.num_rows == 1 for piece in pieces)


@pytest.mark.parametrize(
    "kind",
    [
        "list_view<float>",
        "large_list_view<string>",
        "list<string_view>",
        "struct<list<binary_view>>",
        "fixed_size_list",
    ],
)
def test_slices_of_views_are_no_smaller_than_others(kind):
    """pyarrow counts all that is behind the views of a slice: one row would seem to be as large as all of them."""
    numbers, texts = pa.array(np.zeros(16_000, np.float32)), pa.array(["a text of some letters"] * 16_000)
    offsets, sizes = pa.array(np.arange(0, 16_001, 16), pa.int32()), pa.array([16] * 1000, pa.int32())
    long_offsets, long_sizes = offsets.cast(pa.int64())[:-1], sizes.cast(pa.int64())
    column = {
        "list_view<float>": lambda: pa.ListViewArray.from_arrays(offsets[:-1], sizes, numbers),
        "large_list_view<string>": lambda: pa.LargeListViewArray.from_arrays(long_offsets, long_sizes, texts),
        "list<string_view>": lambda: pa.ListArray.from_arrays(offsets, pa.array(texts.to_pylist(), pa.string_view())),
        "struct<list<binary_view>>": lambda: pa.StructArray.from_arrays(
            [pa.ListArray.from_arrays(offsets, pa.array(texts.to_pylist(), pa.binary_view()))], names=["b"]
        ),
        "fixed_size_list": lambda: pa.FixedSizeListArray.from_arrays(pa.array(texts.to_pylist(), pa.string_view()), 16),
    }[kind]()
    batch = pa.record_batch({"v": column.slice(100, 800)})
    pieces = list(row_slices(batch, decoded_bytes(batch) // 10))
    assert 9 <= len(pieces) <= 11
    assert pa.Table.from_batches(pieces).to_pylist() == batch.to_pylist()


@pytest.mark.parametrize("text", [None, "a text of one length"], ids=["fixed", "texts"])
@pytest.mark.parametrize(
    ("parts", "lengths"), [(1.0, [1700]), (1.06, [1700]), (2.1, [850] * 2), (2.2, [567] * 3), (3.0, [567] * 3)]
)
def test_slices_are_even_and_the_fewest(text, parts, lengths):
    """A sliver would be joined with the next batch, by a copy."""
    columns = {"id": pa.array(range(1700))} | ({} if text is None else {"t": pa.array([text] * 1700)})
    batch = pa.record_batch(columns)
    found = [piece.num_rows for piece in row_slices(batch, round(decoded_bytes(batch) / parts))]
    assert found == pytest.approx(lengths, abs=1)


def test_a_slice_of_short_rows_is_made_up_for():
    texts = [""] * 1000 + ["x" * 1000] * 100 + [""] * 1000
    pieces = list(row_slices(pa.record_batch({"t": texts}), 20_000))
    assert pieces[-1].num_rows > 500


def test_slices_share_the_memory_of_their_batch():
    batch = TABLE.to_batches()[0]
    addresses = {piece.column(0).buffers()[1].address for piece in row_slices(batch, 1000)}
    assert addresses == {batch.column(0).buffers()[1].address}


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["word " * 50, "other"] * 500).dictionary_encode(),
        pa.array(["a text beyond the inline twelve bytes"] * 1000, pa.string_view()),
    ],
    ids=["dictionary", "string view"],
)
def test_shared_values_are_counted_by_row(column):
    batch = pa.record_batch({"c": column})
    pieces = list(row_slices(batch, decoded_bytes(batch) // 10))
    assert 10 <= len(pieces) <= 25
    assert sum(piece.num_rows for piece in pieces) == 1000


# Sources


def test_columns_can_be_chosen_for_the_source_and_for_a_read():
    source = open_source(TABLE.append_column("x", pa.array(range(1000))), columns=["x", "id"])
    assert source.schema.names == ["x", "id"]
    assert read(source).column_names == ["x", "id"]
    assert read(source, columns=["id"]).equals(TABLE.select(["id"]))


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(SourceError) as caught:
        open_source(TABLE, columns=["id", "nope"])
    assert str(caught.value) == "table: expected a column 'nope', found the columns 'id', 't'; choose one of them"


def test_a_column_name_that_stands_twice_is_refused():
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(SourceError) as caught:
        open_source(twice)
    assert str(caught.value) == "table: expected each column once, found 'a' more than once; rename or drop the others"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (5, "int"),
        (None, "NoneType"),
        (np.zeros((2, 3)), "ndarray"),
        (pa.array([1]), "Int64Array"),
        (b"bytes", "bytes"),
        ({1, 2}, "set"),
    ],
)
def test_refuses_what_holds_no_rows(source, found):
    with pytest.raises(SourceError) as caught:
        open_source(source)
    assert str(caught.value) == (
        f"source: expected something that holds rows, found {found}; give a path, Arrow data, a data frame, "
        "a dict of columns, a list of dicts or an iterator of these"
    )


def test_async_iterators_need_a_loader():
    async def rows():
        yield {"id": 1}

    iterator = rows()
    with pytest.raises(SourceError, match="found an async iterator outside of a loader"):
        open_source(iterator)


def test_a_closed_source_has_no_parts():
    with open_source(TABLE) as source:
        assert len(list(source.parts())) == 1
    assert list(source.parts()) == []


def test_a_part_can_be_read_twice_where_the_source_can():
    part = next(open_source(TABLE).parts())
    assert isinstance(part, Part)
    for _ in range(2):
        assert sum(piece.batch.num_rows for piece in part.batches(max_bytes=1000)) == 1000


def test_source_errors_survive_pickling():
    with pytest.raises(SourceError) as caught:
        open_source("/nowhere/x.parquet")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.source, copy.position) == (str(caught.value), "/nowhere/x.parquet", None)
