"""The collection that columns suggest."""

from __future__ import annotations

import uuid

import pyarrow as pa
import pytest

from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.errors import SchemaError
from headrace.inference import infer_schema
from headrace.schema import DataType, FieldSchema
from tests.uuids import uuids

F32 = pa.float32()
KEY = ("id", pa.int64())
VECTOR = ("v", pa.list_(F32, 4))


def infer(*columns, sample=None, nulls=(), metadata=None, **options):
    schema = sample.schema if sample is not None else pa.schema(list(columns), metadata)
    return infer_schema(schema, sample=sample, options=LoadOptions(create=True, **options), nulls=nulls)


def problem(*columns, **options) -> str:
    with pytest.raises(SchemaError) as caught:
        infer(*columns, **options)
    return str(caught.value)


def one(kind: pa.DataType, **options) -> FieldSchema:
    """The field that a column of this type becomes beside a key and a vector."""
    return infer(KEY, VECTOR, ("c", kind), **options)["c"]


def rows(**columns) -> pa.RecordBatch:
    return pa.record_batch(columns)


# Types


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.bool_(), FieldSchema("c", DataType.BOOL)),
        (pa.int8(), FieldSchema("c", DataType.INT8)),
        (pa.int16(), FieldSchema("c", DataType.INT16)),
        (pa.int32(), FieldSchema("c", DataType.INT32)),
        (pa.int64(), FieldSchema("c", DataType.INT64)),
        (pa.uint8(), FieldSchema("c", DataType.INT16)),
        (pa.uint16(), FieldSchema("c", DataType.INT32)),
        (pa.uint32(), FieldSchema("c", DataType.INT64)),
        (pa.uint64(), FieldSchema("c", DataType.INT64)),
        (pa.timestamp("ns"), FieldSchema("c", DataType.INT64)),
        (pa.date32(), FieldSchema("c", DataType.VARCHAR, max_length=96)),
        (pa.time64("us"), FieldSchema("c", DataType.VARCHAR, max_length=96)),
        (pa.decimal256(76, 2), FieldSchema("c", DataType.VARCHAR, max_length=96)),
        (pa.float16(), FieldSchema("c", DataType.FLOAT)),
        (pa.float32(), FieldSchema("c", DataType.FLOAT)),
        (pa.float64(), FieldSchema("c", DataType.DOUBLE)),
        (pa.string(), FieldSchema("c", DataType.VARCHAR, max_length=65535)),
        (pa.large_string(), FieldSchema("c", DataType.VARCHAR, max_length=65535)),
        (pa.dictionary(pa.int32(), pa.string()), FieldSchema("c", DataType.VARCHAR, max_length=65535)),
        (pa.dictionary(pa.int8(), pa.int16()), FieldSchema("c", DataType.INT16)),
        (pa.list_(F32, 8), FieldSchema("c", DataType.FLOAT_VECTOR, dim=8)),
        (pa.list_(pa.float64(), 8), FieldSchema("c", DataType.FLOAT_VECTOR, dim=8)),
        (pa.list_(pa.float16(), 8), FieldSchema("c", DataType.FLOAT16_VECTOR, dim=8)),
        (pa.list_(pa.binary(2), 8), FieldSchema("c", DataType.BFLOAT16_VECTOR, dim=8)),
        (pa.fixed_shape_tensor(F32, [8]), FieldSchema("c", DataType.FLOAT_VECTOR, dim=8)),
        (pa.struct([("indices", pa.list_(pa.int32())), ("values", pa.list_(F32))]), FieldSchema("c", DataType(104))),
        (pa.list_(pa.struct([("index", pa.uint32()), ("value", F32)])), FieldSchema("c", DataType(104))),
        (pa.large_list(pa.struct([("Token", pa.int64()), ("Weight", pa.float64())])), FieldSchema("c", DataType(104))),
        (pa.map_(pa.int32(), F32), FieldSchema("c", DataType(104))),
        (
            pa.list_(pa.int64()),
            FieldSchema("c", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4096),
        ),
        (
            pa.list_(pa.string()),
            FieldSchema("c", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=4096, max_length=65535),
        ),
        (pa.list_(F32), FieldSchema("c", DataType.ARRAY, element_type=DataType.FLOAT, max_capacity=4096)),
        (
            pa.list_(pa.uint16(), 3),
            FieldSchema("c", DataType.ARRAY, element_type=DataType.INT32, max_capacity=4096),
        ),
        (pa.struct([("a", pa.int64())]), FieldSchema("c", DataType.JSON)),
        (pa.map_(pa.string(), pa.int64()), FieldSchema("c", DataType.JSON)),
        (pa.list_(pa.struct([("page", pa.int64()), ("size", F32)])), FieldSchema("c", DataType.JSON)),
        (pa.list_(pa.list_(pa.int64())), FieldSchema("c", DataType.JSON)),
    ],
)
def test_each_type_has_a_field(kind, expected):
    assert one(kind) == expected


