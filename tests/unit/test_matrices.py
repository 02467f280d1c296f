"""Sparse matrices of every format as compressed rows, entry by entry."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from headrace.matrices import BrokenMatrixError, compressed_rows, is_sparse_matrix

ENTRIES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 9)), max_size=20)


class Parts:
    """A matrix of somebody's, by its attributes."""

    def __init__(self, **parts):
        self.__dict__.update(parts)


def rows_of(matrix):
    indptr, indices, data = compressed_rows(matrix)
    return [
        list(zip(indices[start:end].tolist(), data[start:end].tolist(), strict=True)) for start, end in pairwise(indptr)
    ]


@given(ENTRIES)
def test_entries_keep_their_order_in_a_row_and_are_never_summed(entries):
    rows, columns, values = (np.array([entry[part] for entry in entries], np.int32) for part in range(3))
    matrix = sparse.coo_matrix((values, (rows, columns)), shape=(5, 7))
    assert rows_of(matrix) == [[(c, v) for r, c, v in entries if r == row] for row in range(5)]
    order = np.argsort(columns, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=7))])
    by_column = sparse.csc_matrix((values[order], rows[order], bounds), shape=(5, 7))
    expected = [sorted(((c, v) for r, c, v in entries if r == row), key=lambda entry: entry[0]) for row in range(5)]
    assert rows_of(by_column) == expected


@pytest.mark.parametrize("index", [np.int32, np.int64, np.uint32, ">i4"])
def test_parts_may_be_of_any_integers_and_byte_order(index):
    parts = {"indptr": np.array([0, 2, 3], index), "indices": np.array([1, 3, 0], index)}
    matrix = Parts(shape=(2, 4), data=np.array([1, 2, 3], ">f4"), **parts)
    assert rows_of(matrix) == [[(1, 1.0), (3, 2.0)], [(0, 3.0)]]
    assert rows_of(Parts(format="csc", shape=(4, 2), data=matrix.data, **parts)) == [
        [(1, 3.0)],
        [(0, 1.0)],
        [],
        [(0, 2.0)],
    ]


def test_csr_is_not_copied():
    matrix = sparse.random(9, 9, 0.5, format="csr", dtype=np.float32, random_state=1)
    indptr, indices, data = compressed_rows(matrix)
    assert (indptr is matrix.indptr, indices is matrix.indices, data is matrix.data) == (True, True, True)


def test_one_dimension_is_one_row():
    dense = np.array([0, 2.0, 0, 1.0])
    for array in (sparse.coo_array(dense), sparse.csr_array(dense)):
        assert rows_of(array) == [[(1, 2.0), (3, 1.0)]]


def test_what_is_a_sparse_matrix():
    assert all(
        is_sparse_matrix(sparse.csr_matrix((1, 1)).asformat(name)) for name in ("csr", "csc", "coo", "dok", "dia")
    )
    assert not any(map(is_sparse_matrix, ([1], {"indices": [1]}, np.zeros(3), "text", None)))


@pytest.mark.parametrize(
    ("matrix", "expected", "found"),
    [
        (
            Parts(format="csc", shape=(2, 3), indptr=[0, 1, 1], indices=[0], data=[1.0]),
            "4 values in indptr",
            "3",
        ),
        (Parts(format="csc", shape=(2, 1), indptr=[0, 1], indices=[2], data=[1.0]), "rows from 0 to 1", "2 to 2"),
        (Parts(format="coo", shape=(2, 1), row=[-1], col=[0], data=[1.0], tocoo=None), "rows from 0 to 1", "-1 to -1"),
        (
            Parts(format="coo", shape=(2, 1), row=[0.0], col=[0], data=[1.0], tocoo=None),
            "a row for each entry",
            "float64 of shape (1,)",
        ),
        (
            Parts(shape=(1, 1, 1), indptr=[0], indices=[], data=[]),
            "a sparse matrix of shape (rows, dim)",
            "shape (1, 1, 1)",
        ),
    ],
)
def test_parts_that_contradict_each_other_are_refused(matrix, expected, found):
    with pytest.raises(BrokenMatrixError) as caught:
        compressed_rows(matrix)
    assert (caught.value.expected, caught.value.found) == (expected, found)


def test_unsigned_parts_and_coordinates_in_one_array_are_read():
    parts = {"indptr": np.array([0, 2, 3], np.uint64), "indices": np.array([1, 3, 0], np.uint64)}
    data = np.array([1, 2, 3], np.float32)
    assert rows_of(Parts(format="csc", shape=(4, 2), data=data, **parts))[0] == [(1, 3.0)]
    coords = np.array([[1, 0, 1], [1, 3, 0]], np.uint64)
    matrix = Parts(shape=(2, 4), tocoo=lambda: Parts(coords=coords, data=data))
    assert rows_of(matrix) == [[(3, 2.0)], [(1, 1.0), (0, 3.0)]]
