"""A batch becomes exactly the collection's fields, or says what does not fit."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from headrace.config import LoadOptions
from headrace.conform import ColumnMapping, Refusal, plan_conform
from headrace.errors import SchemaError
from headrace.schema import CollectionSchema, DataType, FieldSchema

KEY = FieldSchema("id", DataType.INT64, is_primary=True)
VECTOR = FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)
F32 = pa.float32()


def target(*fields: FieldSchema, key: FieldSchema = KEY, dynamic: bool = False) -> CollectionSchema:
    return CollectionSchema([key, *fields], enable_dynamic_field=dynamic)


def text(name: str = "t", **options) -> FieldSchema:
    return FieldSchema(name, DataType.VARCHAR, max_length=100, **options)


def plan(schema: pa.Schema, collection: CollectionSchema, sample=None, fill_defaults=False, **options):
    return plan_conform(schema, collection, options=LoadOptions(**options), sample=sample, fill_defaults=fill_defaults)


def batch(**columns) -> pa.RecordBatch:
    return pa.record_batch(columns)


def vectors(*rows) -> pa.Array:
    return pa.array(rows, pa.list_(F32, 2))


def problem(schema: pa.Schema, collection: CollectionSchema, **options) -> str:
    with pytest.raises(SchemaError) as caught:
        plan(schema, collection, **options)
    return str(caught.value)


# What passes


def test_columns_that_fit_pass_on_their_own_buffers():
    data = batch(v=vectors([1, 2], [3, 4]), id=pa.array([1, 2]), t=pa.array(["a", "b"]))
    conform = plan(data.schema, target(VECTOR, text()))
    result = conform.apply(data)
    assert conform.columns == ("id", "v", "t")
    assert conform.source_columns == ("v", "id", "t")
    assert result.batch.schema.names == ["id", "v", "t"]
    assert (result.kept, result.refused) == (None, [])
    assert result.batch.column(1).values.buffers()[1].address == data.column(0).values.buffers()[1].address
    assert result.batch.column(0).buffers()[1].address == data.column(1).buffers()[1].address


def test_slices_are_conformed_as_slices():
    data = batch(id=pa.array(range(6)), v=pa.array([[float(i), 0.0] for i in range(6)], pa.list_(F32)))
    conform = plan(data.schema, target(VECTOR))
    assert conform.apply(data.slice(2, 3)).batch.to_pydict() == {"id": [2, 3, 4], "v": [[2, 0], [3, 0], [4, 0]]}
    assert conform.apply(data.slice(2, 0)).batch.num_rows == 0


def test_columns_are_found_by_name_whatever_their_order():
    data = batch(id=pa.array([1]), v=vectors([1, 2]))
    conform = plan(data.schema, target(VECTOR))
    assert conform.apply(data.select(["v", "id"])).batch.to_pydict() == {"id": [1], "v": [[1, 2]]}


def test_a_column_that_appears_later_is_never_dropped_unseen():
    data = batch(id=pa.array([1]), v=vectors([1, 2]))
    more = batch(id=pa.array([1]), v=vectors([1, 2]), later=pa.array(["x"]))
    with pytest.raises(SchemaError, match="later"):
        plan(data.schema, target(VECTOR)).apply(more)


def test_the_mapping_says_what_goes_where_and_what_changes():
    schema = pa.schema([("ID", pa.int32()), ("v", pa.list_(pa.float64())), ("t", pa.string())])
    assert plan(schema, target(VECTOR, text())).mapping == (
        ColumnMapping("ID", "id", "int32", "INT64", "taken for 'id': the names differ in case only"),
        ColumnMapping(
            "v",
            "v",
            "list<item: double>",
            "FLOAT_VECTOR(2)",
            "double is narrowed to float: values are rounded, rows out of range are rejected",
        ),
        ColumnMapping("t", "t", "string", "VARCHAR(100)", ""),
    )


def test_exact_names_win_over_names_that_differ_in_case():
    schema = pa.schema([("ID", pa.int64()), ("id", pa.int64()), ("v", pa.list_(F32, 2))])
    conform = plan(schema, target(VECTOR, dynamic=True))
    assert [(m.source, m.field) for m in conform.mapping] == [("id", "id"), ("v", "v"), ("ID", "$meta")]


def test_unnamed_pandas_indexes_are_left_out():
    schema = pa.schema(
        [("id", pa.int64()), ("v", pa.list_(F32, 2)), ("__index_level_0__", pa.int64())], {b"pandas": b"{}"}
    )
    conform = plan(schema, target(VECTOR))
    assert conform.notes == ("column '__index_level_0__' is an unnamed pandas index and is left out",)
    assert "no such field" in problem(schema.remove_metadata(), target(VECTOR))


# Rows that are refused


def test_refused_rows_are_left_out_and_named():
    data = batch(
        id=pa.array([1, None, 3, 4, 5]),
        v=pa.array([[1.0, 2.0], [1.0, 2.0], [1.0], [1e300, 0.0], [5.0, 6.0]]),
        n=pa.array([1, 2, 3, 4, 300]),
    )
    conform = plan(data.schema, target(VECTOR, FieldSchema("n", DataType.INT8)))
    result = conform.apply(data)
    assert result.batch.to_pydict() == {"id": [1], "v": [[1, 2]], "n": [1]}
    assert result.kept.dtype == np.int64
    assert result.kept.tolist() == [0]
    assert result.refused == [
        Refusal(1, "id", "a primary key", "null", "fill the value in or leave the row out"),
        Refusal(2, "v", "a vector of 2 numbers", "1 number", "correct the row or leave it out"),
        Refusal(
            3,
            "v",
            "a number within the range of float",
            "1e+300 at element 0",
            "correct the value or use a DOUBLE field",
        ),
        Refusal(4, "n", "an integer from -128 to 127", "300", "correct the value or use a wider field"),
    ]


def test_a_row_is_refused_once_for_its_first_field():
    data = batch(id=pa.array([None, 2], pa.int64()), v=pa.array([[1.0], [1.0]]))
    refused = plan(data.schema, target(VECTOR)).apply(data).refused
    assert [(cell.row, cell.field) for cell in refused] == [(0, "id"), (1, "v")]


def test_every_kind_of_column_survives_the_removal_of_rows():
    data = batch(
        id=pa.array([1, None, 3]),
        v=vectors([1, 2], [3, 4], [5, 6]),
        pairs=pa.array([[(1, 0.5)], [], [(2, 1.5)]], pa.map_(pa.int32(), F32)),
        halves=pa.array([{"i": [1], "w": [0.5]}] * 3, pa.struct([("i", pa.list_(pa.int32())), ("w", pa.list_(F32))])),
        a=pa.array([["x"], [], ["y", "z"]]),
        b=pa.array([True, False, None]),
        j=pa.array(["{}", None, "[]"]),
    )
    sparse = [FieldSchema(name, DataType.SPARSE_FLOAT_VECTOR) for name in ("pairs", "halves")]
    array = FieldSchema("a", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=4, max_length=9)
    others = [FieldSchema("b", DataType.BOOL, nullable=True), FieldSchema("j", DataType.JSON, nullable=True)]
    result = plan(data.schema, target(VECTOR, *sparse, array, *others)).apply(data)
    assert result.batch.to_pylist() == [data.to_pylist()[row] for row in (0, 2)]


def test_all_rows_may_be_refused():
    data = batch(id=pa.array([None, None], pa.int64()), v=vectors([1, 2], [3, 4]))
    result = plan(data.schema, target(VECTOR)).apply(data)
    assert (result.batch.num_rows, result.kept.tolist(), len(result.refused)) == (0, [], 2)


def test_inputs_are_not_changed():
    data = batch(id=pa.array([1, None]), v=pa.array([[1.0, 2.0], [1e300, 0.0]]))
    before = data.to_pydict()
    plan(data.schema, target(VECTOR)).apply(data)
    assert data.to_pydict() == before


# Nulls, defaults, missing columns


@pytest.mark.parametrize(
    ("options", "expected", "refused"),
    [
        ({}, ["a"], [1]),
        ({"nullable": True}, ["a", None], []),
        ({"default_value": "d"}, ["a", "d"], []),
        ({"nullable": True, "default_value": "d"}, ["a", None], []),
    ],
)
def test_nulls_are_kept_filled_or_refused(options, expected, refused):
    data = batch(id=pa.array([1, 2]), v=vectors([1, 2], [3, 4]), t=pa.array(["a", None]))
    result = plan(data.schema, target(VECTOR, text(**options))).apply(data)
    assert result.batch.column(2).to_pylist() == expected
    assert [cell.row for cell in result.refused] == refused
    if refused:
        assert result.refused[0].expected == "a value (t is not nullable)"


@pytest.mark.parametrize(("dtype", "default"), [(DataType.INT64, 7), (DataType.BOOL, True), (DataType.DOUBLE, 0.5)])
def test_defaults_fill_nulls_of_any_scalar(dtype, default):
    field = FieldSchema("n", dtype, default_value=default)
    data = batch(id=pa.array([1]), v=vectors([1, 2]), n=pa.nulls(1))
    assert plan(data.schema, target(VECTOR, field)).apply(data).batch.column(2).to_pylist() == [default]


def test_nullable_and_default_fields_may_be_missing():
    schema = pa.schema([("id", pa.int64()), ("v", pa.list_(F32, 2))])
    conform = plan(schema, target(text("a", nullable=True), VECTOR, text("b", default_value="d")))
    assert conform.columns == ("id", "v")
    assert conform.left_out == ("a", "b")


def test_missing_defaults_are_sent_where_the_server_needs_them():
    data = batch(id=pa.array([1, 2]), v=vectors([1, 2], [3, 4]))
    fields = [
        text("a", nullable=True),
        text("b", default_value="d"),
        FieldSchema("j", DataType.JSON, default_value={"k": 1}),
    ]
    conform = plan(data.schema, target(VECTOR, *fields), fill_defaults=True)
    assert conform.columns == ("id", "v", "b", "j")
    assert conform.left_out == ("a",)
    result = conform.apply(data).batch
    assert (result.column(2).to_pylist(), result.column(3).to_pylist()) == (["d", "d"], ['{"k":1}'] * 2)


def test_nullable_fields_of_later_types_may_be_missing():
    schema = pa.schema([("id", pa.int64()), ("v", pa.list_(F32, 2))])
    conform = plan(schema, target(VECTOR, FieldSchema("g", DataType.GEOMETRY, nullable=True)))
    assert conform.left_out == ("g",)


# The plan refuses


def test_a_missing_required_field_is_named():
    schema = pa.schema([("id", pa.int64()), ("vec", pa.list_(F32, 2))])
    assert problem(schema, target(VECTOR, dynamic=True)) == (
        "field 'v': expected a column for FLOAT_VECTOR(2), found the columns 'id', 'vec'; "
        "name its column with --map COLUMN:FIELD, or give it a value with --set"
    )


def test_a_missing_key_offers_the_option():
    schema = pa.schema([("url", pa.int64()), ("v", pa.list_(F32, 2))])
    assert problem(schema, target(VECTOR, dynamic=True)) == (
        "field 'id': expected a column for INT64, found the columns 'url', 'v'; name the key's column with --key"
    )


def test_an_unknown_column_is_named_with_its_likely_field():
    schema = pa.schema([("id", pa.int64()), ("v", pa.list_(F32, 2)), ("titel", pa.string())])
    assert problem(schema, target(VECTOR, text("title", nullable=True))) == (
        "column 'titel': expected a field of the collection (id, v, title), found no such field (there is 'title'); "
        "leave it out with --drop, say its field with --map, or use a collection with a dynamic field"
    )


def test_a_column_of_the_wrong_type_is_named_with_its_field():
    schema = pa.schema([("ID", pa.string()), ("v", pa.list_(F32, 2))])
    assert problem(schema, target(VECTOR)) == (
        "column 'ID' for field 'id': expected a column of numbers for INT64, found a column of string; "
        "cast the column with --cast, or in the source"
    )


def test_a_wrong_dimension_is_refused_before_anything_is_read():
    schema = pa.schema([("id", pa.int64()), ("v", pa.list_(F32, 3))])
    assert problem(schema, target(VECTOR)).startswith(
        "field 'v': expected vectors of 2 numbers, found a column of fixed_size_list<item: float>[3]; load into"
    )


def test_a_sample_shows_lists_that_no_row_could_pass():
    sample = batch(id=pa.array([1, 2, 3]), v=pa.array([[1.0], [1.0, 2.0, 3.0], None]))
    assert problem(sample.schema, target(VECTOR), sample=sample) == (
        "field 'v': expected vectors of 2 numbers, found lists of 1, 3 numbers; "
        "choose another column, or load into a collection whose dim fits"
    )
    good = batch(id=pa.array([1, 2]), v=pa.array([[1.0], [1.0, 2.0]]))
    assert plan(good.schema, target(VECTOR), sample=good).columns == ("id", "v")


def test_every_misfit_is_named_at_once():
    schema = pa.schema([("id", pa.string()), ("x", pa.int64())])
    message = problem(schema, target(VECTOR))
    assert message.startswith("source and collection do not fit in 3 places:\n")
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:]] == [
        "column 'x'",
        "field 'id'",
        "field 'v'",
    ]


def test_two_columns_for_one_field_are_refused():
    schema = pa.schema([("Id", pa.int64()), ("ID", pa.int64()), ("v", pa.list_(F32, 2))])
    assert "field 'id': expected one column of that name, found 'Id', 'ID'; rename one" in problem(
        schema, target(VECTOR)
    )


# Keys

AUTO = FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True)


@pytest.mark.parametrize("name", ["id", "ID"])
def test_a_column_for_an_auto_id_key_is_refused(name):
    schema = pa.schema([(name, pa.int64()), ("v", pa.list_(F32, 2))])
    assert problem(schema, target(VECTOR, key=AUTO, dynamic=True)) == (
        f"column '{name}': expected no column for field 'id', found an auto-id key, which the server makes; "
        "leave it out with --drop, or rename it with --map"
    )


def test_auto_id_keys_are_not_sent():
    schema = pa.schema([("v", pa.list_(F32, 2))])
    assert plan(schema, target(VECTOR, key=AUTO)).columns == ("v",)


def test_function_outputs_are_neither_sent_nor_accepted():
    output = FieldSchema("bm25", DataType.SPARSE_FLOAT_VECTOR, is_function_output=True)
    schema = pa.schema([("id", pa.int64()), ("v", pa.list_(F32, 2))])
    assert plan(schema, target(VECTOR, output)).columns == ("id", "v")
    schema = schema.append(pa.field("bm25", pa.map_(pa.int32(), F32)))
    assert "found a field the server computes" in problem(schema, target(VECTOR, output))


def test_the_key_option_names_the_keys_column():
    data = batch(url=pa.array([7]), v=vectors([1, 2]))
    conform = plan(data.schema, target(VECTOR), key="url")
    assert conform.apply(data).batch.to_pydict() == {"id": [7], "v": [[1, 2]]}
    assert conform.mapping[0].note == "named with --key"


@pytest.mark.parametrize(
    ("columns", "key", "found"),
    [
        (["id", "v"], "nope", "found the columns 'id', 'v'; choose one of them with --key"),
        (["t", "v"], "t", "found a field of its own (the key is 'id'); choose another column with --key"),
    ],
)
def test_a_key_that_cannot_be_is_refused(columns, key, found):
    types = {"id": pa.int64(), "v": pa.list_(F32, 2), "t": pa.string()}
    schema = pa.schema([(name, types[name]) for name in columns])
    assert found in problem(schema, target(VECTOR, text(nullable=True)), key=key)


def test_the_key_option_beside_auto_id_is_refused():
    schema = pa.schema([("url", pa.int64()), ("v", pa.list_(F32, 2))])
    assert "found an auto-id collection, whose keys the server makes" in problem(
        schema, target(VECTOR, key=AUTO), key="url"
    )


# Batches of another shape


def test_batches_with_other_types_are_planned_again():
    first = batch(id=pa.array([1]), v=vectors([1, 2]), t=pa.array(["a"]))
    conform = plan(first.schema, target(VECTOR, text(nullable=True)))
    ragged = batch(id=pa.array([2, 3], pa.int32()), v=pa.array([[1.0], [3.0, 4.0]]))
    result = conform.apply(ragged)
    assert result.batch.to_pydict() == {"id": [3], "v": [[3, 4]], "t": [None]}
    assert result.kept.tolist() == [1]
    assert result.batch.schema.types == first.schema.types


def test_a_later_batch_with_a_new_column_is_refused():
    first = batch(id=pa.array([1]), v=vectors([1, 2]))
    conform = plan(first.schema, target(VECTOR, text(nullable=True)))
    later = batch(id=pa.array([1], pa.int32()), v=vectors([1, 2]), t=pa.array(["a"]))
    with pytest.raises(SchemaError) as caught:
        conform.apply(later)
    assert str(caught.value) == (
        "a later batch: expected the fields of the first one (id, v), found also t; give every batch the same columns"
    )


def test_a_later_batch_without_undeclared_columns_has_empty_documents():
    first = batch(id=pa.array([1]), v=vectors([1, 2]), x=pa.array([5]))
    conform = plan(first.schema, target(VECTOR, dynamic=True))
    later = batch(id=pa.array([2]), v=vectors([3, 4]))
    assert json.loads(conform.apply(first).batch.column(2)[0].as_py()) == {"x": 5}
    assert conform.apply(later).batch.column(2).to_pylist() == ["{}"]