def test_timestamps_are_timestamps_where_the_server_has_them():
    columns = pa.schema([KEY, VECTOR, ("t", pa.timestamp("us", "UTC"))])
    schema = infer_schema(columns, sample=None, options=LoadOptions(), timestamptz=True)
    assert schema.fields[-1] == FieldSchema("t", DataType.TIMESTAMPTZ)


def test_uuids_are_text_of_36_bytes():
    assert one(uuids([]).type) == FieldSchema("c", DataType.VARCHAR, max_length=36)


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (pa.binary(), "cast it with --cast, leave it out with --drop c, or create the collection first"),
        (pa.duration("us"), "take it for a number with --cast c:int64, or leave it out with --drop c"),
        (
            pa.null(),
            "leave it out with --drop c, or give it a type with --cast c:varchar: its first rows have no values",
        ),
        (
            pa.list_(pa.int8(), 8),
            "name it with --vector c if it holds int8 vectors, make float vectors of them with --cast c:float, "
            "or leave it out with --drop c",
        ),
        (
            pa.list_(pa.uint8(), 8),
            "name it with --vector c if each number is an element of a vector (of floats, then), or say with --schema "
            "what it holds: a BINARY_VECTOR of packed bits, or an ARRAY",
        ),
        (pa.binary(16), "take its bytes for UUIDs with --cast c:uuid, or leave it out with --drop c"),
        (
            pa.struct([("t", pa.timestamp("us"))]),
            "cast it with --cast, leave it out with --drop c, or create the collection first",
        ),
    ],
)
def test_types_without_a_rule_are_refused_by_name(kind, remedy):
    assert problem(KEY, VECTOR, ("c", kind)) == (
        f"column 'c': expected a type with a rule for a new field, found {kind}; {remedy}"
    )


def test_every_column_without_a_rule_is_named_at_once():
    message = problem(KEY, VECTOR, ("a", pa.binary()), ("b", pa.duration("s")))
    assert message.splitlines()[0] == "2 columns have no place in a new collection:"
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:]] == ["column 'a'", "column 'b'"]


@pytest.mark.parametrize("options", [{"drop": "a b"}, {"cast": {"a b": "varchar"}, "map": {"a b": "ab"}}])
def test_what_is_said_of_a_column_without_values_helps(options):
    sample = rows(id=[1, 2], v=pa.array([[1, 2, 3, 4]] * 2, pa.list_(F32, 4)), **{"a b": pa.nulls(2)})
    assert "leave it out with --drop 'a b', or give it a type with --cast 'a b:varchar'" in problem(sample=sample)
    assert infer(sample=sample, **options).primary_key.name == "id"


def test_lists_without_elements_are_json_that_takes_whatever_comes():
    sample = rows(id=[1, 2], v=pa.array([[1, 2, 3, 4]] * 2, pa.list_(F32, 4)), tags=[[], []])
    assert sample.schema.field("tags").type == pa.list_(pa.null())
    schema = infer(sample=sample)
    assert schema["tags"] == FieldSchema("tags", DataType.JSON)
    plan = plan_conform(sample.schema, schema, options=LoadOptions(), sample=sample)
    assert plan.mapping[2].note == "written as JSON text: its first rows have no elements"
    later = sample.set_column(2, "tags", pa.array([["x"], []]))
    assert plan.apply(later).batch.column("tags").to_pylist() == ['["x"]', "[]"]


def test_names_that_milvus_refuses_are_refused():
    assert "field 'two words': expected a letter or underscore" in problem(KEY, VECTOR, ("two words", pa.int8()))


def test_fields_keep_the_order_of_the_columns():
    assert [f.name for f in infer(VECTOR, ("t", pa.string()), KEY)] == ["v", "t", "id"]


# Nulls


def test_fields_are_nullable_only_where_nulls_are_known():
    sample = rows(id=[1, 2], v=pa.array([[1, 2, 3, 4]] * 2, pa.list_(F32, 4)), a=["x", None], b=[1, 2], c=[1.5, 2.5])
    schema = infer(sample=sample, nulls={"c", "id", "v"})
    assert {f.name: f.nullable for f in schema} == {"id": False, "v": False, "a": True, "b": False, "c": True}


# The key


@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.uint32(), pa.dictionary(pa.int8(), pa.int32())])
def test_integer_keys_are_int64(kind):
    assert infer(("id", kind), VECTOR).primary_key == FieldSchema("id", DataType.INT64, is_primary=True)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_text_keys_are_varchar(kind):
    assert infer(("id", kind), VECTOR).primary_key == FieldSchema(
        "id", DataType.VARCHAR, is_primary=True, max_length=65535
    )


def test_uuid_keys_are_their_text():
    sample = rows(key=uuids([uuid.UUID(int=1), uuid.UUID(int=2)]), v=pa.array([[1, 2, 3, 4]] * 2, pa.list_(F32, 4)))
    field = FieldSchema("key", DataType.VARCHAR, is_primary=True, max_length=36)
    assert infer(sample=sample, key="key").primary_key == field
    assert "(key would do)" in problem(sample=sample)


