"""What a load of a source would do, without doing it: what ``headrace inspect`` shows. Nothing is written."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace import operations as ops
from headrace.calls import drive_sync
from headrace.casts.jsontext import type_name
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, LoadOptions
from headrace.conform import plan_conform
from headrace.console import count, size, table
from headrace.errors import InputError
from headrace.inference import infer_schema
from headrace.packing import make_packer
from headrace.profiling import profile_rows
from headrace.reading import iterate
from headrace.releases import has_timestamptz
from headrace.remembered import remembered_indexes
from headrace.schema import CollectionSchema
from headrace.sources import Source, open_source
from headrace.summary import mapping_table
from headrace.target import index_params
from headrace.transport import SyncTransport

__all__ = ["Inspection", "inspect_source", "inspection_lines"]

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
        files: Per file or object: ``path``, ``rows`` (None where only reading tells), ``bytes`` on disk.
        skipped: Files that were left out.
        rows: Rows in all, where known.
        columns: Per column: ``name`` and Arrow ``type``.
        collection: The collection that was asked about, or None.
        uri: The server that was asked, or None.
        exists: Whether the collection exists; None where no server was asked.
        rows_before: Rows of an existing collection that is loaded, strongly consistent.
        primary_key: The key field of the collection, existing or to be created.
        mapping: Per column: ``source``, ``source_type``, ``field``, ``field_type``, ``note``.
        indexes: Per vector field of a collection to be created: ``field``, ``metric``.
        notes: What a person should know: narrowed columns, guesses, fields that the server fills.
        request_bytes_per_row: Bytes of one row in a request, from the rows that were looked at.
        profile: What a sample of the rows looks like, as :class:`headrace.profiling.Profile` has it.
        like: Collections of a similar name, where the one that was asked for does not exist.
        problem: Why a load would be refused, or None.
    """

    source: str
    files: list[dict[str, Any]]
    skipped: list[str]
    rows: int | None
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
            batch = None if sample is None else sample.batch
            given = schema if info is None else info.schema
            _plan(found, opened, batch, given, options, exists=info is not None, timestamptz=timestamptz)
        except InputError as error:
            found.problem = str(error)
        return found


def inspection_lines(found: Inspection, *, width: int = 0) -> Iterator[str]:
    """The inspection for a person to read."""
    rows = "rows unknown" if found.rows is None else f"{count(found.rows)} rows"
    on_disk = sum(entry["bytes"] or 0 for entry in found.files)
    yield f"{found.source}: {rows}, {len(found.files)} file(s), {size(on_disk)} on disk"
    if len(found.files) > 1:
        yield ""
        shown = [[entry["path"], _number(entry["rows"]), size(entry["bytes"] or 0)] for entry in found.files]
        yield table(("file", "rows", "bytes"), shown, numbers=(1, 2))
    for path in found.skipped:
        yield f"left out: {path}"
    yield ""
    if found.mapping:
        yield _target(found)
        yield mapping_table(found.mapping, width)
    else:
        yield table(("column", "type"), [[entry["name"], entry["type"]] for entry in found.columns], width=width)
    if found.request_bytes_per_row is not None:
        total = "" if found.rows is None else f", {size(found.request_bytes_per_row * found.rows)} in all"
        yield ""
        yield f"about {size(found.request_bytes_per_row)} per row on the wire{total}"
    if found.profile:
        yield from _profile_lines(found.profile, found.rows, width)
    for note in found.notes:
        yield f"note: {note}"


def _profile_lines(profile: dict[str, Any], rows: int | None, width: int) -> Iterator[str]:
    size_per_row, repeats = profile["server_bytes_per_row"], profile["key_repeats"]
    if size_per_row is not None and rows is not None:
        yield f"about {size(size_per_row * rows)} in the server's memory: values, and an HNSW index's links"
    yield ""
    keys = "" if repeats is None else f"; {count(repeats)} of them have a key that stands before"
    yield f"{count(profile['rows'])} rows were looked at{keys}"
    shown = [[it["field"], it["type"], count(it["nulls"]), _remarks(it)] for it in profile["fields"]]
    yield table(("field", "type", "nulls", "values"), shown, width=width, numbers=(2,))


def _remarks(entry: dict[str, Any]) -> str:
    parts = []
    if entry["norm"]:
        norm = entry["norm"]
        parts.append(f"length {norm['least']:g} to {norm['largest']:g}, median {norm['median']:g}")
    if entry["advice"]:
        parts.append(entry["advice"])
    if entry["not_finite"]:
        parts.append(f"{count(entry['not_finite'])} with NaN or an infinity")
    if entry["zeros"]:
        parts.append(f"{count(entry['zeros'])} of length 0")
    if entry["longest"] is not None:
        parts.append(f"at most {count(entry['longest'])} bytes")
    return "; ".join(parts)


