"""The schema that requests are packed for, followed while it changes (Milvus 2.6: code 109)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

import pyarrow as pa

from headrace import operations as ops
from headrace.attempts import RawTransport
from headrace.calls import drive_async
from headrace.collection_messages import CollectionInfo
from headrace.errors import SchemaError, explain
from headrace.packing import Packer, make_packer
from headrace.schema import CollectionSchema, FieldSchema

__all__ = ["LiveSchema"]

_REMEDY = "look at the collection and run the load again"


@dataclass(frozen=True, slots=True)
class _Known:
    """The schema at one time, and a packer for each partition that rows go to."""

    schema: CollectionSchema
    timestamp: int
    packers: dict[str, Packer] = field(default_factory=dict)


class LiveSchema:
    """The collection's schema as requests are packed for it. ``pack`` may be called from any thread.

    Args:
        collection: The name that requests carry.
        info: The collection as the server described it.
        columns: The fields that are sent, in order.
        upsert: Whether rows are packed as upserts.
        partition: The partition of rows of which nothing else is said; empty for the default one.
        dynamic: Source columns that the dynamic field keeps.
    """

    def __init__(
        self,
        collection: str,
        info: CollectionInfo,
        *,
        columns: Collection[str],
        upsert: bool,
        partition: str = "",
        dynamic: Collection[str] = (),
    ) -> None:
        self._collection = collection
        self._info = info
        self._columns = tuple(columns)
        self._upsert = upsert
        self._partition = partition
        self._dynamic = frozenset(dynamic)
        self._renewing = asyncio.Lock()
        # Replaced as one, so that no thread ever packs with the one and the timestamp of the other.
        self._current = self._known(info)

    @property
    def packer(self) -> Packer:
        """The packer for the schema as it is known."""
        return self.packer_of(self._partition)

    @property
    def timestamp(self) -> int:
        """What a request says about the schema it was packed for; 0 where servers do not ask."""
        return self._current.timestamp

    def packer_of(self, partition: str) -> Packer:
        """The packer for rows of a partition."""
        return self._packer_of(self._current, partition)

    def pack(self, batch: pa.RecordBatch, partition: str = "") -> tuple[bytes, int]:
        """A request's bytes for a partition (empty: the default one), and the schema's timestamp in them.

        Raises:
            CellError: For the first cell that Milvus would refuse.
        """
        current = self._current
        packer, timestamp = self._packer_of(current, partition), current.timestamp
        pack = packer.pack_upsert if self._upsert else packer.pack_insert
        return pack(batch, schema_timestamp=timestamp), timestamp

    async def renew(self, transport: RawTransport, *, stale: int) -> bool:
        """Ask the server for the schema, unless somebody did since the timestamp ``stale``; whether it is another one.

        Raises:
            SchemaError: If a field that is sent vanished or changed, or the collection is another one.
            MilvusException, TransportError: If the server cannot be asked.
        """
        async with self._renewing:
            if self.timestamp != stale:
                return True
            info = await drive_async(transport, ops.describe_collection(self._collection))
            if info is None or info.collection_id != self._info.collection_id:
                found = "none of that name" if info is None else "another one of that name"
                where = f"collection {self._collection!r}"
                raise SchemaError(explain(where, "the collection that the load began with", found, _REMEDY))
            self._check(info.schema)
            self._current = self._known(info)
            self._info = info
            return info.update_timestamp != stale

    def _known(self, info: CollectionInfo) -> _Known:
        known = _Known(info.schema, info.update_timestamp)
        self._packer_of(known, self._partition)
        return known

    def _packer_of(self, known: _Known, partition: str) -> Packer:
        packer = known.packers.get(partition)
        if packer is None:
            # Two threads may make the same one.
            packer = known.packers[partition] = make_packer(
                known.schema, collection_name=self._collection, partition_name=partition, columns=self._columns
            )
        return packer

    def _check(self, schema: CollectionSchema) -> None:
        """Refuse a schema that rows made for the one before do not fit."""
        before = {item.name: item for item in self._info.schema.sent_fields}
        now = {item.name: item for item in schema.sent_fields}
        for name in self._columns:
            if name not in now:
                raise _changed(name, "the field that the load began with", "no such field")
            if _facts(before[name]) != _facts(now[name]):
                raise _changed(name, "the type that the load began with", "another one")
        for name, added in now.items():
            if name in before:
                continue
            if name in self._dynamic:
                raise _changed(name, "no field of that name, because its column is kept in the dynamic field", "one")
            if not (added.nullable or added.default_value is not None or added.is_dynamic):
                raise _changed(name, "no further field that needs a value", "one")


def _facts(item: FieldSchema) -> tuple[object, ...]:
    return item.dtype, item.dim, item.element_type, item.is_primary, item.auto_id, item.nullable


def _changed(name: str, expected: str, found: str) -> SchemaError:
    where = f"field {name!r}, while loading"
    return SchemaError(explain(where, expected, found, _REMEDY), field=name)
