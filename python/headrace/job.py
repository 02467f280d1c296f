"""One load of one source, from opening it to the report."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from headrace.batching import Placed
from headrace.config import Endpoint, LoadOptions
from headrace.conform import ConformPlan
from headrace.errors import ConfigError, HeadraceError, StoppedError, explain
from headrace.journal_store import JournalStore
from headrace.plans import PlanPart, open_part
from headrace.proving import complete, conformed_batches
from headrace.reading import ReadAhead, iterate, resume
from headrace.report import FileProgress, LoadReport, Progress
from headrace.reporting import close_report
from headrace.resuming import Resumption
from headrace.schema import CollectionSchema
from headrace.sending import STOP_GRACE
from headrace.session import LoadSession
from headrace.sources import Source, SourceBatch, is_path, open_source
from headrace.target import Sharing, Target

__all__ = ["LoadJob"]

#: Bytes of requests that wait to be sent, where the rows are in memory: their source never stalls.
_READY_BYTES = 4 << 20
#: Files that a note names.
_MOST_NAMED = 10
#: Files at work that are told of.
_MOST_AT_WORK = 8


class LoadJob:
    """One load of one source, from opening it to the report.

    Args:
        source: What to load; see :func:`load`.
        collection: The collection's name.
        endpoint: The server.
        options: How to load.
        schema: Schema of a collection to create, where it is not to be made from the source's.
        progress: Called about four times a second from another thread; must return quickly.
        announce: Called with lines for people once the load is not refused; the first names the state directory.
        first_attempt: Whether nobody ever began to load this part of a plan.
        planned: Called once with how columns become fields, and of which collection, before anything is sent.

    Raises:
        ConfigError: If the state directory cannot be made, or an option is not for a part of a plan.
    """

    def __init__(
        self,
        source: object,
        *,
        collection: str,
        endpoint: Endpoint,
        options: LoadOptions,
        schema: CollectionSchema | None = None,
        progress: Callable[[Progress], None] | None = None,
        announce: Callable[[str], None] | None = None,
        first_attempt: bool = False,
        planned: Callable[[ConformPlan, Target], None] | None = None,
    ) -> None:
        part = source if isinstance(source, PlanPart) else None
        if part is not None and options.verify != "none":
            remedy = "verify at the end with `headrace finish` (headrace.finish)"
            expected, found = "a load of the whole source", f"{part.name}, and others that write meanwhile"
            raise ConfigError(explain(f"--verify {options.verify}", expected, found, remedy))
        self._given = source
        self._options = options
        self._files = part is not None or is_path(source)
        self._announce = announce or (lambda _: None)
        self._planned = planned or (lambda _plan, _target: None)
        # Only the rows of files can be found again by a later run.
        self._resumable = self._files and not options.dry_run
        self._session = LoadSession(
            collection=collection,
            endpoint=endpoint,
            options=options,
            schema=schema,
            progress=progress,
            copy_waiting=False,
            resumable=self._resumable,
            part=part,
            sharing=None if part is None else Sharing(part.plan, first_attempt),
        )
        self._exhausted = False
        self._rows_of: dict[str, int | None] = {}

    @property
    def state_dir(self) -> Path:
        """Where journal, rejects and report are kept."""
        return self._session.state_dir

    @property
    def failure(self) -> HeadraceError | None:
        """Why the load ended early, or None."""
        return self._session.failure

    def stop(self, reason: str, *, grace: float = STOP_GRACE) -> None:
        """Stop intake and finish what is in flight within ``grace`` seconds; :meth:`run` then returns its report.

        ``reason`` is a signal's name (``"SIGINT"``) or any words. Safe in any thread and in a signal handler.
        """
        signal = reason if reason in ("SIGINT", "SIGTERM") else None
        self._session.stop(f"stopped by {reason}", interrupted=signal, grace=grace)

    def files_at_work(self) -> list[FileProgress]:
        """The first 8 files of which some rows have their verdict and others have not; safe in any thread."""
        settled = self._session.ledger.journal.rows_settled().items()
        looks = [FileProgress(label, rows, self._rows_of[label]) for label, rows in settled if label in self._rows_of]
        return [look for look in looks if look.rows is None or look.settled < look.rows][:_MOST_AT_WORK]

    def run(self) -> LoadReport:
        """Load. Once sending has begun every ending is in the report; before that it is an exception.

        Raises:
            ConfigError, InputError, JournalError, ConnectError, MilvusException, EmbeddedError: Before anything was
                sent.
        """
        session = self._session
        # Files are looked at before anybody is called; plain values wait for the collection's schema.
        source: Source | None = None
        try:
            source = self._open_files() if self._files else None
            try:
                if source is not None and self._resumable:
                    session.resumption = self._open_journal(source)
                session.open()
                source = source or open_source(self._given, schema=session.schema, options=self._options)
                self._check(source)
                session.notes += [*source.notes, *left_out_note(source.skipped)]
                source = self._load(source)
                complete(session, functools.partial(self._reread, source) if source.replayable else None)
            except StoppedError as stopped:
                session.fail(stopped)
            return close_report(session, source_exhausted=self._exhausted)
        finally:
            if source is not None:
                source.close()
            session.close()

    def _open_files(self) -> Source:
        if isinstance(self._given, PlanPart):
            return open_part(self._given, self._options)
        return open_source(self._given, options=self._options)

    def _open_journal(self, source: Source) -> Resumption:
        ledger, store = self._session.ledger, JournalStore(self._session.state_dir)
        try:
            return Resumption(store, source.files, ledger.account, ledger.journal)
        except BaseException:
            store.close()
            raise

    def _check(self, source: Source) -> None:
        if self._options.verify == "full" and not source.replayable and not self._options.dry_run:
            remedy = "use --verify sample, or load from files"
            raise ConfigError(explain("--verify full", "a source that can be read twice", source.label, remedy))

    def _load(self, source: Source) -> Source:
        """Send what is left of ``source``; return it without the files that are left out."""
        session, limit = self._session, self._options.limit
        self._rows_of = {file.label: file.rows for file in source.files}
        session.rows_total = _at_most(source.rows_total, limit)
        if source.replayable and source.rows_total is not None and not self._files:
            session.window.keep_ready(_READY_BYTES)
        source, batches = self._start(source)
        session.rows_total = _at_most(source.rows_total, limit)
        try:
            self._send_batches(batches)
            session.settle()
        except BaseException:
            session.stop("interrupted")
            session.settle()
            raise
        return source

    def _send_batches(self, batches: Iterator[SourceBatch]) -> None:
        session = self._session
        try:
            with self._ahead(batches) as found:
                for batch in found:
                    session.check()
                    session.feed(batch)
            session.flush()
            self._exhausted = not session.stopping
        except HeadraceError as error:
            # What was read before is sent and accounted for; the report says why no more was.
            session.fail(error)

    def _start(self, source: Source) -> tuple[Source, Iterator[SourceBatch]]:
        """Read a first batch, prepare the session with it, and return what is left to load, and its batches."""
        session = self._session
        batches = self._iterate(source, columns=None)
        first = next(batches, None)
        session.prepare(
            source.schema,
            None if first is None else first.batch,
            nulls=source.nulls if self._options.create else (),
            later_columns=source.open_ended or not self._files,
        )
        kept = "journal, rejects and report" if self._resumable else "rejects and report"
        self._announce(f"{kept}: {session.state_dir}")
        if session.target is not None:
            self._planned(session.parts.plan, session.target)
        if not source.replayable:
            return source, iter(()) if first is None else itertools.chain([first], batches)
        columns = session.parts.plan.source_columns
        if session.resumption is None:
            return source, self._iterate(source, columns=columns)
        source = session.resumption.left(source)
        batches = resume(
            source, session.resumption, max_bytes=session.target_bytes, columns=columns, limit=self._options.limit
        )
        return source, batches

    def _iterate(self, source: Source, *, columns: tuple[str, ...] | None) -> Iterator[SourceBatch]:
        return iterate(source, max_bytes=self._session.target_bytes, columns=columns, limit=self._options.limit)

    def _ahead(self, batches: Iterator[SourceBatch]) -> contextlib.AbstractContextManager[Iterable[SourceBatch]]:
        """Files are read one batch ahead; what is in memory already, or a caller's own iterator, is not."""
        if self._files:
            return ReadAhead(batches, window=self._session.window, charge=self._session.target_bytes)
        return contextlib.nullcontext(batches)

    def _reread(self, source: Source) -> Iterator[Placed]:
        session = self._session
        batches = self._iterate(source, columns=session.parts.plan.source_columns)
        if session.resumption is not None:
            batches = session.resumption.without_rejected(batches)
        refused = session.ledger.refused_keys
        return conformed_batches(batches, session.parts.plan, session.parts.packer, key=session.key, refused=refused)


def _at_most(rows: int | None, limit: int | None) -> int | None:
    return rows if rows is None or limit is None else min(rows, limit)


def left_out_note(skipped: Sequence[str]) -> list[str]:
    """A line about files of directories and globs that were left out, or none."""
    if not skipped:
        return []
    more = f" and {len(skipped) - _MOST_NAMED} more" if len(skipped) > _MOST_NAMED else ""
    return [f"left out, as empty files and names with _ or . are: {', '.join(skipped[:_MOST_NAMED])}{more}"]
