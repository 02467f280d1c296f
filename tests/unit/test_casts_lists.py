"""List columns become ARRAY and vector fields: on the same buffers where they can be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.casts import find_cast
from headrace.errors import SchemaError
from headrace.schema import DataType, FieldSchema

VECTOR = FieldSchema("v", DataType.FLOAT_VECTOR, dim=3)
F32 = pa.float32()


def cast(array: pa.Array, field: FieldSchema):
    plan = find_cast(array.type, field)
    converted, refused = (array, []) if plan.run is None else plan.run(array)
    assert len(converted) == len(array)
    converted.validate(full=True)
    return converted, {cell.row: cell.found for cell in refused}


def array_of(element: DataType) -> FieldSchema:
    return FieldSchema(
        "a", DataType.ARRAY, element_type=element, max_capacity=8, max_length=9 if element is DataType.VARCHAR else None
    )


# Dense vectors


@pytest.mark.parametrize("kind", [pa.list_(F32), pa.large_list(F32)])
def test_lists_of_one_length_become_vectors_on_the_same_buffer(kind):
    array = pa.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], kind)
    for given_array, rows in ((array, slice(None)), (array.slice(1), slice(1, None)), (array.slice(1, 1), slice(1, 2))):
        converted, refused = cast(given_array, VECTOR)
        assert converted.type == pa.list_(F32, 3)
        assert (converted.to_pylist(), refused) == (array.to_pylist()[rows], {})
        assert converted.values.buffers()[1].address == array.values.buffers()[1].address


def test_fixed_size_lists_pass_as_they_are():
    assert find_cast(pa.list_(F32, 3), VECTOR).run is None
    tensor = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(F32, [3]), pa.array([[1, 2, 3]], pa.list_(F32, 3)))
    assert cast(tensor, VECTOR)[0].to_pylist() == [[1, 2, 3]]


def test_wrong_lengths_are_refused_by_row_and_the_others_are_right():
    array = pa.array([[1, 2, 3], [4], None, [], [5, 6, 7], [1, 2, 3, 4], [8, 9, 10]], pa.list_(F32))
    converted, refused = cast(array, VECTOR)
    assert refused == {1: "1 number", 3: "0 numbers", 5: "4 numbers"}
    assert [converted[i].as_py() for i in (0, 2, 4, 6)] == [[1, 2, 3], None, [5, 6, 7], [8, 9, 10]]


def test_refused_vectors_say_what_would_fit():
    _, refused = find_cast(pa.list_(F32), VECTOR).run(pa.array([[1]], pa.list_(F32)))
    assert (refused[0].field, refused[0].expected, refused[0].remedy) == (
        "v",
        "a vector of 3 numbers",
        "correct the row or leave it out",
    )


@pytest.mark.parametrize("kind", [pa.float64(), pa.float16(), pa.int8(), pa.int64()])
@pytest.mark.parametrize("fixed", [True, False])
def test_other_numbers_become_float32(kind, fixed):
    values = np.array([[1, 2, 3], [4, 5, 6]], kind.to_pandas_dtype())
    array = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 3)
    if not fixed:
        array = array.cast(pa.list_(kind)) if kind != pa.float16() else pa.array(list(values), pa.list_(kind))
    converted, refused = cast(array.slice(1), VECTOR)
    assert (converted.type, converted.to_pylist(), refused) == (pa.list_(F32, 3), [[4, 5, 6]], {})


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float64(), 3)])
def test_overflow_is_refused_once_a_row_with_its_place(kind):
    array = pa.array([[1.5, 2.0, 3.0], [1e300, 1e301, 0.0], None, [0.0, 0.0, -1e300]], kind)
    converted, refused = cast(array, VECTOR)
    assert refused == {1: "1e+300 at element 0", 3: "-1e+300 at element 2"}
    assert [converted[i].as_py() for i in (0, 2)] == [[1.5, 2.0, 3.0], None]


def test_wrong_length_counts_before_overflow():
    array = pa.array([[1e300], [1e300, 0.0, 0.0], [1.0, 2.0, 3.0]], pa.list_(pa.float64()))
    converted, refused = cast(array, VECTOR)
    assert refused == {0: "1 number", 1: "1e+300 at element 0"}
    assert converted[2].as_py() == [1, 2, 3]


def test_nulls_inside_vectors_stay_for_the_packer_to_refuse():
    array = pa.array([[1, None, 3], [4], [5, 6, 7]], pa.list_(F32))
    converted, refused = cast(array, VECTOR)
    assert refused == {1: "1 number"}
    assert [converted[i].as_py() for i in (0, 2)] == [[1, None, 3], [5, 6, 7]]


def test_null_rows_may_cover_values():
    offsets, values = pa.array([0, 3, 5, 8], pa.int32()), pa.array(np.arange(8, dtype=np.float32))
    array = pa.Array.from_buffers(
        pa.list_(F32), 3, [pa.py_buffer(b"\x05"), offsets.buffers()[1]], null_count=1, children=[values]
    )
    converted, refused = cast(array, VECTOR)
    assert (converted.to_pylist(), refused) == ([[0, 1, 2], None, [5, 6, 7]], {})


def test_empty_columns():
    for kind in (pa.list_(F32), pa.list_(pa.float64()), pa.large_list(F32), pa.list_(pa.null())):
        assert len(cast(pa.array([], kind), VECTOR)[0]) == 0
    assert cast(pa.array([[], []]), VECTOR)[1] == {0: "0 numbers", 1: "0 numbers"}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pa.list_(F32, 2), "expected vectors of 3 numbers, found a column of fixed_size_list<item: float>[2]"),
        (pa.list_(pa.string()), "expected lists of numbers for FLOAT_VECTOR(3), found a column of list<item: string>"),
        (pa.int64(), "expected lists of numbers for FLOAT_VECTOR(3), found a column of int64"),
        (pa.list_(pa.list_(F32)), "expected lists of numbers for FLOAT_VECTOR(3), found a column of list<"),
    ],
)
def test_no_vector_from_other_columns(kind, text):
    with pytest.raises(SchemaError) as caught:
        find_cast(kind, VECTOR)
    assert text in str(caught.value)


@given(
    rows=st.lists(
        st.one_of(st.none(), st.lists(st.floats(width=32, allow_nan=False), max_size=4), st.just([1.0, 2.0, 3.0]))
    ),
    large=st.booleans(),
    start=st.integers(0, 3),
    stop=st.integers(0, 3),
)
def test_any_lists_are_vectors_or_refused(rows, large, start, stop):
    array = pa.array(rows, pa.large_list(F32) if large else pa.list_(F32)).slice(start)
    array = array.slice(0, max(0, len(array) - stop))
    converted, refused = cast(array, VECTOR)
    for row, value in enumerate(array.to_pylist()):
        assert (row in refused) is (value is not None and len(value) != 3)
        if row not in refused:
            assert converted[row].as_py() == value


# Arrays


@pytest.mark.parametrize(
    ("array", "element", "expected"),
    [
        (pa.array([[1, 2], [], None]), DataType.INT64, [[1, 2], [], None]),
        (pa.array([[1, 2], [3]], pa.list_(pa.int32())), DataType.INT64, [[1, 2], [3]]),
        (pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)), DataType.INT8, [[1, 2], None, [3, 4]]),
        (pa.array([[1, 2], [3]], pa.large_list(pa.uint8())).slice(1), DataType.INT16, [[3]]),
        (pa.array([["a"], ["b", "c"]]), DataType.VARCHAR, [["a"], ["b", "c"]]),
        (pa.array([[True], []]), DataType.BOOL, [[True], []]),
        (pa.array([[], []]), DataType.INT64, [[], []]),
        (pa.array([[0.5], [1.5]], pa.list_(pa.float64())), DataType.FLOAT, [[0.5], [1.5]]),
    ],
)
def test_lists_become_arrays(array, element, expected):
    converted, refused = cast(array, array_of(element))
    assert (converted.to_pylist(), refused) == (expected, {})


def test_encoded_elements_become_their_values():
    inner = pa.array(["x", "y", "x"]).dictionary_encode()
    array = pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), inner)
    assert cast(array, array_of(DataType.VARCHAR))[0].to_pylist() == [["x", "y"], ["x"]]


def test_elements_out_of_range_are_refused_once_a_row():
    array = pa.array([[1], [5, 300, 400], None, [-200]], pa.list_(pa.int64())).slice(1)
    converted, refused = cast(array, array_of(DataType.INT8))
    assert refused == {0: "300 at element 1", 2: "-200 at element 0"}
    assert converted[1].as_py() is None


@pytest.mark.parametrize("kind", [pa.int64(), pa.map_(pa.int64(), F32), pa.string()])
def test_no_array_from_other_columns(kind):
    with pytest.raises(SchemaError, match="expected a list column for ARRAY<INT64>"):
        find_cast(kind, array_of(DataType.INT64))


def test_no_array_from_lists_of_other_elements():
    with pytest.raises(
        SchemaError, match="field 'a': expected a column of numbers for INT64, found a column of string"
    ):
        find_cast(pa.list_(pa.string()), array_of(DataType.INT64))
