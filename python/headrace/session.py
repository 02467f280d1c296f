"""One load from connection to report: the parts of the loader, wired.

A session connects, finds or creates the collection, takes source batches from any thread, sends them from an event
loop in a thread of its own, and ends with the account.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Collection, Generator
from concurrent.futures import Future
from typing import TypeVar

import pyarrow as pa

from headrace import operations as ops
from headrace.background import LoopThread
from headrace.calls import Operation, drive_sync
from headrace.config import Endpoint, LoadOptions
from headrace.conform import ConformPlan, plan_conform
from headrace.distinct import DistinctKeys
from headrace.errors import HeadraceError, InternalError
from headrace.feeding import Feeder
from headrace.inference import infer_schema
from headrace.journal import Journal
from headrace.packing import Packer, make_packer
from headrace.protocol import CollectionInfo
from headrace.rejects import RejectLimit, RejectsFile
from headrace.report import Account, Phase, Progress, Verdict
from headrace.retry import Backoff
from headrace.schema import CollectionSchema
from headrace.sending import STOP_GRACE, Ledger, Request, Sender, WriteTarget
from headrace.sources import SourceBatch
from headrace.state import open_state_dir
from headrace.target import Target, missing_collection, open_target
from headrace.throttle import Throttle
from headrace.transport import AsyncTransport
from headrace.verify import Reservoir, VerifyResult
from headrace.window import Window

__all__ = ["LoadSession", "Patience"]

T = TypeVar("T")

#: Seconds between two calls of the progress callback.
TICK = 0.25
#: Rows that wait to be joined with later ones are sent after this many ticks in which none came.
LINGER_TICKS = 4
#: Rows that a sampling verification reads back.
SAMPLE_ROWS = 200


class Patience:
    """Lets one thread end another's wait for the window, when whoever asked for it has gone away."""

    def __init__(self) -> None:
        self._lost = False
        self._waiting: Future[None] | None = None

    def wait(self, granted: Future[None]) -> None:
        """Block until ``granted`` is done.

        :raises CancelledError: if patience is lost before.
        """
        self._waiting = granted
        if self._lost:
            granted.cancel()
        granted.result()

    def lose(self) -> None:
        """End the wait that goes on, and every later one."""
        self._lost = True
        if self._waiting is not None:
            self._waiting.cancel()

    def regain(self) -> None:
        """Wait again."""
        self._lost = False


