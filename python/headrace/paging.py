"""Reads a whole collection by ranges of its keys. Operations without I/O, as in :mod:`headrace.operations`.

Keys are asked for alone first, and then all rows up to one of them. A page of rows with a limit would be wrong where
keys are stored twice: servers merge what segments answer, each cut at the limit, and what one of them cut off is
missing below the largest key of another. A range without a limit holds whatever the collection holds there, so ranges
that meet leave nothing out, whatever order a server answers in.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from headrace import operations as ops
from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.schema import ConsistencyLevel, DataType

__all__ = ["KEYS_PER_CALL", "Key", "keys_after", "rows_between"]

Key = int | str

#: The most rows that servers answer to a query with a limit.
KEYS_PER_CALL = 16_384
#: Filters that every key passes.
_ALL_INTEGERS, _ALL_TEXTS = f"{{}} <= {2**63 - 1}", '{} >= ""'


def keys_after(
    info: CollectionInfo, after: Key | None, *, ordered: bool, partition_name: str = ""
) -> Operation[list[Key]]:
    """Some keys behind ``after``, ascending; none where there is none.

    Args:
        info: The collection, which must be loaded.
        after: The last key of the range before; None for the first ones.
        ordered: Whether the server answers in the order of keys (Milvus Lite does not). Without that all keys are
            asked for at once.
        partition_name: Look in this partition only.
    """
    key = info.schema.primary_key
    everything = _ALL_TEXTS if key.dtype is DataType.VARCHAR else _ALL_INTEGERS
    found = yield from ops.query(
        info.name,
        everything.format(key.name) if after is None else ops.keys_between(key.name, after, None),
        output_fields=[key.name],
        limit=KEYS_PER_CALL if ordered else None,
        partition_names=_partitions(partition_name),
        consistency_level=ConsistencyLevel.STRONG,
    )
    if not found.num_rows:
        return []
    # Code points and UTF-8, by which servers order texts, are in the same order.
    return sorted(set(found.column(key.name).to_pylist()))


def rows_between(
    info: CollectionInfo, after: Key | None, last: Key, fields: Sequence[str], *, partition_name: str = ""
) -> Operation[pa.RecordBatch]:
    """Every row with ``after < key <= last``, by ascending key; without columns where there is none.

    Args:
        info: The collection, which must be loaded.
        after: None for no lower bound.
        last: The upper bound, which belongs to the range.
        fields: Fields to return; ``*`` for all of them with the dynamic field.
        partition_name: Look in this partition only.
    """
    key = info.schema.primary_key.name
    found = yield from ops.query(
        info.name,
        ops.keys_between(key, after, last),
        output_fields=fields,
        partition_names=_partitions(partition_name),
        consistency_level=ConsistencyLevel.STRONG,
    )
    if not found.num_rows:
        return found
    order = pc.array_sort_indices(found.column(key))
    ascending = pc.equal(order, pa.array(range(len(order)), order.type))
    return found if pc.all(ascending).as_py() else found.take(order)


def _partitions(name: str) -> list[str]:
    return [name] if name else []
