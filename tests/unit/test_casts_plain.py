"""Columns without their wrapping: the same rows, whatever lay around them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.casts import plain, plain_type
from tests.arrow_versions import canonical

TEXTS = st.lists(st.none() | st.text(max_size=14), max_size=8)


def check(array: pa.Array, rows: list[object]) -> None:
    result = plain(array)
    result.validate(full=True)
    assert result.type == plain_type(array.type)
    assert result.to_pylist() == rows


@given(TEXTS, st.integers(0, 3), st.integers(0, 3))
def test_rows_survive_whatever_is_taken_off(rows, start, stop):
    rows = [*rows, "", "a text that is longer than a view holds"]
    expected = rows[start : len(rows) - stop]
    texts, views = pa.array(rows), pa.array(rows, pa.string_view())
    for array in (
        texts,
        views,
        texts.dictionary_encode(),
        pc.run_end_encode(texts),
        pa.RunEndEncodedArray.from_arrays(
            range(1, len(rows) + 1),
            pa.array(rows, pa.string_view()),
            pa.run_end_encoded(pa.int16(), pa.string_view()),
        ),
        pa.DictionaryArray.from_arrays(pa.array(range(len(rows))), pa.array(rows, pa.string_view())),
    ):
        check(array.slice(start, len(expected)), expected)


@pytest.mark.parametrize(("make", "kind"), [(pa.ListViewArray, pa.int32()), (pa.LargeListViewArray, pa.int64())])
def test_list_views_may_lie_anywhere(make, kind):
    values = pa.array([1.0, 2.0, 3.0, 4.0])
    in_order = make.from_arrays(pa.array([1, 3, 3], kind), pa.array([2, 0, 1], kind), values)
    check(in_order, [[2, 3], [], [4]])
    check(in_order.slice(1), [[], [4]])
    assert plain(in_order).values.buffers()[1].address == values.buffers()[1].address
    jumping = make.from_arrays(pa.array([2, 0, 0], kind), pa.array([2, 3, 1], kind), values)
    check(jumping, [[3, 4], [1, 2, 3], [1]])
    check(pa.array([[1.0], None, [], None], make.from_arrays([], [], values).type), [[1.0], None, [], None])


def test_nested_wrapping_comes_off_together():
    inner = pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2))
    tensors = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int8(), [2]), inner)
    check(pa.DictionaryArray.from_arrays(pa.array([1, None, 0]), tensors), [[3, 4], None, [1, 2]])
    flags = canonical("bool8", pa.array([1, 0, None, 9], pa.int8()))
    check(flags.slice(1), [False, None, True])


def test_plain_columns_are_the_same_object():
    array = pa.array([1, 2])
    assert plain(array) is array
