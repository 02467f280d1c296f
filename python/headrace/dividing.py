"""Taking requests apart: halves of a refused one, pieces of one that is too large, the rows of one for the rejects."""

from __future__ import annotations

import asyncio
import itertools

import pyarrow as pa

from headrace.attempts import Request, rows_of
from headrace.batching import locate, slice_spans
from headrace.freshness import LiveSchema
from headrace.rejects import Reject

__all__ = ["divided", "reject_all", "repacked"]


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


def reject_all(request: Request, *, expected: str, found: str, remedy: str, verdict: str = "rejected") -> list[Reject]:
    """A line of the rejects file for every row of a request."""
    return [
        Reject(row, *locate(request.spans, row), "", expected, found, remedy, verdict) for row in range(request.rows)
    ]
