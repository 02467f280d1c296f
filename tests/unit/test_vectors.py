from __future__ import annotations

import struct

import ml_dtypes
import numpy as np
import pytest
from scipy.sparse import coo_matrix, csc_matrix, csr_array, csr_matrix

from headrace.errors import InputError
from headrace.schema import DataType
from headrace.vectors import depends_on_field, encode_query_vectors

REMEDY = "give a numpy array, a list of vectors, dicts of index to value, (indices, values) or a sparse matrix"


def dense(*values):
    return struct.pack(f"<{len(values)}f", *values)


def sparse(*pairs):
    return b"".join(struct.pack("<If", *pair) for pair in pairs)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ([1, 2.5], [dense(1, 2.5)]),
        ([[1, 2], [3, 4]], [dense(1, 2), dense(3, 4)]),
        (np.array([1, 2]), [dense(1, 2)]),
        (np.arange(4, dtype=np.float64).reshape(2, 2), [dense(0, 1), dense(2, 3)]),
        (np.arange(8, dtype=np.float32).reshape(2, 4)[:, ::2], [dense(0, 2), dense(4, 6)]),
        (([1, 2] for _ in range(2)), [dense(1, 2)] * 2),
    ],
)
def test_dense_forms_become_float32_bytes(data, values):
    assert encode_query_vectors(data) == (DataType.FLOAT_VECTOR, values)


HALVES = np.array([[1, -2], [0.5, 0]], np.float16)
BRAIN = HALVES.astype(ml_dtypes.bfloat16)
SMALL = np.array([[1, -2]], np.int8)
BITS = np.array([[True] + [False] * 7, [False] * 7 + [True]])


@pytest.mark.parametrize(
    ("data", "dtype", "values"),
    [
        (HALVES, DataType.FLOAT16_VECTOR, [row.tobytes() for row in HALVES]),
        (HALVES.astype(">f2"), DataType.FLOAT16_VECTOR, [row.tobytes() for row in HALVES]),
        (np.asfortranarray(HALVES), DataType.FLOAT16_VECTOR, [row.tobytes() for row in HALVES]),
        ([HALVES[0]], DataType.FLOAT16_VECTOR, [HALVES[0].tobytes()]),
        (BRAIN, DataType.BFLOAT16_VECTOR, [row.tobytes() for row in BRAIN]),
        (BRAIN[0], DataType.BFLOAT16_VECTOR, [BRAIN[0].tobytes()]),
        (SMALL, DataType.INT8_VECTOR, [b"\x01\xfe"]),
        (np.packbits(BITS, axis=1), DataType.BINARY_VECTOR, [b"\x80", b"\x01"]),
        (BITS, DataType.BINARY_VECTOR, [b"\x80", b"\x01"]),
        (b"\x80", DataType.BINARY_VECTOR, [b"\x80"]),
        ([b"\x80", b"\x01"], DataType.BINARY_VECTOR, [b"\x80", b"\x01"]),
    ],
)
def test_the_dtype_says_what_is_searched_for(data, dtype, values):
    assert depends_on_field(data)
    assert encode_query_vectors(data) == (dtype, values)
    assert encode_query_vectors(data, dtype) == (dtype, values)


@pytest.mark.parametrize(
    "data", [[[1, 2]], np.zeros((1, 2)), np.zeros(2, np.float32), {1: 0.5}, [{1: 0.5}], ([1], [2])]
)
def test_other_forms_say_all_by_themselves(data):
    assert not depends_on_field(data)


def test_small_numbers_widen_for_a_float_field_and_bytes_are_the_fields():
    assert encode_query_vectors(HALVES, DataType.FLOAT_VECTOR) == (DataType.FLOAT_VECTOR, [dense(1, -2), dense(0.5, 0)])
    assert encode_query_vectors(BRAIN[0], DataType.FLOAT_VECTOR) == (DataType.FLOAT_VECTOR, [dense(1, -2)])
    assert encode_query_vectors(SMALL, DataType.FLOAT_VECTOR) == (DataType.FLOAT_VECTOR, [dense(1, -2)])
    for dtype in (DataType.FLOAT16_VECTOR, DataType.BFLOAT16_VECTOR, DataType.INT8_VECTOR, DataType.FLOAT_VECTOR):
        assert encode_query_vectors([b"abcd"], dtype) == (dtype, [b"abcd"])


