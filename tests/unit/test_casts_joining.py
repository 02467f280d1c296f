"""Pieces that Arrow does not join by itself."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.casts.joining import joined
from headrace.casts.plain import plain, plain_type
from headrace.columns import to_array, to_batch

NULLED = [
    pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int8()), pa.array(["a", None])),
    pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array([None, "b"])),
]
VECTORS = [
    pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))),
    pa.DictionaryArray.from_arrays(
        pa.array([1, None], pa.int8()), pa.array([None, [3.0, 4.0]], pa.list_(pa.float32(), 2))
    ),
]
LISTS = [
    pa.ListArray.from_arrays(pa.array([0, 1, None, 3], pa.int32()), NULLED[0]),
    pa.ListArray.from_arrays(pa.array([1, 2], pa.int32()), NULLED[1]),
]
VIEWS = [
    pa.ListViewArray.from_arrays(pa.array([2, 0], pa.int32()), pa.array([1, 2], pa.int32()), NULLED[0]),
    pa.ListViewArray.from_arrays(pa.array([0], pa.int32()), pa.array([2], pa.int32()), NULLED[1]),
]


@pytest.mark.parametrize("pieces", [NULLED, VECTORS, LISTS, VIEWS], ids=["nulls", "vectors", "lists", "views"])
def test_dictionaries_stand_one_after_the_other(pieces):
    rows = [value for piece in pieces for value in piece.to_pylist()]
    assert joined(pieces).to_pylist() == rows
    assert joined([piece.slice(1) for piece in pieces]).to_pylist() == [
        value for piece in pieces for value in piece.slice(1).to_pylist()
    ]
    assert to_array(pa.chunked_array(pieces)).to_pylist() == rows


def test_more_values_than_a_key_of_a_piece_can_name_are_no_problem():
    pieces = [
        pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), pa.array([None, *range(99)])) for _ in range(3)
    ]
    assert joined(pieces).to_pylist() == [None, *range(99)] * 3


def test_a_table_of_such_pieces_is_a_batch():
    table = pa.table({"t": pa.chunked_array(NULLED), "n": pa.chunked_array([[1, 2], [3, 4, 5]])})
    assert to_batch(table).to_pydict() == table.to_pydict()


def test_views_of_text_and_of_runs_in_any_order_become_lists():
    texts = pa.array(["a", "b", "c"], pa.string_view())
    runs = pa.RunEndEncodedArray.from_arrays([1, 3], ["a", "b"], pa.run_end_encoded(pa.int16(), pa.string()))
    for values in (texts, runs):
        views = pa.ListViewArray.from_arrays(pa.array([2, 0], pa.int32()), pa.array([1, 2], pa.int32()), values)
        assert plain(views).type == plain_type(views.type)
        assert plain(views).to_pylist() == views.to_pylist()
        assert joined([views, views.slice(1)]).to_pylist() == views.to_pylist() + views.slice(1).to_pylist()
