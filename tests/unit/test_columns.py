"""numpy, CSR and Arrow columns become Arrow: without a copy where promised, never misread."""

from __future__ import annotations

import array as stdlib_array

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headrace.columns import is_frame, is_row, to_array, to_batch
from headrace.errors import SchemaError
from headrace.schema import CollectionSchema, DataType, FieldSchema

VECTOR = FieldSchema("v", DataType.FLOAT_VECTOR, dim=4)


class ArrayOnly:
    """A producer that knows nothing but ``__arrow_c_array__``."""

    def __init__(self, data):
        self._data = data

    def __arrow_c_array__(self, requested_schema=None):
        return self._data.__arrow_c_array__(requested_schema)


class StreamOnly:
    """A producer that knows nothing but ``__arrow_c_stream__``."""

    def __init__(self, data):
        self._data = data

    def __arrow_c_stream__(self, requested_schema=None):
        return self._data.__arrow_c_stream__(requested_schema)


def address(array: pa.Array) -> int:
    return array.buffers()[1].address


# Without a copy


def test_float32_matrix_keeps_its_buffer():
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    column = to_array(matrix, VECTOR)
    assert column.type == pa.list_(pa.float32(), 4)
    assert address(column.values) == matrix.ctypes.data
    assert column.to_pylist() == matrix.tolist()


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint32", "float16", "float32", "float64"])
def test_one_dimensional_numbers_keep_their_buffer(dtype):
    values = np.arange(5, dtype=dtype)
    column = to_array(values)
    assert address(column) == values.ctypes.data
    assert column.to_pylist() == values.tolist()


@pytest.mark.parametrize(("index", "kind"), [(np.int32, pa.ListArray), (np.int64, pa.LargeListArray)])
def test_csr_keeps_its_three_buffers(index, kind):
    matrix = scipy.sparse.random(20, 50, 0.2, format="csr", dtype=np.float32, random_state=1)
    matrix.indptr = matrix.indptr.astype(index)
    matrix.indices = matrix.indices.astype(index)
    column = to_array(matrix)
    assert isinstance(column, kind)
    assert address(column) == matrix.indptr.ctypes.data
    assert address(column.values.field(0)) == matrix.indices.ctypes.data
    assert address(column.values.field(1)) == matrix.data.ctypes.data
    assert [[(p["index"], p["value"]) for p in row] for row in column.to_pylist()] == [
        list(zip(matrix[i].indices.tolist(), matrix[i].data.tolist(), strict=True)) for i in range(20)
    ]


def test_rows_of_a_matrix_are_a_view():
    matrix = np.zeros((10, 4), np.float32)
    assert address(to_array(matrix[3:7]).values) == matrix.ctypes.data + 3 * 16


def test_array_keeps_its_memory_alive():
    column = to_array(np.full((1000, 4), 7, np.float32))
    np.zeros((1000, 4), np.float32)
    assert column.to_pylist() == [[7.0] * 4] * 1000


def test_arrow_passes_as_it_is():
    column = pa.array([1, 2])
    assert to_array(column) is column
    chunked = pa.chunked_array([column])
    assert address(to_array(chunked)) == address(column)


# With one copy, never misread

MATRIX = np.arange(24, dtype=np.float32).reshape(6, 4)


@pytest.mark.parametrize(
    "matrix",
    [
        np.asfortranarray(MATRIX),
        MATRIX.astype(">f4"),
        np.asfortranarray(MATRIX.astype(">f4")),
        np.repeat(MATRIX, 2, axis=0)[::2],
        np.repeat(MATRIX, 2, axis=1)[:, ::2],
        np.flip(np.flip(MATRIX, 0).copy(), 0),
        np.matrix(MATRIX),
        np.frombuffer(b"x" + MATRIX.tobytes(), np.float32, offset=1).reshape(6, 4),
    ],
    ids=["fortran", "byte-swapped", "both", "every-other-row", "every-other-column", "negative", "matrix", "unaligned"],
)
def test_other_memory_orders_are_read_right(matrix):
    before = matrix.copy()
    column = to_array(matrix, VECTOR)
    assert column.to_pylist() == MATRIX.tolist()
    assert column.values.buffers()[1].address % 4 == 0
    assert np.array_equal(matrix, before)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int16, ">f4", ">i8", np.uint8]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.integers(0, 100),
    ),
    st.sampled_from(["C", "F", "reversed", "strided", "transposed"]),
)
def test_any_two_dimensional_array_reads_back_equal(values, layout):
    view = {
        "C": values,
        "F": np.asfortranarray(values),
        "reversed": values[::-1, ::-1],
        "strided": np.repeat(values, 3, axis=1)[:, ::3],
        "transposed": values.T,
    }[layout]
    assert to_array(view).to_pylist() == view.tolist()


def test_masked_values_are_null():
    masked = np.ma.array([1, 2, 3], mask=[0, 1, 0])
    assert to_array(masked).to_pylist() == [1, None, 3]
    assert to_array(np.ma.array(MATRIX, mask=MATRIX > 22)).to_pylist()[-1] == [20, 21, 22, None]


