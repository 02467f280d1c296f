"""Rows from a running program: :class:`Loader` and its two faces."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from headrace.batching import Span
from headrace.columns import to_batch
from headrace.config import Endpoint, LoadOptions, choose_endpoint
from headrace.errors import (
    ConfigError,
    LoadError,
    RowsRejectedError,
    RowsUnsentError,
    VerificationError,
    explain,
)
from headrace.patience import Patience, finished, outlasting
from headrace.proving import complete
from headrace.report import EXIT_DIFFERENT, EXIT_DONE, EXIT_REJECTED, EXIT_UNEXPECTED, LoadReport, Progress, Verdict
from headrace.reporting import close_report
from headrace.schema import CollectionSchema
from headrace.session import LoadSession
from headrace.sources import SourceBatch, keyed_rows, row_slices
from headrace.target import Sharing

__all__ = ["AsyncLoader", "BlockingLoader", "Loader", "check_report"]

#: The name of rows that were put, where a file would have its path.
SOURCE = "put"


def check_report(report: LoadReport, cause: BaseException | None = None) -> LoadReport:
    """Return ``report`` where every row is stored (and proven, where that was asked for); else raise, from ``cause``.

    Raises:
        RowsUnsentError: If rows are unsent or unknown, or the source was not read to its end.
        VerificationError: If what was read back differs.
        RowsRejectedError: If rows were refused.
        LoadError: If every row is stored, but loading the collection or reading back failed.
    """
    status, where = report.exit_status, f"load into {report.collection!r}"
    if status == EXIT_DONE:
        return report
    if status == EXIT_REJECTED:
        remedy = "mend them and load that file, or look at report.files"
        found = f"{report.rows_rejected:,} of {report.rows_read:,} rows refused, kept in {report.rejects_file}"
        raise RowsRejectedError(explain(where, "every row stored", found, remedy), report=report) from cause
    if status == EXIT_DIFFERENT:
        found = f"differences in what was read back ({(report.verify or {}).get('note') or 'see report.verify'})"
        raise VerificationError(
            explain(where, "what was sent", found, "look at report.verify"), report=report
        ) from cause
    if status == EXIT_UNEXPECTED:
        remedy = "finish by hand or run the load again"
        raise LoadError(
            explain(where, "every step after the last row to succeed", report.status, remedy), report=report
        ) from cause
    left = f"{report.rows_unsent:,} unsent and {report.rows_unknown:,} unknown"
    found = f"{left} of {report.rows_read:,} rows; {report.status}"
    raise RowsUnsentError(explain(where, "every row stored", found, "load again"), report=report) from cause


class _Putting:
    """What both faces share: a session, and the numbers of the rows that were put."""

    def __init__(self, session: LoadSession, *, check: bool) -> None:
        self._session = session
        self._check = check
        self._lock = threading.Lock()
        self._rows = 0
        self._report: LoadReport | None = None

    @property
    def watermark(self) -> int:
        """How many leading rows are settled: of the rows put so far, every one before this number has its verdict."""
        return self._session.ledger.journal.watermark(SOURCE)

    @property
    def progress(self) -> Progress:
        """A look at the load now."""
        return self._session.progress()

    @property
    def report(self) -> LoadReport:
        """The report, once the block has ended.

        Raises:
            ConfigError: Inside the block; :attr:`progress` and :attr:`watermark` tell how things stand there.
        """
        if self._report is None:
            found = "a load that is still running"
            raise ConfigError(explain("Loader.report", "a block that has ended", found, "use progress inside it"))
        return self._report

    def _put(self, data: object, patience: Patience) -> None:
        session = self._session
        session.check_process()
        if self._report is not None:
            raise ConfigError(explain("put", "a block that is still open", "one that has ended", "make a new Loader"))
        batch = to_batch(data, session.schema)
        with self._lock:
            batch = keyed_rows(batch, session.options.key, SOURCE, row=self._rows, number=self._rows)
            if not session.prepared:
                session.prepare(batch.schema, batch, later_columns=True)
            session.check()
            # Columns that do not fit are refused before any row counts as taken.
            session.parts.plan.apply(batch.slice(0, 0))
            first = self._rows
            self._rows += batch.num_rows
        # Slices share the caller's memory; each is packed or copied before the next one is looked at.
        start, stop = first, first + batch.num_rows
        for piece in row_slices(batch, session.target_bytes):
            part, start = SourceBatch(piece, SOURCE, start), start + piece.num_rows
            try:
                session.feed(part, patience)
            except BaseException:
                self._leave_unsent(start, stop)
                raise

    def _leave_unsent(self, start: int, stop: int) -> None:
        if start == stop:
            return
        ledger = self._session.ledger
        ledger.account.read(stop - start)
        ledger.settle((Span(SOURCE, start, stop - start),), stop - start, Verdict.UNSENT)

    def _drain(self, patience: Patience) -> None:
        session = self._session
        session.check_process()
        if session.prepared:
            session.drain(patience)

    def end(self, error: BaseException | None) -> None:
        """Settle every row and make the report; what leaving the block does."""
        session = self._session
        session.check_process()
        try:
            if error is not None:
                session.stop(f"the block ended with {type(error).__name__}")
            session.settle()
            if session.prepared:
                complete(session, None)
            self._report = close_report(session, source_exhausted=error is None)
        finally:
            session.close()
        if error is None and self._check:
            check_report(self._report)


class BlockingLoader(_Putting):
    """The face of :class:`Loader` for plain code; made by ``with``. Any thread may call it."""

    def put(self, data: object) -> None:
        """Take rows; return when the caller may overwrite them. Blocks while the window is full.

        Args:
            data: A dict of columns (numpy, CSR, Arrow, lists), a list of dicts, a RecordBatch, Table or frame.

        Raises:
            InputError: If the rows do not fit the collection; none of them was taken.
            HeadraceError: Why the load stopped, if it did.
        """
        self._put(data, Patience())

    def drain(self) -> None:
        """Block until every row put so far is settled.

        Raises:
            HeadraceError: Why the load stopped, if it did, or that rows were refused since the last drain.
        """
        self._drain(Patience())


class AsyncLoader(_Putting):
    """The face of :class:`Loader` for coroutines; made by ``async with``. Nothing here blocks the caller's loop."""

    def __init__(self, session: LoadSession, *, check: bool) -> None:
        super().__init__(session, check=check)
        # One thread keeps the rows in the order of the calls; packing itself is far faster than sending.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="headrace-putting")

    async def put(self, data: object) -> None:
        """Take rows; return when the caller may overwrite them. Waits while the window is full.

        A cancelled call may have taken some of its rows; they stay accounted for.

        Args and errors as for :meth:`BlockingLoader.put`.
        """
        await self._run(lambda patience: self._put(data, patience))

    async def drain(self) -> None:
        """Return once every row put so far is settled; errors as for :meth:`BlockingLoader.drain`."""
        await self._run(self._drain)

    async def _run(self, work: Callable[[Patience], None]) -> None:
        patience = Patience()
        running = self._thread.submit(work, patience)
        try:
            await outlasting(running)
        except asyncio.CancelledError:
            # Until the thread lets go of the rows, their owner must not get them back.
            if not running.cancel():
                patience.lose()
                await finished(running)
            raise

    async def close(self, error: BaseException | None) -> None:
        """Settle every row and make the report; what leaving the block does."""
        if error is not None:
            self._session.stop(f"the block ended with {type(error).__name__}")
        ending = self._thread.submit(self.end, error)
        try:
            await outlasting(ending)
        except asyncio.CancelledError:
            self._session.stop("cancelled while ending")
            await finished(ending)
            raise
        finally:
            self._thread.shutdown(wait=False)


