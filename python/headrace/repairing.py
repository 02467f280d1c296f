"""Sends rows again that a verification found missing, doubled or different: exactly those, each accounted for.

They go as upserts through the machinery of a load. An upsert replaces whatever has its key, so that a row which was
there twice is there once afterwards, and a repair that ended early is simply run again.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headrace.batching import Span
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, LoadOptions, VerifyLevel
from headrace.errors import ConfigError, HeadraceError, JournalError, StoppedError, explain
from headrace.intervals import IntervalSet
from headrace.journal_records import JOURNAL, FileRecord
from headrace.journal_store import JournalStore
from headrace.journal_writer import JournalWriter
from headrace.landing import landing_after, left_behind
from headrace.proving import conformed_batches, prove_rows
from headrace.readback import REMEMBERED, VerifyResult, watched
from headrace.report import LoadReport, Verdict
from headrace.reporting import close_report
from headrace.resuming import place_of, plan_digests
from headrace.session import LoadSession
from headrace.sources import Source, SourceBatch, identify_all
from headrace.state import StateLock

__all__ = ["Repair", "check_repairable", "repair_rows"]


@dataclass(frozen=True)
class Repair:
    """What was sent again.

    Attributes:
        before: What the verification had found.
        after: What was found of the rows that were sent again; None where the repair ended early.
        report: The account of these rows.
    """

    before: VerifyResult
    after: VerifyResult | None
    report: LoadReport

    def outcome(self) -> VerifyResult:
        """What is to be said of all rows now."""
        # What was said of several keys at once names no row that could have been sent again.
        left = [mismatch for mismatch in self.before.mismatches if mismatch["key"] is None]
        sent = len(self.before.differing)
        rows = "1 row was" if sent == 1 else f"{sent:,} rows were"
        if self.after is None:
            stored = self.report.rows_stored == sent
            note = (
                "sent again, and could not be looked up once more" if stored else "to be sent again, and not all were"
            )
            return replace(self.before, note="; ".join(part for part in (self.before.note, f"{rows} {note}") if part))
        left += self.after.mismatches
        note = f"{rows} sent again" + (f"; {self.after.note}" if self.after.note else "")
        return replace(self.before, status="mismatch" if left else "ok", mismatches=left, note=note, differing=[])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values: what differed, and the account of what was sent."""
        kinds: Counter[str] = Counter()
        for found in self.before.files.values():
            kinds.update({"missing": found.missing, "doubled": found.doubled, "different": found.different})
        return {
            "rows": len(self.before.differing),
            **{kind: kinds[kind] for kind in ("missing", "doubled", "different")},
            "found": [dict(mismatch) for mismatch in self.before.mismatches],
            "report": self.report.to_dict(),
        }


def check_repairable(source: Source, info: CollectionInfo, level: VerifyLevel) -> None:
    """Refuse a repair that could not be done, before anything is read.

    Raises:
        ConfigError: If the server makes the keys, the source can be read only once, or only a sample is looked at.
    """
    if info.schema.auto_id:
        found = f"collection {info.name!r} whose keys the server makes"
        remedy = "load the source into a new collection, and drop this one"
        raise ConfigError(explain("--repair", "rows that carry their own key", found, remedy))
    if level == "sample":
        remedy = "use --level full, or --level count to mend what is missing or doubled"
        raise ConfigError(explain("--repair", "a look at every row", "--level sample", remedy))
    if not source.replayable:
        found = f"{source.label}, which cannot"
        raise ConfigError(explain("--repair", "a source that can be read twice", found, "verify it from files"))


def repair_rows(
    source: Source,
    found: VerifyResult,
    *,
    collection: str,
    endpoint: Endpoint,
    options: LoadOptions,
    stoppable: Callable[[Callable[[str], None]], None] = lambda _: None,
) -> Repair:
    """Upsert the rows of ``source`` that ``found.differing`` names, and look them up once more.

    Where the load of these rows kept a journal, they count as unsettled in it from before the first of them is sent,
    and as settled once they are stored: a repair that is killed leaves them to be sent by the next load, or repair.

    Args:
        source: Open, and can be read again.
        found: What a verification found.
        collection: The collection's name or alias.
        endpoint: The server.
        options: ``key``, the partition and ``state_dir`` count.
        stoppable: Told, before anything is sent, what to call with a signal's name to end the repair in order.

    Raises:
        ConfigError: If there are more rows than a repair takes.
        JournalError: If a load into the collection is running, or its journal cannot be written.
        ConnectError, MilvusException: If the server refuses before anything was sent.
    """
    if len(found.differing) >= REMEMBERED:
        remedy = "load the source again with --again --mode upsert"
        raise ConfigError(explain("--repair", f"fewer than {REMEMBERED} rows to send again", "more", remedy))
    session = LoadSession(
        collection=collection,
        endpoint=endpoint,
        options=replace(options, mode="upsert", limit=None),
        copy_waiting=False,
        resumable=True,
    )
    with contextlib.closing(session), contextlib.closing(_Journal(session)) as journal:
        stoppable(lambda signal: session.stop(f"stopped by {signal}", interrupted=signal))
        session.rows_total = len(found.differing)
        wanted = _rows_by_file(found.differing)
        exhausted, after = False, None
        try:
            session.open()
            exhausted = _send(session, source, wanted, journal)
            after = _look_again(session, source, wanted, found.level) if exhausted else None
        except StoppedError as stopped:
            session.fail(stopped)
        journal.close()
        report = close_report(session, source_exhausted=exhausted)
    return Repair(found, after, replace(report, journal=journal.path, notes=[*report.notes, *journal.notes]))


