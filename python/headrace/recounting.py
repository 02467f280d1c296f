"""Proves from a journal, without the source, that a collection holds what loads stored in it: :func:`verify_journal`.

A journal knows how many rows are stored, of which keys it is certain that they are all different, how many rows were
there before, and a sample of the keys. What follows from that is proven; what does not is said to be open.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace import operations as ops
from headrace.calls import Operation, drive_sync
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, choose_endpoint
from headrace.errors import ConfigError, MismatchError, explain
from headrace.identity import identity_of
from headrace.intervals import IntervalSet
from headrace.journal_records import JOURNAL, FileRecord, JournalReader, Key, TargetRecord, distinct_keys
from headrace.quantities import number_of
from headrace.readback import NO_ROW, Status, VerifyResult, verify_key_counts
from headrace.report import EXIT_DIFFERENT, EXIT_DONE, Verdict
from headrace.state import StateLock, state_home, target_name
from headrace.target import readable_collection
from headrace.transport import SyncTransport

__all__ = ["Recount", "recount", "verify_journal"]


@dataclass(frozen=True)
class Recount:
    """What a journal's account and a count of the collection say together.

    Attributes:
        journal: The journal.
        collection: The collection's name.
        uri: The server's address, or the embedded database's path.
        database: The database; empty for the server's default.
        partition: The partition that rows were loaded into; empty for the default one.
        rows_before: Rows of the collection before the first load; None where they could not be counted.
        rows_stored: Rows that loads stored.
        rows_unclear: Rows that loads sent and that no answer settles.
        keys_distinct: How many different keys these have (without keys of their own: how many they are), or None where
            that is not certain.
        keys_checked: Stored rows whose keys were looked up.
        least: The fewest rows that the collection has if nothing was lost.
        most: The most rows that it has if nothing was doubled or added; None where that is not known.
        result: Level, status, mismatches and note; ``checked`` is the count that was found.
        proven: What was proven, in sentences.
        open: What was not, and why.
        files: A line per file: its rows, by verdict.
    """

    journal: str
    collection: str
    uri: str
    database: str
    partition: str
    rows_before: int | None
    rows_stored: int
    rows_unclear: int
    keys_distinct: int | None
    keys_checked: int
    least: int
    most: int | None
    result: VerifyResult
    proven: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    files: list[dict[str, object]] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """5 where anything differs, else 0. A result that is "not applicable" is 0, and no proof."""
        return EXIT_DIFFERENT if self.result.status == "mismatch" else EXIT_DONE

    @property
    def ok(self) -> bool:
        """Whether the number of rows is proven."""
        return self.result.status == "ok"

    def sentence(self) -> str:
        """The outcome in one line."""
        found = self.result
        note = f" ({found.note})" if found.note else ""
        return f"verify journal: {found.status}, {number_of(found.checked, 'row')} in {self.collection}{note}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        values = asdict(self)
        del values["result"]
        return {**values, **self.result.to_dict(), "exit_status": self.exit_status}

    def to_json(self) -> str:
        """Everything as one JSON document."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)


def verify_journal(
    *,
    collection: str,
    uri: str | os.PathLike[str] | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    db_name: str | None = None,
    endpoint: Endpoint | None = None,
    partition_name: str = "",
    state_dir: str | os.PathLike[str] | None = None,
    check: bool = True,
) -> Recount:
    """Prove the number of a collection's rows from the journal of the loads into it, without their sources.

    ``ok`` needs that the journal says exactly how many rows there have to be: none of unclear fate, a count from before
    the first load, and a certain number of different keys (or keys that the server makes). Values are not compared;
    :func:`headrace.verify` does that.

    Args:
        collection: The collection's name or alias, as it was given to the loads. It has to be in memory.
        uri: The server, as for :func:`headrace.load`; likewise ``token``, ``user``, ``password``, ``db_name`` and
            ``endpoint``.
        token: See ``uri``.
        user: See ``uri``.
        password: See ``uri``.
        db_name: See ``uri``.
        endpoint: See ``uri``.
        partition_name: The partition that was loaded into.
        state_dir: Where the journal is, if not in the default place.
        check: Raise where something differs; with False the outcome is returned.

    Returns:
        What was found.

    Raises:
        ConfigError: If there is no such journal, or the collection is not in memory.
        JournalError: If the journal cannot be read.
        SchemaError: If there is no such collection.
        TransportError: If the server cannot be asked.
        MilvusException: If it refuses.
        MismatchError: If anything differs; its ``found`` is the outcome.
    """
    where = choose_endpoint(endpoint, uri, token=token, user=user, password=password, db_name=db_name)
    found = recount(
        collection=collection,
        endpoint=where,
        partition_name=partition_name,
        state_dir=None if state_dir is None else Path(state_dir),
    )
    if check and found.exit_status:
        raise MismatchError(found.sentence(), found=found)
    return found


