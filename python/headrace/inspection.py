"""What a load of a source would do, without doing it: what ``headrace inspect`` shows. Nothing is written."""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from headrace import operations as ops
from headrace.calls import drive_sync
from headrace.casts.jsontext import type_name
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, LoadOptions
from headrace.conform import ConformPlan, Refusal, plan_conform
from headrace.errors import InputError, MilvusException, explain
from headrace.inference import infer_schema
from headrace.packing import Packer, make_packer
from headrace.profiling import Refusals, profile_rows
from headrace.quantities import count
from headrace.reading import iterate
from headrace.releases import has_timestamptz
from headrace.remembered import remembered_indexes
from headrace.schema import CollectionSchema, IndexParam
from headrace.sources import Part, Source, SourceBatch, SourceFile, open_source
from headrace.target import index_params
from headrace.transport import SyncTransport
from headrace.zeros import DIRECTED, zeros_text

__all__ = ["Inspection", "inspect_source"]

#: Most bytes of the rows that the plan is made with, and about those of the rows that are profiled.
SAMPLE_BYTES, PROFILE_BYTES = 4 << 20, 16 << 20
#: Parts from which these are taken, spread over the source.
PARTS = 8
EXIT_REFUSED = 2


@dataclass
class Inspection:
    """What was found out about a source, and how it fits a collection.

    Attributes:
        source: The source's label.
        files: Per file or object: ``path``, ``rows`` (None where only reading tells), ``bytes`` where it is kept.
        skipped: Files that were left out.
        rows: Rows in all, where known.
        rows_about: About as many as that, where only reading tells: if files are like their first rows; else None.
        columns: Per column: ``name`` and Arrow ``type``.
        collection: The collection that was asked about, or None.
        uri: The server that was asked, or None.
        exists: Whether the collection exists; None where no server was asked.
        rows_before: Rows of an existing collection that is loaded, strongly consistent.
        primary_key: The key field of the collection, existing or to be created.
        mapping: Per column: ``source``, ``source_type``, ``field``, ``field_type``, ``note``.
        indexes: Per vector field that is indexed, or would be: ``field``, ``metric``.
        notes: What a person should know: narrowed columns, guesses, fields that the server fills.
        request_bytes_per_row: Bytes of one row in a request, of the rows that were looked at and would be stored.
        profile: What a sample of the rows looks like, as :class:`headrace.profiling.Profile` has it.
        like: Collections of a similar name, where the one that was asked for does not exist.
        problem: Why a load would be refused, or None.
    """

    source: str
    files: list[dict[str, Any]]
    skipped: list[str]
    rows: int | None
    rows_about: int | None
    columns: list[dict[str, str]]
    collection: str | None = None
    uri: str | None = None
    exists: bool | None = None
    rows_before: int | None = None
    primary_key: str | None = None
    mapping: list[dict[str, str]] = field(default_factory=list)
    indexes: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    request_bytes_per_row: float | None = None
    profile: dict[str, Any] = field(default_factory=dict)
    like: list[str] = field(default_factory=list)
    problem: str | None = None

    @property
    def exit_status(self) -> int:
        """2 where a load would be refused, else 0."""
        return 0 if self.problem is None else EXIT_REFUSED

    def to_json(self) -> str:
        """Everything as one JSON document."""
        return json.dumps({**asdict(self), "exit_status": self.exit_status}, indent=2, ensure_ascii=False)