def _number(rows: int | None) -> str:
    return "?" if rows is None else count(rows)


def _target(found: Inspection) -> str:
    if found.exists:
        rows = "" if found.rows_before is None else f" and holds {count(found.rows_before)} rows"
        return f"collection {found.collection!r} exists{rows}; its key is {found.primary_key!r}"
    name = "a collection" if found.collection is None else f"collection {found.collection!r}"
    metrics = ", ".join(f"{index['field']} ({index['metric']})" for index in found.indexes)
    indexed = f", indexed: {metrics}" if metrics else ""
    if found.like:
        name += f" (there is {', '.join(map(repr, found.like))})"
    return f"--create would make {name} with the key {found.primary_key!r}{indexed}"


def _look_at(source: Source) -> Inspection:
    rows: dict[str, int | None] = {file.label: file.rows for file in source.files}
    for part in source.parts() if source.replayable and not source.files else ():
        before = rows.get(part.label, 0)
        rows[part.label] = None if part.rows is None or before is None else before + part.rows
    return Inspection(
        source=source.label,
        notes=list(source.notes),
        files=[{"path": label, "rows": number, "bytes": _file_size(label)} for label, number in rows.items()],
        skipped=list(source.skipped),
        rows=source.rows_total,
        columns=[{"name": column.name, "type": type_name(column.type)} for column in source.schema],
    )


def _file_size(label: str) -> int | None:
    path = Path(label)
    return path.stat().st_size if path.is_file() else None


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
        elif drive_sync(transport, ops.is_loaded(collection)):
            found.rows_before = drive_sync(transport, ops.count(collection))
        return info, has_timestamptz(transport.server_version, lite=transport.server_kind == "lite")


def _plan(
    found: Inspection,
    source: Source,
    sample: pa.RecordBatch | None,
    schema: CollectionSchema | None,
    options: LoadOptions,
    *,
    exists: bool,
    timestamptz: bool,
) -> None:
    if schema is None:
        schema = infer_schema(
            source.schema,
            sample=sample,
            options=options,
            nulls=source.nulls,
            timestamptz=timestamptz,
            later_columns=source.open_ended,
        )
    if not exists:
        found.indexes = [
            {"field": index.field_name, "metric": index.metric_type}
            for index in index_params(schema, options.metric, remembered_indexes(source.schema, options))
        ]
    found.primary_key = schema.primary_key.name
    plan = plan_conform(source.schema, schema, options=options, sample=sample, later_columns=source.open_ended)
    found.mapping = [asdict(entry) for entry in plan.mapping]
    found.notes += plan.notes
    if plan.left_out:
        found.notes.append(f"the server fills {', '.join(plan.left_out)}")
    if sample is not None:
        _measure(found, plan.apply(sample).batch, schema, plan.columns)
        rows = (plan.apply(batch).batch for batch in _spread(source, sample, options))
        found.profile = asdict(profile_rows(rows, schema))


def _spread(source: Source, sample: pa.RecordBatch, options: LoadOptions) -> Iterator[pa.RecordBatch]:
    """The first rows of some parts, spread over the whole source where it can be read again, else the sample."""
    if not source.replayable or options.limit is not None:
        yield sample
        return
    parts = list(source.parts())
    chosen = parts[:: -(-len(parts) // PARTS)]
    for part in chosen:
        left = PROFILE_BYTES // len(chosen)
        for found in part.batches(max_bytes=left, columns=None):
            yield found.batch
            left -= found.batch.nbytes
            if left <= 0:
                break


def _measure(found: Inspection, batch: pa.RecordBatch, schema: CollectionSchema, columns: tuple[str, ...]) -> None:
    packer = make_packer(schema, collection_name="inspect", columns=columns)
    refused = packer.check(batch)
    if refused:
        row, name, expected, value, _ = refused[0]
        found.notes.append(
            f"{len(refused)} of the first {batch.num_rows} rows would be rejected, for example row {row}, "
            f"field {name!r}: expected {expected}, found {value}"
        )
        bad = {row for row, *_ in refused}
        batch = batch.take(pa.array([row for row in range(batch.num_rows) if row not in bad], pa.int64()))
    if batch.num_rows:
        found.request_bytes_per_row = packer.encoded_len(batch) / batch.num_rows
