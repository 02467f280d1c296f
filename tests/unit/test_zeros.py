"""Vectors of nothing but zeros are counted, whatever their elements are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.zeros import count_zeros, zeros_text

#: The first has a zero only at its beginning, the others are zero.
ROWS = [[0.0, 2.0], [0.0, 0.0], [1.0, 0.0], [-0.0, 0.0]]


def vectors(dtype):
    array = pa.array(np.array(ROWS, dtype).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(array, 2)


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (vectors(np.float32), DataType.FLOAT_VECTOR),
        (vectors(np.float16), DataType.FLOAT16_VECTOR),
        (vectors(np.int8), DataType.INT8_VECTOR),
        (pa.array([b"\0\0\0\x40", b"\0" * 4, b"\x80\x3f\0\0", b"\0\x80\0\0"], pa.binary(4)), DataType.BFLOAT16_VECTOR),
    ],
    ids=["float", "float16", "int8", "bfloat16"],
)
def test_vectors_of_zeros_are_counted(column, dtype):
    assert count_zeros(column, dtype) == 2
    assert count_zeros(column.slice(2), dtype) == 1
    assert count_zeros(column.slice(4), dtype) == 0


def test_a_null_is_no_vector_of_zeros():
    column = pa.FixedSizeListArray.from_arrays(
        pa.array(np.zeros(6, np.float32)), 2, mask=pa.array([False, True, False])
    )
    assert count_zeros(column, DataType.FLOAT_VECTOR) == 2


def test_they_are_noted_of_the_fields_whose_metric_minds_them():
    schema = CollectionSchema(
        [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]
    )
    batch = pa.RecordBatch.from_pydict({"id": [1, 2, 3, 4], "v": vectors(np.float32)})
    plan = plan_conform(batch.schema, schema, options=LoadOptions())
    assert plan.apply(batch).notes == {}
    plan.directed = ("v",)
    assert plan.apply(batch).notes == {zeros_text("v"): 2}
    assert plan.apply(batch.slice(0, 1)).notes == {}
