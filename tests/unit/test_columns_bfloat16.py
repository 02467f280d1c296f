"""bfloat16 keeps its bits as vectors, and becomes the same numbers wherever else it goes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest

from headrace.columns import to_array
from headrace.errors import CellError
from headrace.schema import DataType, FieldSchema

FLOATS = FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)


def test_bfloat16_is_told_by_its_name_and_never_taken_for_numbers():
    matrix = np.array([[1, -2], [0.5, np.inf]], ml_dtypes.bfloat16)
    column = to_array(matrix)
    assert column.type == pa.list_(pa.binary(2), 2)
    assert column.values.buffers()[1].address == matrix.ctypes.data
    assert [b"".join(row) for row in column.to_pylist()] == [row.tobytes() for row in matrix]
    assert to_array(matrix, FieldSchema("v", DataType.FLOAT_VECTOR, dim=4)).type == pa.list_(pa.binary(2), 2)
    assert to_array(matrix, FLOATS).to_pylist() == [[1, -2], [0.5, np.inf]]
    assert to_array(matrix[0]).to_pylist() == [1.0, -2.0]
    masked = to_array(np.ma.array(matrix, mask=[[0, 1], [0, 0]]))
    assert masked.to_pylist()[0] == [matrix[0, :1].tobytes(), None]


def test_lists_of_bfloat16_vectors_are_a_column():
    rows = [np.array([1, 2], ml_dtypes.bfloat16), None, np.array([3], ml_dtypes.bfloat16)]
    column = to_array(rows)
    assert column.type == pa.large_list(pa.binary(2))
    found = [row and b"".join(row) for row in column.to_pylist()]
    assert found == [None if row is None else row.tobytes() for row in rows]
    with pytest.raises(CellError, match=r"row 1, field 'c': expected a bfloat16 vector in every row, found list"):
        to_array([rows[0], [1.0]], name="c")
    with pytest.raises(CellError, match=r"row 1, .*expected a bfloat16 vector in every row, found bfloat16 of shape"):
        to_array([rows[0], np.zeros((1, 2), ml_dtypes.bfloat16)], name="c")


def test_rows_of_bfloat16_become_the_same_float_vectors():
    rows = list(np.array([[1, -0.0], [2**-133, 3.3895314e38]], ml_dtypes.bfloat16))
    column = to_array(rows, FLOATS)
    assert column.type == pa.list_(pa.float32(), 2)
    assert column.values.to_numpy().tobytes() == np.stack(rows).astype(np.float32).tobytes()
    exact = to_array(rows, FieldSchema("v", DataType.BFLOAT16_VECTOR, dim=2))
    assert exact.to_pylist() == [row.tobytes() for row in rows]


@pytest.mark.parametrize("of_a_row", [lambda value: value, np.array], ids=["scalars", "arrays without dimensions"])
def test_bfloat16_numbers_in_rows_become_the_same_floats(of_a_row):
    numbers = np.array([1.5, -2], ml_dtypes.bfloat16)
    column = to_array([of_a_row(numbers[0]), None, of_a_row(numbers[1])])
    assert (column.type, column.to_pylist()) == (pa.float32(), [1.5, None, -2.0])


def test_masked_bfloat16_numbers_are_null():
    numbers = np.ma.array(np.array([1.5, -2], ml_dtypes.bfloat16), mask=[0, 1])
    assert to_array(numbers).to_pylist() == [1.5, None]