def test_producers_without_a_numpy_form_are_refused_by_name():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            raise TypeError("unsupported ScalarType BFloat16")

    with pytest.raises(SchemaError, match=r"column 'c': expected a column .*, found Tensor \(unsupported ScalarType"):
        to_array(Tensor(), name="c")


def test_chunks_without_rows_cost_nothing():
    column = pa.array([[1.0, 2.0]])
    assert to_array(pa.chunked_array([column[:0], column, column[:0]])).values.buffers()[1].address == (
        column.values.buffers()[1].address
    )
    assert len(to_array(pa.chunked_array([], pa.list_view(pa.int8())))) == 0


@pytest.mark.parametrize(
    ("column", "field"),
    [
        (pa.array(["a"]).dictionary_encode(), FieldSchema("t", DataType.VARCHAR, max_length=9)),
        (pa.array(["a"], pa.string_view()), FieldSchema("t", DataType.VARCHAR, max_length=9)),
        (pa.array([[1, 2, 3, 4]], pa.list_view(pa.float32())), VECTOR),
        (pa.array([1], pa.timestamp("us")), FieldSchema("t", DataType.TIMESTAMPTZ)),
    ],
)
def test_layouts_that_are_packed_as_they_are_stay(column, field):
    assert to_array(column, field) is column


def test_text_dates_bools_and_buffers():
    assert to_array(np.array(["a", "bc"])).to_pylist() == ["a", "bc"]
    assert to_array(np.array([True, False])).type == pa.bool_()
    assert to_array(np.array(["2020-01-01"], "M8[D]")).type == pa.date32()
    assert to_array(stdlib_array.array("f", [1.5, 2])).type == pa.float32()
    assert to_array(memoryview(b"\x01\x02")).to_pylist() == [1, 2]


def test_other_sparse_formats_become_rows():
    dense = np.array([[0, 1, 0], [2, 0, 3]], np.float32)
    for make in (scipy.sparse.csc_matrix, scipy.sparse.coo_matrix, scipy.sparse.csr_array, scipy.sparse.lil_matrix):
        assert to_array(make(dense)).to_pylist() == [
            [{"index": 1, "value": 1.0}],
            [{"index": 0, "value": 2.0}, {"index": 2, "value": 3.0}],
        ]


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.bool_])
def test_small_csr_values_become_float32(dtype):
    matrix = scipy.sparse.csr_matrix(np.array([[0, 1], [1, 0]], dtype))
    assert to_array(matrix).type.value_type.field(1).type == pa.float32()


def test_wide_csr_values_keep_their_type():
    matrix = scipy.sparse.csr_matrix(np.array([[0.1, 0]]))
    assert to_array(matrix).type.value_type.field(1).type == pa.float64()


def test_capsule_producers_are_read():
    assert to_array(ArrayOnly(pa.array([1, 2]))).to_pylist() == [1, 2]
    assert to_array(StreamOnly(pa.chunked_array([[1], [2]]))).to_pylist() == [1, 2]


# Guided by the field


@pytest.mark.parametrize(
    ("value", "field", "expected"),
    [
        (np.zeros((2, 4), np.float16), VECTOR, pa.list_(pa.float32(), 4)),
        (np.zeros((2, 4), np.int8), VECTOR, pa.list_(pa.float32(), 4)),
        (np.zeros(2, np.int32), FieldSchema("i", DataType.INT64), pa.int64()),
        (np.zeros(2, np.float32), FieldSchema("d", DataType.DOUBLE), pa.float64()),
    ],
)
def test_lossless_types_are_converted_for_the_field(value, field, expected):
    assert to_array(value, field).type == expected


@pytest.mark.parametrize(
    ("value", "field", "expected"),
    [
        (np.zeros((2, 4)), VECTOR, pa.list_(pa.float64(), 4)),
        (np.zeros((2, 3), np.float32), VECTOR, pa.list_(pa.float32(), 3)),
        (np.zeros(2, np.int64), FieldSchema("i", DataType.INT8), pa.int64()),
        (np.array(["a"]), FieldSchema("i", DataType.INT64), pa.string()),
    ],
)
def test_types_that_may_lose_stay_for_conform_to_judge(value, field, expected):
    assert to_array(value, field).type == expected


# Refused


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            np.zeros(2, complex),
            "column 'c': expected an array of numbers, bools or text, found dtype complex128; "
            "convert it with .astype() to a type that a field can have",
        ),
        (
            np.zeros(2, [("a", "i4")]),
            "column 'c': expected an array of numbers, bools or text, found dtype [('a', '<i4')]; "
            "convert it with .astype() to a type that a field can have",
        ),
        (
            np.zeros((2, 2, 2)),
            "column 'c': expected an array of one or two dimensions, found shape (2, 2, 2); "
            "give shape (n,) for scalars or (n, d) for vectors",
        ),
        (
            np.zeros((2, 0)),
            "column 'c': expected an array of one or two dimensions, found shape (2, 0); "
            "give shape (n,) for scalars or (n, d) for vectors",
        ),
        (
            "text",
            "column 'c': expected a column (numpy array, sparse matrix, Arrow array or list), found str; "
            "give one value for each row",
        ),
    ],
)
def test_refuses_what_is_no_column(value, message):
    with pytest.raises(SchemaError) as caught:
        to_array(value, name="c")
    assert str(caught.value) == message


