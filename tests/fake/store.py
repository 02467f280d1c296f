"""What the fake server knows: collections with a schema and a multiset of rows."""

from __future__ import annotations

import json
import operator
import re
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa

from headrace.decoding import decode_request
from headrace.errors import TransportError
from tests.fake.refusals import Refused, check_batch, check_columns

__all__ = ["FakeCollection", "Refused", "Row"]

DEFAULT = "_default"
_KEYS = re.compile(r"\s*(?P<name>[\w$]+)\s+in\s+(?P<keys>\[.*\])\s*", re.S)
_COMPARE = re.compile(r'\s*(?P<name>[\w$]+)\s*(?P<sign>[<>]=?)\s*(?P<value>-?\d+|"(?:[^"\\]|\\.)*")\s*')
_SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass
class Row:
    """One stored row: which write stored it, its place in that write's batch, and its partition."""

    version: int
    batch: pa.RecordBatch
    index: int
    partition: str = DEFAULT

    def as_dict(self):
        return self.batch.slice(self.index, 1).to_pylist()[0]


@dataclass
class FakeCollection:
    """A collection; ``rows`` keeps duplicates, as Milvus's insert does."""

    name: str
    schema: object
    schema_proto: object
    collection_id: int
    created_timestamp: int
    update_timestamp: int = 0
    shards_num: int = 1
    num_partitions: int = 1
    partitions: dict = field(default_factory=lambda: {DEFAULT: 1})
    consistency_level: int = 2
    properties: dict = field(default_factory=dict)
    indexes: dict = field(default_factory=dict)
    loaded: bool = False
    rows: dict = field(default_factory=dict)
    writes: int = 0
    next_auto_id: int = 1000

    @property
    def key_name(self):
        return self.schema.primary_key.name

    def count(self):
        return sum(len(stored) for stored in self.rows.values())

    def keys(self):
        """The multiset of stored keys."""
        return Counter({key: len(stored) for key, stored in self.rows.items()})

    def keys_in(self, partition):
        """The multiset of keys stored in a partition."""
        return Counter(
            key for key, stored in self.rows.items() for row in stored if row.partition == (partition or DEFAULT)
        )

    def contents(self, version):
        """The multiset of (key, version): the version is the value of that column."""
        return Counter((key, row.as_dict()[version]) for key, stored in self.rows.items() for row in stored)

    def dicts(self):
        """Every stored row as a dict, duplicates included, ordered by key then by write."""
        return [row.as_dict() for key in sorted(self.rows) for row in self.rows[key]]

    def write(self, request, *, upsert, take=None):
        """Store the rows of a parsed request that ``take(row number)`` chooses; returns their keys."""
        batch = self._batch(request, upsert=upsert)
        if self.schema.auto_id:
            keys = list(range(self.next_auto_id, self.next_auto_id + batch.num_rows))
            self.next_auto_id += batch.num_rows
            if self.schema.primary_key.dtype == 21:
                keys = [str(key) for key in keys]
            batch = batch.append_column(self.key_name, pa.array(keys))
        else:
            keys = batch.column(self.key_name).to_pylist()
        self.writes += 1
        (partition,) = self._named([request.partition_name])
        chosen = [index for index in range(batch.num_rows) if take is None or take(index)]
        if upsert:
            # As in Milvus, what is replaced is a row of the same partition.
            for index in chosen:
                others = [row for row in self.rows.pop(keys[index], []) if row.partition != partition]
                if others:
                    self.rows[keys[index]] = others
        for index in chosen:
            self.rows.setdefault(keys[index], []).append(Row(self.writes, batch, index, partition))
        return keys

    def delete(self, keys):
        for key in keys:
            self.rows.pop(key, None)

    def _batch(self, request, *, upsert):
        stale = request.schema_timestamp and self.update_timestamp
        if stale and request.schema_timestamp != self.update_timestamp:
            raise Refused(109, "collection schema mismatch", legacy=62)
        check_columns(request, self.schema)
        try:
            batch = decode_request(request.SerializeToString())
        except TransportError as error:
            raise Refused(1100, f"{error}: invalid parameter", legacy=5) from error
        check_batch(batch, self.schema, upsert=upsert)
        return batch

    def select(self, expr, partitions=()):
        """Rows that a filter means, one per key and by ascending key, as a query shows them."""
        found = (self._stored(key, partitions) for key in self._matching(expr))
        return [rows[-1] for rows in found if rows]

    def count_matching(self, expr, partitions=()):
        return sum(len(self._stored(key, partitions)) for key in self._matching(expr))

    def _stored(self, key, partitions):
        names = self._named(partitions)
        return [row for row in self.rows[key] if not names or row.partition in names]

    def _named(self, partitions):
        names = [name or DEFAULT for name in partitions]
        for name in names:
            if name not in self.partitions:
                raise Refused(200, f"partition not found[partition={name}]")
        return names

    def _matching(self, expr):
        if not expr.strip():
            return sorted(self.rows)
        if (match := _KEYS.fullmatch(expr)) and match["name"] == self.key_name:
            return sorted({key for key in json.loads(match["keys"]) if key in self.rows})
        bounds = [_COMPARE.fullmatch(part) for part in expr.split(" and ")]
        if all(bound is not None and bound["name"] == self.key_name for bound in bounds):
            wanted = [(_SIGNS[bound["sign"]], json.loads(bound["value"])) for bound in bounds]
            return sorted(key for key in self.rows if all(compare(key, value) for compare, value in wanted))
        raise Refused(1100, f"failed to create query plan: cannot parse expression: {expr}", legacy=5)

    def batch_of(self, rows, names):
        """Stored rows as one batch with the named columns."""
        tables = [
            pa.Table.from_batches([row.batch.slice(row.index, 1).select(self._present(row, names))]) for row in rows
        ]
        table = pa.concat_tables(tables, promote_options="default").combine_chunks()
        return table.to_batches()[0]

    def _present(self, row, names):
        return [name for name in names if name in row.batch.schema.names]
