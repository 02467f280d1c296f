"""Reads rows back and compares them with what was sent: by count, by key, value by value.

Operations without I/O, as in :mod:`headrace.operations`. All reads are strongly consistent. A key that is stored
twice is found by ``count(*)`` over the keys, because a query shows a key once however often it is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace import operations as ops
from headrace.batching import Placed, Span, locate, take_spans
from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.compare import differences
from headrace.nearest import verify_nearest
from headrace.schema import DYNAMIC_FIELD_NAME, ConsistencyLevel

__all__ = [
    "DOUBLED_NAMED",
    "REMEMBERED",
    "FileFindings",
    "Findings",
    "Status",
    "VerifyResult",
    "last_rows",
    "verify_count",
    "verify_key_counts",
    "verify_rows",
    "watched",
]

#: Rows and bytes of one query, so that an answer stays far below what servers and clients accept.
QUERY_ROWS = 256
QUERY_BYTES = 8 << 20
#: Keys, and bytes of keys, of one count.
COUNT_KEYS = 4096
COUNT_BYTES = 1 << 20
#: Doubled keys of one count that are named, where not all are wanted; finding each costs a count per halving.
DOUBLED_NAMED = 10
#: Mismatches that a result names.
NAMED = 100
#: Keys whose mismatches are remembered; beyond these they are counted.
REMEMBERED = 100_000
#: What is found of a key that is missing.
NO_ROW = "no row"

Status = Literal["ok", "mismatch", "not applicable"]
Mismatch = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FileFindings:
    """What was found of the rows of one file.

    Attributes:
        verified: Rows that are there, once, as they should be.
        missing: Rows that are not there.
        doubled: Rows that are there more than once.
        different: Rows with other values, or that their own vectors do not find.
    """

    verified: int
    missing: int = 0
    doubled: int = 0
    different: int = 0

    def to_dict(self) -> dict[str, int]:
        """What was verified, and whatever else is not 0."""
        return {name: rows for name, rows in asdict(self).items() if rows or name == "verified"}


@dataclass(frozen=True)
class VerifyResult:
    """What a verification found.

    Attributes:
        level: ``"count"``, ``"sample"`` or ``"full"``.
        status: ``"ok"``, ``"mismatch"``, or ``"not applicable"`` where it cannot decide; never ok without proof.
        checked: Rows that were looked at.
        mismatches: What differs: dicts with ``key``, ``field``, ``expected``, ``found``; the first 100.
        note: What a person should know, such as why it cannot decide.
        files: What was found of each file whose rows were looked up by their keys.
        differing: Where the rows are that are missing, doubled or different; the first 100,000.
    """

    level: str
    status: Status
    checked: int
    mismatches: list[Mismatch] = field(default_factory=list)
    note: str = ""
    files: dict[str, FileFindings] = field(default_factory=dict)
    differing: list[Span] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Level, status, checked, mismatches and note as plain values."""
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

    Args:
        level: What is proven.
        key: The key column.
    """

    def __init__(self, level: str, key: str) -> None:
        self._level = level
        self._key = key
        self._by_key: dict[str, dict[Any, tuple[Span, list[Mismatch]]]] = {}
        self._remembered = 0
        self._forgotten: Counter[tuple[str, str]] = Counter()
        self._unnamed = 0
        self._checked: Counter[str] = Counter()
        self._replaced: Counter[str] = Counter()

    def add(self, rows: Placed, mismatches: Sequence[Mismatch]) -> None:
        """Take the mismatches of rows none of which has the key of another (:func:`last_rows`)."""
        for span in rows.spans:
            self._checked[span.source] += span.count
        keys = rows.batch.column(self._key)
        by_key = self._by_key.setdefault(rows.partition, {})
        if by_key and len(keys):
            held = pa.array(list(by_key), keys.type)
            for key in held.filter(pc.is_in(held, value_set=keys)).to_pylist():
                span, _ = by_key.pop(key)
                self._remembered -= 1
                self._replaced[span.source] += 1
        found: dict[Any, list[Mismatch]] = {}
        for mismatch in mismatches:
            found.setdefault(mismatch["key"], []).append(mismatch)
        places = _find(pa.array(list(found), keys.type), keys).tolist() if found else []
        for (key, differing), row in zip(found.items(), places, strict=True):
            # What is said of several keys at once has no row of its own.
            span = rows.spans[0] if row < 0 else Span(*locate(rows.spans, row), 1)
            if key in by_key:
                by_key[key][1].extend(differing)
            elif self._remembered < REMEMBERED:
                by_key[key] = span, differing
                self._remembered += 1
            else:
                self._forgotten[span.source, self._kind(differing)] += 1
                self._unnamed += len(differing)

    def result(self, note: str = "") -> VerifyResult:
        """Everything found so far."""
        rows = [(key, *row) for by_key in self._by_key.values() for key, row in by_key.items()]
        mismatches = [mismatch for _, _, found in rows for mismatch in found]
        total, checked = len(mismatches) + self._unnamed, self._checked.total()
        if total:
            text = f"{total:,} differences in {len(rows):,} rows" + (" or more" if self._forgotten else "")
            status: Status = "mismatch"
        elif checked:
            text, status = "", "ok"
        else:
            text, status = "no row with a key of its own to look up", "not applicable"
        text = "; ".join(part for part in (text, note) if part)
        differing = [span for key, span, _ in rows if key is not None]
        kinds = self._forgotten.copy()
        kinds.update((span.source, self._kind(found)) for _, span, found in rows)
        return VerifyResult(self._level, status, checked, mismatches[:NAMED], text, self._files(kinds), differing)

    def _files(self, kinds: Counter[tuple[str, str]]) -> dict[str, FileFindings]:
        files = {}
        for source, checked in self._checked.items():
            differing = {kind: kinds[source, kind] for kind in ("missing", "doubled", "different")}
            verified = checked - self._replaced[source] - sum(differing.values())
            files[source] = FileFindings(verified, **differing)
        return files

    def _kind(self, found: Sequence[Mismatch]) -> str:
        first = found[0]
        if first["field"] != self._key:
            return "different"
        return "missing" if first["key"] is None or first["found"] == NO_ROW else "doubled"


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
        expected = f"{most:,} rows" if least == most else f"{least:,} to {most:,} rows"
        note = "another writer may be at work" if found > most or found >= before else "rows were deleted or lost"
        mismatch = {"key": None, "field": "count(*)", "expected": expected, "found": f"{found:,} rows"}
        return VerifyResult("count", "mismatch", found, [mismatch], note)
    if least != most:
        note = f"{found:,} rows fit, but how many of {sent:,} replaced some of the {before:,} before is not known"
        return VerifyResult("count", "not applicable", found, [], note)
    return VerifyResult("count", "ok", found)


def watched(info: CollectionInfo, proof: Operation[VerifyResult]) -> Operation[VerifyResult]:
    """``proof``, and a word about whoever changed the number of the collection's rows meanwhile."""
    before = yield from ops.count(info.name)
    result = yield from proof
    after = yield from ops.count(info.name)
    if after == before:
        return result
    note = f"count(*) went from {before:,} to {after:,} rows meanwhile: another writer is at work"
    return replace(result, note="; ".join(part for part in (result.note, note) if part))


