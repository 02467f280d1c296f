"""The loader's faces: :func:`load`, :func:`aload`, and :class:`Loader` for rows that a running program makes."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headrace.background import LoopThread
from headrace.config import Endpoint, LoadOptions, choose_endpoint
from headrace.job import LoadJob
from headrace.patience import finished, outlasting
from headrace.plans import choose_source
from headrace.putting import AsyncLoader, BlockingLoader, Loader, check_report
from headrace.report import LoadReport, Progress
from headrace.schema import CollectionSchema

__all__ = ["AsyncLoader", "BlockingLoader", "LoadJob", "Loader", "aload", "load"]


def load(
    source: object,
    *,
    collection: str,
    uri: str | os.PathLike[str] | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    db_name: str | None = None,
    endpoint: Endpoint | None = None,
    schema: CollectionSchema | None = None,
    part: int | str | None = None,
    first_attempt: bool = False,
    check: bool = True,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> LoadReport:
    """Load a source into a collection; every row of it is accounted for in the report that is returned.

    Blocks until done. It may be called inside a running event loop (a notebook) and from any thread.

    Args:
        source: A path, glob, directory, URI or list of them; a pyarrow Table, RecordBatch, RecordBatchReader or
            Dataset; anything with ``__arrow_c_stream__``; a dict of columns (numpy, CSR, lists); a list of dicts; an
            iterator or async iterator of any of these; a :class:`headrace.Plan` (with ``part``) or one of its parts.
        collection: The collection's name.
        uri: ``http://host:port``, ``https://host:port`` or a path that ends in ``.db``; by default ``MILVUS_URI``,
            else ``http://localhost:19530``.
        token: ``user:password`` or an API key; by default ``MILVUS_TOKEN``.
        user: With ``password``, instead of a token.
        password: With ``user``.
        db_name: The database; by default ``MILVUS_DB``, else the server's default.
        endpoint: All of the above and TLS, as one value.
        schema: The schema to create the collection with, where it does not exist.
        part: Load this part only: its number in the plan that ``source`` is, or ``"2/3"`` of files. It is upserted.
        first_attempt: Nobody ever began to load this part; it is inserted where :func:`headrace.prepare` created the
            collection for the plan.
        check: Raise where the report's ``exit_status`` is not 0; with False the report is returned however it ends.
        progress: Called about four times a second from another thread; must return quickly.
        **options: Fields of :class:`headrace.LoadOptions`.

    Returns:
        The report.

    Raises:
        ConfigError: If an option cannot be used.
        InputError: If the source or its schema is refused before anything is sent.
        ConnectError: If no server answers.
        MilvusException: If the server refuses before anything is sent.
        RowsRejectedError: If rows were refused.
        RowsUnsentError: If rows are unsent or unknown.
        VerificationError: If what was read back differs.
    """
    where = choose_endpoint(endpoint, uri, token=token, user=user, password=password, db_name=db_name)
    chosen = LoadOptions(**options)
    if isinstance(source, AsyncIterable):
        return _in_thread(_put_all(source, collection, where, chosen, schema=schema, progress=progress, check=check))
    given = choose_source(source, part, chosen), collection, where, chosen
    job = _job(*given, schema=schema, progress=progress, first_attempt=first_attempt)
    report = job.run()
    return check_report(report, job.failure) if check else report


async def aload(
    source: object,
    *,
    collection: str,
    uri: str | os.PathLike[str] | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    db_name: str | None = None,
    endpoint: Endpoint | None = None,
    schema: CollectionSchema | None = None,
    part: int | str | None = None,
    first_attempt: bool = False,
    check: bool = True,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> LoadReport:
    """:func:`load` for a coroutine: same arguments, same report, and the caller's loop is never blocked.

    A cancellation stops the load as a signal would: what is in flight is given a moment, then the connection closes.
    An async iterator is awaited on the caller's own loop.
    """
    where = choose_endpoint(endpoint, uri, token=token, user=user, password=password, db_name=db_name)
    chosen = LoadOptions(**options)
    if isinstance(source, AsyncIterable):
        return await _put_all(source, collection, where, chosen, schema=schema, progress=progress, check=check)
    with ThreadPoolExecutor(1, thread_name_prefix="headrace-loading") as pool:
        given = await asyncio.wrap_future(pool.submit(choose_source, source, part, chosen)), collection, where, chosen
        job = _job(*given, schema=schema, progress=progress, first_attempt=first_attempt)
        running = pool.submit(job.run)
        try:
            report = await outlasting(running)
        except asyncio.CancelledError:
            job.stop("cancellation")
            await finished(running)
            raise
    return check_report(report, job.failure) if check else report


def _job(
    source: object,
    collection: str,
    endpoint: Endpoint,
    options: LoadOptions,
    *,
    schema: CollectionSchema | None,
    progress: Callable[[Progress], None] | None,
    first_attempt: bool,
) -> LoadJob:
    return LoadJob(
        source,
        collection=collection,
        endpoint=endpoint,
        options=options,
        schema=schema,
        progress=progress,
        first_attempt=first_attempt,
    )


async def _put_all(
    source: AsyncIterable[Any],
    collection: str,
    endpoint: Endpoint,
    options: LoadOptions,
    *,
    schema: CollectionSchema | None,
    progress: Callable[[Progress], None] | None,
    check: bool,
) -> LoadReport:
    loader = Loader(collection, endpoint=endpoint, schema=schema, progress=progress, check=check, **_as_dict(options))
    async with loader as sink:
        async for item in source:
            await sink.put(item)
    return sink.report


def _as_dict(options: LoadOptions) -> dict[str, Any]:
    return {item.name: getattr(options, item.name) for item in dataclasses.fields(options)}


def _in_thread(coroutine: Coroutine[Any, Any, LoadReport]) -> LoadReport:
    """Run a coroutine on a loop in a thread of its own, whether or not a loop runs in this one."""
    loop = LoopThread()
    loop.start()
    try:
        return loop.run(coroutine)
    finally:
        loop.close()
