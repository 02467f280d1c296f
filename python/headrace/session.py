"""One load from connection to report: the parts of the loader, wired.

A session connects, finds or creates the collection, takes source batches from any thread, sends them from an event
loop in a thread of its own, and ends with the account.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

import pyarrow as pa

from headrace import operations as ops
from headrace.attempts import Request
from headrace.batching import Placed
from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, LoadOptions
from headrace.conform import ConformPlan
from headrace.connection import Connection
from headrace.errors import HeadraceError, InternalError, StoppedError, explain
from headrace.evidence import Evidence, sample_rows
from headrace.feeding import reserve_each
from headrace.fitting import fit
from headrace.identity import watch_identity
from headrace.journal import Journal
from headrace.landing import Landing, admit
from headrace.ledger import Ledger
from headrace.patience import Patience
from headrace.plans import PlanPart
from headrace.readback import VerifyResult
from headrace.rejects import RejectLimit, RejectsFile
from headrace.remembered import remembered_indexes
from headrace.report import Account, Phase, Progress, Verdict
from headrace.reporting import look_at, progress_of
from headrace.resuming import Resumption
from headrace.schema import CollectionSchema
from headrace.sending import STOP_GRACE, send_all
from headrace.sources import SourceBatch
from headrace.target import Sharing, Target, check_same, missing_collection, open_target
from headrace.tracing import Trace
from headrace.waits import result_of
from headrace.watching import linger, repeat, show_progress
from headrace.wiring import Parts, make_parts, make_state_dir, make_throttle, make_window, ready_plan, source_size

__all__ = ["LoadSession"]

T = TypeVar("T")


class LoadSession:
    """The machinery of one load.

    Args:
        collection: Where to load to.
        endpoint: The server.
        options: How to load.
        schema: Schema of a collection to create, where it is not to be made from the source's.
        progress: Called about four times a second from the sending thread; must return quickly.
        copy_waiting: Whether rows that wait are copied, because a caller may overwrite them.
        resumable: Whether rows can be addressed by a later run, so that the state directory is one to be found again.
        part: The part of a plan that is loaded, where others load the rest; it has a state directory of its own.
        sharing: Who else writes to the collection meanwhile; None for nobody that is known of.
    """

    def __init__(
        self,
        *,
        collection: str,
        endpoint: Endpoint,
        options: LoadOptions,
        schema: CollectionSchema | None = None,
        progress: Callable[[Progress], None] | None = None,
        copy_waiting: bool,
        resumable: bool = False,
        part: PlanPart | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self.collection = collection
        self.endpoint = endpoint
        self.options = options
        self.part = part
        self.state_dir = make_state_dir(endpoint, collection, options, part=part, resumable=resumable)
        #: Bytes of a source batch, as decoded.
        self.target_bytes = source_size(options)
        self.throttle = make_throttle(options, lite=endpoint.is_embedded)
        self.window = make_window(options)
        rejects, limit = RejectsFile(self.state_dir), RejectLimit(options.max_rejects)
        self.ledger = Ledger(Account(), Journal(), rejects, limit, self.window)
        self.phase: Phase = "preparing"
        self.info: CollectionInfo | None = None
        self.target: Target | None = None
        self.verification: VerifyResult | None = None
        self.rows_total: int | None = None
        #: What a person should know of the source.
        self.notes: list[str] = []
        self.interrupted: str | None = None
        #: The journal of earlier runs and of this one, where rows can be found again; set before :meth:`prepare`.
        self.resumption: Resumption | None = None
        #: What earlier runs may still have on its way, or None.
        self.landing: Landing | None = None
        self.evidence = Evidence("none", None)
        #: The key column's name, where rows carry one.
        self.key: str | None = None
        self.began, self.cpu_began = time.monotonic(), time.process_time()
        self._schema = schema
        self._sharing = sharing
        self._progress = progress
        self._trace = Trace()
        self._copy_waiting = copy_waiting
        self._connection = Connection(endpoint, channels=options.channels, scratch=options.dry_run)
        self._parts: Parts | None = None
        self._sending: Future[None] | None = None
        self._ticking: list[Future[None]] = []
        self._stop_wanted: StoppedError | None = None
        self._stop_grace = STOP_GRACE
        self._failure: HeadraceError | None = None
        self._rejects_told = 0
        self._closed = False

    # -- opening -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect.

        Raises:
            ConfigError: If an embedded database is not there and the load may not create its collection.
            ConnectError: If no server answers.
            MilvusException: If the credentials are refused.
            EmbeddedError: If the embedded engine cannot start.
        """
        if not self.options.create and self._schema is None:
            self.endpoint.check_exists()
        connection = self._connection
        connection.start()
        try:
            rows_read = self.ledger.account.rows_read
            self._ticking.append(connection.submit(linger(rows_read, self.flush)))
            self._ticking.append(connection.submit(repeat(self._take_look)))
            if self._progress is not None:
                shown = show_progress(self._progress, self.progress, self._progress_failed)
                self._ticking.append(connection.submit(shown))
            connection.connect()
            self.info = self.run(ops.describe_collection(self.collection))
        except BaseException:
            self.close()
            raise

    @property
    def schema(self) -> CollectionSchema | None:
        """The schema of the collection, existing or asked for; None where the source will decide it."""
        return self._schema if self.info is None else self.info.schema

    @property
    def prepared(self) -> bool:
        """Whether :meth:`prepare` has run."""
        return self._parts is not None

    @property
    def parts(self) -> Parts:
        """What :meth:`prepare` made."""
        if self._parts is None:
            raise InternalError("session: expected prepare() to have run, found that it has not; please report this")
        return self._parts

    @property
    def stopping(self) -> bool:
        """Whether the load was asked to stop, or had to."""
        return self._stop_wanted is not None or (self._parts is not None and self._parts.sender.failure is not None)

    def run(self, operation: Operation[T]) -> T:
        """Run an operation on this session's connection; see :meth:`headrace.connection.Connection.run`."""
        return self._connection.run(operation)

    def prepare(
        self,
        arrow_schema: pa.Schema,
        sample: pa.RecordBatch | None,
        *,
        nulls: Collection[str] = (),
        later_columns: bool,
    ) -> None:
        """Decide how columns become fields, create the collection where it is missing, and start sending.

        Args:
            arrow_schema: The source's columns.
            sample: Some of its first rows, or None where it has none.
            nulls: Columns that are known to hold nulls.
            later_columns: Whether later batches may have columns that these rows do not have.

        Raises:
            SchemaError: If columns and fields do not fit, before anything is created.
            ConfigError: If the options do not fit the collection.
            SourceError, JournalError: If what earlier runs left cannot be resumed.
        """
        options, schema = self.options, self.schema
        transport = self._connection.transport
        version, lite = transport.server_version, transport.server_kind == "lite"
        if schema is None and not options.create:
            raise self.run(missing_collection(self.collection))
        if self.info is not None and self._schema is not None:
            check_same(self.collection, self._schema, self.info.schema)
        schema, plan = fit(
            arrow_schema, schema, sample, options, nulls=nulls, later_columns=later_columns, version=version, lite=lite
        )
        create, embedded = options.create or self._schema is not None, self.endpoint.is_embedded
        indexes = remembered_indexes(arrow_schema, options) if self._schema is None else []
        sharing = self._sharing
        if sharing is not None and self.resumption is not None and self.resumption.begun:
            sharing = replace(sharing, first_attempt=False)
        opening = functools.partial(open_target, self.collection, options, self.info, schema, sharing=sharing)
        self.target = self.run(opening(create=create, embedded=embedded, indexes=indexes))
        ready_plan(plan, self.target, options, sample, run=self.run)
        if self.resumption is not None:
            resumed = self.resumption.begin(plan, self.target, endpoint=self.endpoint, options=options, run=self.run)
            self.target, self.landing = resumed, self.resumption.landing
        self._start(plan, self.target, sample, lite=lite)

    def _start(self, plan: ConformPlan, target: Target, sample: pa.RecordBatch | None, *, lite: bool) -> None:
        options = self.options
        self.key = target.info.schema.primary_key.name if target.keyed else None
        size = sample_rows(options.partition_column)
        self.evidence = Evidence(options.verify, self.key, counting=self.resumption is not None, size=size)
        self.throttle = make_throttle(options, lite=lite, round_trip=self._connection.transport.round_trip)
        self._parts = make_parts(
            # Its real name: an alias may be moved while this runs.
            collection=target.info.name,
            options=options,
            target=target,
            plan=plan,
            ledger=self.ledger,
            throttle=self.throttle,
            connection=self._connection,
            lite=lite,
            copy_waiting=self._copy_waiting,
            submit=self._submit,
            highest_key=None if self.resumption is None else self.resumption.highest_key,
        )
        self.target_bytes = source_size(options, self._parts, sample)
        self._sending = self._connection.submit(send_all(self._parts.sender))
        lost, stop = self.ledger.measurements.lost, self._parts.sender.stop
        watching = watch_identity(self._connection.transport, target.info, lost, stop)
        self._ticking.append(self._connection.submit(watching))
        self.phase = "checking" if options.dry_run else "sending"
        if self._stop_wanted is not None:
            self._connection.post(self._parts.sender.stop, self._stop_wanted)

    # -- feeding -----------------------------------------------------------------------------------------------------

    def check_process(self) -> None:
        """Raise a ConfigError in a process that was forked from the one that began: its locks may be held for ever."""
        self._connection.check_process()

    def check(self) -> None:
        """Raise why the load stopped, if it did."""
        sent = None if self._parts is None else self._parts.sender.failure
        if (failure := self._failure or sent or self._stop_wanted) is not None:
            raise failure

    def feed(self, source: SourceBatch, patience: Patience | None = None) -> None:
        """Take a source batch; return when all of it is packed or copied. Blocks while the window is full.

        Raises:
            CancelledError: (of concurrent.futures) if ``patience`` was lost while waiting.
            HeadraceError: Why the load stopped, if it did; what was not taken is settled as unsent.
        """
        reserve_each(self.window, self.parts.feeder.feed(source), patience)
        self._check_rejects()

    def flush(self, patience: Patience | None = None) -> None:
        """Send the rows that wait to be joined with later ones."""
        reserve_each(self.window, self.parts.feeder.flush(), patience)
        self._check_rejects()

    def drain(self, patience: Patience | None = None) -> None:
        """Block until every row fed so far is settled; raise why the load stopped, if it did."""
        self.flush(patience)
        drained = self._connection.submit(self.parts.sender.drain())
        try:
            (patience or Patience()).wait(drained)
        except BaseException:
            drained.cancel()
            raise
        self.check()
        rejected, self._rejects_told = self._rejects_told, self.ledger.account.rows(Verdict.REJECTED)
        if self._rejects_told > rejected:
            found = f"{self._rejects_told - rejected} refused rows"
            remedy = "go on, and look into the rejects file at the end"
            raise HeadraceError(explain("drain", "every row put so far stored", found, remedy))

    def _check_rejects(self) -> None:
        if (too_many := self.ledger.too_many_rejects()) is not None:
            raise HeadraceError(too_many)

    def _submit(self, request: Request, batch: pa.RecordBatch) -> None:
        placed = Placed(batch, request.spans, request.partition)
        self.evidence.add(placed, None if request.claim is None else request.claim.codes)
        keys = None if self.key is None else batch.column(self.key)
        if doubled := admit(request, self.ledger, keys, self.landing, clock=time.monotonic):
            self._connection.post(self.ledger.double, doubled)
        # Nothing may fail after this: from here on the sender answers for the rows.
        self._connection.post(self.parts.sender.submit, request)

    # -- ending ------------------------------------------------------------------------------------------------------

    def stop(self, reason: str, *, interrupted: str | None = None, grace: float = STOP_GRACE) -> None:
        """Send nothing more than what is in flight, which has ``grace`` seconds to be answered.

        Safe in any thread and in a signal handler.
        """
        if self._closed:
            return
        self._stop_grace = min(grace, self._stop_grace)
        self.interrupted = self.interrupted or interrupted
        self._stop_wanted = StoppedError(reason)
        halt = None if self._parts is None else functools.partial(self._parts.sender.stop, self._stop_wanted)
        self._connection.stop(self._stop_wanted, halt)

    def settle(self) -> None:
        """Return when every row that was fed has its verdict: all that was taken is sent, unless the load stopped."""
        if self._parts is None:
            return
        sender, feeder = self._parts.sender, self._parts.feeder
        with contextlib.suppress(HeadraceError):
            self.flush()  # fails where the load stopped; what waits is then unsent
        feeder.abandon()
        self._connection.post(sender.finish)
        self._connection.wait_for(sender.settled(lambda: self._stop_grace))
        if self._sending is not None:
            result_of(self._sending)
        self.fail(sender.failure)

    @property
    def failure(self) -> HeadraceError | None:
        """Why the load failed, or None."""
        return self._failure

    def fail(self, error: HeadraceError | None) -> None:
        """Note why the load failed, where it did; the first reason counts."""
        self._failure = self._failure or error

    def disown(self) -> None:
        """The collection is another one now: rows that were stored in the former one are unknown."""
        self.ledger.account.move(Verdict.STORED, Verdict.UNKNOWN)
        self.ledger.journal.disown()
        if self.resumption is not None:
            self.resumption.disown()

    def close(self) -> None:
        """Close the connection, the rejects file and the journal; twice does no harm."""
        if self._closed:
            return
        self._closed = True
        try:
            self.ledger.rejects.close()
            if self.resumption is not None:
                self.resumption.close(status="interrupted", rejects=self.ledger.rejects)
        finally:
            for task in self._ticking:
                task.cancel()
            self._connection.close()
            if self.options.state_dir is None:
                # A load that was refused has nothing to keep in a directory that nobody named.
                with contextlib.suppress(OSError):
                    self.state_dir.rmdir()

    # -- watching ----------------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Requests that wait for an answer."""
        return 0 if self._parts is None else self._parts.sender.in_flight

    def progress(self) -> Progress:
        """A look at the load now."""
        return progress_of(self)

    def finish_trace(self) -> dict[str, object]:
        """How the load went over time, up to now; once, when nothing is sent any more."""
        return self._trace.finish(look_at(self), self.phase)

    def _take_look(self) -> None:
        self._trace.add(look_at(self), self.phase)

    def _progress_failed(self, error: HeadraceError) -> None:
        self.fail(error)
        self.stop(str(error))
