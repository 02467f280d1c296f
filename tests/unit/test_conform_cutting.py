"""Text that is cut where that was asked for, and counted."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.errors import SchemaError
from headrace.schema import CollectionSchema, DataType, FieldSchema

CUT = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("t", DataType.VARCHAR, max_length=4, nullable=True),
    ]
)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_long_text_is_cut_at_a_code_point_where_that_was_asked_for(kind):
    batch = pa.record_batch({"id": [1, 2, 3, 4, 5], "t": pa.array(["abcd", "abcde", "ab水車", None, "水水"], kind)})
    result = plan_conform(batch.schema, CUT, options=LoadOptions(truncate={"t": None})).apply(batch)
    assert result.batch.column("t").to_pylist() == ["abcd", "abcd", "ab", None, "水"]
    assert result.notes == {"values of 't' were cut to 4 bytes": 3}
    result = plan_conform(batch.schema, CUT, options=LoadOptions(truncate={"t": 2})).apply(batch)
    assert result.batch.column("t").to_pylist() == ["ab", "ab", "ab", None, ""]
    untouched = plan_conform(batch.schema, CUT, options=LoadOptions()).apply(batch)
    assert (untouched.batch.column("t").to_pylist()[1], untouched.notes) == ("abcde", {})


@pytest.mark.parametrize(("name", "found"), [("id", "INT64"), ("nope", "no such field")])
def test_only_text_can_be_cut(name, found):
    schema = pa.schema([("id", pa.int64())])
    with pytest.raises(SchemaError, match=f"--truncate {name}: expected a field of text, found {found}"):
        plan_conform(schema, CUT, options=LoadOptions(truncate={name: None}))
