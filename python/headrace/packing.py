"""Arrow columns into the bytes of Milvus requests, near memory speed and without the GIL.

What a column may look like (rows of a batch, one column for each sent field):

.. code-block:: text

    BOOL, INT8, INT16, INT32, INT64    bool, int8, int16, int32, int64
    FLOAT, DOUBLE                      float32, float64; NaN and infinity are refused
    VARCHAR                            utf8, large_utf8
    JSON, the dynamic field $meta      utf8, large_utf8, binary, large_binary: one document a row
    ARRAY                              list, large_list, fixed_size_list of the element's type
    FLOAT_VECTOR                       fixed_size_list<float32>[dim]; NaN and infinity are refused
    SPARSE_FLOAT_VECTOR                list or large_list of struct<index, value>, map<index, value>,
                                       struct<list of index, list of value>; index int32, uint32, int64 or uint64,
                                       value float32. Rows are sorted by index while they are written

Slices and offsets are honoured, nulls are allowed where the field is nullable. A batch that is given as a dict of
columns (numpy, CSR, Arrow, lists) goes through :func:`headrace.columns.to_batch` first.

>>> import numpy as np
>>> from headrace.schema import CollectionSchema, DataType, FieldSchema
>>> schema = CollectionSchema([
...     FieldSchema("id", DataType.INT64, is_primary=True),
...     FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
... ])
>>> batch = {"id": np.array([1, 2]), "v": np.zeros((2, 2), dtype=np.float32)}
>>> len(pack_insert(batch, schema, collection_name="docs"))
55
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from headrace import _core
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
        partition_name: The partition; empty for the default one.
        columns: The sent fields that the batches have, where they do not have all; Milvus fills the others.

    Raises:
        SchemaError: If ``columns`` names something that is not sent, or a field's type cannot be packed yet.
    """
    sent = schema.sent_fields
    if columns is not None:
        names = {field.name for field in sent}
        for name in columns:
            if name not in names:
                expected = "one of the fields that are sent (" + ", ".join(map(repr, sorted(names))) + ")"
                raise SchemaError(explain("columns", expected, repr(name), "leave it out"), field=name)
        sent = tuple(field for field in sent if field.name in columns)
    return Packer(
        [_core_field(field) for field in sent],
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
) -> bytes:
    """The bytes of one ``InsertRequest`` with every row of ``batch``.

    Fields that Milvus can fill (nullable, with a default, the dynamic field) may be missing from the batch.

    Args:
        batch: A RecordBatch or anything with ``__arrow_c_array__``, or a dict of columns.
        schema: The collection's schema.
        collection_name: The collection.
        db_name: The database; empty for the connection's own.
        partition_name: The partition; empty for the default one.
        schema_timestamp: The schema's version as the server reported it (2.6); 0 leaves it out.

    Raises:
        CellError: For the first cell that Milvus would refuse.
        SchemaError: If columns and fields do not fit each other.
    """
    columns = to_batch(batch, schema)
    packer = _packer_for(columns, schema, collection_name, db_name, partition_name)
    return packer.pack_insert(columns, schema_timestamp=schema_timestamp)


def pack_upsert(
    batch: object,
    schema: CollectionSchema,
    *,
    collection_name: str,
    db_name: str = "",
    partition_name: str = "",
    schema_timestamp: int = 0,
) -> bytes:
    """The bytes of one ``UpsertRequest`` with every row of ``batch``; arguments and errors as :func:`pack_insert`."""
    columns = to_batch(batch, schema)
    packer = _packer_for(columns, schema, collection_name, db_name, partition_name)
    return packer.pack_upsert(columns, schema_timestamp=schema_timestamp)


def pack_field(field: FieldSchema, column: object) -> bytes:
    """One serialized ``schema.FieldData``.

    Args:
        field: The field.
        column: A numpy array, a CSR matrix, an Arrow array or a list.

    Raises:
        CellError: For the first cell that Milvus would refuse.
        SchemaError: If the column does not fit the field.
    """
    return _core.pack_field(_core_field(field), to_array(column, field))


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


def _packer_for(
    batch: pa.RecordBatch, schema: CollectionSchema, collection_name: str, db_name: str, partition_name: str
) -> Packer:
    present = set(batch.schema.names)
    columns = [field.name for field in schema.sent_fields if field.name in present or not _milvus_fills(field)]
    return make_packer(
        schema, collection_name=collection_name, db_name=db_name, partition_name=partition_name, columns=columns
    )


def _milvus_fills(field: FieldSchema) -> bool:
    return field.nullable or field.default_value is not None or field.is_dynamic
