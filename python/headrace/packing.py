r"""Arrow columns into the bytes of Milvus requests, near memory speed and without the GIL.

This module can be used alone: it needs no server, no connection and no other part of headrace. What comes out is what
``MilvusService.Insert`` and ``Upsert`` take.

What a column may look like (rows of a batch, one column for each sent field):

.. code-block:: text

    BOOL, INT8, INT16, INT32, INT64    bool, int8, int16, int32, int64
    FLOAT, DOUBLE                      float32, float64; NaN and infinity are refused
    VARCHAR, TEXT, GEOMETRY (WKT)      utf8, large_utf8, utf8_view
    TIMESTAMPTZ                        utf8, large_utf8, utf8_view in ISO 8601, sent as it is; timestamp[s, ms, us, ns]
                                       in whole microseconds, written in UTC where it has a zone, else without an
                                       offset (Milvus takes it in the collection's time zone)
    JSON, the dynamic field $meta      utf8, large_utf8, utf8_view, binary, large_binary, binary_view: a document a row
    ARRAY                              any list of the element's type
    FLOAT_VECTOR                       any list of float32
    FLOAT16_VECTOR                     any list of float16; bytes
    BFLOAT16_VECTOR                    any list of uint16 (bit patterns) or fixed_size_binary[2]; bytes
    INT8_VECTOR                        any list of int8; bytes
    BINARY_VECTOR                      any list of uint8 (dim / 8 a row, the first bit the highest); bytes
    SPARSE_FLOAT_VECTOR                list, large_list or view of struct<index, value>; map<index, value>;
                                       struct<list of index, list of value>. index int32, uint32, int64 or uint64,
                                       value float32. Rows are sorted by index while they are written

    any list      list, large_list, fixed_size_list, list_view, large_list_view
    bytes         fixed_size_binary, binary, large_binary, binary_view of a vector's bytes, little endian

Any of them may be dictionary or run-end encoded, sliced, and of an extension type (its storage counts; tensors with a
permutation are refused). Nulls are allowed where the field is nullable. NaN and infinity are refused in float vectors
of every width. No Arrow or numpy column is rounded: float32 does not become FLOAT16_VECTOR before it is converted.
Python numbers take the field's type: for FLOAT and FLOAT_VECTOR they are rounded to float32.

A batch may also be a dict of columns, which :func:`headrace.columns.to_batch` turns into Arrow:

.. code-block:: text

    numpy          of any byte order and memory layout; (n,) for scalars, (n, d) for vectors: float32, float16, int8,
                   ml_dtypes.bfloat16; uint8 of shape (n, dim / 8) or bool of shape (n, dim) for BINARY_VECTOR
    sparse         scipy matrices and arrays of every format; anything with indptr, indices and data
    Arrow          arrays and chunked arrays, whatever has __arrow_c_array__ or __arrow_c_stream__
    lists          Python values, one a row: lists, bytes, numpy vectors, {index: value}, documents

>>> import numpy as np
>>> from headrace.schema import CollectionSchema, DataType, FieldSchema
>>> schema = CollectionSchema([
...     FieldSchema("id", DataType.INT64, is_primary=True),
...     FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
... ])
>>> batch = {"id": np.array([1, 2]), "v": np.zeros((2, 2), dtype=np.float32)}
>>> len(pack_insert(batch, schema, collection_name="docs"))
55

A packer that is made once packs Arrow batches of one schema without looking at it again:

>>> import pyarrow as pa
>>> packer = make_packer(schema, collection_name="docs")
>>> vectors = pa.array([[0.0, 1.0]], pa.list_(pa.float32(), 2))
>>> len(packer.pack_insert(pa.record_batch({"id": pa.array([7]), "v": vectors})))
46

A vector of bits, packed from bools:

>>> bits = FieldSchema("bits", DataType.BINARY_VECTOR, dim=8)
>>> pack_field(bits, np.array([[True, False, False, False, False, False, False, True]]))[-1:]
b'\x81'
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from headrace import _core
from headrace.casts import find_cast, packs_as_is
from headrace.casts.defaults import default_column
from headrace.columns import to_array, to_batch
from headrace.errors import SchemaError, explain
from headrace.schema import CollectionSchema, FieldSchema

__all__ = ["Packer", "make_packer", "pack_field", "pack_insert", "pack_upsert"]

Packer = _core.Packer


def make_packer(
    schema: CollectionSchema,
    *,
    collection_name: str,
    db_name: str = "",
    partition_name: str = "",
    columns: Sequence[str] | None = None,
) -> Packer:
    """A packer for batches with the schema's sent fields as columns, to be built once and used for every batch.

    Args:
        schema: The collection's schema.
        collection_name: The collection.
        db_name: The database; empty for the connection's own.
        partition_name: The partition; empty for the default one, and where a partition key chooses it.
        columns: The sent fields that the batches have, where they do not have all; Milvus fills the others. Before
            2.5 send every column that has a default: leaving one out stops the server (2.3.5).

    Raises:
        SchemaError: If ``columns`` names something that is not sent, a field's type cannot be packed yet, or a
            partition is named although the collection has a partition key.
    """
    sent = schema.sent_fields
    if columns is not None:
        names = {field.name for field in sent}
        for name in columns:
            if name not in names:
                expected = "one of the fields that are sent (" + ", ".join(map(repr, sorted(names))) + ")"
                raise SchemaError(explain("columns", expected, repr(name), "leave it out"), field=name)
        sent = tuple(field for field in sent if field.name in columns)
    return _packer_of(sent, schema, collection_name=collection_name, db_name=db_name, partition_name=partition_name)


def _packer_of(
    fields: Sequence[FieldSchema], schema: CollectionSchema, *, collection_name: str, db_name: str, partition_name: str
) -> Packer:
    chooser = next((field.name for field in schema if field.is_partition_key), None)
    if partition_name and chooser is not None:
        expected = f"none, because the partition key {chooser!r} chooses it"
        raise SchemaError(explain("partition", expected, repr(partition_name), "leave it out"), field=chooser)
    return Packer(
        [_core_field(field) for field in fields],
        collection_name=collection_name,
        db_name=db_name,
        partition_name=partition_name,
        declared=[field.name for field in schema],
    )


def pack_insert(
    batch: object,
    schema: CollectionSchema,
    *,
    collection_name: str,
    db_name: str = "",
    partition_name: str = "",
    schema_timestamp: int = 0,
    fill_defaults: bool = False,
) -> bytes:
    """The bytes of one ``InsertRequest`` with every row of ``batch``.

    Fields that Milvus can fill (nullable, with a default, the dynamic field) may be missing from the batch. Before
    2.5 send every column that has a default, or let ``fill_defaults`` do it: leaving one out stops the server (2.3.5).

    Args:
        batch: A RecordBatch or anything with ``__arrow_c_array__``, or a dict of columns.
        schema: The collection's schema.
        collection_name: The collection.
        db_name: The database; empty for the connection's own.
        partition_name: The partition; empty for the default one.
        schema_timestamp: The schema's version as the server reported it (2.6); 0 leaves it out.
        fill_defaults: Whether fields with a default that the batch has no column for are sent, each row with the
            default.

    Raises:
        CellError: For the first cell that Milvus would refuse.
        SchemaError: If columns and fields do not fit each other.
    """
    columns = to_batch(batch, schema, strict=True)
    if fill_defaults:
        columns = _with_defaults(columns, schema)
    fields = _fields_of(columns.schema, schema.sent_fields)
    packer = _packer_of(fields, schema, collection_name=collection_name, db_name=db_name, partition_name=partition_name)
    return packer.pack_insert(columns, schema_timestamp=schema_timestamp)


def pack_upsert(
    batch: object,
    schema: CollectionSchema,
    *,
    collection_name: str,
    db_name: str = "",
    partition_name: str = "",
    schema_timestamp: int = 0,
    partial_update: bool = False,
    fill_defaults: bool = False,
) -> bytes:
    """The bytes of one ``UpsertRequest`` with every row of ``batch``; arguments and errors as :func:`pack_insert`.

    The batch has the key, also where the server makes the keys of inserted rows (there Milvus replaces the row of that
    key, since 2.4).

    Args:
        batch: As for :func:`pack_insert`.
        schema: The collection's schema.
        collection_name: The collection.
        db_name: The database; empty for the connection's own.
        partition_name: The partition; empty for the default one.
        schema_timestamp: The schema's version as the server reported it (2.6); 0 leaves it out.
        partial_update: Whether rows keep the values of the fields that the batch has no column for (Milvus 2.6.2;
            older servers ignore it and miss the columns). The batch may then have any columns beside the key.
        fill_defaults: As for :func:`pack_insert`; not together with ``partial_update``, which would lose values by it.
    """
    if fill_defaults and partial_update:
        expected = "no fill_defaults beside partial_update, which keeps what a batch has no column for"
        raise SchemaError(explain("pack_upsert", expected, "both", "leave one of them out"))
    columns = to_batch(batch, schema, strict=True)
    if fill_defaults:
        columns = _with_defaults(columns, schema)
    sent = (schema.primary_key, *schema.sent_fields) if schema.auto_id else schema.sent_fields
    fields = _fields_of(columns.schema, sent, partial=partial_update)
    packer = _packer_of(fields, schema, collection_name=collection_name, db_name=db_name, partition_name=partition_name)
    return packer.pack_upsert(columns, schema_timestamp=schema_timestamp, partial_update=partial_update)


def pack_field(field: FieldSchema, column: object) -> bytes:
    """One serialized ``schema.FieldData``.

    Args:
        field: The field.
        column: A numpy array, a CSR matrix, an Arrow array or a list.

    Raises:
        CellError: For the first cell that Milvus would refuse.
        SchemaError: If the column does not fit the field.
    """
    array = to_array(column, field, strict=True)
    _check_fit(array.type, field)
    return _core.pack_field(_core_field(field), array)


def _core_field(field: FieldSchema) -> _core.Field:
    return _core.Field(
        field.name,
        int(field.dtype),
        dim=field.dim or 0,
        element_type=int(field.element_type or 0),
        max_length=field.max_length or 0,
        max_capacity=field.max_capacity or 0,
        # Milvus 2.5 refuses a column with a default that comes without its mask; pymilvus 3.0 sends one too.
        nullable=field.nullable or field.default_value is not None,
        is_dynamic=field.is_dynamic,
    )


def _with_defaults(batch: pa.RecordBatch, schema: CollectionSchema) -> pa.RecordBatch:
    absent = [
        field
        for field in schema.sent_fields
        if field.default_value is not None and field.name not in batch.schema.names
    ]
    columns = [*batch.columns, *(default_column(field, batch.num_rows) for field in absent)]
    return pa.RecordBatch.from_arrays(columns, names=[*batch.schema.names, *(field.name for field in absent)])


def _fields_of(batch: pa.Schema, sent: Sequence[FieldSchema], *, partial: bool = False) -> list[FieldSchema]:
    """The fields that a batch of these columns is packed with: of missing ones those that the core has to refuse."""
    types = dict(zip(batch.names, batch.types, strict=True))
    fields = []
    for field in sent:
        if field.name in types:
            _check_fit(types[field.name], field)
            fields.append(field)
        elif field.is_primary or not (partial or _milvus_fills(field)):
            fields.append(field)
    return fields


def _check_fit(kind: pa.DataType, field: FieldSchema) -> None:
    """Refuse a type that no cast leads to the field with the cast's words, which say more than the core's."""
    if not packs_as_is(kind, field):
        find_cast(kind, field)


def _milvus_fills(field: FieldSchema) -> bool:
    return field.nullable or field.default_value is not None or field.is_dynamic
