"""The parts that send the rows of one load, made for each other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace import operations as ops
from headrace.allocator import keep_freed_memory
from headrace.attempts import Request, WriteTarget
from headrace.calls import Operation
from headrace.config import Endpoint, LoadOptions
from headrace.conform import ConformPlan
from headrace.connection import Connection
from headrace.errors import CellError, MilvusException, RpcError, SchemaError, explain
from headrace.feeding import Feeder
from headrace.freshness import LiveSchema
from headrace.keyfilter import KeyFilter
from headrace.ledger import Ledger
from headrace.ordering import KeyOrder
from headrace.packing import Packer
from headrace.partitions import PartitionColumn, Partitions
from headrace.plans import PlanPart
from headrace.schema import DYNAMIC_FIELD_NAME, IndexParam
from headrace.sending import Sender
from headrace.sources import decoded_bytes
from headrace.state import fresh_name, open_state_dir, target_name
from headrace.target import Target
from headrace.throttle import FIRST_BYTES, Limits, Throttle
from headrace.window import Window
from headrace.zeros import DIRECTED

__all__ = [
    "Parts",
    "connections",
    "make_parts",
    "make_state_dir",
    "make_throttle",
    "make_window",
    "ready_plan",
    "request_size",
    "source_size",
]


#: Requests of the first size of which gRPC may hold copies at a time.
_COPIED = 2
#: Connections, and connections to servers that are further away than that. Each has no more on its way than the
#: kernels' buffers hold, which is a few megabytes: at 50 ms two of them carry 170 MB/s at best.
_CONNECTIONS, _FAR_CONNECTIONS, _FAR_SECONDS = 2, 8, 0.005
#: Rows that tell how much the rows of a source are as a request.
_MEASURED_ROWS = 1000


def request_size(options: LoadOptions) -> int:
    """Bytes of a request at first, and of a source batch of which it is not known what requests its rows make.

    Three source batches, a request that waits, and twice what is in flight at first must fit into the window.
    """
    in_flight = min(options.max_in_flight or _COPIED, _COPIED)
    most = min(options.window_bytes // (2 * in_flight + 4), _copied_bytes(options) // in_flight)
    return max(1, min(options.batch_bytes or FIRST_BYTES, most))


def make_window(options: LoadOptions) -> Window:
    """The window of a load; a part of it is kept for gRPC's copies of what it writes."""
    keep_freed_memory()
    return Window(options.window_bytes, headroom=_copied_bytes(options))


def _copied_bytes(options: LoadOptions) -> int:
    """The part of the window that is kept for gRPC's copies."""
    return options.window_bytes * 3 // 16


def connections(options: LoadOptions, *, round_trip: float = 0.0) -> int:
    """The most connections to use; ``round_trip`` is the seconds to the server and back."""
    return options.channels or (_FAR_CONNECTIONS if round_trip > _FAR_SECONDS else _CONNECTIONS)


def make_throttle(options: LoadOptions, *, lite: bool, round_trip: float = 0.0) -> Throttle:
    """The throttle of a load; ``round_trip`` is the seconds to the server and back."""
    size = request_size(options)
    limits = Limits(
        # Milvus Lite works at one request at a time.
        in_flight=1 if lite else options.max_in_flight,
        bytes_in_flight=max(size, options.window_bytes * 11 // 16),
        near_bytes=options.window_bytes * 9 // 32,
        copied_bytes=_copied_bytes(options),
        request_bytes=None if options.batch_bytes is None else size,
        rows_per_second=options.max_rows_per_second,
        bytes_per_second=None if options.max_mb_per_second is None else options.max_mb_per_second * 1e6,
        nice=options.nice,
    )
    offset = time.time() - time.monotonic()
    return Throttle(limits, clock=time.monotonic, round_trip=round_trip, wall_clock_offset=offset)


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
    copy_waiting: bool,
    submit: Callable[[Request, pa.RecordBatch], None],
    highest_key: int | None,
) -> Parts:
    """Make the parts of a load into ``target``; arguments as those of :class:`Feeder`, :class:`Sender`, Resumption."""
    upsert = target.mode == "upsert"
    key = target.info.schema.primary_key.name if target.keyed else None
    seen = KeyFilter()
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
        order=lambda partition: KeyOrder(upsert=upsert, before=highest_key, partition=partition, seen=seen),
        upsert=upsert,
        aim=lambda: throttle.aim,
        copy_waiting=copy_waiting,
        submit=submit,
        withdraw=lambda request: connection.post(sender.withdraw, request),
        null_vectors=options.null_vectors,
        dry_run=options.dry_run,
        most_waiting=options.window_bytes // 4,
    )
    transport = connection.transport
    transport.widen(connections(options, round_trip=transport.round_trip))
    sender = Sender(
        transport,
        _facts(collection, options, target, plan, lite=lite),
        schema,
        ledger,
        throttle=throttle,
        budget=options.give_up_after,
        rpc_timeout=options.rpc_timeout,
        clock=time.monotonic,
        limit=feeder.limit,
    )
    return Parts(plan, schema, sender, feeder)


