"""Columns as a person wants them: left out, renamed, out of structs, cast, and constants."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.errors import SchemaError
from headrace.inference import infer_schema
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.shaping import shape_of

#: Said, because older versions of pyarrow sort the fields of structs that they infer.
META = pa.struct([("title", pa.string()), ("in", pa.struct([("n", pa.int64())]))])
BATCH = pa.record_batch(
    {
        "id": [1, 2, 3],
        "emb": pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32(), 2)),
        "meta": pa.array([{"title": "a", "in": {"n": 1}}, {"title": "b", "in": None}, None], META),
        "price": ["1.5", "2", "free"],
    }
)


def shaped(**options):
    shape = shape_of(BATCH.schema, LoadOptions(**options))
    batch, refused = shape.apply(BATCH)
    assert batch.schema.names == shape.schema.names
    assert batch.schema.types == shape.schema.types
    return batch, refused


def refused_by(**options):
    with pytest.raises(SchemaError) as caught:
        shape_of(BATCH.schema, LoadOptions(**options))
    return str(caught.value)


def test_without_options_a_batch_is_itself():
    assert shaped()[0] is BATCH


def test_columns_are_chosen_left_out_and_renamed():
    assert shaped(only=("price", "id"))[0].schema.names == ["id", "price"]
    assert shaped(drop="meta")[0].schema.names == ["id", "emb", "price"]
    assert shaped(map={"emb": "vector"})[0].schema.names == ["id", "vector", "meta", "price"]
    assert shaped(only=("id",), map={"emb": "vector"})[0].schema.names == ["id", "vector"], "what is mapped is wanted"


def test_fields_of_structs_stand_for_them():
    batch, _ = shaped(map={"meta.title": "title", "meta.in.n": "n"})
    assert batch.schema.names == ["id", "emb", "price", "title", "n"]
    assert batch.column("title").to_pylist() == ["a", "b", None]
    assert batch.column("n").to_pylist() == [1, None, None]
    assert shaped(only=("id", "meta.title"))[0].schema.names == ["id", "meta.title"]
    assert shaped(key="meta.in.n")[0].schema.names == ["id", "emb", "price", "meta.in.n"]
    assert shaped(only=("id", "meta", "meta.title"))[0].schema.names == ["id", "meta", "meta.title"]


def test_a_column_with_a_dot_in_its_name_comes_before_a_path():
    batch = pa.record_batch({"a.b": [1], "a": [{"b": 2}]})
    shape = shape_of(batch.schema, LoadOptions(only=("a.b",)))
    assert shape.apply(batch)[0].to_pydict() == {"a.b": [1]}


def test_constants_are_columns():
    batch, _ = shaped(set={"lang": "en", "n": 5, "flag": True, "tags": ["a"]})
    assert (
        batch.select(["lang", "n", "flag", "tags"]).to_pylist()
        == [{"lang": "en", "n": 5, "flag": True, "tags": ["a"]}] * 3
    )


def test_casts_refuse_the_rows_that_do_not_fit():
    batch, refused = shaped(cast={"price": "double", "id": "varchar"})
    assert batch.column("price").to_pylist() == [1.5, 2.0, None]
    assert batch.column("id").to_pylist() == ["1", "2", "3"]
    assert [(cell.row, cell.field, cell.expected, cell.found) for cell in refused] == [
        (2, "price", "a value that becomes double", "'free'")
    ]
    assert shaped(cast={"meta": "varchar"})[0].column("meta").to_pylist() == [
        '{"title":"a","in":{"n":1}}', '{"title":"b","in":null}', None
    ]  # fmt: skip
    assert shaped(map={"price": "cost"}, cast={"cost": "varchar"})[0].schema.names[-1] == "cost"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"only": ("nope",)},
            "--only nope: expected a column of the source, found the columns 'id', 'emb', 'meta', 'price'",
        ),
        ({"drop": ("nope",)}, "--drop nope: expected a column of the source"),
        ({"map": {"meta.nope": "x"}}, "--map meta.nope: expected a column of the source"),
        ({"cast": {"nope": "int8"}}, "--cast nope: expected a column of the source"),
        ({"cast": {"price": "money"}}, "--cast price:money: expected one of bool, int8,"),
        ({"cast": {"emb": "int64"}}, "--cast emb:int64: expected a type that becomes int64, found fixed_size_list"),
        ({"map": {"emb": "id"}}, "column 'id' and column 'emb': expected a name for each, found 'id' for both"),
        (
            {"set": {"id": 5}},
            "column 'id' and a constant: expected a name for each, found 'id' for both; leave one out",
        ),
        ({"set": {"x": b"bytes"}}, "--set x: expected a value with a JSON form, found b'bytes'"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, text):
    assert refused_by(**options).startswith(text)


TARGET = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
        FieldSchema("title", DataType.VARCHAR, max_length=10, nullable=True),
        FieldSchema("cost", DataType.DOUBLE),
        FieldSchema("lang", DataType.VARCHAR, max_length=10),
    ]
)
OPTIONS = LoadOptions(
    map={"emb": "vector", "meta.title": "title", "price": "cost"}, cast={"price": "double"}, set={"lang": "en"}
)


def test_a_plan_shapes_every_batch_and_says_how():
    plan = plan_conform(BATCH.schema, TARGET, options=OPTIONS, sample=BATCH)
    assert plan.source_columns == ("id", "emb", "meta", "price")
    assert [(entry.source, entry.field, entry.note) for entry in plan.mapping] == [
        ("id", "id", ""),
        ("emb", "vector", "renamed with --map"),
        ("meta.title", "title", "renamed with --map"),
        ("price", "cost", "renamed with --map; cast from string"),
        ('="en"', "lang", "set with --set"),
    ]
    result = plan.apply(BATCH)
    assert result.kept.tolist() == [0, 1]
    assert [(cell.row, cell.field) for cell in result.refused] == [(2, "cost")]
    assert result.batch.to_pylist() == [
        {"id": 1, "vector": [1.0, 2.0], "title": "a", "cost": 1.5, "lang": "en"},
        {"id": 2, "vector": [1.0, 2.0], "title": "b", "cost": 2.0, "lang": "en"},
    ]


def test_batches_of_fewer_columns_or_other_types_are_shaped_alike():
    plan = plan_conform(BATCH.schema, TARGET, options=OPTIONS)
    batch = pa.record_batch({"price": [1], "id": [7], "emb": [[1.0, 2.0]], "meta": [{"title": "x"}]})
    assert plan.apply(batch).batch.to_pylist() == [
        {"id": 7, "vector": [1.0, 2.0], "title": "x", "cost": 1.0, "lang": "en"}
    ]


def test_a_collection_is_made_of_the_shaped_columns():
    options = LoadOptions(
        map={"emb": "vector"}, drop=("meta",), set={"lang": "en", "year": 2024}, cast={"price": "float"}
    )
    schema = infer_schema(BATCH.schema, sample=BATCH, options=options, nulls=["price"])
    assert {field.name: (field.dtype, field.nullable) for field in schema} == {
        "id": (DataType.INT64, False),
        "vector": (DataType.FLOAT_VECTOR, False),
        "price": (DataType.FLOAT, True),
        "lang": (DataType.VARCHAR, False),
        "year": (DataType.INT64, False),
    }


def test_the_dim_can_be_said_where_rows_do_not_tell():
    rows = pa.record_batch({"id": [1, 2], "v": pa.array([[1.0], [1.0, 2.0]])})
    schema = infer_schema(rows.schema, sample=rows, options=LoadOptions(vector="v", dim=2))
    assert [field.dim for field in schema if field.name == "v"] == [2]
