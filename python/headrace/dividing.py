"""Taking requests apart: halves of a refused one, pieces of one that is too large, the rows of one for the rejects."""

from __future__ import annotations

import asyncio
import itertools

import pyarrow as pa

from headrace.attempts import Request, WriteTarget, rows_of
from headrace.batching import locate, slice_spans, with_partition
from headrace.freshness import LiveSchema
from headrace.rejects import Reject, RejectsFile

__all__ = ["divided", "repacked", "set_aside"]


async def divided(request: Request, schema: LiveSchema, *, parts: int = 2) -> list[Request]:
    """The request in ``parts`` parts of about equally many rows, at most one for each row.

    What is not known about the request, or suspected of it, is not known about its parts either.
    """
    batch = await rows_of(request)
    parts = min(parts, request.rows)
    bounds = [request.rows * part // parts for part in range(parts + 1)]
    return [
        await asyncio.to_thread(_part, request, batch, schema, start, stop - start)
        for start, stop in itertools.pairwise(bounds)
    ]


async def repacked(request: Request, schema: LiveSchema) -> None:
    """Pack the request's rows again for the schema as it is now."""
    batch = await rows_of(request)
    request.payload, request.timestamp = await asyncio.to_thread(schema.pack, batch, request.partition)


def _part(request: Request, batch: pa.RecordBatch, schema: LiveSchema, offset: int, rows: int) -> Request:
    payload, timestamp = schema.pack(batch.slice(offset, rows), request.partition)
    return Request(
        payload=payload,
        rows=rows,
        spans=slice_spans(request.spans, offset, rows),
        charge=0,
        upsert=request.upsert,
        partition=request.partition,
        claim=request.claim,
        timestamp=timestamp,
        doubtful=request.doubtful,
        doubled=request.doubled,
        may_land_until=request.may_land_until,
        replaces=request.replaces,
        stored_before=request.stored_before,
        taken=True,
    )


async def set_aside(
    request: Request,
    target: WriteTarget,
    rejects: RejectsFile,
    *,
    expected: str,
    found: str,
    remedy: str,
    verdict: str = "rejected",
) -> pa.RecordBatch:
    """Write every row of a request to the rejects file, in which the key has the name that the source gave it.

    Returns:
        The rows, as the collection names them.

    Raises:
        HeadraceError: If they cannot be kept.
    """
    batch = await rows_of(request)
    names = [target.key_column or name if name == target.key else name for name in batch.schema.names]
    kept = with_partition(batch.rename_columns(names), target.partition_column, request.partition)
    rows = [
        Reject(row, *locate(request.spans, row), "", expected, found, remedy, verdict) for row in range(request.rows)
    ]
    await asyncio.to_thread(rejects.add, kept, rows)
    return batch