@pytest.mark.parametrize(
    ("data", "field_type", "text"),
    [
        (HALVES, DataType.BFLOAT16_VECTOR, "data: expected vectors for BFLOAT16_VECTOR, found FLOAT16_VECTOR; "),
        ([[1.0, 2.0]], DataType.FLOAT16_VECTOR, "data: expected vectors for FLOAT16_VECTOR, found FLOAT_VECTOR; "),
        ([HALVES[0], SMALL[0]], None, "data: expected vectors of one kind, found FLOAT16_VECTOR and INT8_VECTOR; "),
        ([np.array([1, np.nan], np.float16)], None, "data, vector 0: expected finite values, found nan at position 1"),
        ([np.array([1, np.inf], BRAIN.dtype)], None, "data, vector 0: expected finite values, found inf at position 1"),
        ([b"ab", b"a"], None, "data, vector 1: expected 2 values like the first, found 1; make them alike"),
        (np.zeros((1, 2, 2), np.int8), None, "data, vector 0: expected a vector of one dimension, found shape (2, 2)"),
    ],
)  # fmt: skip
def test_vectors_of_another_type_than_the_field_are_refused(data, field_type, text):
    with pytest.raises(InputError) as raised:
        encode_query_vectors(data, field_type)
    assert str(raised.value).startswith(text)


PAIRS = sparse((3, 0.5), (7, 0.25))


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ({7: 0.25, 3: 0.5}, [PAIRS]),
        ([{3: 0.5, 7: 0.25}, {}], [PAIRS, b""]),
        (([7, 3], [0.25, 0.5]), [PAIRS]),
        ((np.array([3, 7]), np.array([0.5, 0.25])), [PAIRS]),
        ([([3, 7], [0.5, 0.25]), {3: 0.5, 7: 0.25}], [PAIRS, PAIRS]),
        (csr_matrix(([0.5, 0.25], ([0, 0], [3, 7])), shape=(2, 9)), [PAIRS, b""]),
        (csc_matrix(([0.5, 0.25], ([0, 0], [3, 7])), shape=(2, 9)), [PAIRS, b""]),
        (coo_matrix(([0.25, 0.5], ([0, 0], [7, 3])), shape=(2, 9)), [PAIRS, b""]),
        ([csr_array(([0.5, 0.25], ([0, 0], [3, 7])), shape=(1, 9))], [PAIRS]),
        ({2**32 - 2: 1}, [sparse((2**32 - 2, 1))]),
    ],
)
def test_sparse_forms_become_sorted_pairs(data, values):
    assert encode_query_vectors(data) == (DataType.SPARSE_FLOAT_VECTOR, values)


def test_texts_are_sent_as_they_are_for_a_function_to_make_vectors_of():
    assert encode_query_vectors(["what?", "é"]) == (DataType.VARCHAR, [b"what?", "é".encode()])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], f"data: expected at least one query vector, found none; {REMEDY}"),
        (7, f"data: expected query vectors, found int; {REMEDY}"),
        ("text", f"data: expected query vectors, found str; {REMEDY}"),
        ([["text"]], f"data, vector 0: expected a vector of numbers, found list; {REMEDY}"),
        (["text", [1, 2]], "data: expected vectors of one kind, found texts and others; search them separately"),
        ([[1, 2], [1]], "data, vector 1: expected 2 values like the first, found 1; make them alike"),
        ([[]], f"data, vector 0: expected a vector of one dimension, found shape (0,); {REMEDY}"),
        ([[[1, 2]]], f"data, vector 0: expected a vector of one dimension, found shape (1, 2); {REMEDY}"),
        (
            [[1, float("nan")]],
            "data, vector 0: expected finite values, found nan at position 1; replace it or leave the vector out",
        ),
        ([[1, 2], {1: 2}], "data: expected vectors of one kind, found dense and sparse ones; search them separately"),
        (
            {1: float("inf")},
            "data, vector 0: expected finite values, found inf at position 0; replace it or leave the vector out",
        ),
        ({-1: 1}, "data, vector 0: expected indices from 0 to 4294967294, found -1; use smaller indices"),
        (
            {2**32 - 1: 1},
            "data, vector 0: expected indices from 0 to 4294967294, found 4294967295; use smaller indices",
        ),
        (([1, 1], [1, 2]), "data, vector 0: expected each index once, found 1 more than once; add its values up"),
        (
            ([1], [1, 2]),
            "data, vector 0: expected as many values as indices, found shapes (1,) and (2,); make them alike",
        ),
        (([1], [2], [3]), f"data, vector 0: expected (indices, values), found 3 parts; {REMEDY}"),
        ({"a": 1}, f"data, vector 0: expected integer indices and numbers, found something else; {REMEDY}"),
        (
            [csr_matrix((2, 3))],
            f"data, vector 0: expected a matrix of one row, found 2 rows; {REMEDY}",
        ),
    ],
)
def test_what_cannot_be_searched_for_is_refused(data, text):
    with pytest.raises(InputError) as raised:
        encode_query_vectors(data)
    assert str(raised.value) == text


def test_inputs_are_not_changed():
    indices, values = np.array([7, 3]), np.array([0.25, 0.5])
    encode_query_vectors((indices, values))
    assert (indices.tolist(), values.tolist()) == ([7, 3], [0.25, 0.5])
