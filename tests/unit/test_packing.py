"""Packing by schema: which fields are sent, what may be left out, what a column may be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from headrace._proto import milvus_pb2, schema_pb2
from headrace.errors import CellError, SchemaError
from headrace.packing import make_packer, pack_field, pack_insert, pack_upsert
from headrace.schema import CollectionSchema, DataType, FieldSchema

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("title", DataType.VARCHAR, max_length=20, nullable=True),
        FieldSchema("rank", DataType.INT32, default_value=7),
        FieldSchema("dense", DataType.FLOAT_VECTOR, dim=3),
        FieldSchema("tokens", DataType.SPARSE_FLOAT_VECTOR),
        FieldSchema("computed", DataType.SPARSE_FLOAT_VECTOR, is_function_output=True),
    ],
    enable_dynamic_field=True,
)
DENSE = np.arange(6, dtype=np.float32).reshape(2, 3)
TOKENS = sparse.csr_matrix(np.array([[0, 0.5, 0], [0.25, 0, 1.0]], dtype=np.float32))
COLUMNS = {"id": np.array([1, 2]), "dense": DENSE, "tokens": TOKENS}


def fields(packed: bytes) -> dict[str, schema_pb2.FieldData]:
    request = milvus_pb2.InsertRequest.FromString(packed)
    assert request.num_rows == 2
    return {data.field_name: data for data in request.fields_data}


def test_numpy_and_csr_columns_are_packed_by_schema():
    packed = fields(pack_insert(COLUMNS, SCHEMA, collection_name="c"))
    assert packed.keys() == {"id", "dense", "tokens"}
    assert list(packed["dense"].vectors.float_vector.data) == DENSE.ravel().tolist()
    assert packed["dense"].vectors.dim == 3
    rows = [
        np.frombuffer(row, dtype="<u4,<f4").tolist() for row in packed["tokens"].vectors.sparse_float_vector.contents
    ]
    assert rows == [[(1, 0.5)], [(0, 0.25), (2, 1.0)]]


def test_fields_that_milvus_fills_may_be_missing_or_there():
    columns = {**COLUMNS, "title": ["a", None], "rank": [None, 3], "$meta": [{}, {"k": 1}]}
    packed = fields(pack_insert(columns, SCHEMA, collection_name="c"))
    assert list(packed["title"].valid_data) == [True, False]
    assert (list(packed["rank"].valid_data), list(packed["rank"].scalars.int_data.data)) == ([False, True], [3])
    assert packed["$meta"].is_dynamic
    assert [bytes(cell) for cell in packed["$meta"].scalars.json_data.data] == [b"{}", b'{"k":1}']


def test_absent_columns_with_a_default_are_filled_on_request():
    for pack, message in ((pack_insert, milvus_pb2.InsertRequest), (pack_upsert, milvus_pb2.UpsertRequest)):
        request = message.FromString(pack(COLUMNS, SCHEMA, collection_name="c", fill_defaults=True))
        packed = {data.field_name: data for data in request.fields_data}
        assert packed.keys() == {"id", "rank", "dense", "tokens"}
        assert list(packed["rank"].scalars.int_data.data) == [7, 7]
    given = fields(pack_insert({**COLUMNS, "rank": [1, 2]}, SCHEMA, collection_name="c", fill_defaults=True))
    assert list(given["rank"].scalars.int_data.data) == [1, 2]


def test_a_partial_update_is_not_filled_with_defaults():
    with pytest.raises(SchemaError, match="no fill_defaults beside partial_update"):
        pack_upsert(COLUMNS, SCHEMA, collection_name="c", partial_update=True, fill_defaults=True)


def test_a_required_field_must_be_there():
    with pytest.raises(SchemaError) as caught:
        pack_insert({"id": [1], "dense": DENSE[:1]}, SCHEMA, collection_name="c")
    assert str(caught.value) == (
        "field 'tokens': expected a column of this name, found none; add the column, or build the packer without the "
        "field where Milvus can fill it"
    )


def test_function_outputs_and_auto_ids_are_not_sent():
    schema = CollectionSchema([
        FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True),
        FieldSchema("x", DataType.DOUBLE),
    ])  # fmt: skip
    assert fields(pack_insert({"x": [1.0, 2.0]}, schema, collection_name="c")).keys() == {"x"}
    with pytest.raises(SchemaError, match="field 'id': expected only the fields 'x'"):
        pack_insert({"id": [1, 2], "x": [1.0, 2.0]}, schema, collection_name="c")


def test_an_upsert_has_the_bytes_of_the_insert():
    names = {"collection_name": "c", "db_name": "d", "partition_name": "p", "schema_timestamp": 3}
    packed = pack_upsert(COLUMNS, SCHEMA, **names)
    assert packed == pack_insert(COLUMNS, SCHEMA, **names)
    request = milvus_pb2.UpsertRequest.FromString(packed)
    assert (request.db_name, request.partition_name, request.schema_timestamp) == ("d", "p", 3)


def test_an_arrow_batch_is_packed_as_its_columns_are():
    tokens = pa.array([[(1, 0.5)], [(0, 0.25), (2, 1.0)]], pa.map_(pa.int32(), pa.float32()))
    dense = pa.FixedSizeListArray.from_arrays(pa.array(DENSE.ravel()), 3)
    batch = pa.record_batch({"id": pa.array([1, 2]), "dense": dense, "tokens": tokens})
    expected = fields(pack_insert(COLUMNS, SCHEMA, collection_name="c"))
    assert fields(pack_insert(batch, SCHEMA, collection_name="c")) == expected


def test_one_column_becomes_one_field_data():
    packed = schema_pb2.FieldData.FromString(pack_field(SCHEMA["dense"], DENSE))
    assert (packed.field_name, packed.type, packed.vectors.dim) == ("dense", DataType.FLOAT_VECTOR, 3)
    with pytest.raises(CellError, match=r"row 1, field 'title': expected at most 20 UTF-8 bytes, found 21 bytes"):
        pack_field(SCHEMA["title"], ["a", "x" * 21])


def test_a_packer_takes_the_columns_it_was_made_for():
    packer = make_packer(SCHEMA, collection_name="c", columns=["dense", "id"])
    dense = pa.FixedSizeListArray.from_arrays(pa.array(DENSE.ravel()), 3)
    packed = fields(packer.pack_upsert(pa.record_batch({"dense": dense, "id": pa.array([1, 2])}), partial_update=True))
    assert list(packed) == ["id", "dense"]


def test_a_partial_update_has_the_key_and_any_other_columns():
    packed = pack_upsert({"tokens": TOKENS, "id": [1, 2]}, SCHEMA, collection_name="c", partial_update=True)
    assert fields(packed).keys() == {"id", "tokens"}
    assert milvus_pb2.UpsertRequest.FromString(packed).partial_update
    with pytest.raises(SchemaError, match="field 'id': expected a column of this name, found none"):
        pack_upsert({"tokens": TOKENS}, SCHEMA, collection_name="c", partial_update=True)
    with pytest.raises(SchemaError, match="field 'tokens': expected a column of this name, found none"):
        pack_upsert({"id": [1, 2], "dense": DENSE}, SCHEMA, collection_name="c")


def test_an_upsert_names_its_rows_also_where_the_server_makes_keys():
    schema = CollectionSchema([
        FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True),
        FieldSchema("x", DataType.DOUBLE),
    ])  # fmt: skip
    packed = pack_upsert({"id": np.array([1, 2], np.int32), "x": [1.0, 2.0]}, schema, collection_name="c")
    assert fields(packed).keys() == {"id", "x"}
    with pytest.raises(SchemaError, match="field 'id': expected a column of this name, found none"):
        pack_upsert({"x": [1.0, 2.0]}, schema, collection_name="c")


def test_a_partition_is_named_or_chosen_by_a_key():
    schema = CollectionSchema([*SCHEMA.fields, FieldSchema("tenant", DataType.INT64, is_partition_key=True)])
    columns = {**COLUMNS, "tenant": [1, 2]}
    assert fields(pack_insert(columns, schema, collection_name="c")).keys() == {"id", "dense", "tokens", "tenant"}
    for pack in (pack_insert, pack_upsert):
        with pytest.raises(SchemaError) as caught:
            pack(columns, schema, collection_name="c", partition_name="p")
        assert str(caught.value) == (
            "partition: expected none, because the partition key 'tenant' chooses it, found 'p'; leave it out"
        )
    with pytest.raises(SchemaError, match="because the partition key 'tenant' chooses it"):
        make_packer(schema, collection_name="c", partition_name="p")


@pytest.mark.parametrize(
    ("dtype", "values", "slot", "content"),
    [
        (DataType.FLOAT16_VECTOR, np.array([[1, 2]], np.float16), "float16_vector", b"\x00\x3c\x00\x40"),
        (DataType.INT8_VECTOR, np.array([[1, -2]], np.int8), "int8_vector", b"\x01\xfe"),
    ],
)
def test_nullable_vectors_are_compact_beside_their_mask(dtype, values, slot, content):
    field = FieldSchema("v", dtype, dim=2, nullable=True)
    packed = schema_pb2.FieldData.FromString(pack_field(field, [None, values[0], None]))
    assert (list(packed.valid_data), packed.vectors.dim) == ([False, True, False], 2)
    assert getattr(packed.vectors, slot) == content
    nothing = schema_pb2.FieldData.FromString(pack_field(field, pa.nulls(2)))
    assert (list(nothing.valid_data), nothing.vectors.WhichOneof("data")) == ([False, False], slot)


def test_nullable_sparse_vectors_are_compact_beside_their_mask():
    field = FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR, nullable=True)
    packed = schema_pb2.FieldData.FromString(pack_field(field, [None, {1: 0.5}]))
    assert (list(packed.valid_data), len(packed.vectors.sparse_float_vector.contents)) == ([False, True], 1)


def test_a_packer_for_a_column_that_is_not_sent_is_refused():
    with pytest.raises(SchemaError) as caught:
        make_packer(SCHEMA, collection_name="c", columns=["id", "computed"])
    assert str(caught.value) == (
        "columns: expected one of the fields that are sent ('$meta', 'dense', 'id', 'rank', 'title', 'tokens'), found "
        "'computed'; leave it out"
    )


def test_keys_of_the_dynamic_field_leave_every_declared_name_alone():
    columns = {**COLUMNS, "$meta": [{}, {"computed": 1}]}
    with pytest.raises(CellError, match=r"row 1, field '\$meta': expected keys other than .* found the key 'computed'"):
        pack_insert(columns, SCHEMA, collection_name="c")
