"""Schemas in files: what describe_collection says comes back as the same schema, and what means nothing is refused."""

from __future__ import annotations

import json
import sys

import pytest
import yaml

from headrace.errors import MissingExtraError, SchemaError
from headrace.schema import CollectionSchema, DataType, FieldSchema, Function, FunctionType
from headrace.schema_files import read_schema, schema_of

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.VARCHAR, is_primary=True, max_length=64),
        FieldSchema("text", DataType.VARCHAR, "what it says", max_length=100, nullable=True, enable_analyzer=True),
        FieldSchema("n", DataType.INT64, default_value=7),
        FieldSchema("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=20),
        FieldSchema("group", DataType.INT64, is_partition_key=True),
        FieldSchema("dense", DataType.FLOAT_VECTOR, dim=8),
        FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR, is_function_output=True),
    ],
    description="docs",
    enable_dynamic_field=True,
    functions=[Function("bm25", FunctionType.BM25, ["text"], ["sparse"])],
)
DESCRIBED = {
    **SCHEMA.to_dict(),
    "collection_name": "docs",
    "num_shards": 1,
    "aliases": [],
    "collection_id": 5,
    "consistency_level": 2,
}


@pytest.mark.parametrize("name", ["schema.json", "schema.yaml", "schema.yml"])
def test_a_description_comes_back_as_the_same_schema(tmp_path, name):
    plain = json.loads(json.dumps(DESCRIBED))
    text = json.dumps(plain) if name.endswith("json") else yaml.safe_dump(plain)
    (tmp_path / name).write_text(text)
    assert read_schema(tmp_path / name).to_dict() == SCHEMA.to_dict()


@pytest.mark.parametrize("kind", ["FLOAT_VECTOR", "float_vector", "DataType.FLOAT_VECTOR", 101])
def test_types_are_named_or_numbered(kind):
    fields = [{"name": "id", "type": "INT64", "is_primary": True}, {"name": "v", "type": kind, "params": {"dim": 8}}]
    assert schema_of({"fields": fields}, "x")["v"] == FieldSchema("v", DataType.FLOAT_VECTOR, dim=8)


KEY = {"name": "id", "type": "INT64", "is_primary": True}


@pytest.mark.parametrize(
    ("described", "text"),
    [
        ([], 'x: expected an object with "fields", found list; write it as describe_collection does'),
        ({"fields": 5}, 'x: expected an object with "fields", found dict'),
        ({"fields": [], "feilds": 1}, "found 'feilds'; did you mean 'fields'?"),
        (
            {"fields": [KEY, {"name": "v"}]},
            "x, field 2: expected an object with \"name\" and \"type\", found {'name': 'v'}",
        ),
        ({"fields": [{**KEY, "primary": True}]}, "x, field 'id': expected one of"),
        ({"fields": [{**KEY, "type": "NUMBER"}]}, "x, field 'id': expected one of BOOL, INT8"),
        ({"fields": [{**KEY, "type": 9999}]}, "found 9999; choose one"),
        ({"fields": [KEY], "functions": [{"name": "f"}]}, "x: expected a function with name, type"),
        ({"fields": [KEY, {"name": "v", "type": "FLOAT_VECTOR"}]}, "field 'v': expected dim between 1 and 262144"),
    ],
)
def test_what_means_nothing_is_refused_by_its_place(described, text):
    with pytest.raises(SchemaError) as caught:
        schema_of(described, "x")
    assert text in str(caught.value)


@pytest.mark.parametrize(("name", "data"), [("a.json", "{"), ("a.yaml", "a: [1"), ("none.json", None)])
def test_files_that_cannot_be_read_are_named(tmp_path, name, data):
    if data is not None:
        (tmp_path / name).write_text(data)
    with pytest.raises(SchemaError, match=rf"{name}: expected a schema in JSON or YAML, found "):
        read_schema(tmp_path / name)


def test_without_pyyaml_its_name_is_said(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("fields: []")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match="install PyYAML, or write the schema as JSON"):
        read_schema(tmp_path / "a.yaml")


def test_elements_of_text_whose_length_was_not_described_may_be_as_long_as_milvus_has_them(tmp_path):
    fields = [
        {"name": "id", "type": "INT64", "is_primary": True},
        {"name": "words", "type": "ARRAY", "element_type": "VARCHAR", "params": {"max_capacity": 8}},
        {"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 4}},
    ]
    (tmp_path / "a.json").write_text(json.dumps({"fields": fields}))
    _, words, _ = read_schema(tmp_path / "a.json")
    assert words.max_length == 65_535
