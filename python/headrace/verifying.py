"""Compares a source with a collection, without a load: what ``headrace verify`` runs. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from headrace import operations as ops
from headrace.calls import drive_sync
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, LoadOptions
from headrace.conform import ConformPlan, plan_conform
from headrace.errors import ConfigError, explain
from headrace.evidence import SAMPLE_ROWS
from headrace.packing import make_packer
from headrace.proving import conformed_batches, prove_rows
from headrace.reading import iterate
from headrace.sources import Source, SourceBatch, open_source
from headrace.target import missing_collection
from headrace.transport import SyncTransport
from headrace.verify import Findings, Reservoir, VerifyResult, verify_key_counts

__all__ = ["Verification", "verify_source"]

#: Most bytes of a source batch.
BATCH_BYTES = 8 << 20
EXIT_DIFFERENT = 5


@dataclass(frozen=True)
class Verification:
    """What a comparison of a source with a collection found.

    Attributes:
        source: The source's label.
        collection: The collection's name.
        uri: The server's address, or the embedded database's path.
        database: The database; empty for the server's default.
        rows_read: Rows of the source.
        rows_refused: Rows of the source that could not be loaded at all and are not looked for.
        result: Level, status, checked, mismatches, note.
    """

    source: str
    collection: str
    uri: str
    database: str
    rows_read: int
    rows_refused: int
    result: VerifyResult

    @property
    def exit_status(self) -> int:
        """5 where anything differs, else 0."""
        return EXIT_DIFFERENT if self.result.status == "mismatch" else 0

    def sentence(self) -> str:
        """The outcome in one line."""
        found = self.result
        note = f" ({found.note})" if found.note else ""
        rows = f"{found.checked:,} rows of {self.source} checked against {self.collection}"
        return f"verify {found.level}: {found.status}, {rows}{note}"

    def to_json(self) -> str:
        """Everything as one JSON document."""
        document = {
            "source": self.source,
            "collection": self.collection,
            "uri": self.uri,
            "database": self.database,
            "rows_read": self.rows_read,
            "rows_refused": self.rows_refused,
            **self.result.to_dict(),
            "exit_status": self.exit_status,
        }
        return json.dumps(document, indent=2, ensure_ascii=False)


class _Reader:
    """A source's rows as a load would send them, counted."""

    def __init__(self, batches: Iterable[SourceBatch], plan: ConformPlan, info: CollectionInfo) -> None:
        self.rows = 0
        self.kept = 0
        self._batches = batches
        self._plan = plan
        self._packer = make_packer(info.schema, collection_name=info.name, columns=plan.columns)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in conformed_batches(self._counted(), self._plan, self._packer):
            self.kept += batch.num_rows
            yield batch

    def _counted(self) -> Iterator[SourceBatch]:
        for found in self._batches:
            self.rows += found.batch.num_rows
            yield found


def verify_source(
    source: object, *, collection: str, level: str, endpoint: Endpoint, options: LoadOptions
) -> Verification:
    """Compare every row of ``source`` with what ``collection`` holds under its key.

    Args:
        source: What :func:`headrace.load` takes, as long as it can be read twice.
        collection: The collection's name or alias.
        level: ``"count"`` (every key is there once), ``"sample"`` or ``"full"``.
        endpoint: The server.
        options: ``key``, ``partition_name`` and ``limit`` count.

    :raises InputError: if the source cannot be read or does not fit the collection.
    :raises ConfigError: if the collection is not loaded.
    :raises ConnectError, MilvusException: if the server cannot be asked.
    """
    with open_source(source, options=options) as opened, SyncTransport(endpoint) as transport:
        info = _find(transport, collection)
        sample = next(_batches(opened, options), None)
        old = transport.server_kind != "lite" and transport.server_version < (2, 5, 0)
        plan = plan_conform(
            opened.schema,
            info.schema,
            options=options,
            sample=None if sample is None else sample.batch,
            fill_defaults=old,
            later_columns=opened.open_ended,
        )
        reader = _Reader(_batches(opened, options, plan), plan, info)
        result = _compare(transport, info, reader, level, options.partition_name)
        return Verification(
            source=opened.label,
            collection=collection,
            uri=endpoint.uri,
            database=endpoint.db_name,
            rows_read=reader.rows,
            rows_refused=reader.rows - reader.kept,
            result=result,
        )


def _find(transport: SyncTransport, collection: str) -> CollectionInfo:
    info = drive_sync(transport, ops.describe_collection(collection))
    if info is None:
        raise drive_sync(transport, missing_collection(collection))
    if transport.endpoint.is_embedded:
        # The engine was started for this and ends with it: nobody else has a use for its memory.
        drive_sync(transport, ops.load_collection(collection))
    if not drive_sync(transport, ops.is_loaded(collection)):
        where, remedy = f"collection {collection!r}", "load it into memory first"
        raise ConfigError(explain(where, "it to be in memory, so that it can be read", "it is not", remedy))
    return info


def _batches(source: Source, options: LoadOptions, plan: ConformPlan | None = None) -> Iterator[SourceBatch]:
    columns = None if plan is None else plan.source_columns
    return iterate(source, max_bytes=BATCH_BYTES, columns=columns, limit=options.limit)


def _compare(
    transport: SyncTransport, info: CollectionInfo, reader: _Reader, level: str, partition: str
) -> VerifyResult:
    key = info.schema.primary_key.name
    if info.schema.auto_id:
        return _compare_counts(transport, info, reader, partition)
    if level == "count":
        findings = Findings(level)
        for batch in reader:
            keys = batch.column(key)
            findings.add(keys, drive_sync(transport, verify_key_counts(info, keys, partition_name=partition)))
        return findings.result()
    if level == "full":
        return drive_sync(transport, prove_rows(info, "full", reader, partition_name=partition))
    reservoir = Reservoir(SAMPLE_ROWS, key=key)
    for batch in reader:
        reservoir.add(batch)
    return drive_sync(transport, prove_rows(info, "sample", reservoir.batches(), partition_name=partition))


def _compare_counts(transport: SyncTransport, info: CollectionInfo, reader: _Reader, partition: str) -> VerifyResult:
    """Without keys of their own rows cannot be told apart: only a lack of rows proves anything."""
    expected = sum(batch.num_rows for batch in reader)
    found = drive_sync(transport, ops.count(info.name, partition_names=[partition] if partition else []))
    note = "the server makes the keys, so that rows cannot be looked up"
    if found < expected:
        mismatch = {"key": None, "field": "count(*)", "expected": f"{expected} rows", "found": f"{found} rows"}
        return VerifyResult("count", "mismatch", found, [mismatch], note)
    return VerifyResult("count", "not applicable", found, [], note)
