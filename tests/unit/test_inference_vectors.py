"""Which columns of lists and text are the vectors of a new collection."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.errors import SchemaError
from headrace.inference import infer_schema
from headrace.schema import DataType, FieldSchema

F32 = pa.float32()
KEY = ("id", pa.int64())
VECTOR = ("v", pa.list_(F32, 4))


def infer(*columns, sample=None, **options):
    schema = sample.schema if sample is not None else pa.schema(list(columns))
    return infer_schema(schema, sample=sample, options=LoadOptions(create=True, **options))


def problem(*columns, **options) -> str:
    with pytest.raises(SchemaError) as caught:
        infer(*columns, **options)
    return str(caught.value)


def rows(**columns) -> pa.RecordBatch:
    return pa.record_batch(columns)


@pytest.mark.parametrize("kind", [pa.list_(F32), pa.large_list(pa.float64()), pa.list_(pa.float16())])
def test_lists_of_one_length_are_the_vector(kind):
    child = pa.array([1, 2, 3, 4, 5, 6], F32).cast(kind.value_type, safe=False)
    large = pa.types.is_large_list(kind)
    offsets = pa.array([0, None, 3, 6], pa.int64() if large else pa.int32())
    values = (pa.LargeListArray if large else pa.ListArray).from_arrays(offsets, child)
    assert values.null_count == 1
    schema = infer(sample=rows(id=[1, 2, 3], v=values))
    expected = DataType.FLOAT16_VECTOR if kind.value_type == pa.float16() else DataType.FLOAT_VECTOR
    assert schema["v"] == FieldSchema("v", expected, dim=3)


@pytest.mark.parametrize(
    ("item", "dtype", "note"),
    [
        (pa.int8(), DataType.INT8_VECTOR, ""),
        (pa.uint8(), DataType.FLOAT_VECTOR, "uint8 is widened to float"),
        (pa.int16(), DataType.FLOAT_VECTOR, "int16 is widened to float"),
        (
            pa.int32(),
            DataType.FLOAT_VECTOR,
            "int32 becomes float where it fits exactly, other rows are rejected",
        ),
    ],
)
def test_lists_of_whole_numbers_are_vectors_only_where_they_are_named(item, dtype, note):
    sample = rows(id=[1, 2], v=pa.array([[1, 2], [3, 100]], pa.list_(item, 2)))
    with pytest.raises(SchemaError, match=r"name it with --vector v|name the vector's column with --vector"):
        infer(sample=sample)
    schema = infer(sample=sample, vector=("v",))
    assert schema["v"] == FieldSchema("v", dtype, dim=2)
    plan = plan_conform(sample.schema, schema, options=LoadOptions(), sample=sample)
    assert plan.mapping[1].note == note
    assert plan.apply(sample).batch.column("v").to_pylist() == [[1, 2], [3, 100]]


def test_lists_of_different_lengths_are_arrays():
    sample = rows(id=[1, 2], v=[[1.0, 2.0], [3.0, 4.0]], w=[[1.0], [2.0, 3.0]])
    schema = infer(sample=sample)
    assert schema["v"].dtype is DataType.FLOAT_VECTOR
    assert (schema["w"].dtype, schema["w"].element_type) == (DataType.ARRAY, DataType.DOUBLE)


def test_lists_of_one_number_are_arrays():
    sample = rows(id=[1, 2], v=pa.array([[1, 2]] * 2, pa.list_(F32, 2)), w=[[1.0], [2.0]])
    assert infer(sample=sample)["w"].dtype is DataType.ARRAY


def test_several_candidates_are_refused_and_named():
    sample = rows(id=[1, 2], v=[[1.0, 2.0]] * 2, w=[[1.0, 2.0, 3.0]] * 2)
    assert problem(sample=sample) == (
        "source: expected to know which lists are vectors, found lists of one length in 'v' (2 numbers), "
        "'w' (3 numbers); name each vector's column with --vector COLUMN; the other lists become arrays"
    )


def test_a_candidate_beside_a_certain_vector_is_refused_and_named():
    sample = rows(id=[1, 2], v=pa.array([[1, 2]] * 2, pa.list_(F32, 2)), box=[[1.0, 2.0, 3.0]] * 2)
    assert "found lists of one length in 'box' (3 numbers) beside 'v'; name each" in problem(sample=sample)
    assert infer(sample=sample, vector=("v",))["box"].dtype is DataType.ARRAY
    assert infer(sample=sample, vector=("v", "box"))["box"].dim == 3


def test_named_vectors_leave_the_other_lists_arrays():
    sample = rows(id=[1, 2], v=[[1.0, 2.0]] * 2, w=[[1.0, 2.0, 3.0]] * 2)
    schema = infer(sample=sample, vector=("w",))
    assert (schema["v"].dtype, schema["w"].dim) == (DataType.ARRAY, 3)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([[1.0], [1.0, 2.0]], "1 row of 1, 1 of 2"),
        (pa.nulls(2, pa.list_(F32)), "no rows to see it"),
        ([[], []], "2 rows of 0"),
    ],
)
def test_named_vectors_need_one_length(values, found):
    if not isinstance(values, pa.Array):
        values = pa.array(values, pa.list_(F32))
    assert problem(sample=rows(id=[1, 2], v=values), vector=("v",)) == (
        f"column 'v': expected one length in the first rows, for the vector's dim, found {found}; "
        "say it with --dim, or create the collection first"
    )


RAGGED = [[0.5] * 8] * 48 + [[0.5] * 4, None]
#: Columns of which nearly all rows are vectors of one length.
NEARLY = [pa.array(RAGGED), pa.array([row and str(row) for row in RAGGED])]


@pytest.mark.parametrize("values", NEARLY, ids=["lists", "text"])
def test_vectors_of_which_some_have_another_length_are_counted_and_offered(values):
    sample = rows(id=list(range(50)), emb=values)
    assert problem(sample=sample) == (
        "source: expected a vector column (fixed-size lists of floats, lists of one length, or a sparse layout), "
        f"found 'id' (int64), 'emb' ({values.type}; 48 rows of 8, 1 of 4); "
        "load it with --vector emb --dim 8, which rejects rows of other lengths, or add a vector"
    )
    assert problem(sample=sample, vector=("emb",)) == (
        "column 'emb': expected one length in the first rows, for the vector's dim, found 48 rows of 8, 1 of 4; "
        "say it with --dim 8, which rejects rows of other lengths, or create the collection first"
    )
    options = LoadOptions(vector="emb", dim=8)
    schema = infer_schema(sample.schema, sample=sample, options=options)
    result = plan_conform(sample.schema, schema, options=options, sample=sample).apply(sample)
    assert [(cell.row, cell.found) for cell in result.refused] == [(48, "4 numbers"), (49, "null")]


def test_many_different_lengths_offer_nothing():
    sample = rows(id=list(range(7)), emb=[[0.5] * length for length in (3, 3, 4, 5, 6, 7, 8)])
    message = problem(sample=sample, vector=("emb",))
    assert "found 2 rows of 3, 1 of 4, 1 of 5, 1 of 6, 1 of 7, ...; say it with --dim, or create" in message
    assert "name the vector's column with --vector, or add one" in problem(sample=sample)


@pytest.mark.parametrize("text", ["tensor([0.1000, 0.2000])", "[tensor(0.1), tensor(0.2)]", "array([0.1, 0.2])"])
def test_vectors_as_libraries_print_them_are_refused_with_what_to_write(text):
    assert problem(sample=rows(id=[1, 2], v=[text, text])) == (
        f"column 'v': expected vectors written as [0.1, 0.2], found {text!r}, as a library prints them; "
        "write them with .tolist(), or as Parquet"
    )


@pytest.mark.parametrize("text", ["array(1, 2) is a call", "tensor(x)", "arrays"])
def test_text_about_arrays_is_text(text):
    sample = rows(id=[1, 2], v=pa.array([[1, 2]] * 2, pa.list_(F32, 2)), t=[text, text])
    assert infer(sample=sample)["t"].dtype is DataType.VARCHAR


def test_a_matrix_a_row_is_refused_with_what_to_keep():
    sample = rows(id=[1, 2], v=[[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]])
    assert problem(sample=sample, vector=("v",)) == (
        f"column 'v': expected a column that can be a vector, found {sample.schema.field('v').type}; "
        "keep one vector a row in the source (the first, the mean), or make a row of each"
    )


def test_a_named_sparse_layout_with_other_names_is_a_vector():
    kind = pa.list_(pa.struct([("page", pa.int64()), ("size", F32)]))
    assert infer(KEY, ("s", kind), vector=("s",))["s"].dtype is DataType.SPARSE_FLOAT_VECTOR


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"vector": ("nope",)}, "column 'nope': expected a column of the source, found the columns 'id', 'v', 't'"),
        ({"vector": ("t",)}, "column 't': expected a column that can be a vector, found string"),
        ({"partition_key": "nope"}, "choose one of them with --partition-key"),
        ({"partition_key": "x"}, "expected a column of the source"),
    ],
)
def test_options_that_name_no_fitting_column_are_refused(options, text):
    assert text in problem(KEY, VECTOR, ("t", pa.string()), **options)


def test_a_source_without_vectors_is_refused():
    assert problem(KEY, ("t", pa.string())) == (
        "source: expected a vector column (fixed-size lists of floats, lists of one length, or a sparse layout), "
        "found 'id' (int64), 't' (string); name the vector's column with --vector, or add one"
    )