def inspect_source(
    source: object,
    *,
    options: LoadOptions,
    collection: str | None = None,
    endpoint: Endpoint | None = None,
    schema: CollectionSchema | None = None,
) -> Inspection:
    """Look at a source's heads, footers and first rows, and at the collection where a server is given.

    What makes a load impossible, such as a column that fits no field, is the result's ``problem``.

    Raises:
        SourceError: If the source cannot be read.
        ConnectError, MilvusException: If the server cannot be asked.
    """
    with open_source(source, options=options) as opened:
        found = _look_at(opened)
        info, timestamptz = None, False
        if collection is not None and endpoint is not None:
            found.collection, found.uri = collection, endpoint.uri
            info, timestamptz = _ask(found, collection, endpoint)
        sample = next(iterate(opened, max_bytes=SAMPLE_BYTES, columns=None, limit=options.limit), None)
        try:
            given = schema if info is None else info.schema
            _plan(found, opened, sample, given, options, exists=info is not None, timestamptz=timestamptz)
        except InputError as error:
            found.problem = str(error)
        return found


def _look_at(source: Source) -> Inspection:
    rows: dict[str, int | None] = {file.label: file.rows for file in source.files}
    sizes = {file.label: file.size for file in source.files}
    for part in source.parts() if source.replayable and not source.files else ():
        before = rows.get(part.label, 0)
        rows[part.label] = None if part.rows is None or before is None else before + part.rows
    return Inspection(
        source=source.label,
        notes=list(source.notes),
        files=[{"path": label, "rows": number, "bytes": sizes.get(label)} for label, number in rows.items()],
        skipped=list(source.skipped),
        rows=source.rows_total,
        rows_about=_rows_about(source.files) if source.rows_total is None else None,
        columns=[{"name": column.name, "type": type_name(column.type)} for column in source.schema],
    )


