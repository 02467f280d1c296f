"""Collections that are described field by field, with their functions and keys."""

from __future__ import annotations

import copy
import pickle

import pytest

from headrace.errors import ConfigError, SchemaError
from headrace.schema import CollectionSchema, DataType, FieldSchema, Function, FunctionType, IndexParam, IndexParams

KEY = FieldSchema("id", DataType.INT64, is_primary=True)
TEXT = FieldSchema("text", DataType.VARCHAR, max_length=9)
SPARSE = FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR)
BM25 = Function("bm25", FunctionType.BM25, "text", ["sparse"])


def grown(**options):
    schema = CollectionSchema.empty("books", **options)
    schema.add_field("id", DataType.INT64, is_primary=True).add_field("text", DataType.VARCHAR, max_length=9)
    return schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)


def test_a_schema_that_grew_equals_one_that_was_built_at_once():
    assert grown(functions=[BM25]) == CollectionSchema([KEY, TEXT, SPARSE], "books", functions=[BM25])
    assert grown() != CollectionSchema([KEY, TEXT, SPARSE], "films")
    assert grown().add_function(BM25) == grown(functions=[BM25])


def test_what_a_function_writes_is_left_out_of_inserts():
    schema = grown(functions=[BM25])
    assert schema["sparse"].is_function_output
    assert [field.name for field in schema.sent_fields] == ["id", "text"]
    assert len(schema) == 3


def test_a_schema_without_a_key_is_refused_when_it_is_used():
    schema = CollectionSchema.empty()
    assert (schema.primary_field, schema.auto_id, list(schema)) == (None, False, [])
    for use in (schema.verify, lambda: schema.primary_key):
        with pytest.raises(SchemaError, match="expected exactly one primary key, found none"):
            use()
    with pytest.raises(SchemaError, match="expected exactly one primary key"):
        CollectionSchema([])


def test_the_schema_names_the_keys_and_who_makes_them():
    schema = CollectionSchema(
        [FieldSchema("id", DataType.INT64), TEXT],
        primary_field="id",
        partition_key_field="text",
        clustering_key_field="text",
        auto_id=True,
    )
    assert (schema.primary_key.auto_id, schema["text"].is_partition_key, schema["text"].is_clustering_key) == (
        True,
        True,
        True,
    )
    own = FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True)
    assert CollectionSchema([own], auto_id=False).auto_id
    with pytest.raises(SchemaError, match="expected a field 'nothing', found none"):
        CollectionSchema([KEY], partition_key_field="nothing")


def test_a_copy_with_other_fields_keeps_the_functions_that_have_theirs():
    schema = grown(functions=[BM25])
    assert schema.with_fields([KEY]).functions == ()
    assert schema.with_fields([KEY, TEXT, SPARSE]).functions == (BM25,)


def test_schemas_are_copied_and_pickled():
    schema = grown(functions=[BM25])
    assert copy.deepcopy(schema) == schema
    assert pickle.loads(pickle.dumps(schema)) == schema
    copy.deepcopy(schema).add_field("more", DataType.INT64)
    assert "more" not in schema


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: grown().add_function("bm25"), "expected a headrace.Function, found 'bm25'"),
        (lambda: CollectionSchema([KEY, "text"]), "expected fields that are FieldSchema, found 'text'"),
        (lambda: Function("f", 77, "a"), "function 'f': expected one of UNKNOWN, BM25"),
        (lambda: Function("f", 1, "a", "a"), "function 'f': expected each field once, found 'a' twice"),
        (lambda: grown(functions=[Function("f", 1, ["id", "text"], "sparse")]).verify(), "one input field and one"),
        (lambda: grown(functions=[Function("f", 1, "id", "sparse")]).verify(), "an input of type VARCHAR, found INT64"),
        (
            lambda: grown().add_field("n", 5).add_function(Function("f", 1, "text", "n")).verify(),
            "an output of type SPARSE_FLOAT_VECTOR, found INT64",
        ),
        (lambda: FieldSchema("f", DataType.INT64, mmap=True), "found 'mmap'; it takes name, dtype"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, text):
    with pytest.raises(SchemaError) as raised:
        make()
    assert text in str(raised.value)


def test_functions_are_equal_by_value_and_shown_as_dicts():
    assert Function("f", 2, ["a"], "b", params={"provider": "openai"}) != Function("f", 2, "a", "b")
    assert str(BM25) == (
        "{'name': 'bm25', 'description': '', 'type': <FunctionType.BM25: 1>, 'input_field_names': ['text'], "
        "'output_field_names': ['sparse'], 'params': {}}"
    )


def test_indexes_are_given_in_any_form():
    built = IndexParams().add_index("v", "HNSW", "by_v", metric_type="IP", params={"M": 8}, efConstruction=9)
    assert list(built) == [IndexParam("v", "HNSW", "IP", "by_v", {"M": 8, "efConstruction": 9})]
    given = {"field_name": "v", "index_type": "HNSW", "index_name": "by_v", "metric_type": "IP"}
    assert list(IndexParams.of([given])) == [IndexParam("v", "HNSW", "IP", "by_v")]
    assert list(IndexParams.of(iter([IndexParam("v")]))) == [IndexParam("v", "AUTOINDEX")]
    assert IndexParams().add_index("v", params={"index_type": "FLAT", "metric_type": "L2"}) == [
        IndexParam("v", "FLAT", "L2")
    ]
    for wrong in (None, [], {}, "v", [1], [{"index_type": "HNSW"}]):
        with pytest.raises(ConfigError, match="index_params: expected"):
            IndexParams.of(wrong)