def test_keys_of_16_bytes_are_offered_to_be_uuids():
    columns = ("id", pa.binary(16)), VECTOR
    assert "found 'id' of fixed_size_binary[16]; take its bytes for UUIDs with --cast id:uuid, name" in problem(
        *columns
    )
    assert infer(*columns, cast={"id": "uuid"}).primary_key.dtype is DataType.VARCHAR


def test_the_key_option_wins_over_a_column_named_id():
    schema = infer(KEY, ("url", pa.string()), VECTOR, key="url")
    assert schema.primary_key.name == "url"
    assert not schema["id"].is_primary


def test_no_key_offers_the_columns_that_would_do():
    sample = rows(
        url=["a", "b"], lang=["x", "x"], rank=[1, None], n=[1, 2], v=pa.array([[1, 2, 3, 4]] * 2, pa.list_(F32, 4))
    )
    assert problem(sample=sample) == (
        "primary key: expected a column 'id' or a named key, found the columns 'url', 'lang', 'rank', 'n', 'v'; "
        "name the key's column with --key COLUMN (url, n would do), make keys of row numbers with --key @row or "
        "--key @file_row, or let the server make them with --auto-id"
    )


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("ref", [str(uuid.UUID(int=number)) for number in (1, 2)]),
        ("docId", ["one", "two"]),
        ("PK", [7, 8]),
        ("seq", [7, 8]),
    ],
)
def test_prose_is_not_offered_as_a_key_beside_what_looks_like_one(column, values):
    vectors = pa.array([[1, 2, 3, 4]] * 2, pa.list_(F32, 4))
    assert f"({column} would do)" in problem(sample=rows(title=["A title", "Another"], **{column: values}, v=vectors))
    assert "(title would do)" in problem(sample=rows(title=["A title", "Another"], v=vectors))


@pytest.mark.parametrize("kind", [pa.float64(), pa.binary(), pa.bool_()])
def test_keys_of_other_types_are_refused(kind):
    assert problem(("id", kind), VECTOR) == (
        f"primary key: expected a key of integers or strings, found 'id' of {kind}; "
        "name the key's column with --key COLUMN, make keys of row numbers with --key @row or --key @file_row, "
        "or let the server make them with --auto-id"
    )


def test_an_unknown_key_is_refused():
    assert "primary key: expected a column of the source, found the columns 'id', 'v'" in problem(KEY, VECTOR, key="x")


def test_auto_id_makes_a_key_of_its_own():
    schema = infer(VECTOR, auto_id=True)
    assert schema.primary_key == FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True)
    assert infer(VECTOR, auto_id=True, key="pk").primary_key.name == "pk"


def test_auto_id_beside_a_column_of_that_name_is_refused():
    assert problem(KEY, VECTOR, auto_id=True) == (
        "column 'id': expected one source of keys, found a column of that name, and keys made by the server (auto id); "
        "leave out auto id, or leave out or rename the column"
    )


# Partition key, dynamic field


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (pa.int16(), DataType.INT64),
        (pa.string(), DataType.VARCHAR),
        (pa.int64(), DataType.INT64),
        (uuids([]).type, DataType.VARCHAR),
    ],
)
def test_partition_keys_are_int64_or_varchar_and_never_null(kind, dtype):
    field = one(kind, partition_key="c", nulls={"c"})
    assert (field.dtype, field.is_partition_key, field.nullable) == (dtype, True, False)


def test_partition_keys_of_other_types_are_refused():
    assert "column 'c': expected a partition key of integers or strings, found float" in problem(
        KEY, VECTOR, ("c", F32), partition_key="c"
    )


def test_the_dynamic_field_is_an_option():
    assert infer(KEY, VECTOR).enable_dynamic_field is False
    schema = infer(KEY, VECTOR, ("$meta", pa.string()), dynamic=True)
    assert (schema.enable_dynamic_field, [f.name for f in schema]) == (True, ["id", "v"])


def test_unnamed_pandas_indexes_are_left_out():
    schema = infer(KEY, VECTOR, ("__index_level_0__", pa.int64()), metadata={b"pandas": b"{}"})
    assert [f.name for f in schema] == ["id", "v"]


# What is inferred, conforms


def test_what_is_inferred_takes_the_rows_it_was_inferred_from():
    sample = rows(
        id=pa.array([1, 2], pa.uint16()),
        v=[[1.0, 2.0], [3.0, 4.0]],
        s=pa.array([[(1, 0.5)], []], pa.map_(pa.int16(), pa.float64())),
        t=["a", None],
        a=[["x"], []],
        u=pa.array([1, 255], pa.uint8()),
        j=[{"k": 1}, {"k": None}],
    )
    options = LoadOptions(create=True)
    schema = infer_schema(sample.schema, sample=sample, options=options)
    result = plan_conform(sample.schema, schema, options=options, sample=sample).apply(sample)
    assert result.refused == []
    assert result.batch.schema.names == ["id", "v", "s", "t", "a", "u", "j"]
    assert result.batch.column(1).to_pylist() == [[1, 2], [3, 4]]
    assert result.batch.column(6).to_pylist() == ['{"k":1}', '{"k":null}']
