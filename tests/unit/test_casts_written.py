"""Text as float vectors: forms, rows that are none, and what a new collection makes of it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.casts import find_cast
from headrace.config import LoadOptions
from headrace.errors import SchemaError
from headrace.inference import infer_schema
from headrace.schema import DataType, FieldSchema

FIELD = FieldSchema("v", DataType.FLOAT_VECTOR, dim=3)


def column(kind, texts):
    return pa.array(texts).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(texts, kind)


@pytest.mark.parametrize(
    "text",
    ["[0.1, -2, 3e-5]", "[0.1,-2,3e-5]", "0.1 -2 3e-5", " 0.1\t-2\n3e-5 ", "(0.1; -2; 3e-5)", "[0.1 -2 3e-5]"],
)
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_form_is_read(text, kind):
    vectors, refused = find_cast(kind, FIELD).run(column(kind, [text, None]))
    assert not refused
    assert vectors.type == pa.list_(pa.float32(), 3)
    assert vectors.to_pylist() == [pa.array([0.1, -2, 3e-5], pa.float32()).to_pylist(), None]


def test_rows_that_are_no_vectors_are_refused_and_the_others_read():
    texts = ["[1, 2, 3]", "[1, 2]", "words", "", "[1, x, 3]", "[4, 5, 6]"]
    vectors, refused = find_cast(pa.string(), FIELD).run(pa.array(texts))
    assert [(cell.row, cell.expected, cell.found) for cell in refused] == [
        (1, "a vector of 3 numbers", "2 numbers"),
        (2, "numbers, as [0.1, 0.2] or 0.1 0.2", "'words'"),
        (3, "numbers, as [0.1, 0.2] or 0.1 0.2", "''"),
        (4, "numbers, as [0.1, 0.2] or 0.1 0.2", "'[1, x, 3]'"),
    ]
    assert [vectors[0].as_py(), vectors[5].as_py()] == [[1, 2, 3], [4, 5, 6]]


def test_rows_as_a_library_prints_them_are_refused_with_what_to_write():
    _, refused = find_cast(pa.string(), FIELD).run(pa.array(["tensor([0.1000, 0.2000, 0.3000])", "[1, 2, 3]"]))
    assert [(cell.row, cell.remedy) for cell in refused] == [(0, "write them with .tolist(), or as Parquet")]


def inferred(texts, **options):
    batch = pa.record_batch({"id": list(range(len(texts))), "v": pa.array(texts, pa.string())})
    return {field.name: field for field in infer_schema(batch.schema, sample=batch, options=LoadOptions(**options))}


@pytest.mark.parametrize(
    ("texts", "dim"),
    [(["[1, 2]", "[3, 4]"], 2), ([" ".join("12345678")], 8), (["[1, 2]", None], 2)],
)
def test_written_vectors_become_a_vector_field(texts, dim):
    assert (inferred(texts)["v"].dtype, inferred(texts)["v"].dim) == (DataType.FLOAT_VECTOR, dim)


def test_a_named_column_may_be_written_in_any_form():
    assert inferred(["1 2", "3 4"], vector=("v",))["v"].dim == 2


@pytest.mark.parametrize("texts", [["1 2", "3 4"], ["[1, 2]", "word"], ["[1]"], [None]])
def test_other_text_is_no_vector(texts):
    with pytest.raises(SchemaError, match="expected a vector column"):
        inferred(texts)


def test_a_named_column_that_is_no_vector_is_refused():
    with pytest.raises(SchemaError, match="expected a column that can be a vector, found text such as 'word'"):
        inferred(["word"], vector=("v",))
