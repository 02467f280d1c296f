"""Undeclared columns are kept in the dynamic field as one JSON object a row."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.errors import SchemaError
from headrace.schema import CollectionSchema, DataType, FieldSchema

SCHEMA = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True)], enable_dynamic_field=True)


def apply(batch: pa.RecordBatch, schema: CollectionSchema = SCHEMA):
    return plan_conform(batch.schema, schema, options=LoadOptions()).apply(batch)


def documents(batch: pa.RecordBatch) -> list[dict]:
    return [json.loads(text) for text in apply(batch).batch.column(1).to_pylist()]


def test_each_row_is_one_object_without_its_nulls():
    batch = pa.record_batch(
        {
            "id": [1, 2, 3],
            "t": ["a", None, 'quote " and é'],
            "n": [1, 2, None],
            "nested": [{"k": [1, None]}, None, {"k": []}],
            "m": pa.array([[("x", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        }
    )
    assert documents(batch) == [
        {"t": "a", "n": 1, "nested": {"k": [1, None]}, "m": {"x": 1}},
        {"n": 2},
        {"t": 'quote " and é', "nested": {"k": []}, "m": {}},
    ]


def test_undeclared_columns_are_shown_in_the_mapping():
    plan = plan_conform(pa.schema([("id", pa.int64()), ("t", pa.string())]), SCHEMA, options=LoadOptions())
    assert plan.columns == ("id", "$meta")
    assert plan.source_columns == ("id", "t")
    assert (plan.mapping[1].source, plan.mapping[1].field, plan.mapping[1].note) == (
        "t",
        "$meta",
        "no such field: kept in the dynamic field",
    )


def test_without_undeclared_columns_the_field_is_not_sent():
    assert apply(pa.record_batch({"id": [1]})).batch.schema.names == ["id"]


def test_a_column_of_objects_passes_as_the_dynamic_field():
    batch = pa.record_batch({"id": [1, 2], "$meta": ['{"a":1}', None]})
    assert apply(batch).batch.column(1).to_pylist() == ['{"a":1}', "{}"]


def test_objects_and_undeclared_columns_together_are_refused():
    batch = pa.record_batch({"id": [1], "$meta": ["{}"], "x": [1]})
    with pytest.raises(SchemaError, match=r"column 'x': expected either undeclared columns or their JSON"):
        apply(batch)


@pytest.mark.parametrize("kind", [pa.binary(), pa.timestamp("us"), pa.date32(), pa.list_(pa.binary())])
def test_types_without_one_json_form_are_refused(kind):
    schema = pa.schema([("id", pa.int64()), ("x", kind)])
    with pytest.raises(SchemaError) as caught:
        plan_conform(schema, SCHEMA, options=LoadOptions())
    assert str(caught.value) == (
        f"column 'x': expected a type that JSON can say, found {kind}; "
        "leave it out with --drop, or convert it in the source"
    )


def test_a_key_named_elsewhere_leaves_its_own_name_unusable():
    batch = pa.record_batch({"id": [1], "url": [2]})
    with pytest.raises(SchemaError, match="column 'id': expected a name that no field has"):
        plan_conform(batch.schema, SCHEMA, options=LoadOptions(key="url"))


def test_numbers_that_json_cannot_say_are_refused_by_row():
    batch = pa.record_batch({"id": [1, 2, 3], "x": [1.5, math.nan, math.inf], "y": ["a", "b", "c"]})
    result = apply(batch)
    assert result.kept.tolist() == [0]
    assert [(cell.row, cell.field, cell.found) for cell in result.refused] == [
        (1, "$meta", "NaN or infinity in column 'x'"),
        (2, "$meta", "NaN or infinity in column 'x'"),
    ]


def test_broken_text_is_refused_by_row():
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 2], np.int32).tobytes()), pa.py_buffer(b"a\xff")]
    )
    result = apply(pa.record_batch({"id": pa.array([1, 2]), "t": broken}))
    assert result.batch.column(1).to_pylist() == ['{"t":"a"}']
    assert [(cell.row, cell.found) for cell in result.refused] == [(1, "bytes that are not in column 't'")]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "t": st.none() | st.text(),
                "n": st.none() | st.integers(-(2**63), 2**63 - 1),
                "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "l": st.none() | st.lists(st.none() | st.booleans()),
            }
        ),
        min_size=1,
    )
)
def test_any_rows_read_back_equal(rows):
    types = {"t": pa.string(), "n": pa.int64(), "f": pa.float64(), "l": pa.list_(pa.bool_())}
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    batch = pa.record_batch({"id": pa.array(range(len(rows))), **columns})
    assert documents(batch) == [{k: v for k, v in row.items() if v is not None} for row in rows]