def recount(*, collection: str, endpoint: Endpoint, partition_name: str, state_dir: Path | None) -> Recount:
    """As :func:`verify_journal`, however it ends."""
    directory = state_dir or state_home() / target_name(endpoint, collection, partition_name)
    if not (directory / JOURNAL).is_file():
        remedy = "give the --state-dir of the load, or verify the source itself"
        raise ConfigError(explain("--journal", f"a journal in {directory}", "none", remedy))
    running = StateLock.holder(directory)
    with JournalReader(directory) as journal, SyncTransport(endpoint, create=False) as transport:
        info = drive_sync(transport, readable_collection(collection, embedded=endpoint.is_embedded))
        known = [
            target
            for target in journal.targets()
            if (target.place.uri, target.place.database) == (endpoint.place, endpoint.db_name)
            and (target.place.collection, target.place.partition) == (info.name, partition_name)
        ]
        if not known:
            expected = f"a journal of loads into {info.name!r} at {endpoint.place}"
            remedy = "give the --uri, --db and --partition of the load"
            raise ConfigError(explain(str(journal.path), expected, "one of other loads", remedy))
        target = next((it for it in known if it.place.identity == identity_of(info)), known[-1])
        files = journal.files(target.id)
        stored = {file.id: file.settled.get(Verdict.STORED, IntervalSet()) for file in files}
        sampled = journal.sampled(target.id)
        keys = [key for _, file, row, key in sampled if stored[file].covers(row, row + 1)]
        facts = _Facts(target, files, journal.runs(target.id), list(dict.fromkeys(keys)), running)
        return drive_sync(transport, _proof(info, facts, str(journal.path), collection, endpoint))


@dataclass(frozen=True)
class _Facts:
    """What a journal says of one life of a collection."""

    target: TargetRecord
    files: Sequence[FileRecord]
    runs: Sequence[Mapping[str, Any]]
    keys: Sequence[Key]
    running: str | None

    @property
    def by_column(self) -> bool:
        """Whether a column named each row's partition."""
        return self.target.place.partition.startswith("@")

    @property
    def stored(self) -> int:
        return sum(len(file.settled.get(Verdict.STORED, ())) for file in self.files)

    @property
    def unclear(self) -> int:
        return sum(len(file.open) for file in self.files)

    def left_over(self, *, keyed: bool) -> int:
        """Rows that may be there from before their file was loaded again: with the same keys they are the same rows."""
        return self.target.rows_replaced + (0 if keyed else self.target.rows_again)

    @property
    def doubled(self) -> int:
        """Rows that may be there twice, because the server made new keys when they were sent again."""
        return sum(len(file.doubled) for file in self.files)

    def lines(self) -> list[dict[str, object]]:
        lines = []
        for file in self.files:
            verdicts = {verdict.value: len(rows) for verdict, rows in file.settled.items() if len(rows)}
            unclear = {"unclear": len(file.open)} if len(file.open) else {}
            rows = sum(verdicts.values()) + len(file.open) if file.rows is None else file.rows
            lines.append({"source": file.identity.path, "rows": rows, **verdicts, **unclear})
        return lines