def _rows_about(files: Sequence[SourceFile]) -> int | None:
    """About how many rows all files have, by the first rows of some of those that do not say it."""
    unknown = [file for file in files if file.rows is None]
    looked_at = unknown[:: -(-len(unknown) // PARTS) or 1]
    estimates = [file.about_rows() for file in looked_at]
    size = sum(file.size or 0 for file in looked_at)
    if None in estimates or not size:
        return None
    density = sum(rows or 0 for rows in estimates) / size
    return sum(file.rows or 0 for file in files) + round(density * sum(file.size or 0 for file in unknown))


def _ask(found: Inspection, collection: str, endpoint: Endpoint) -> tuple[CollectionInfo | None, bool]:
    """The collection, where it exists, and whether the server has TIMESTAMPTZ; the rest goes into ``found``."""
    if endpoint.is_embedded and not endpoint.path.exists():
        # Connecting would create the database. What would be created is of this machine's own engine.
        found.exists = False
        return None, True
    with SyncTransport(endpoint) as transport:
        info = drive_sync(transport, ops.describe_collection(collection))
        found.exists = info is not None
        if info is None:
            names = drive_sync(transport, ops.list_collections())
            found.like = difflib.get_close_matches(collection, names)
        else:
            # Who may not ask goes without.
            with contextlib.suppress(MilvusException):
                found.indexes = _index_lines(drive_sync(transport, ops.describe_index(collection)))
            if drive_sync(transport, ops.is_loaded(collection)):
                found.rows_before = drive_sync(transport, ops.count(collection))
        return info, has_timestamptz(transport.server_version, lite=transport.server_kind == "lite")


def _plan(
    found: Inspection,
    source: Source,
    sample: SourceBatch | None,
    schema: CollectionSchema | None,
    options: LoadOptions,
    *,
    exists: bool,
    timestamptz: bool,
) -> None:
    first = None if sample is None else sample.batch
    later, inferred = source.open_ended, schema is None
    if schema is None:
        schema = infer_schema(
            source.schema,
            sample=first,
            options=options,
            nulls=source.nulls,
            timestamptz=timestamptz,
            later_columns=later,
        )
    if not exists:
        known = remembered_indexes(source.schema, options)
        found.indexes = _index_lines(index_params(schema, options.metric, known))
    found.primary_key = schema.primary_key.name
    plan = plan_conform(source.schema, schema, options=options, sample=first, later_columns=later, inferred=inferred)
    found.mapping = [asdict(entry) for entry in plan.mapping]
    found.notes += plan.notes
    if sample is not None:
        looking = _Looking(plan, make_packer(schema, collection_name="inspect", columns=plan.columns))
        batches = _spread(source, sample, plan.source_columns, options)
        found.profile = asdict(profile_rows(map(looking.conform, batches), schema, looking.refusals))
        found.request_bytes_per_row = looking.bytes_per_row
        found.notes += _losses(found.profile["rows"], looking.refusals)
        found.notes += _zeros(found)


def _index_lines(indexes: Sequence[ops.IndexInfo] | Sequence[IndexParam]) -> list[dict[str, str]]:
    return [{"field": index.field_name, "metric": index.metric_type} for index in indexes if index.metric_type]


def _spread(source: Source, sample: SourceBatch, columns: Sequence[str], options: LoadOptions) -> Iterator[SourceBatch]:
    """The first rows of some parts, spread over the whole source where it can be read again, else the sample.

    Where only reading tells how many rows there are, as many from its beginning: its parts are found by reading, too.
    """
    if not source.replayable or options.limit is not None:
        yield sample
        return
    parts: Iterable[Part] = source.parts()
    left = share = PROFILE_BYTES
    if source.rows_total is not None:
        every = list(parts)
        parts = every[:: -(-len(every) // PARTS)]
        share = PROFILE_BYTES // len(parts)
    for part in parts:
        wanted = min(share, left)
        for found in part.batches(max_bytes=wanted, columns=columns):
            yield found
            wanted -= found.batch.nbytes
            left -= found.batch.nbytes
            if wanted <= 0:
                break
        if left <= 0:
            return


class _Looking:
    """Takes rows as a load does, and counts those that it would reject.

    Attributes:
        refusals: These.
    """

    def __init__(self, plan: ConformPlan, packer: Packer) -> None:
        self._plan = plan
        self._packer = packer
        self.refusals = Refusals()
        self._rows = self._bytes = 0

    @property
    def bytes_per_row(self) -> float | None:
        """Bytes of one row in a request; None before one was seen that would be stored."""
        return self._bytes / self._rows if self._rows else None

    def conform(self, found: SourceBatch) -> pa.RecordBatch:
        """The rows that fit the fields' types."""
        result = self._plan.apply(found.batch)
        batch, kept = result.batch, result.kept
        self.refusals.taken_out += len(result.refused)
        self.refusals.nulls.update(result.refused_nulls)
        for cell in result.refused:
            self._reject(found, cell)
        stored, unfit = batch, [Refusal(*cell) for cell in self._packer.check(batch)]
        for cell in unfit:
            self._reject(found, cell if kept is None else replace(cell, row=int(kept[cell.row])))
        if unfit:
            bad = [cell.row for cell in unfit]
            stored = batch.take(pa.array(np.setdiff1d(np.arange(batch.num_rows), bad, assume_unique=True)))
        self._rows += stored.num_rows
        self._bytes += self._packer.encoded_len(stored) if stored.num_rows else 0
        return batch

    def _reject(self, found: SourceBatch, cell: Refusal) -> None:
        where = f"row {found.first_row + cell.row} of {found.source}"
        self.refusals.add(cell.field, explain(where, cell.expected, cell.found, cell.remedy))


def _zeros(found: Inspection) -> list[str]:
    """A note for each field of which some rows that were looked at have no direction, where that counts."""
    directed = {index["field"] for index in found.indexes if index["metric"] == DIRECTED}
    return [
        f"{count(it['zeros'])} {zeros_text(it['field'])}"
        for it in found.profile["fields"]
        if it["zeros"] and it["field"] in directed
    ]


def _losses(rows: int, refusals: Refusals) -> list[str]:
    """Why a load would reject rows of a sample, field by field."""
    return [
        f"{count(lost)} of the {count(rows)} rows that were looked at would be rejected for {name!r}, "
        f"for example {refusals.examples[name]}"
        for name, lost in refusals.rejected.items()
    ]
