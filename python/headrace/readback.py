"""Proves that a collection holds what was sent: by count, by a sample of rows, by every row.

Operations without I/O, as in :mod:`headrace.operations`. All reads are strongly consistent. A key that is stored
twice is found by ``count(*)`` over the keys, because a query shows a key once however often it is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace import operations as ops
from headrace.calls import Operation
from headrace.compare import differences
from headrace.nearest import verify_nearest
from headrace.protocol import CollectionInfo
from headrace.sampling import Reservoir
from headrace.schema import DYNAMIC_FIELD_NAME, ConsistencyLevel

__all__ = ["Findings", "Reservoir", "VerifyResult", "verify_count", "verify_key_counts", "verify_rows"]

#: Rows and bytes of one query, so that an answer stays far below what servers and clients accept.
QUERY_ROWS = 256
QUERY_BYTES = 8 << 20
#: Keys, and bytes of keys, of one count.
COUNT_KEYS = 4096
COUNT_BYTES = 1 << 20
#: Doubled keys of one count that are named; finding each costs a count per halving.
DOUBLED_NAMED = 10
#: Mismatches that a result names.
NAMED = 100
#: Keys whose mismatches are remembered; beyond these they are counted.
REMEMBERED = 10_000

Status = Literal["ok", "mismatch", "not applicable"]
Mismatch = dict[str, Any]


@dataclass(frozen=True)
class VerifyResult:
    """What a verification found.

    Attributes:
        level: ``"count"``, ``"sample"`` or ``"full"``.
        status: ``"ok"``, ``"mismatch"``, or ``"not applicable"`` where it cannot decide; never ok without proof.
        checked: Rows that were looked at.
        mismatches: What differs: dicts with ``key``, ``field``, ``expected``, ``found``; the first 100.
        note: What a person should know, such as why it cannot decide.
    """

    level: str
    status: Status
    checked: int
    mismatches: list[Mismatch] = field(default_factory=list)
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "level": self.level,
            "status": self.status,
            "checked": self.checked,
            "mismatches": [dict(mismatch) for mismatch in self.mismatches],
            "note": self.note,
        }


class Findings:
    """Collects the mismatches of many batches of one source, in the order of its rows.

    A row that a later row with the same key replaced is no mismatch: what the later one finds counts.
    """

    def __init__(self, level: str) -> None:
        self._level = level
        self._checked = 0
        self._by_key: dict[Any, list[Mismatch]] = {}
        self._forgotten = 0

    def add(self, keys: pa.Array, mismatches: Sequence[Mismatch]) -> None:
        """Take the mismatches of a batch with these keys."""
        self._checked += len(keys)
        if self._by_key and len(keys):
            held = pa.array(list(self._by_key), keys.type)
            for key in held.filter(pc.is_in(held, value_set=keys)).to_pylist():
                del self._by_key[key]
        for mismatch in mismatches:
            key = mismatch["key"]
            if key in self._by_key or len(self._by_key) < REMEMBERED:
                self._by_key.setdefault(key, []).append(mismatch)
            else:
                self._forgotten += 1

    def result(self, note: str = "") -> VerifyResult:
        """Everything found so far."""
        mismatches = [mismatch for found in self._by_key.values() for mismatch in found]
        total = len(mismatches) + self._forgotten
        if total:
            text = f"{total} differences in {len(self._by_key)} rows" + (" or more" if self._forgotten else "")
            status: Status = "mismatch"
        elif self._checked:
            text, status = "", "ok"
        else:
            text, status = "no row with a key of its own to look up", "not applicable"
        text = "; ".join(part for part in (text, note) if part)
        return VerifyResult(self._level, status, self._checked, mismatches[:NAMED], text)


def verify_count(info: CollectionInfo, *, before: int, sent: int, replaced_possible: bool) -> Operation[VerifyResult]:
    """Compare a count of the whole collection with what a load should have left.

    Args:
        info: The collection.
        before: Its count before the load.
        sent: Distinct keys (or rows without own key) that the load stored.
        replaced_possible: Whether stored rows may have replaced rows that were there before.

    Where rows may have been replaced, only counts outside of ``max(before, sent) .. before + sent`` are a mismatch,
    and any count inside leaves the question open.
    """
    found = yield from ops.count(info.name)
    most = before + sent
    least = max(before, sent) if replaced_possible else most
    if not least <= found <= most:
        expected = f"{most} rows" if least == most else f"{least} to {most} rows"
        note = "another writer may be at work" if found > most or found >= before else "rows were deleted or lost"
        mismatch = {"key": None, "field": "count(*)", "expected": expected, "found": f"{found} rows"}
        return VerifyResult("count", "mismatch", found, [mismatch], note)
    if least != most:
        note = f"{found} rows fit, but how many of {sent} replaced some of the {before} before is not known"
        return VerifyResult("count", "not applicable", found, [], note)
    return VerifyResult("count", "ok", found)


def verify_key_counts(info: CollectionInfo, keys: pa.Array, *, partition_name: str = "") -> Operation[list[Mismatch]]:
    """Keys that are not stored exactly once: each is named with how often it is.

    Args:
        info: The collection.
        keys: Keys of rows that should be there, int64 or text; a key that stands twice counts once.
        partition_name: Look in this partition only.
    """
    name, mismatches = info.schema.primary_key.name, []
    distinct = keys.unique()
    for offset, length in _slices(distinct, COUNT_KEYS, COUNT_BYTES):
        part = distinct.slice(offset, length)
        wanted = part.to_pylist()
        # A count alone would not see one missing key beside one doubled.
        found = yield from _read(info, wanted, [name], partition_name)
        there = _find(part, found.column(name)) >= 0 if found.num_rows else np.zeros(length, np.bool_)
        mismatches += [_odd(name, wanted[row], 0) for row in np.flatnonzero(~there).tolist()]
        mismatches += yield from _doubled(info, part.filter(pa.array(there)).to_pylist(), partition_name)
    return mismatches


def verify_rows(
    info: CollectionInfo, batch: pa.RecordBatch, *, search: bool = False, partition_name: str = ""
) -> Operation[list[Mismatch]]:
    """Read rows back by key and compare every value that was sent; name what is missing, doubled or different.

    Args:
        info: The collection.
        batch: Conformed rows. Where a key stands twice its last row counts. Without the key column (the server made
            the keys) nothing can be looked up and nothing is found.
        search: Whether each vector must also find its own row among the first hits.
        partition_name: Look in this partition only.
    """
    key = info.schema.primary_key.name
    if key not in batch.schema.names or batch.num_rows == 0:
        return []
    mismatches: list[Mismatch] = []
    batch = _last_of_each_key(batch, key)
    for start, length in _slices(batch.column(key), COUNT_KEYS, COUNT_BYTES):
        counted = batch.slice(start, length)
        present: list[Any] = []
        for offset, rows in _slices(counted, QUERY_ROWS, QUERY_BYTES):
            part = counted.slice(offset, rows)
            there, found = yield from _compare(info, part, partition_name)
            mismatches += found
            present += part.column(key).filter(pa.array(there)).to_pylist()
            if search:
                mismatches += yield from verify_nearest(
                    info, part.filter(pa.array(there)), partition_name=partition_name
                )
        mismatches += yield from _doubled(info, present, partition_name)
    return mismatches


def _compare(
    info: CollectionInfo, batch: pa.RecordBatch, partition_name: str
) -> Operation[tuple[npt.NDArray[np.bool_], list[Mismatch]]]:
    """Which rows are there, and what is missing or different."""
    key = info.schema.primary_key.name
    keys = batch.column(key).to_pylist()
    # The dynamic field comes whole only with everything else.
    names = ["*"] if DYNAMIC_FIELD_NAME in batch.schema.names else batch.schema.names
    found = yield from _read(info, keys, names, partition_name)
    positions = _find(batch.column(key), found.column(key)) if found.num_rows else np.full(len(keys), -1)
    mismatches = [_odd(key, keys[row], 0) for row in np.flatnonzero(positions < 0).tolist()]
    there = positions >= 0
    rows = np.flatnonzero(there)
    if len(rows):
        stored = found.take(pa.array(positions[rows]))
        zone = info.properties.get("timezone", "")
        for cell in differences(batch.filter(pa.array(there)), stored, info.schema.sent_fields, timezone=zone):
            where = {"key": keys[int(rows[cell.row])], "field": cell.field}
            mismatches.append({**where, "expected": cell.expected, "found": cell.found})
    return there, mismatches


def _read(
    info: CollectionInfo, keys: Sequence[Any], fields: Sequence[str], partition_name: str
) -> Operation[pa.RecordBatch]:
    return (
        yield from ops.query(
            info.name,
            ops.keys_filter(info.schema.primary_key.name, keys),
            output_fields=fields,
            partition_names=_partitions(partition_name),
            consistency_level=ConsistencyLevel.STRONG,
        )
    )


def _count(info: CollectionInfo, keys: Sequence[Any], partition_name: str) -> Operation[int]:
    filter_ = ops.keys_filter(info.schema.primary_key.name, keys)
    return (yield from ops.count(info.name, filter_, partition_names=_partitions(partition_name)))


def _doubled(info: CollectionInfo, keys: list[Any], partition_name: str) -> Operation[list[Mismatch]]:
    """Which of ``keys``, all of them there, are stored more than once, found by halving; the first few by name."""
    if not keys:
        return []
    name = info.schema.primary_key.name
    surplus = (yield from _count(info, keys, partition_name)) - len(keys)
    if surplus < 0:
        found = f"{len(keys) + surplus} rows, {len(keys)} when they were read"
        return [{"key": None, "field": name, "expected": f"{len(keys)} rows", "found": found}]
    mismatches: list[Mismatch] = []
    waiting = [(keys, surplus)]
    more = 0
    while waiting:
        part, surplus = waiting.pop()
        if surplus <= 0:
            continue
        if len(mismatches) == DOUBLED_NAMED:
            more += surplus
        elif len(part) == 1:
            mismatches.append(_odd(name, part[0], 1 + surplus))
        else:
            middle = len(part) // 2
            first = (yield from _count(info, part[:middle], partition_name)) - middle
            waiting += [(part[middle:], surplus - first), (part[:middle], first)]
    if more:
        mismatches.append({"key": None, "field": name, "expected": "1 row per key", "found": f"{more} more doubles"})
    return mismatches


def _odd(name: str, key: Any, rows: int) -> Mismatch:
    found = "no row" if rows == 0 else f"{rows} rows"
    return {"key": key, "field": name, "expected": "1 row", "found": found}


def _partitions(name: str) -> list[str]:
    return [name] if name else []


def _last_of_each_key(batch: pa.RecordBatch, key: str) -> pa.RecordBatch:
    keys = batch.column(key)
    if len(keys.unique()) == len(keys):
        return batch
    last = {value: row for row, value in enumerate(keys.to_pylist())}
    return batch.take(pa.array(sorted(last.values()), pa.int64()))


def _find(wanted: pa.Array, among: pa.Array) -> npt.NDArray[np.int64]:
    """Where each of ``wanted`` stands in ``among``; -1 for what does not."""
    kind = pa.int64() if pa.types.is_integer(wanted.type) else pa.large_string()
    positions = pc.index_in(wanted.cast(kind), value_set=among.cast(kind))
    found: npt.NDArray[np.int64] = pc.fill_null(positions, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _slices(data: pa.RecordBatch | pa.Array, most_rows: int, most_bytes: int) -> Iterator[tuple[int, int]]:
    """Offsets and lengths that cut ``data`` by rows and, roughly, by bytes; at least one row each."""
    offset = 0
    while offset < len(data):
        length = min(most_rows, len(data) - offset)
        while length > 1 and data.slice(offset, length).nbytes > most_bytes:
            length //= 2
        yield offset, length
        offset += length
