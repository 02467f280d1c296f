"""The way back: a collection into one Parquet file that can be loaded again, and that a killed dump goes on with."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol, TypeVar

import pyarrow as pa

from headrace import operations as ops
from headrace.calls import Operation, drive_sync
from headrace.casts import canonical_type
from headrace.client_calls import describe_collection
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, choose_endpoint
from headrace.dump_files import DumpFiles, local_path
from headrace.errors import HeadraceError, MilvusException, RpcError
from headrace.paging import KEYS_PER_CALL, Key, keys_after, rows_between
from headrace.remembered import memory_of
from headrace.report import EXIT_DIFFERENT, EXIT_DONE, EXIT_SIGNAL, EXIT_UNSENT, Progress
from headrace.schema import FieldSchema, IndexParam
from headrace.target import missing_collection
from headrace.transport import SyncTransport

__all__ = ["DumpJob", "DumpReport", "dump"]

T = TypeVar("T")

#: Rows of the first range, and bytes of Arrow that later ones aim at: far below what servers answer at once.
FIRST_ROWS, RANGE_BYTES = 256, 16 << 20
#: Seconds for which the same question is asked again while what goes wrong may pass.
PATIENCE = 120.0
#: Words of servers, gRPC and gateways of an answer that is too large.
_TOO_LARGE = ("larger than max", "maxoutputsize", "result size")


class Runner(Protocol):
    """Runs what a function makes, again and again while what goes wrong may pass."""

    def __call__(self, make: Callable[[], Operation[T]], /) -> T: ...


@dataclass(frozen=True, kw_only=True)
class DumpReport:
    """What a dump did.

    Attributes:
        collection: The collection's name.
        uri: The server's address, or the embedded database's path.
        database: The database; empty for the server's default.
        path: The file.
        status: How the dump ended, in words.
        rows: Rows in the file, or so far where the dump was stopped.
        rows_counted: Rows of the collection at the end, counted by the server; a key that is stored twice counts twice.
            None where the dump was stopped.
        rows_resumed: Rows that earlier runs of the same dump had read (part of ``rows``).
        fields: The columns of the file.
        left_out: Fields that the server computes and does not give away.
        metrics: The metric of each vector field's index; the file's metadata has the indexes' definitions.
        bytes: Size of the file; 0 where the dump was stopped.
        seconds: Wall-clock seconds of this run.
        rows_per_second: Rows that this run read, by its seconds.
        interrupted: ``"SIGINT"`` or ``"SIGTERM"`` where a signal ended the dump.
    """

    collection: str
    uri: str
    database: str
    path: str
    status: str
    rows: int
    rows_counted: int | None
    rows_resumed: int
    fields: list[str]
    left_out: list[str]
    metrics: dict[str, str]
    bytes: int
    seconds: float
    rows_per_second: float
    interrupted: str | None

    @property
    def exit_status(self) -> int:
        """0 done · 4 stopped · 5 the server counts other rows than were read · 130 and 143 a signal."""
        if self.interrupted is not None:
            return EXIT_SIGNAL.get(self.interrupted, EXIT_UNSENT)
        return EXIT_DONE if self.rows == self.rows_counted else EXIT_DIFFERENT

    def to_json(self) -> str:
        """The report as one JSON document."""
        return json.dumps({**asdict(self), "exit_status": self.exit_status}, indent=2, ensure_ascii=False)


def dump(
    collection: str,
    path: str | os.PathLike[str],
    *,
    uri: str | os.PathLike[str] | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    db_name: str | None = None,
    endpoint: Endpoint | None = None,
    partition_name: str = "",
    again: bool = False,
) -> DumpReport:
    """Write every row of a collection into a Parquet file, by ascending key, with strongly consistent reads.

    The file appears when it is complete. Until then what was read lies in a directory beside it, and the same call
    goes on where the last one ended, whatever ended it. Rows that others write meanwhile may be in the file or not.

    The columns are those that a load into a collection of the same schema takes: vectors as fixed-size lists, those
    that may be null as lists (bfloat16 and binary ones as fixed-size binary), sparse ones as lists of structs of index
    and value, JSON, geometries and times as text, the dynamic field as JSON in ``$meta``. The key
    ``headrace.collection`` of the file's metadata holds what ``describe_collection`` says, as JSON.

    Args:
        collection: The collection's name; it must be loaded (an embedded one is loaded for this).
        path: The file, a local one, which must not exist, unless ``again``.
        uri: As for :func:`headrace.load`; so are ``token``, ``user``, ``password``, ``db_name``, ``endpoint``.
        token: ``user:password`` or an API key.
        user: With ``password``, instead of a token.
        password: With ``user``, instead of a token.
        db_name: The database.
        endpoint: All of the above and TLS, as one value.
        partition_name: Only the rows of this partition.
        again: Replace the file, and forget what earlier runs read.

    Raises:
        SchemaError: If there is no such collection.
        ConfigError: If the file exists or is no local one, an earlier run dumped something else, or there is no such
            embedded database.
        ConnectError, MilvusException: If the server does not answer, or refuses.
    """
    where = choose_endpoint(endpoint, uri, token=token, user=user, password=password, db_name=db_name)
    return DumpJob(collection, path, endpoint=where, partition_name=partition_name, again=again).run()


class DumpJob:
    """One dump, from connection to report; arguments as those of :func:`dump`.

    ``progress`` is called after every range, from the thread that runs the job.
    """

    def __init__(
        self,
        collection: str,
        path: str | os.PathLike[str],
        *,
        endpoint: Endpoint,
        partition_name: str = "",
        again: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._collection = collection
        self._path = local_path(collection, path)
        self._endpoint = endpoint
        self._partition = partition_name
        self._again = again
        self._progress = progress
        self._began = time.monotonic()
        self._stopped: str | None = None
        self._metrics: dict[str, str] = {}

    def stop(self, reason: str) -> None:
        """Stop after the range that is being read; safe in any thread and in a signal handler."""
        self._stopped = reason

    def run(self) -> DumpReport:
        """Dump; see :func:`dump`."""
        with SyncTransport(self._endpoint, create=False) as transport:
            return self._dump(transport)

    def _dump(self, transport: SyncTransport) -> DumpReport:
        def run(make: Callable[[], Operation[T]]) -> T:
            return drive_sync(transport, ops.patiently(make, budget=PATIENCE))

        info = run(lambda: ops.describe_collection(self._collection))
        if info is None:
            raise drive_sync(transport, missing_collection(self._collection))
        if self._endpoint.is_embedded:
            # Nobody else decides about it, and it starts with everything released.
            run(lambda: ops.load_collection(info.name))
        # Asked first, because a collection that is not loaded is told so most clearly here.
        total = drive_sync(transport, ops.count(info.name, partition_names=self._partitions))
        fields = _dumped(info)
        schema = pa.schema([pa.field(f.name, _column_type(f), not f.is_primary) for f in fields])
        described = drive_sync(transport, describe_collection(info.name))
        indexes = drive_sync(transport, ops.describe_index(info.name))
        self._metrics = {index.field_name: index.metric_type for index in indexes if index.metric_type}
        schema = schema.with_metadata(memory_of(described, [_definition(index) for index in indexes]))
        counted = None
        with self._files(info, schema) as files:
            resumed = files.rows
            pages = _Pages(run, info, partition=self._partition, ordered=transport.server_kind != "lite")
            for batch in pages.after(files.last_key):
                files.write(batch)
                self._show(files, total=total, resumed=resumed)
                if self._stopped is not None:
                    break
            else:
                files.finish()
                counted = run(lambda: ops.count(info.name, partition_names=self._partitions))
        return self._report(info, files, resumed=resumed, counted=counted)

    @property
    def _partitions(self) -> list[str]:
        return [self._partition] if self._partition else []

    def _origin(self, info: CollectionInfo) -> dict[str, object]:
        """What a run that goes on must have in common with the one before."""
        return {
            "uri": self._endpoint.uri,
            "database": self._endpoint.db_name,
            "collection": info.name,
            "collection_id": info.collection_id,
            "created_timestamp": info.created_timestamp,
            "partition": self._partition,
        }

    def _files(self, info: CollectionInfo, schema: pa.Schema) -> DumpFiles:
        key = info.schema.primary_key.name
        return DumpFiles(self._path, schema, key=key, origin=self._origin(info), again=self._again)

    def _show(self, files: DumpFiles, *, total: int, resumed: int) -> None:
        if self._progress is not None:
            self._progress(
                Progress(
                    phase="reading",
                    rows_total=total,
                    rows_read=files.rows,
                    rows_settled=files.rows,
                    rows_stored=files.rows,
                    rows_resumed=resumed,
                    rows_rejected=0,
                    bytes_sent=files.bytes,
                    in_flight=1,
                    in_flight_bytes=0,
                    retries=0,
                    throttled_seconds=0.0,
                    seconds=time.monotonic() - self._began,
                )
            )

    def _report(self, info: CollectionInfo, files: DumpFiles, *, resumed: int, counted: int | None) -> DumpReport:
        seconds = time.monotonic() - self._began
        return DumpReport(
            collection=info.name,
            uri=self._endpoint.uri,
            database=self._endpoint.db_name,
            path=str(self._path),
            status=_status(files.rows, counted, self._stopped),
            rows=files.rows,
            rows_counted=counted,
            rows_resumed=resumed,
            fields=files.schema.names,
            left_out=[field.name for field in info.schema.fields if field.name not in files.schema.names],
            metrics=self._metrics,
            bytes=0 if counted is None else self._path.stat().st_size,
            seconds=round(seconds, 3),
            rows_per_second=round((files.rows - resumed) / seconds, 1),
            interrupted=self._stopped if counted is None else None,
        )


class _TooLargeError(HeadraceError):
    """A range is more than the server answers at once; asking again does not help."""


class _Pages:
    """The rows of a collection, range by range; a range's rows follow from the bytes of the one before."""

    def __init__(self, run: Runner, info: CollectionInfo, *, partition: str, ordered: bool) -> None:
        self._run = run
        self._info = info
        self._partition = partition
        self._ordered = ordered
        self._rows = FIRST_ROWS
        # The dynamic field comes whole only with everything else.
        self._names = ["*"] if info.schema.enable_dynamic_field else [field.name for field in _dumped(info)]

    def after(self, last: Key | None) -> Iterator[pa.RecordBatch]:
        """Every row with a key above ``last``, ascending; none of the batches is empty."""
        while keys := self._run(partial(self._keys, last)):
            while keys:
                end = keys[: self._rows][-1]
                try:
                    batch = self._run(partial(self._between, last, end))
                except _TooLargeError:
                    if end == keys[0]:
                        raise
                    self._rows = min(self._rows, len(keys)) // 2
                    continue
                keys, last = keys[self._rows :], end
                if batch.num_rows:
                    yield batch
                    fitting = RANGE_BYTES * batch.num_rows // max(1, batch.nbytes)
                    self._rows = max(1, min(fitting, 2 * self._rows, KEYS_PER_CALL))

    def _keys(self, last: Key | None) -> Operation[list[Key]]:
        return keys_after(self._info, last, ordered=self._ordered, partition_name=self._partition)

    def _between(self, last: Key | None, end: Key) -> Operation[pa.RecordBatch]:
        try:
            return (yield from rows_between(self._info, last, end, self._names, partition_name=self._partition))
        except (MilvusException, RpcError) as error:
            if any(words in str(error).lower() for words in _TOO_LARGE):
                raise _TooLargeError(str(error)) from error
            raise


