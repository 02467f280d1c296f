"""The parts that send the rows of one load, made for each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from headrace.attempts import Request, WriteTarget
from headrace.config import LoadOptions
from headrace.conform import ConformPlan
from headrace.connection import Connection
from headrace.feeding import Feeder
from headrace.freshness import LiveSchema
from headrace.ledger import Ledger
from headrace.ordering import KeyOrder
from headrace.packing import Packer
from headrace.retry import Backoff
from headrace.schema import DYNAMIC_FIELD_NAME
from headrace.sending import Sender
from headrace.target import Target
from headrace.throttle import Throttle

__all__ = ["Parts", "make_parts"]


@dataclass(frozen=True)
class Parts:
    """What exists once a load knows its collection.

    Attributes:
        plan: How source columns become fields.
        schema: What rows are packed for.
        sender: Sends packed requests, on the connection's loop.
        feeder: Packs rows, in any thread.
    """

    plan: ConformPlan
    schema: LiveSchema
    sender: Sender
    feeder: Feeder

    @property
    def packer(self) -> Packer:
        """The packer for the collection as it is known now."""
        return self.schema.packer


def make_parts(
    *,
    collection: str,
    options: LoadOptions,
    target: Target,
    plan: ConformPlan,
    ledger: Ledger,
    throttle: Throttle,
    connection: Connection,
    lite: bool,
    target_bytes: int,
    copy_waiting: bool,
    submit: Callable[[Request, pa.RecordBatch], None],
) -> Parts:
    """Make the parts of a load into ``target``; arguments as those of :class:`Feeder` and :class:`Sender`."""
    upsert = target.mode == "upsert"
    key = target.info.schema.primary_key.name if target.keyed else None
    order = KeyOrder(upsert=upsert)
    schema = LiveSchema(
        collection,
        target.info,
        columns=plan.columns,
        upsert=upsert,
        partition=options.partition_name,
        dynamic=[line.source for line in plan.mapping if line.field == DYNAMIC_FIELD_NAME],
    )
    feeder = Feeder(
        plan,
        schema,
        ledger,
        key=key,
        order=order,
        upsert=upsert,
        target_bytes=target_bytes,
        copy_waiting=copy_waiting,
        submit=submit,
        withdraw=lambda request: connection.post(sender.withdraw, request),
        null_vectors=options.null_vectors,
        dry_run=options.dry_run,
    )
    sender = Sender(
        connection.transport,
        _facts(collection, options, target, plan, lite=lite),
        schema,
        ledger,
        order=order,
        throttle=throttle,
        backoff=Backoff(budget=options.give_up_after),
        rpc_timeout=options.rpc_timeout,
        clock=time.monotonic,
        limit=feeder.limit,
    )
    return Parts(plan, schema, sender, feeder)


def _facts(collection: str, options: LoadOptions, target: Target, plan: ConformPlan, *, lite: bool) -> WriteTarget:
    key = target.info.schema.primary_key.name if target.keyed else None
    return WriteTarget(
        name=collection,
        key=key,
        key_column=next((line.source for line in plan.mapping if line.field == key), ""),
        upsert=target.mode == "upsert",
        lite=lite,
        partition=options.partition_name,
        at_most_once=options.at_most_once,
        bisect_poison=options.bisect_poison,
    )