def _send(session: LoadSession, source: Source, wanted: Mapping[str, IntervalSet], journal: _Journal) -> bool:
    """Feed the wanted rows; whether all of them were, and the load went on to its end."""
    sample = next(_chosen(source, wanted, session.target_bytes, None), None)
    session.prepare(source.schema, None if sample is None else sample.batch, later_columns=False)
    exhausted = False
    try:
        journal.begin(source, wanted)
        for found in _chosen(source, wanted, session.target_bytes, session.parts.plan.source_columns):
            session.check()
            session.feed(found)
        session.flush()
        exhausted = not session.stopping
    except HeadraceError as error:
        session.fail(error)
    except BaseException:
        session.stop("interrupted")
        session.settle()
        raise
    session.settle()
    return exhausted and session.failure is None


def _look_again(
    session: LoadSession, source: Source, wanted: Mapping[str, IntervalSet], level: str
) -> VerifyResult | None:
    account, target, parts = session.ledger.account, session.target, session.parts
    if target is None or account.rows(Verdict.UNSENT) or account.rows(Verdict.UNKNOWN):
        return None
    batches = conformed_batches(
        _chosen(source, wanted, session.target_bytes, parts.plan.source_columns), parts.plan, parts.packer
    )
    proof = prove_rows(target.info, "count" if level == "count" else "full", batches)
    try:
        return session.run(watched(target.info, proof))
    except HeadraceError as error:
        session.fail(error)
        return None


def _rows_by_file(spans: Sequence[Span]) -> dict[str, IntervalSet]:
    found: dict[str, IntervalSet] = {}
    for span in spans:
        found.setdefault(span.source, IntervalSet()).add(span.start, span.start + span.count)
    return found


def _chosen(
    source: Source, wanted: Mapping[str, IntervalSet], max_bytes: int, columns: Sequence[str] | None
) -> Iterator[SourceBatch]:
    """The wanted rows, in the order of the source; parts without any are not read."""
    for part in source.parts():
        rows = wanted.get(part.label)
        if rows is None or (part.rows is not None and not rows.overlap(part.first_row, part.first_row + part.rows)):
            continue
        for found in part.batches(max_bytes=max_bytes, columns=columns):
            first = found.first_row
            for start, stop, inside in rows.split(first, first + found.batch.num_rows):
                if inside:
                    yield SourceBatch(found.batch.slice(start - first, stop - start), found.source, start)


class _Journal:
    """The journal of the load that sent rows first, while they are sent again; where there is none, its lock.

    Args:
        session: The repair; the journal is in its state directory.

    Raises:
        JournalError: If a loader is at work there.
    """

    def __init__(self, session: LoadSession) -> None:
        self._session = session
        kept = (session.state_dir / JOURNAL).exists()
        self._store = JournalStore(session.state_dir) if kept else None
        self._lock = None if kept else StateLock(session.state_dir)
        self._writer: JournalWriter | None = None
        #: What a person should know.
        self.notes: list[str] = []

    @property
    def path(self) -> str | None:
        """Its file, where there is one."""
        return None if self._store is None else str(self._store.path)

    def begin(self, source: Source, wanted: Mapping[str, IntervalSet]) -> None:
        """Let the wanted rows be unsettled, durably, in every file that is the one which was loaded."""
        session, store, target = self._session, self._store, self._session.target
        if store is None or target is None:
            return
        if left_behind(store):
            session.landing = landing_after(store, rpc_timeout=session.options.rpc_timeout, any_key=True)
        place = place_of(target, session.endpoint, session.options)
        record = next((it for it in store.targets() if it.place == place), None)
        if record is None:
            return
        files = self._known(source, wanted, store.files(record.id))
        if not files:
            return
        with store.transaction(durable=True):
            for label, file in files.items():
                store.reopen(file.id, wanted[label])
            run = store.begin_run(record.id)
        known = {it.id: it for it in store.files(record.id)}
        self._writer = JournalWriter(store, run)
        reopened = {label: known[file.id] for label, file in files.items()}
        session.ledger.journal.keep(self._writer, record.id, reopened, keyed=True)

    def _known(
        self, source: Source, wanted: Mapping[str, IntervalSet], records: Sequence[FileRecord]
    ) -> dict[str, FileRecord]:
        """Of the wanted files those that the journal knows as they are now."""
        by_path = {record.identity.path: record for record in records}
        identities = identify_all(source.files)
        numbered = self._session.options.key == "@row"
        plans = plan_digests(self._session.parts.plan, source.files, identities, numbered=numbered)
        found = {}
        for label in wanted:
            record = by_path.get(identities[label].path) if label in identities else None
            if record is None:
                continue
            if record.plan == plans[label] and not record.identity.difference(identities[label]):
                found[label] = record
            else:
                self.notes.append(f"the journal knows {label} as it was before, and was left as it is")
        return found

    def close(self) -> None:
        """Write the last notes and let go of it; twice does no harm."""
        writer, self._writer = self._writer, None
        try:
            if writer is not None and self._store is not None:
                self._end(writer, self._store)
        finally:
            if self._store is not None:
                self._store.close()
            if self._lock is not None:
                self._lock.release()

    def _end(self, writer: JournalWriter, store: JournalStore) -> None:
        ledger = self._session.ledger
        writer.close(ledger.journal.still_open() if ledger.account.adds_up() else {})
        ledger.rejects.close()
        try:
            if writer.failure is not None:
                raise writer.failure
            with store.transaction(durable=True):
                if ledger.rejects.failure is None:
                    rejects = [path.name for path in ledger.rejects.paths]
                    store.end_run(writer.run, status="repaired", rejects=rejects)
        except JournalError as error:
            self.notes.append(f"the journal is not complete: {error}")
