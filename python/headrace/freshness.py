"""The schema that requests are packed for, followed while it changes (Milvus 2.6: code 109)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

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


class LiveSchema:
    """The collection's schema as requests are packed for it. ``pack`` may be called from any thread.

    Args:
        collection: The name that requests carry.
        info: The collection as the server described it.
        columns: The fields that are sent, in order.
        upsert: Whether rows are packed as upserts.
        partition: The partition; empty for the default one.
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
        self._current = self._packer_for(info.schema), info.update_timestamp

    @property
    def packer(self) -> Packer:
        """The packer for the schema as it is known."""
        return self._current[0]

    @property
    def timestamp(self) -> int:
        """What a request says about the schema it was packed for; 0 where servers do not ask."""
        return self._current[1]

    def pack(self, batch: pa.RecordBatch) -> tuple[bytes, int]:
        """A request's bytes, and the schema's timestamp in them.

        Raises:
            CellError: For the first cell that Milvus would refuse.
        """
        packer, timestamp = self._current
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
            self._current = self._packer_for(info.schema), info.update_timestamp
            self._info = info
            return info.update_timestamp != stale

    def _packer_for(self, schema: CollectionSchema) -> Packer:
        return make_packer(
            schema, collection_name=self._collection, partition_name=self._partition, columns=self._columns
        )

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
