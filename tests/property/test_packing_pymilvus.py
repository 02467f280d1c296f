"""pymilvus packs the same rows to the same messages."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_columns import ELEMENTS, OBJECTS, columns

from headrace._proto import milvus_pb2, schema_pb2
from headrace.packing import make_packer, pack_field
from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.golden import reference

TYPES = [*ELEMENTS, DataType.ARRAY, DataType.JSON, DataType.FLOAT_VECTOR, DataType.SPARSE_FLOAT_VECTOR]


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.name.lower())
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_column_is_the_message_of_pymilvus(dtype, data):
    column = data.draw(columns(dtype, rows=data.draw(st.integers(1, 8))))
    theirs = reference.field_data(column.field, column.values).SerializeToString()
    ours = schema_pb2.FieldData.FromString(pack_field(column.field, column.array))
    assert ours == schema_pb2.FieldData.FromString(theirs)


@pytest.mark.parametrize("upsert", [False, True], ids=["insert", "upsert"])
@settings(max_examples=50, deadline=None)
@given(data=st.data(), rows=st.integers(1, 6), timestamp=st.integers(0, 2**64 - 1))
def test_a_request_is_the_message_of_pymilvus(upsert, data, rows, timestamp):
    types = data.draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=4))
    drawn = [data.draw(columns(dtype, f"f{at}", rows)) for at, dtype in enumerate(types)]
    keys = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=rows, max_size=rows))
    extras = data.draw(st.lists(OBJECTS, min_size=rows, max_size=rows))
    key = FieldSchema("id", DataType.INT64, is_primary=True)
    schema = CollectionSchema([key, *(column.field for column in drawn)], enable_dynamic_field=True)
    taken = {field.name for field in schema}
    extras = [{name: value for name, value in extra.items() if name not in taken} for extra in extras]

    dicts: list[dict[str, Any]] = []
    for row in range(rows):
        cells = {column.field.name: column.values[row] for column in drawn}
        dicts.append({"id": keys[row], **cells, **extras[row]})
    make = reference.upsert_request if upsert else reference.insert_request
    names = {"collection_name": "c", "partition_name": "p"}
    theirs = make(schema, dicts, **names, schema_timestamp=timestamp)

    documents = pa.array([json.dumps(extra, ensure_ascii=False, separators=(",", ":")) for extra in extras])
    arrays = {"id": pa.array(keys, pa.int64()), **{column.field.name: column.array for column in drawn}}
    batch = pa.record_batch({**arrays, "$meta": documents})
    packer = make_packer(schema, **names)
    pack = packer.pack_upsert if upsert else packer.pack_insert
    kind = milvus_pb2.UpsertRequest if upsert else milvus_pb2.InsertRequest
    assert kind.FromString(pack(batch, schema_timestamp=timestamp)) == kind.FromString(theirs.SerializeToString())