class Csr:
    def __init__(self, indptr, indices, data, rows):
        self.indptr, self.indices, self.data = np.array(indptr), np.array(indices), np.array(data)
        self.shape = (rows, 10)


@pytest.mark.parametrize(
    ("matrix", "expected", "found"),
    [
        (Csr([0, 9], [1], [1.0], 1), "indptr ascending from 0 to at most 1", "0 to 9"),
        (Csr([-1, 1], [1], [1.0], 1), "indptr ascending from 0 to at most 1", "-1 to 1"),
        (Csr([0, 2, 1, 2], [1, 2], [1.0, 2.0], 3), "indptr ascending from 0 to at most 2", "0 to 2"),
        (Csr([0, 1], [1], [1.0], 2), "3 values in indptr", "2"),
        (Csr([0, 1], [1, 2], [1.0], 1), "as many indices as data", "2 and 1"),
        (Csr([0, 1], [1], [1j], 1), "real numbers as data", "dtype complex128"),
        (Csr([0.0, 1.0], [1], [1.0], 1), "one-dimensional indptr of integers", "float64 of 1 dimensions"),
        (Csr([0, 1], [1.0], [1.0], 1), "integer indices", "float64"),
        (Csr([0, 1], [[1]], [1.0], 1), "one-dimensional indices and data", "2 and 1 dimensions"),
        (Csr([[0, 1]], [1], [1.0], 1), "one-dimensional indptr of integers", "int64 of 2 dimensions"),
    ],
)
def test_refuses_csr_whose_parts_do_not_fit(matrix, expected, found):
    with pytest.raises(SchemaError) as caught:
        to_array(matrix, name="s")
    assert str(caught.value) == f"column 's': expected {expected}, found {found}; build the sparse matrix again"


# Batches


def test_dict_of_columns_is_a_batch():
    matrix = np.zeros((2, 4), np.float32)
    batch = to_batch({"id": np.arange(2), "v": matrix, "t": ["a", None]})
    assert batch.schema.names == ["id", "v", "t"]
    assert address(batch.column(1).values) == matrix.ctypes.data
    assert batch.num_rows == 2


def test_different_lengths_are_refused_before_anything_is_converted():
    with pytest.raises(SchemaError) as caught:
        to_batch({"id": [1, 2], "bad": np.zeros((2, 2, 2)), "v": np.zeros((3, 4), np.float32)})
    assert str(caught.value) == (
        "columns: expected the same number of rows in each, found 2 in 'id' and 3 in 'v'; give one value for each row"
    )


@pytest.mark.parametrize("value", [5, "text", np.float32(1), {"a": 1}, (x for x in [1])])
def test_refuses_a_batch_with_something_that_is_no_column(value):
    with pytest.raises(SchemaError, match="column 'x': expected a column"):
        to_batch({"x": value})


@pytest.mark.parametrize("data", [5, "text", np.zeros(3)])
def test_refuses_what_is_no_batch(data):
    with pytest.raises(SchemaError, match="batch: expected a dict of columns, a list of dicts or Arrow data, found"):
        to_batch(data)


def test_tables_and_frames_are_batches():
    import pandas as pd

    table = pa.table({"a": pa.chunked_array([[1], [2, 3]])})
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=[7, 8, 9])
    for data in (table, table.combine_chunks().to_batches()[0], StreamOnly(table), frame):
        batch = to_batch(data)
        assert batch.to_pydict() == {"a": [1, 2, 3]}
    assert to_batch(ArrayOnly(pa.record_batch({"a": [1]}))).to_pydict() == {"a": [1]}


def test_guides_match_names_without_case():
    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), VECTOR])
    batch = to_batch({"ID": [1], "V": [[1, 2, 3, 4]]}, schema)
    assert batch.schema.field("V").type == pa.list_(pa.float32(), 4)


def test_no_rows_have_the_collections_types():
    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), VECTOR])
    batch = to_batch([], schema)
    assert batch.num_rows == 0
    assert batch.schema.types == [pa.int64(), pa.list_(pa.float32(), 4)]


def test_a_dict_with_a_scalar_is_a_row():
    assert is_row({"id": 1, "v": [1.0, 2.0]})
    assert is_row({"id": None})
    assert not is_row({"id": [1], "v": np.zeros((1, 2))})
    assert not is_row([1])


def test_frames_are_told_from_columns():
    assert is_frame(pa.table({"a": [1]}))
    assert is_frame(StreamOnly(pa.table({"a": [1]})))
    assert not is_frame(pa.array([1]))
    assert not is_frame({"a": [1]})


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_dictionaries_of_several_pieces_keep_the_sign_of_zero(kind):
    pieces = [
        pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(values, kind))
        for indices, values in (([0], [-0.0]), ([None, 0], [0.0]))
    ]
    batch = to_batch({"id": [1, 2, 3], "f": pa.chunked_array(pieces)})
    assert [str(value) for value in batch.column("f").to_pylist()] == ["-0.0", "None", "0.0"]