class Loader:
    """Loads rows that a running program makes.

    Rows are sent from an event loop in a thread of its own, so a caller that blocks its thread or its loop does not
    stall the sending. ``with`` gives a :class:`BlockingLoader`, ``async with`` an :class:`AsyncLoader`:

    .. code-block:: python

        async with headrace.Loader("docs", uri="http://localhost:19530") as loader:
            async for ids, vectors in model_outputs():
                await loader.put({"id": ids, "embedding": vectors})
        print(loader.report.rows_stored)

    Leaving the block sends what is left, settles every row and makes the report; it raises
    :class:`RowsRejectedError`, :class:`RowsUnsentError` or :class:`VerificationError` where not every row is stored,
    unless ``check`` is False. A Loader is used once.

    Args:
        collection: The collection's name.
        uri, token, user, password, db_name, endpoint: As for :func:`headrace.load`.
        schema: The schema to create the collection with, where it does not exist.
        shared: Whether other processes load into the collection at the same time: rows are then upserted, and the
            collection is not loaded into memory at the end.
        check: Whether leaving the block raises where not every row is stored.
        progress: Called about four times a second from the sending thread; must return quickly.
        **options: Fields of :class:`headrace.LoadOptions`.

    Raises:
        ConfigError: If an option cannot be used.
    """

    def __init__(
        self,
        collection: str,
        *,
        uri: str | os.PathLike[str] | None = None,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        db_name: str | None = None,
        endpoint: Endpoint | None = None,
        schema: CollectionSchema | None = None,
        shared: bool = False,
        check: bool = True,
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> None:
        where = choose_endpoint(endpoint, uri, token=token, user=user, password=password, db_name=db_name)
        chosen = LoadOptions(**options)
        if chosen.verify == "full" or chosen.limit is not None:
            found = "rows that are put, which can be read once only and have no end"
            raise ConfigError(explain("Loader", "no limit, and verify up to 'sample'", found, "leave them out"))
        self._session = LoadSession(
            collection=collection,
            endpoint=where,
            options=chosen,
            schema=schema,
            progress=progress,
            copy_waiting=True,
            sharing=Sharing() if shared else None,
        )
        self._check = check
        self._used = False
        self._blocking: BlockingLoader | None = None
        self._async: AsyncLoader | None = None

    def __enter__(self) -> BlockingLoader:
        self._use_once()
        self._session.open()
        self._blocking = BlockingLoader(self._session, check=self._check)
        return self._blocking

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._blocking is not None:
            self._blocking.end(error)

    async def __aenter__(self) -> AsyncLoader:
        self._use_once()
        with ThreadPoolExecutor(1, thread_name_prefix="headrace-opening") as pool:
            opening = pool.submit(self._session.open)
            try:
                await outlasting(opening)
            except asyncio.CancelledError:
                self._session.stop("cancelled while connecting")
                await finished(opening)
                await finished(pool.submit(self._session.close))
                raise
        self._async = AsyncLoader(self._session, check=self._check)
        return self._async

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._async is not None:
            await self._async.close(error)

    def _use_once(self) -> None:
        if self._used:
            raise ConfigError(explain("Loader", "a block of its own", "a second one", "make a new Loader"))
        self._used = True