def verify_key_counts(
    info: CollectionInfo, keys: pa.Array, *, partition_name: str = "", doubles: int = DOUBLED_NAMED
) -> Operation[list[Mismatch]]:
    """Keys that are not stored exactly once: each is named with how often it is.

    Args:
        info: The collection.
        keys: Keys of rows that should be there, int64 or text; a key that stands twice counts once.
        partition_name: Look in this partition only.
        doubles: How many doubled keys of each 4,096 are named; the others are counted.
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
        mismatches += yield from _doubled(info, part.filter(pa.array(there)).to_pylist(), partition_name, doubles)
    return mismatches


def verify_rows(
    info: CollectionInfo,
    batch: pa.RecordBatch,
    *,
    search: bool = False,
    partition_name: str = "",
    doubles: int = DOUBLED_NAMED,
) -> Operation[list[Mismatch]]:
    """Read rows back by key and compare every value that was sent; name what is missing, doubled or different.

    Args:
        info: The collection.
        batch: Conformed rows. Where a key stands twice its last row counts. Without the key column (the server made
            the keys) nothing can be looked up and nothing is found.
        search: Whether each vector must also find its own row among the first hits.
        partition_name: Look in this partition only.
        doubles: How many doubled keys of each 4,096 are named; the others are counted.
    """
    key = info.schema.primary_key.name
    if key not in batch.schema.names or batch.num_rows == 0:
        return []
    mismatches: list[Mismatch] = []
    batch = last_rows(Placed(batch, ()), key).batch
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
        mismatches += yield from _doubled(info, present, partition_name, doubles)
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


def _doubled(info: CollectionInfo, keys: list[Any], partition_name: str, named: int) -> Operation[list[Mismatch]]:
    """Which of ``keys``, all of them there, are stored more than once, found by halving; the first by name."""
    if not keys:
        return []
    name = info.schema.primary_key.name
    surplus = (yield from _count(info, keys, partition_name)) - len(keys)
    if surplus < 0:
        found = f"{len(keys) + surplus:,} rows, {len(keys):,} when they were read"
        return [{"key": None, "field": name, "expected": f"{len(keys):,} rows", "found": found}]
    mismatches: list[Mismatch] = []
    waiting = [(keys, surplus)]
    more = 0
    while waiting:
        part, surplus = waiting.pop()
        if surplus <= 0:
            continue
        if len(mismatches) == named:
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
    found = NO_ROW if rows == 0 else f"{rows:,} rows"
    return {"key": key, "field": name, "expected": "1 row", "found": found}


def _partitions(name: str) -> list[str]:
    return [name] if name else []


def last_rows(rows: Placed, key: str) -> Placed:
    """The last row of each key."""
    keys = rows.batch.column(key)
    if len(keys.unique()) == len(keys):
        return rows
    last = np.array(sorted({value: row for row, value in enumerate(keys.to_pylist())}.values()), np.int64)
    return replace(rows, batch=rows.batch.take(pa.array(last)), spans=take_spans(rows.spans, last))


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
