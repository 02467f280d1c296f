"""What was guessed about a new collection is said, and what was said is not ignored."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import CollectionSchema, DataType, FieldSchema, SchemaError
from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.inference import infer_schema
from headrace.inspection import inspect_source

VECTORS = np.arange(1, 25, dtype=np.float32).reshape(3, 8).tolist()
LISTS, FIXED = pa.array(VECTORS, pa.list_(pa.float32())), pa.array(VECTORS, pa.list_(pa.float32(), 8))
PARTS = pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])
SPARSE = pa.array([{"indices": [1], "values": [0.5]}] * 3, PARTS)
ENTRIES = pa.array([[(1, 0.5)]] * 3, pa.map_(pa.int64(), pa.float32()))


def notes(columns, **options):
    """Of the fields of a new collection what is said about each."""
    chosen, batch = LoadOptions(**options), pa.record_batch(columns)
    schema = infer_schema(batch.schema, sample=batch, options=chosen)
    plan = plan_conform(batch.schema, schema, options=chosen, sample=batch, inferred=True)
    return {entry.field: entry.note for entry in plan.mapping}


@pytest.mark.parametrize(
    ("column", "options", "why"),
    [
        (LISTS, {}, "a vector, as the only lists of one length (8 numbers) in the first rows"),
        (LISTS.cast(pa.large_list(pa.float32())), {"dim": 8}, "a vector, as the only lists of one length (8 numbers)"),
        (pa.array(map(str, VECTORS)), {}, "a vector, as the only text of vectors of one length (8 numbers)"),
        (LISTS, {"vector": "v"}, "all of 8 numbers in the first rows"),
        (LISTS, {"vector": "v", "dim": 8}, ""),
        (FIXED, {}, ""),
        (SPARSE, {}, "a sparse vector, by the names of its parts"),
        (SPARSE, {"vector": "v"}, ""),
        (ENTRIES, {}, "a sparse vector, as a map of whole numbers to floats"),
    ],
)
def test_why_a_column_became_a_vector_is_said(column, options, why):
    note = notes({"id": range(3), "v": column}, **options)["v"]
    assert note.startswith(why) if why else not note


def test_what_was_guessed_stands_with_what_changes():
    note = notes({"id": range(3), "v": pa.array(VECTORS, pa.list_(pa.float64()))})["v"]
    assert note.startswith("a vector, as the only lists")
    assert "; double is narrowed to float" in note


def test_a_key_that_nobody_named_and_nulls_are_said():
    columns = {"ID": range(3), "n": pa.array([1, None, 2]), "m": range(3), "v": FIXED}
    assert notes(columns) == {"ID": "the key, by its name", "n": "takes nulls, because it has some", "m": "", "v": ""}
    assert not notes(columns, key="ID")["ID"]


def test_nothing_is_guessed_about_a_collection_that_exists():
    batch = pa.record_batch({"id": range(3), "v": LISTS})
    schema = infer_schema(batch.schema, sample=batch, options=LoadOptions())
    plan = plan_conform(batch.schema, schema, options=LoadOptions(), sample=batch)
    assert not any(entry.note for entry in plan.mapping)


def test_a_guess_is_shown_wherever_a_collection_is_made(fake, tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": range(3), "v": LISTS}), path)
    mappings = [
        inspect_source(path, options=LoadOptions()).mapping,
        headrace.prepare(path, collection="a", uri=fake.uri).mapping,
        headrace.load(path, collection="b", create=True, uri=fake.uri).mapping,
    ]
    assert [mapping[1]["note"] for mapping in mappings] == [
        "a vector, as the only lists of one length (8 numbers) in the first rows"
    ] * 3


def test_fields_without_a_column_are_said():
    batch = pa.record_batch({"id": range(3), "v": FIXED})
    schema = infer_schema(batch.schema, sample=batch, options=LoadOptions())
    more = [FieldSchema("t", DataType.INT8, nullable=True), FieldSchema("n", DataType.INT64, default_value=5)]
    schema = CollectionSchema([*schema, *more], enable_dynamic_field=True)
    for server in ({}, {"fill_defaults": True}, {"later_columns": True}):
        plan = plan_conform(batch.schema, schema, options=LoadOptions(), **server)
        assert plan.notes == ("no column for 't', 'n': filled with null or the default",)


@pytest.mark.parametrize("column", [LISTS, FIXED, SPARSE])
def test_a_dim_that_no_vector_has_is_refused(column):
    with pytest.raises(SchemaError, match=r"--dim 16: expected vectors of 16 numbers, found .*; leave out --dim, or"):
        notes({"id": range(3), "v": column}, dim=16)


def test_a_dim_tells_which_lists_are_the_vectors():
    short = pa.array([[0.5, 0.25]] * 3, pa.list_(pa.float32()))
    columns = {"id": range(3), "v": LISTS, "box": short}
    with pytest.raises(SchemaError, match="to know which lists are vectors"):
        notes(columns)
    assert notes(columns, dim=8)["v"].startswith("a vector, as the only lists of one length (8 numbers)")