def _definition(index: ops.IndexInfo) -> IndexParam:
    """The index as one would ask for it again."""
    given = {name: value for name, value in index.params.items() if name not in ("index_type", "metric_type")}
    # What AUTOINDEX chose is for the next server to choose again.
    params = {} if index.index_type == "AUTOINDEX" else given
    metric = "" if index.metric_type == "NONE" else index.metric_type  # Milvus Lite's word for scalar indexes
    return IndexParam(index.field_name, index.index_type or "AUTOINDEX", metric, index.index_name, params)


def _dumped(info: CollectionInfo) -> list[FieldSchema]:
    """The columns of the file: the key even where the server makes it, and not what the server computes."""
    sent = info.schema.sent_fields
    key = info.schema.primary_key
    return list(sent) if any(field.is_primary for field in sent) else [key, *sent]


def _column_type(field: FieldSchema) -> pa.DataType:
    """The type that a load packs as it is; where there may be nulls, as lists of which Parquet holds nulls."""
    kind = canonical_type(field)
    return pa.list_(kind.value_type) if field.nullable and pa.types.is_fixed_size_list(kind) else kind


def _status(rows: int, counted: int | None, stopped: str | None) -> str:
    if counted is None:
        return f"stopped by {stopped}; the same command goes on"
    if counted == rows:
        return "done"
    if counted > rows:
        return f"done, but the server counts {counted:,} rows: keys are stored twice, or another writer is at work"
    return f"done, but the server counts {counted:,} rows: another writer is at work"