def _proof(
    info: CollectionInfo, facts: _Facts, journal: str, collection: str, endpoint: Endpoint
) -> Operation[Recount]:
    keyed, place, before = not info.schema.auto_id, facts.target.place, facts.target.rows_before
    distinct = distinct_keys(facts.files, facts.runs) if keyed else facts.stored
    least = _least(facts, distinct, keyed=keyed)
    most = None
    if before is not None:
        new = facts.stored if distinct is None else distinct
        most = before + new + facts.unclear + facts.doubled + facts.left_over(keyed=keyed)
    same = place.identity == identity_of(info)
    found = yield from ops.count(info.name)
    mismatches = [] if same else [_other(info.name)]
    if same and keyed and facts.keys:
        partition = "" if facts.by_column else place.partition
        found_keys = yield from verify_key_counts(info, pa.array(facts.keys), partition_name=partition)
        # A key may be a row in several partitions.
        mismatches += [it for it in found_keys if it["found"] == NO_ROW or not facts.by_column]
    result, proven, left_open = _judged(facts, found, (least, most), mismatches, distinct=distinct, keyed=keyed)
    return Recount(
        journal=journal,
        collection=collection,
        uri=endpoint.uri,
        database=endpoint.db_name,
        partition=place.partition,
        rows_before=before,
        rows_stored=facts.stored,
        rows_unclear=facts.unclear,
        keys_distinct=distinct,
        keys_checked=len(facts.keys) if same and keyed else 0,
        least=least,
        most=most,
        result=result,
        proven=proven,
        open=left_open,
        files=facts.lines(),
    )


def _least(facts: _Facts, distinct: int | None, *, keyed: bool) -> int:
    """The fewest rows that there are if none was lost: a row with its own key may have replaced one that was there."""
    before = facts.target.rows_before or 0
    if not keyed:
        return before + facts.stored
    return max(before, len(facts.keys) if distinct is None else distinct)


def _other(name: str) -> dict[str, Any]:
    expected = "the one that the rows were stored in"
    return {"key": None, "field": "collection", "expected": expected, "found": f"a later one of the name {name!r}"}


def _judged(
    facts: _Facts,
    found: int,
    bounds: tuple[int, int | None],
    mismatches: list[dict[str, Any]],
    *,
    distinct: int | None,
    keyed: bool,
) -> tuple[VerifyResult, list[str], list[str]]:
    """The result, what was proven, and what was not."""
    (least, most), before, stored = bounds, facts.target.rows_before, facts.stored
    proven, left_open = [], _open(facts, distinct, keyed=keyed)
    notes = [] if facts.running is None else [f"a loader is at work: {facts.running}"]
    if mismatches:
        notes.append("rows were deleted, lost or doubled, or another writer is at work")
    elif keyed and facts.keys:
        once = "" if facts.by_column else ", each once"
        proven.append(f"{len(facts.keys):,} sampled keys of stored rows are there{once}")
    expected = f"{least:,} rows" if least == most else f"{least:,} rows or more"
    if most is not None and least != most:
        expected = f"{least:,} to {most:,} rows"
    if found < least or (most is not None and found > most):
        mismatches = [*mismatches, {"key": None, "field": "count(*)", "expected": expected, "found": f"{found:,} rows"}]
        short = "rows were deleted or lost"
        notes.append(short if found < least else "another writer may be at work, or rows are doubled")
    elif least == most and not mismatches:
        new = f"{stored:,}" if distinct == stored else f"{distinct:,} different keys of the {stored:,}"
        proven.append(f"count(*) is {found:,}: the {before:,} rows from before and the {new} that were stored")
    elif not mismatches:
        proven.append(f"count(*) is {found:,}, within the {expected} that there may be")
        notes.append("the journal does not say how many rows there have to be")
    if mismatches:
        return VerifyResult("count", "mismatch", found, mismatches, "; ".join(dict.fromkeys(notes))), proven, left_open
    if not stored:
        notes.append("no row is stored")
    status: Status = "ok" if least == most and stored else "not applicable"
    return VerifyResult("count", status, found, [], "; ".join(notes)), proven, left_open


def _open(facts: _Facts, distinct: int | None, *, keyed: bool) -> list[str]:
    """What the journal cannot prove, and why."""
    before, left = facts.target.rows_before, []
    if facts.unclear:
        left.append(f"whether {facts.unclear:,} rows are stored, which no answer settled: run the load again")
    if facts.doubled:
        left.append(f"whether {facts.doubled:,} rows are there twice, which were sent again after an unclear answer")
    if over := facts.left_over(keyed=keyed):
        left.append(f"how many of {over:,} rows are left from files that were loaded again")
    if before is None:
        left.append("how many rows there have to be: the collection could not be counted before the first load")
    elif keyed and before:
        left.append(f"how many of the stored rows replaced one of the {before:,} from before")
    if keyed and distinct is None:
        left.append(
            "how many different keys the stored rows have: no run counted them all, and their order does not show it"
        )
    if not keyed:
        left.append("which rows are there: the server made their keys")
    return [*left, "what the rows hold: verify the source for that"]
