"""What a load takes over from earlier runs of the same command, and what it leaves to later ones."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from headrace.calls import Operation
from headrace.config import Endpoint, LoadOptions
from headrace.conform import ConformPlan
from headrace.errors import JournalError, SourceError, explain
from headrace.identity import Proof, Stored, identity_of, prove_stored
from headrace.intervals import IntervalSet
from headrace.journal import Journal
from headrace.journal_records import FileRecord, Place, TargetRecord
from headrace.journal_store import JournalStore
from headrace.journal_writer import JournalWriter
from headrace.landing import Landing, landing_after, left_behind
from headrace.rejects import RejectsFile
from headrace.report import Account, Verdict
from headrace.sources import FileIdentity, Source, SourceBatch, SourceFile, identify_all
from headrace.sources.identity import changed_while_read
from headrace.sources.rowkeys import ROW
from headrace.target import Target

__all__ = ["Resumption", "place_of", "plan_digests"]

_ELSEWHERE = "columns that go to other fields or are cut elsewhere"


class Resumption:
    """The journal of one load of files, from the lock on it to its last note.

    It is a :class:`headrace.reading.Earlier`: reading asks it which rows are settled.

    Args:
        store: The journal; closed with this.
        files: The files to load. In which state they are is looked up now.
        account: Where rows are counted that are not read again.
        journal: Where they are noted.
        writer: Makes what writes notes, of the journal and the number of this run.
        clock: Seconds, monotonic; the sender's.
        wall_clock: Seconds since the epoch.

    Raises:
        SourceError: If a file cannot be read.
    """

    def __init__(
        self,
        store: JournalStore,
        files: Sequence[SourceFile],
        account: Account,
        journal: Journal,
        *,
        writer: Callable[[JournalStore, int], JournalWriter] = JournalWriter,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._open_writer = writer
        self._clock, self._wall_clock = clock, wall_clock
        self._account = account
        self._journal = journal
        self._files = {file.label: file for file in files}
        self._identities: dict[str, FileIdentity] = identify_all(files)
        self._records: dict[str, FileRecord] = {}
        self._settled: dict[str, IntervalSet] = {}
        self._unsent: dict[str, IntervalSet] = {}
        self._target: TargetRecord | None = None
        self._writer: JournalWriter | None = None
        self._rejects: list[Path] = []
        self._left_out: set[str] = set()
        self._passed = 0
        self._void = False
        #: Whether an earlier run had begun to load something here.
        self.begun = bool(store.targets())
        self._numbered = False
        #: What earlier runs may still have on its way, or None.
        self.landing: Landing | None = None
        #: The highest code of the keys of rows that are not sent again, or None.
        self.highest_key: int | None = None
        #: What a person should know.
        self.notes: list[str] = []

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self._store.path

    @property
    def complete(self) -> bool:
        """Whether earlier runs had left nothing to do, of what was read so far."""
        return 0 < self._passed == self._account.rows_read()

    @property
    def in_doubt(self) -> bool:
        """Whether earlier runs may have stored rows that this one sends again."""
        return any(record.open for record in self._records.values())

    @property
    def rejects(self) -> list[Path]:
        """The rejects files of earlier runs that hold rows which this one does not read again."""
        return self._rejects if self._passes_over(Verdict.REJECTED) else []

    def _passes_over(self, verdict: Verdict) -> bool:
        """Whether there are rows that an earlier run gave this verdict."""
        return any(verdict in record.settled for record in self._records.values())

    # -- beginning ---------------------------------------------------------------------------------------------------

    def begin(
        self,
        plan: ConformPlan,
        target: Target,
        *,
        endpoint: Endpoint,
        options: LoadOptions,
        run: Callable[[Operation[Proof]], Proof],
    ) -> Target:
        """Decide what is left to do, and prove that what is not done again is there; nothing is sent before.

        Args:
            plan: How their columns become fields.
            target: The collection.
            endpoint: Where it is.
            options: What the caller asked for.
            run: Runs an operation.

        Returns:
            The collection, with the mode in which rows can be written without being doubled.

        Raises:
            SourceError: If a file changed since its load began.
            JournalError: If the journal cannot be used, or rows are missing that it knows.
        """
        self._numbered = options.key == ROW
        place = place_of(target, endpoint, options)
        plans = plan_digests(plan, self._files.values(), self._identities, numbered=self._numbered)
        with self._store.transaction(durable=True):
            record = self._store.begin_target(place, target.rows_before)
        former = {it.identity.path: it for it in self._store.files(record.id)}
        known = {} if options.again else former
        left_out = {label for label in self._files if not self._take(label, known, plans[label], options.changed)}
        void = bool(self._records) and not self._proven(record, target, options, run)
        if void:
            self._records.clear()
        # Before anything is forgotten: what earlier runs sent may be stored, or may still come.
        self.landing = self._landing(target, options)
        with self._store.transaction(durable=True):
            if void:
                for file in former.values():
                    file.settled.clear()
                self._store.forget_target(record.id)
                record = self._store.begin_target(place, target.rows_before)
            self._begin_files(record, plans, former, left_out)
            run_number = self._store.begin_run(record.id)
        self._target = record
        self._take_over(at_most_once=options.at_most_once and not target.keyed)
        self._writer = self._open_writer(self._store, run_number)
        self._journal.keep(self._writer, record.id, self._records, keyed=target.keyed)
        self._left_out = left_out
        if self._passes_over(Verdict.STORED):
            self.highest_key = record.highest
        repeated = target.rows_before != 0 and any(file.replaces for file in self._records.values())
        if target.keyed and (repeated or (self.landing is not None and self.landing.any_key)):
            return replace(target, mode="upsert", mode_reason="an earlier run may have stored rows with the same keys")
        return target

    def _begin_files(
        self, record: TargetRecord, plans: Mapping[str, str], former: Mapping[str, FileRecord], left_out: set[str]
    ) -> None:
        for label, file in self._files.items():
            if label not in self._records and label not in left_out:
                identity = self._identities[label]
                self._records[label] = self._store.begin_file(
                    record.id, identity, plans[label], file.rows, wanted=file.wanted, former=former.get(identity.path)
                )

    def _landing(self, target: Target, options: LoadOptions) -> Landing | None:
        """What earlier runs may still have on its way, which this one has to reckon with."""
        found = landing_after(
            self._store, rpc_timeout=options.rpc_timeout, clock=self._clock, wall_clock=self._wall_clock
        )
        taken = {file.id for file in self._records.values()}
        if found is not None and target.keyed and left_behind(self._store, taken):
            return replace(found, any_key=True)
        return found if self.in_doubt else None

    def left(self, source: Source) -> Source:
        """The source without the files that are left out."""
        return source.without(self._left_out) if self._left_out else source

    def _take_over(self, *, at_most_once: bool) -> None:
        for label, file in self._records.items():
            rows = self._settled[label] = IntervalSet()
            for start, stop in [it for settled in file.settled.values() for it in settled.intervals()]:
                rows.add(start, stop)
            if at_most_once:
                # In doubt, and never to be sent a second time.
                self._unsent[label] = file.open
                for start, stop in file.open.intervals():
                    rows.add(start, stop)
        if self._target is not None:
            directory = self._store.path.parent
            names = [name for it in self._store.runs(self._target.id) for name in it["rejects"]]
            self._rejects = [directory / name for name in names if (directory / name).exists()]

    def _take(self, label: str, known: dict[str, FileRecord], digest: str, changed: str) -> bool:
        """Take over what is known of a file; False where it is to be left out."""
        now = self._identities[label]
        record = known.get(now.path)
        if record is None:
            return True
        difference = record.identity.difference(now)
        if not difference and record.plan != digest:
            difference = _ELSEWHERE
        if not difference:
            self._records[label] = record
            return True
        if record.finished or not (record.settled or record.open) or changed == "reload":
            return True
        if changed == "skip" and self._numbered:
            expected, found = "files that all have their place in the numbers", f"{difference}, and --changed skip"
            raise SourceError(explain(label, expected, found, "use --changed reload"), source=label)
        if changed == "skip":
            self.notes.append(f"{label} was left out: {difference} since an earlier run began to load it")
            return False
        expected = "the file as it was when an earlier run began to load it"
        remedy = "use --changed reload to load all of it again, or --changed skip to leave it out"
        if difference == _ELSEWHERE:
            remedy = f"use the options of that run, or {remedy.removeprefix('use ')}"
        raise SourceError(explain(label, expected, difference, remedy), source=label)

    def _proven(
        self, record: TargetRecord, target: Target, options: LoadOptions, run: Callable[[Operation[Proof]], Proof]
    ) -> bool:
        """Whether what is known still holds; False where all of it is void."""
        stored = self._stored(record)
        if not stored.rows:
            return True
        proof = run(prove_stored(target, stored, partition_name=options.partition_name, budget=options.give_up_after))
        if proof.outcome == "there":
            return True
        if proof.outcome == "unknown":
            self.notes.append(f"what earlier runs stored was not read back: {proof.detail}")
            return True
        if proof.outcome == "empty":
            self.notes.append(f"earlier runs stored {stored.rows:,} rows, but {proof.detail}: all are sent again")
            return False
        where, expected = f"collection {target.info.name!r}", f"the {stored.rows:,} rows that earlier runs stored"
        remedy = "find out who deleted them; --again sends every row again"
        raise JournalError(explain(where, expected, proof.detail, remedy), path=str(self.path))

    def _stored(self, target: TargetRecord) -> Stored:
        """What the journal says is stored, of all files of this target."""
        records = self._store.files(target.id)
        stored = {it.id: it.settled.get(Verdict.STORED, IntervalSet()) for it in records}
        sampled = self._store.sampled(target.id)
        keys = [key for _, file, row, key in sampled if stored[file].covers(row, row + 1)]
        return Stored(sum(len(rows) for rows in stored.values()), target.rows_before, keys)

    # -- reading -----------------------------------------------------------------------------------------------------

    def settled(self, label: str) -> IntervalSet:
        """The rows of a file that are not to be read again."""
        return self._settled[label]

    def doubtful(self, label: str) -> IntervalSet:
        """The rows of a file that an earlier run may have sent, and that are sent again."""
        return IntervalSet() if label in self._unsent else self._records[label].open

    def rows(self, label: str) -> int | None:
        """How many rows a file has, where that is known and need not be counted again for their numbers."""
        return None if self._numbered else self._records[label].rows

    def passed(self, label: str, start: int, stop: int) -> None:
        """Count rows that are not read again, as earlier runs settled them."""
        self._passed += stop - start
        self._account.read(stop - start)
        known = list(self._records[label].settled.items())
        for verdict, rows in [*known, (Verdict.UNKNOWN, self._unsent.get(label, IntervalSet()))]:
            for begin, end, inside in rows.split(start, stop):
                if inside:
                    self._account.add(verdict, end - begin)
                    self._journal.resume(label, begin, end, verdict)

    def ended(self, label: str, rows: int | None) -> None:
        """Note the end of a file, and that it is still the one whose load began.

        Raises:
            SourceError: If it changed while it was read.
        """
        if rows is not None:
            self._journal.ended(label, rows)
            if self._settled[label].covers(0, rows):
                return
        difference = self._identities[label].difference(self._files[label].identify())
        if difference:
            raise changed_while_read(label, difference)

    def without_rejected(self, batches: Iterable[SourceBatch]) -> Iterator[SourceBatch]:
        """The batches without the rows that earlier runs rejected: nobody has stored them."""
        for found in batches:
            first, record = found.first_row, self._records.get(found.source)
            rejected = IntervalSet() if record is None else record.settled.get(Verdict.REJECTED, IntervalSet())
            for start, stop, left_out in rejected.split(first, first + found.batch.num_rows):
                if not left_out:
                    yield SourceBatch(found.batch.slice(start - first, stop - start), found.source, start)

    # -- ending ------------------------------------------------------------------------------------------------------

    def disown(self) -> None:
        """The collection is another one now: what the journal knows of the former one is void."""
        self._void = True

    def close(self, *, status: str, rejects: RejectsFile, keys: int | None = None) -> None:
        """Write the last notes and let go of the journal; twice does no harm.

        Args:
            status: How the load ended, in words.
            rejects: Its rejects, closed.
            keys: How many different keys the rows have that this load stored, where that is known.
        """
        writer, self._writer = self._writer, None
        try:
            if writer is not None and self._target is not None:
                # Rows without a verdict keep their marks.
                settled = self._account.adds_up()
                writer.close(self._journal.still_open() if settled else {})
                # Where refused rows were not kept the run is as one that was killed: they are read again.
                names = [path.name for path in rejects.paths] if settled and rejects.failure is None else None
                self._end(writer, self._target.id, status, names, keys)
        finally:
            self._store.close()

    def _end(
        self, writer: JournalWriter, target: int, status: str, rejects: list[str] | None, keys: int | None
    ) -> None:
        try:
            if writer.failure is not None:
                raise writer.failure
            with self._store.transaction(durable=True):
                if self._void:
                    self._store.forget_target(target)
                elif rejects is not None:
                    stored = self._account.rows(Verdict.STORED) - self._journal.rows_resumed()
                    self._store.end_run(writer.run, status=status, rejects=rejects, stored=stored, keys=keys)
        except JournalError as error:
            self.notes.append(f"the journal is not complete: {error}")


def place_of(target: Target, endpoint: Endpoint, options: LoadOptions) -> Place:
    """Where the rows of a load go, as a journal names it."""
    return Place(
        uri=endpoint.place,
        database=endpoint.db_name,
        collection=target.info.name,
        partition=options.place,
        identity=identity_of(target.info),
    )


def plan_digests(
    plan: ConformPlan, files: Iterable[SourceFile], identities: Mapping[str, FileIdentity], *, numbered: bool
) -> dict[str, str]:
    """Of each file what tells one way from its columns to fields from another; types belong to the collection.

    Where rows are ``numbered`` over all files, what stands before a file is part of its way: one row more there, and
    its rows have other keys.
    """
    way = hashlib.sha256(json.dumps(sorted((it.source, it.field, it.source_type) for it in plan.mapping)).encode())
    if plan.cuts:
        way.update(json.dumps(sorted(plan.cuts.items())).encode())
    digests = {}
    for file in files:
        digests[file.label] = way.hexdigest()
        if numbered:
            before = identities[file.label].to_dict() if file.rows is None else file.rows
            way.update(json.dumps(before).encode())
    return digests
