"""Rows for the benches of whole loads, in the forms in which people hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.packing import make_packer, to_batch
from headrace.schema import CollectionSchema, DataType, FieldSchema

__all__ = ["SOURCES", "Rows", "Source"]

KEY = FieldSchema("id", DataType.INT64, is_primary=True)
WORDNET = Path(__file__).parents[1] / "examples" / "wordnet-2k.parquet"
SPARSE_TERMS = 120


@dataclass(frozen=True)
class Rows:
    """Rows of one schema: what headrace is given, and the same as Arrow."""

    schema: CollectionSchema
    count: int
    given: Any
    table: pa.Table

    @cached_property
    def dicts(self) -> list[dict[str, Any]]:
        """The rows as pymilvus takes them."""
        sparse = {item.name for item in self.schema.fields if item.dtype is DataType.SPARSE_FLOAT_VECTOR}
        rows = self.table.to_pylist()
        for row in rows:
            for name in sparse:
                row[name] = dict(zip(row[name]["indices"], row[name]["values"], strict=True))
        return rows

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Batches of so many rows that are packed as they are."""
        for start in range(0, self.count, rows):
            yield to_batch(self.table.slice(start, rows).combine_chunks(), self.schema)


@dataclass(frozen=True)
class Source:
    """A kind of rows, of which any number can be made."""

    name: str
    make: Callable[[int], Rows]

    def row_bytes(self) -> float:
        """Bytes of a row in a request, about."""
        rows = self.make(1000)
        packer = make_packer(rows.schema, collection_name="bench")
        return len(packer.pack_insert(next(rows.batches(1000)))) / 1000

    def rows(self, megabytes: float) -> Rows:
        """Rows of about so many megabytes in requests."""
        return self.make(max(1000, int(megabytes * 1e6 / self.row_bytes())))


def dense(dim: int, count: int) -> Rows:
    """Random float32 vectors with a key."""
    schema = CollectionSchema([KEY, FieldSchema("v", DataType.FLOAT_VECTOR, dim=dim)])
    vectors = np.random.default_rng(0).standard_normal((count, dim), dtype=np.float32)
    ids = np.arange(count)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dim)
    return Rows(schema, count, {"id": ids, "v": vectors}, pa.table({"id": ids, "v": column}))


def sparse(count: int) -> Rows:
    """CSR rows of 120 terms."""
    from scipy.sparse import csr_array

    schema = CollectionSchema([KEY, FieldSchema("v", DataType.SPARSE_FLOAT_VECTOR)])
    random = np.random.default_rng(0)
    steps = random.integers(1, 250, (count, SPARSE_TERMS))
    indices = np.cumsum(steps, axis=1).astype(np.int32).reshape(-1)
    values = random.random(count * SPARSE_TERMS, dtype=np.float32)
    indptr = np.arange(0, count * SPARSE_TERMS + 1, SPARSE_TERMS)
    offsets = pa.array(indptr.astype(np.int32))
    pairs = [pa.ListArray.from_arrays(offsets, pa.array(part)) for part in (indices, values)]
    column = pa.StructArray.from_arrays(pairs, ["indices", "values"])
    matrix = csr_array((values, indices, indptr), shape=(count, 30_000))
    ids = np.arange(count)
    return Rows(schema, count, {"id": ids, "v": matrix}, pa.table({"id": ids, "v": column}))


def wordnet(count: int) -> Rows:
    """The example's rows over and over, with all their columns and keys of their own."""
    table = pq.read_table(WORDNET)
    table = pa.concat_tables([table] * -(-count // len(table))).slice(0, count).combine_chunks()
    table = table.set_column(table.schema.get_field_index("id"), "id", pa.array(np.arange(count)))
    fields = [
        KEY,
        FieldSchema("lemmas", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=64, max_length=256),
        FieldSchema("pos", DataType.VARCHAR, max_length=8),
        FieldSchema("lexfile", DataType.INT8),
        FieldSchema("gloss", DataType.VARCHAR, max_length=8192),
        FieldSchema("embedding", DataType.FLOAT_VECTOR, dim=384),
        FieldSchema("bm25", DataType.SPARSE_FLOAT_VECTOR),
    ]
    return Rows(CollectionSchema(fields), count, table, table)


SOURCES = (
    Source("dense 768", partial(dense, 768)),
    Source("dense 384", partial(dense, 384)),
    Source("dense 1536", partial(dense, 1536)),
    Source("CSR, 120 terms", sparse),
    Source("wordnet, all columns", wordnet),
)
