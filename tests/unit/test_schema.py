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


def test_only_a_primary_key_is_made_by_the_server():
    assert problem(DataType.INT64, auto_id=True) == (
        "field 'f': expected no auto_id (only the primary key has it), found auto_id=True; leave auto_id out"
    )


def test_a_primary_key_comes_with_the_rows():
    assert problem(DataType.INT64, is_primary=True, default_value=0) == (
        "field 'f': expected a primary key without a default, found default_value=0; leave default_value out"
    )
    assert problem(DataType.INT64, is_primary=True, is_function_output=True) == (
        "field 'f': expected a primary key that rows bring, found the output of a function; choose another key"
    )


@pytest.mark.parametrize("dtype", [DataType.ARRAY, *DENSE, DataType.SPARSE_FLOAT_VECTOR], ids=lambda dtype: dtype.name)
def test_arrays_and_vectors_have_no_default(dtype):
    options = {"element_type": DataType.INT8, "max_capacity": 4} if dtype is DataType.ARRAY else {}
    dim = 8 if dtype.is_dense_vector else None
    assert f"expected no default_value for {dtype.name} (arrays and vectors have none), found default_value=[]" in (
        problem(dtype, dim=dim, default_value=[], **options)
    )


def test_the_dynamic_fields_name_is_its_own():
    assert FieldSchema("$meta", DataType.JSON, is_dynamic=True).is_dynamic
    with pytest.raises(SchemaError) as raised:
        FieldSchema("$meta", DataType.JSON)
    assert str(raised.value) == (
        "field '$meta': expected another name (this is the dynamic field's), found '$meta'; rename it, or set "
        "enable_dynamic_field on the collection"
    )