class LoadSession:
    """The machinery of one load.

    Args:
        collection: Where to load to.
        endpoint: The server.
        options: How to load.
        schema: Schema of a collection to create, where it is not to be made from the source's.
        progress: Called about four times a second from the sending thread; must return quickly.
        copy_waiting: Whether rows that wait are copied, because a caller may overwrite them.
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
    ) -> None:
        self.collection = collection
        self.endpoint = endpoint
        self.options = options
        self.state_dir = open_state_dir(options.state_dir, collection)
        #: Aim of a request's size: what may be in flight, twice, and two source batches must fit into the window.
        self.target_bytes = max(1, min(options.batch_bytes, options.window_bytes // (2 * options.max_in_flight + 4)))
        self.window = Window(options.window_bytes, headroom=options.max_in_flight * self.target_bytes)
        rejects, limit = RejectsFile(self.state_dir), RejectLimit(options.max_rejects)
        self.ledger = Ledger(Account(), Journal(), rejects, limit, self.window)
        self.throttle = Throttle(options.max_in_flight, clock=time.monotonic)
        self.phase: Phase = "preparing"
        self.info: CollectionInfo | None = None
        self.target: Target | None = None
        self.verification: VerifyResult | None = None
        self.rows_total: int | None = None
        self.failure: HeadraceError | None = None
        self.interrupted: str | None = None
        #: Stored rows to read back at the end, where a sample is to be verified.
        self.sample = Reservoir(SAMPLE_ROWS, key=None)
        #: Keys of the rows that were sent, where a count is to be verified.
        self.distinct = DistinctKeys()
        #: The key column's name, where rows carry one.
        self.key: str | None = None
        self.began = time.monotonic()
        self.cpu_began = time.process_time()
        self._schema = schema
        self._progress = progress
        self._copy_waiting = copy_waiting
        self._loop = LoopThread()
        self._transport = AsyncTransport(endpoint, channels=options.channels)
        self._plan: ConformPlan | None = None
        self._packer: Packer | None = None
        self._sender: Sender | None = None
        self._feeder: Feeder | None = None
        self._sending: Future[None] | None = None
        self._ticking: Future[None] | None = None
        self._lock = threading.Lock()
        self._stop_wanted: HeadraceError | None = None
        self._closed = False

    # -- opening -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect.

        :raises ConnectError: if no server answers.
        :raises MilvusException: if the credentials are refused.
        :raises EmbeddedError: if the embedded engine cannot start.
        """
        self._loop.start()
        try:
            self._loop.run(self._transport.connect())
            self._ticking = self._loop.submit(self._tick())
            self.info = self.run(ops.describe_collection(self.collection))
        except BaseException:
            self.close()
            raise

    @property
    def schema(self) -> CollectionSchema | None:
        """The schema of the collection, existing or asked for; None where the source will decide it."""
        return self._schema if self.info is None else self.info.schema

    @property
    def plan(self) -> ConformPlan:
        """How source columns become fields; known once :meth:`prepare` has run."""
        return _made(self._plan)

    @property
    def packer(self) -> Packer:
        """Packs this load's batches; known once :meth:`prepare` has run."""
        return _made(self._packer)

    @property
    def prepared(self) -> bool:
        """Whether :meth:`prepare` has run."""
        return self._sending is not None

    @property
    def stopping(self) -> bool:
        """Whether the load was asked to stop, or had to."""
        return self._stop_wanted is not None or (self._sender is not None and self._sender.failure is not None)

    def run(self, operation: Operation[T]) -> T:
        """Run an operation on this session's connection, blocking the calling thread.

        Only its calls happen on the loop: what the operation computes, reads and decodes in between stays here.
        """
        return drive_sync(self, operation)

    def call(self, method: str, request: bytes, *, timeout: float | None) -> bytes:
        """One call on this session's connection, blocking the calling thread."""
        return self._loop.run(self._transport.call(method, request, timeout=timeout))

    def prepare(self, arrow_schema: pa.Schema, sample: pa.RecordBatch | None, nulls: Collection[str] = ()) -> None:
        """Decide how columns become fields, create the collection where it is missing, and start sending.

        :raises SchemaError: if columns and fields do not fit, before anything is created.
        :raises ConfigError: if the options do not fit the collection.
        """
        options = self.options
        schema = self.schema
        if schema is None and options.create:
            schema = infer_schema(arrow_schema, sample=sample, options=options, nulls=nulls)
        if schema is None:
            raise missing_collection(self.collection)
        lite = self._transport.server_kind == "lite"
        # Before 2.5 a column with a default cannot be left out: 2.3.5 dies of it.
        old = not lite and self._transport.server_version < (2, 5, 0)
        self._plan = plan_conform(arrow_schema, schema, options=options, sample=sample, fill_defaults=old)
        self.target = self.run(
            open_target(self.collection, options, self.info, schema, embedded=self.endpoint.is_embedded)
        )
        self._start(schema, self._plan, self.target, lite=lite)

    def _start(self, schema: CollectionSchema, plan: ConformPlan, target: Target, *, lite: bool) -> None:
        packer = self._packer = make_packer(
            schema,
            collection_name=self.collection,
            partition_name=self.options.partition_name,
            columns=plan.columns,
        )
        upsert = target.mode == "upsert"
        self.key = schema.primary_key.name if target.keyed else None
        self.sample = Reservoir(SAMPLE_ROWS, key=self.key)
        self.throttle = Throttle(1 if lite else self.options.max_in_flight, clock=time.monotonic)
        self._sender = Sender(
            self._transport,
            WriteTarget(key=self.key, lite=lite, repack=packer.pack_upsert if upsert else packer.pack_insert),
            self.ledger,
            throttle=self.throttle,
            backoff=Backoff(budget=self.options.give_up_after),
            rpc_timeout=self.options.rpc_timeout,
            clock=time.monotonic,
        )
        self._feeder = Feeder(
            plan,
            packer,
            self.ledger,
            upsert=upsert,
            target_bytes=self.target_bytes,
            copy_waiting=self._copy_waiting,
            submit=self._submit,
            dry_run=self.options.dry_run,
        )
        self._sending = self._loop.submit(self._send_all(self._sender))
        self.phase = "sending"
        if self._stop_wanted is not None:
            self._loop.post(self._sender.stop, self._stop_wanted)

    # -- feeding -----------------------------------------------------------------------------------------------------

    def feed(self, source: SourceBatch, patience: Patience | None = None) -> None:
        """Take a source batch; return when all of it is packed or copied. Blocks while the window is full.

        :raises CancelledError: (of concurrent.futures) if ``patience`` was lost while waiting.
        :raises HeadraceError: why the load stopped, if it did; what was not taken is settled as unsent.
        """
        if (failure := self._need_sender().failure) is not None:
            raise failure
        self._reserve_each(self._need_feeder().feed(source), patience)
        if (too_many := self.ledger.too_many_rejects()) is not None:
            raise HeadraceError(too_many)

    def flush(self, patience: Patience | None = None) -> None:
        """Send the rows that wait to be joined with later ones."""
        self._reserve_each(self._need_feeder().flush(), patience)

    def drain(self, patience: Patience | None = None) -> None:
        """Block until every row fed so far is settled.

        :raises HeadraceError: why the load stopped, if it did.
        """
        self.flush(patience)
        drained = self._loop.submit(self._need_sender().drain())
        try:
            (patience or Patience()).wait(drained)
        except BaseException:
            drained.cancel()
            raise
        if (failure := self._need_sender().failure) is not None:
            raise failure

    def _reserve_each(self, charges: Generator[int, None, None], patience: Patience | None) -> None:
        with contextlib.closing(charges):
            for charge in charges:
                future = self.window.reserve(charge, outgoing=True)
                try:
                    (patience or Patience()).wait(future)
                except BaseException:
                    self.window.withdraw(future, charge, outgoing=True)
                    raise

    def _submit(self, request: Request, batch: pa.RecordBatch) -> None:
        if self.options.verify != "none":
            with self._lock:
                self._remember(batch)
        self._loop.post(self._need_sender().submit, request)

    def _remember(self, batch: pa.RecordBatch) -> None:
        if self.key is not None:
            self.distinct.add(batch.column(self.key))
        if self.options.verify == "sample":
            self.sample.add(batch)

    # -- ending ------------------------------------------------------------------------------------------------------

    def stop(self, reason: str, *, interrupted: str | None = None) -> None:
        """Send nothing more than what is in flight. Safe in any thread and in a signal handler."""
        self.interrupted = self.interrupted or interrupted
        self._stop_wanted = HeadraceError(reason)
        if self._sender is not None:
            self._loop.post(self._sender.stop, self._stop_wanted)

    def settle(self) -> None:
        """Return when every row that was fed has its verdict: all that was taken is sent, unless the load stopped."""
        if self._sender is None or self._feeder is None or self._sending is None:
            return
        with contextlib.suppress(HeadraceError):
            self.flush()  # fails where the load stopped; what waits is then unsent
        self._feeder.abandon()
        self._loop.post(self._sender.finish)
        self._loop.run(self._sender.settled(STOP_GRACE))
        self._sending.result()
        self.failure = self.failure or self._sender.failure

    def close(self) -> None:
        """Close the connection and the rejects file; twice does no harm."""
        if self._closed:
            return
        self._closed = True
        self.ledger.rejects.close()
        if self._ticking is not None:
            self._ticking.cancel()
        self._loop.run(self._transport.close())
        self._loop.close()

    # -- watching ----------------------------------------------------------------------------------------------------

    def progress(self) -> Progress:
        """A look at the load now."""
        account, measured = self.ledger.account, self.ledger.measurements
        return Progress(
            phase=self.phase,
            rows_total=self.rows_total,
            rows_read=account.rows_read(),
            rows_stored=account.rows(Verdict.STORED),
            rows_rejected=account.rows(Verdict.REJECTED),
            bytes_sent=measured.bytes_sent,
            in_flight=0 if self._sender is None else self._sender.in_flight,
            in_flight_bytes=self.window.used,
            retries=measured.retries.total(),
            throttled_seconds=self.throttle.throttled_seconds,
            seconds=time.monotonic() - self.began,
        )

    async def _send_all(self, sender: Sender) -> None:
        try:
            await sender.run()
        except* (OSError, HeadraceError) as group:
            # A full disk under the rejects file, or a bug that said so itself.
            cause = group.exceptions[0]
            sender.stop(InternalError(f"sending ended early: {cause}"))

    async def _tick(self) -> None:
        waited, last = 0, -1
        while True:
            await asyncio.sleep(TICK)
            if self._progress is not None:
                self._progress(self.progress())
            read = self.ledger.account.rows_read()
            waited = waited + 1 if read == last else 0
            last = read
            if waited == LINGER_TICKS and self._feeder is not None and self._feeder.waiting_rows:
                await asyncio.to_thread(self._linger)

    def _linger(self) -> None:
        with contextlib.suppress(HeadraceError):
            self.flush()

    def _need_feeder(self) -> Feeder:
        return _made(self._feeder)

    def _need_sender(self) -> Sender:
        return _made(self._sender)


def _made(part: T | None) -> T:
    if part is None:
        raise InternalError("session: expected prepare() to have run, found that it has not; please report this")
    return part