def source_size(options: LoadOptions, parts: Parts | None = None, sample: pa.RecordBatch | None = None) -> int:
    """Bytes of a source batch, as decoded, whose rows make a request of the first size.

    Indices of 64 bits are half as long in a request, float64 becomes float32, some columns are not sent at all: batches
    that are cut by what they have in memory would make smaller requests, each of which costs as much as a large one.
    Rows that grow in a request make several of a batch, which is never below a quarter of a request's size.

    Args:
        options: How to load; three source batches have to fit into the window, see :func:`request_size`.
        parts: What rows are conformed and packed with, once that is known.
        sample: Some of the first rows, or None.
    """
    size = request_size(options)
    if parts is None or sample is None:
        return size
    names = set(parts.plan.source_columns)
    rows = sample.slice(0, _MEASURED_ROWS).select([name for name in sample.schema.names if name in names])
    try:
        sent = parts.plan.apply(rows).batch
        encoded = parts.packer.encoded_len(sent)
    except (SchemaError, CellError):
        return size  # whoever feeds these rows finds that, too, and says where
    if not sent.num_rows:
        return size
    decoded = decoded_bytes(rows) * int(sent.num_rows) // int(rows.num_rows)
    # Beside three of them a request waits, and twice the two that are in flight at first are with the server.
    most = max(size, (options.window_bytes - _copied_bytes(options) - 5 * size) // 3)
    return max(size // 4, min(most, size * decoded // max(1, encoded)))


def ready_plan(
    plan: ConformPlan,
    target: Target,
    options: LoadOptions,
    sample: pa.RecordBatch | None,
    *,
    run: Callable[[Operation[Any]], Any],
) -> None:
    """Have a plan know what only the server tells: partitions, and which vectors are compared by their directions.

    Args:
        plan: The plan.
        target: The collection.
        options: ``create`` and ``dry_run`` count.
        sample: The first rows.
        run: Runs an operation.

    Raises:
        SchemaError: If a column names partitions, and none of the first rows would have one.
    """
    if plan.partition_column is not None:
        _open_partitions(plan.partition_column, target, options, sample, run=run)
    indexes: Sequence[IndexParam | ops.IndexInfo] = target.indexes
    if not target.created:
        # Who may not ask goes without the note.
        with contextlib.suppress(MilvusException, RpcError):
            indexes = run(ops.describe_index(target.info.name))
    directed = {index.field_name for index in indexes if index.metric_type == DIRECTED}
    plan.directed = tuple(field.name for field in target.info.schema.vector_fields if field.name in directed)


def _open_partitions(
    column: PartitionColumn,
    target: Target,
    options: LoadOptions,
    sample: pa.RecordBatch | None,
    *,
    run: Callable[[Operation[Any]], Any],
) -> None:
    """Have a column that names partitions know those of the collection, and make others where that was asked for."""
    name, dry = target.info.name, options.dry_run
    known = [] if dry and target.created else run(ops.list_partitions(name))

    def make(partition: str) -> None:
        if not dry:
            run(ops.create_partition(name, partition))

    column.admit = Partitions(known, make if options.create else None).admit
    refused = [] if sample is None else column.names(sample)[1]
    if sample is not None and len(refused) == sample.num_rows > 0:
        first = refused[0]
        message = explain(f"column {column.name!r}", first.expected, first.found, first.remedy)
        raise SchemaError(message, field=column.name)


def _facts(collection: str, options: LoadOptions, target: Target, plan: ConformPlan, *, lite: bool) -> WriteTarget:
    key = target.info.schema.primary_key.name if target.keyed else None
    return WriteTarget(
        name=collection,
        key=key,
        key_column=next((line.source for line in plan.mapping if line.field == key), ""),
        upsert=target.mode == "upsert",
        lite=lite,
        partition_column=options.partition_column or "",
        at_most_once=options.at_most_once,
        bisect_poison=options.bisect_poison,
    )


def make_state_dir(
    endpoint: Endpoint, collection: str, options: LoadOptions, *, part: PlanPart | None, resumable: bool
) -> Path:
    """The state directory of a load: one that is found again where rows are, and one of the part's own for a part.

    Raises:
        ConfigError: If it cannot be created or written to.
    """
    wanted = options.state_dir
    if not resumable:
        return open_state_dir(wanted, fresh_name(collection))
    if part is not None and wanted is not None:
        wanted = wanted / part.name
    place = () if part is None else (part.plan, part.name)
    return open_state_dir(wanted, target_name(endpoint, collection, options.place, *place))
