"""pymilvus packs the same rows to the same messages: requests of every kind, from every kind of batch."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from agreement import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import LAYOUTS
from packing_columns import NUMBERS, OBJECTS, Column, columns

from headrace.packing import make_packer, pack_insert, pack_upsert
from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.golden import reference

NAMES = {"collection_name": "c", "partition_name": "p"}


@dataclass(frozen=True)
class Batch:
    """The same rows three times: as dicts, as columns in one piece and as columns in chunks."""

    schema: CollectionSchema
    rows: list[dict[str, Any]]
    arrays: dict[str, pa.Array]
    sources: dict[str, pa.ChunkedArray]


#: Every type, or a few of them.
ANY_TYPES = st.just(list(LAYOUTS)) | st.lists(st.sampled_from(list(LAYOUTS)), min_size=1, max_size=4)


@st.composite
def batches(draw: st.DrawFn, *, auto_id: bool = False, types: st.SearchStrategy[list[DataType]] = ANY_TYPES) -> Batch:
    """Columns of any types, with a dynamic field or without, beside what no row has: auto ids, outputs of functions."""
    count = draw(st.integers(1, 6))
    drawn = [draw(columns(dtype, f"f{at}", rows=count)) for at, dtype in enumerate(draw(types))]
    key = FieldSchema("id", DataType.INT64, is_primary=True, auto_id=auto_id)
    if not auto_id:
        ids = draw(st.lists(NUMBERS[DataType.INT64], min_size=count, max_size=count))
        array = pa.array(ids, pa.int64())
        drawn.append(Column(key, ids, array, pa.chunked_array([array])))
    output = FieldSchema("output", DataType.SPARSE_FLOAT_VECTOR, is_function_output=True)
    tenant = FieldSchema("tenant", DataType.INT64, is_partition_key=True, nullable=True)
    others = [field for field in (output, tenant) if draw(st.booleans())]
    dynamic = draw(st.booleans())
    schema = CollectionSchema(
        [*([key] if auto_id else []), *(column.field for column in drawn), *others], enable_dynamic_field=dynamic
    )
    batch = Batch(schema, [{} for _ in range(count)], {}, {})
    for column in drawn:
        batch.arrays[column.field.name], batch.sources[column.field.name] = column.array, column.source
        for row, value in zip(batch.rows, column.values, strict=True):
            row[column.field.name] = value
    if tenant in others:
        _add_nulls(batch, tenant, count)
    if dynamic:
        _add_objects(batch, draw(st.lists(OBJECTS, min_size=count, max_size=count)))
    return batch


def _add_nulls(batch: Batch, field: FieldSchema, count: int) -> None:
    batch.arrays[field.name] = pa.nulls(count, pa.int64())
    batch.sources[field.name] = pa.chunked_array([batch.arrays[field.name]])
    for row in batch.rows:
        row[field.name] = None


def _add_objects(batch: Batch, objects: list[dict[str, Any]]) -> None:
    declared = {field.name for field in batch.schema}
    objects = [{key: value for key, value in extra.items() if key not in declared} for extra in objects]
    texts = pa.array([json.dumps(extra, ensure_ascii=False, separators=(",", ":")) for extra in objects])
    batch.arrays["$meta"], batch.sources["$meta"] = texts, pa.chunked_array([texts[:1], texts[1:]])
    for row, extra in zip(batch.rows, objects, strict=True):
        row.update(extra)


def names_of(schema: CollectionSchema) -> dict[str, str]:
    """A partition is named where no field chooses it."""
    return {"collection_name": "c"} if any(field.is_partition_key for field in schema) else NAMES


@pytest.mark.parametrize("examples", [40, pytest.param(1_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["insert", "insert_auto_id", "upsert", "upsert_partial"])
def test_a_request_is_the_message_of_pymilvus(kind, examples):
    drawn: Counter[DataType] = Counter()

    def compare_some(count: int, types: st.SearchStrategy[list[DataType]]) -> None:
        drawing = batches(auto_id=kind == "insert_auto_id", types=types)
        settings(max_examples=count)(given(batch=drawing, timestamp=st.integers(0, 2**64 - 1))(compare))()

    def compare(batch: Batch, timestamp: int) -> None:
        drawn.update(field.dtype for field in batch.schema.sent_fields)
        names = names_of(batch.schema)
        extra: dict[str, Any] = {"schema_timestamp": timestamp}
        if kind == "upsert_partial":
            extra["partial_update"] = True
        make = reference.upsert_request if "upsert" in kind else reference.insert_request
        theirs = make(batch.schema, batch.rows, **names, **extra)
        packer = make_packer(batch.schema, **names, columns=list(batch.arrays))
        pack = packer.pack_upsert if "upsert" in kind else packer.pack_insert
        assert_same(pack(pa.record_batch(batch.arrays), **extra), theirs)
        pack_all = pack_upsert if "upsert" in kind else pack_insert
        for source in (batch.sources, pa.table(batch.sources)):
            assert_same(pack_all(source, batch.schema, **names, **extra), theirs)

    compare_some(examples, ANY_TYPES)
    # The batches of all types may have been too large for an example.
    for dtype in LAYOUTS:
        if dtype not in drawn:
            compare_some(2, st.just([dtype]))
    assert drawn.keys() == set(LAYOUTS)


@settings(max_examples=40)
@given(batch=batches(), data=st.data())
def test_a_partial_upsert_of_some_columns_is_the_message_of_pymilvus(batch, data):
    others = sorted(set(batch.arrays) - {"id", "$meta"})
    kept = ["id", *data.draw(st.lists(st.sampled_from(others), unique=True))]
    fields = [field for field in batch.schema if field.name in kept]
    schema = CollectionSchema([*fields, *(field for field in batch.schema if field not in fields)])
    rows = [{name: row[name] for name in kept} for row in batch.rows]
    names = names_of(schema)
    theirs = reference.upsert_request(schema, rows, **names, partial_update=True)
    columns = {name: batch.sources[name] for name in kept}
    assert_same(pack_upsert(columns, schema, **names, partial_update=True), theirs)


@settings(max_examples=20)
@given(batch=batches(auto_id=True), key=NUMBERS[DataType.INT64])
def test_an_upsert_into_an_auto_id_collection_is_the_message_of_pymilvus_with_the_keys(batch, key):
    keys = [key] * len(batch.rows)
    theirs = reference.upsert_request(
        batch.schema, [{"id": key, **row} for row in batch.rows], **names_of(batch.schema)
    )
    sources = {"id": pa.array(keys, pa.int64()), **batch.sources}
    assert_same(pack_upsert(sources, batch.schema, **names_of(batch.schema)), theirs)
