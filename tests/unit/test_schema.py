"""Fields say what their type needs, and refuse what it has not."""

from __future__ import annotations

import pytest

from headrace.errors import SchemaError
from headrace.schema import DataType, FieldSchema

DENSE = [dtype for dtype in DataType if dtype.is_dense_vector]


def problem(*arguments, **options):
    with pytest.raises(SchemaError) as raised:
        FieldSchema("f", *arguments, **options)
    assert raised.value.field == "f"
    return str(raised.value)


@pytest.mark.parametrize("dtype", DENSE, ids=lambda dtype: dtype.name)
def test_dense_vectors_need_a_dim(dtype):
    assert FieldSchema("f", dtype, dim=16).dim == 16
    for dim in (None, 0, 262_145):
        assert problem(dtype, dim=dim) == (
            f"field 'f': expected dim between 1 and 262144, found dim={dim}; give the vector's dimension"
        )


def test_bits_come_in_whole_bytes():
    assert problem(DataType.BINARY_VECTOR, dim=12) == (
        "field 'f': expected a dim that is a multiple of 8 bits, found dim=12; pad the vectors to whole bytes"
    )


@pytest.mark.parametrize(
    "dtype", [DataType.SPARSE_FLOAT_VECTOR, DataType.GEOMETRY, DataType.TEXT, DataType.TIMESTAMPTZ, DataType.JSON]
)
def test_other_types_have_no_dim_no_length_and_no_elements(dtype):
    assert FieldSchema("f", dtype, nullable=True).nullable
    assert "expected no dim (only dense vectors have one), found dim=8" in problem(dtype, dim=8)
    assert "expected no max_length" in problem(dtype, max_length=8)
    assert "expected no max_capacity (only arrays have one)" in problem(dtype, max_capacity=8)
    assert "expected no element_type (only arrays have one)" in problem(dtype, element_type=DataType.INT8)


@pytest.mark.parametrize(
    "element", [DataType.JSON, DataType.GEOMETRY, DataType.TEXT, DataType.TIMESTAMPTZ, DataType.FLOAT_VECTOR]
)
def test_arrays_hold_plain_scalars(element):
    assert "expected an element_type among BOOL" in problem(DataType.ARRAY, element_type=element, max_capacity=4)


@pytest.mark.parametrize("dtype", [DataType.FLOAT, DataType.GEOMETRY, DataType.TEXT, DataType.BOOL])
def test_keys_are_integers_or_text(dtype):
    assert "expected a partition key of type INT64 or VARCHAR" in problem(dtype, is_partition_key=True)
    assert "expected a primary key of type INT64 or VARCHAR" in problem(dtype, is_primary=True)
