"""Compares a source with a collection, without a load: :func:`verify`, and what ``headrace verify SOURCE`` runs."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from headrace import operations as ops
from headrace.batching import Placed
from headrace.calls import drive_sync
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, LoadOptions, choose_endpoint
from headrace.conform import ConformPlan
from headrace.errors import MismatchError
from headrace.evidence import sample_rows
from headrace.fitting import fit
from headrace.packing import make_packer
from headrace.proving import conformed_batches, prove_rows
from headrace.readback import DOUBLED_NAMED, REMEMBERED, VerifyResult, watched
from headrace.reading import iterate
from headrace.repairing import Repair, check_repairable, repair_rows
from headrace.report import EXIT_DIFFERENT, EXIT_DONE, EXIT_UNSENT
from headrace.sampling import Samples
from headrace.sources import Source, SourceBatch, is_path, open_source
from headrace.target import readable_collection
from headrace.transport import SyncTransport

__all__ = ["Level", "Verification", "verify", "verify_source"]

Level = Literal["count", "sample", "full"]

#: Bytes of a source batch, about.
BATCH_BYTES = 8 << 20


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
        result: Level, status, checked, mismatches, note; after a repair, of what is there now.
        files: A line per source file: its rows, those refused, those verified and those that differ; before a repair.
        repair: What was sent again; None where nothing was, or nothing had to be.
    """

    source: str
    collection: str
    uri: str
    database: str
    rows_read: int
    rows_refused: int
    result: VerifyResult
    files: list[dict[str, object]] = field(default_factory=list)
    repair: Repair | None = None

    @property
    def exit_status(self) -> int:
        """How a process that made this should end.

        0 nothing differs · 5 something differs · after a repair also 3 rows were refused · 4 it did not come to its
        end · 130 and 143 a signal. A result that is "not applicable" is 0, and no proof.
        """
        repaired = EXIT_DONE if self.repair is None else self.repair.report.exit_status
        if self.repair is not None and (self.repair.after is None or repaired >= EXIT_UNSENT):
            return max(repaired, EXIT_UNSENT)
        return EXIT_DIFFERENT if self.result.status == "mismatch" else repaired

    @property
    def ok(self) -> bool:
        """Whether everything was found as it should be, now."""
        return self.result.status == "ok" and self.exit_status == EXIT_DONE

    def sentence(self) -> str:
        """The outcome in one line."""
        found = self.result
        note = f" ({found.note})" if found.note else ""
        rows = f"{found.checked:,} rows of {self.source} checked against {self.collection}"
        return f"verify {found.level}: {found.status}, {rows}{note}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "source": self.source,
            "collection": self.collection,
            "uri": self.uri,
            "database": self.database,
            "rows_read": self.rows_read,
            "rows_refused": self.rows_refused,
            **self.result.to_dict(),
            "files": self.files,
            "repair": None if self.repair is None else self.repair.to_dict(),
            "exit_status": self.exit_status,
        }

    def to_json(self) -> str:
        """Everything as one JSON document."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)


def verify(
    source: object,
    *,
    collection: str,
    level: Level = "full",
    repair: bool = False,
    uri: str | os.PathLike[str] | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    db_name: str | None = None,
    endpoint: Endpoint | None = None,
    check: bool = True,
    **options: Any,
) -> Verification:
    """Compare the rows of a source with what a collection holds under their keys, and mend it where that is wanted.

    Rows of the collection that the source does not have are no difference. Where a key stands twice in the source its
    last row counts.

    Args:
        source: What :func:`headrace.load` takes; for a repair, something that can be read twice.
        collection: The collection's name or alias. It has to be in memory.
        level: ``"count"``: every key is there once. ``"sample"``: random rows bit for bit, and each found by its own
            vectors. ``"full"``: every value of every row.
        repair: Send again what is missing, doubled or different, exactly those rows, as upserts, and verify them again.
        uri: The server; this and what follows as for :func:`headrace.load`.
        token: Its credentials.
        user: The same.
        password: The same.
        db_name: The database.
        endpoint: All of that in one.
        check: Raise where the outcome's ``exit_status`` is not 0; with False the outcome is returned.
        **options: Fields of :class:`headrace.LoadOptions`, as the load had them: how the source is read, ``limit``,
            ``partition_name`` (only that one is looked at) or ``partition_column``, ``state_dir`` (a repair notes its
            rows in its journal).

    Raises:
        ConfigError: If the collection is not in memory, or cannot be repaired.
        InputError: If the source cannot be read or does not fit the collection.
        JournalError: If a load into the collection is running that a repair would disturb.
        TransportError, MilvusException: If the server cannot be asked, or refuses.
        MismatchError: If anything differs, or a repair did not come to its end; ``found`` is the outcome.
    """
    where = choose_endpoint(endpoint, uri, token=token, user=user, password=password, db_name=db_name)
    chosen = LoadOptions(**options)
    found = verify_source(source, collection=collection, level=level, endpoint=where, options=chosen, repair=repair)
    if check and found.exit_status:
        raise MismatchError(found.sentence(), found=found)
    return found


class _Reader:
    """A source's rows as a load would send them, counted."""

    def __init__(self, batches: Iterable[SourceBatch], plan: ConformPlan, info: CollectionInfo) -> None:
        self.read: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self._batches = batches
        self._plan = plan
        self._packer = make_packer(info.schema, collection_name=info.name, columns=plan.columns)

    def __iter__(self) -> Iterator[Placed]:
        for rows in conformed_batches(self._counted(), self._plan, self._packer):
            for span in rows.spans:
                self.kept[span.source] += span.count
            yield rows

    def _counted(self) -> Iterator[SourceBatch]:
        for found in self._batches:
            self.read[found.source] += found.batch.num_rows
            yield found

    def files(self, result: VerifyResult) -> list[dict[str, object]]:
        """A line per file."""
        lines = []
        for source, rows in self.read.items():
            line: dict[str, object] = {"source": source, "rows": rows}
            if refused := rows - self.kept[source]:
                line["refused"] = refused
            if (found := result.files.get(source)) is not None:
                line |= found.to_dict()
            lines.append(line)
        return lines


def verify_source(
    source: object,
    *,
    collection: str,
    level: Level,
    endpoint: Endpoint,
    options: LoadOptions,
    repair: bool = False,
    stoppable: Callable[[Callable[[str], None]], None] = lambda _: None,
) -> Verification:
    """Compare every row of ``source`` with what ``collection`` holds under its key; see :func:`verify`.

    Args:
        source: What :func:`headrace.load` takes, as long as it can be read twice.
        collection: The collection's name or alias.
        level: ``"count"`` (every key is there once), ``"sample"`` or ``"full"``.
        endpoint: The server.
        options: See :func:`verify`.
        repair: Whether rows that differ are sent again.
        stoppable: See :func:`headrace.repairing.repair_rows`.

    Raises:
        HeadraceError: As :func:`verify`, except where something differs.
    """
    with contextlib.ExitStack() as held:
        # Files are looked at before anybody is called; plain values wait for the collection's schema.
        opened = held.enter_context(open_source(source, options=options)) if is_path(source) else None
        with SyncTransport(endpoint, create=False) as transport:
            info = drive_sync(transport, readable_collection(collection, embedded=endpoint.is_embedded))
            opened = opened or held.enter_context(open_source(source, schema=info.schema, options=options))
            if repair:
                check_repairable(opened, info, level)
            sample = next(_batches(opened, options), None)
            _, plan = fit(
                opened.schema,
                info.schema,
                None if sample is None else sample.batch,
                options,
                later_columns=opened.open_ended,
                version=transport.server_version,
                lite=transport.server_kind == "lite",
            )
            reader = _Reader(_batches(opened, options, plan), plan, info)
            result = _compare(transport, info, reader, level, options, repair=repair)
        found = Verification(
            source=opened.label,
            collection=collection,
            uri=endpoint.uri,
            database=endpoint.db_name,
            rows_read=reader.read.total(),
            rows_refused=reader.read.total() - reader.kept.total(),
            result=result,
            files=reader.files(result),
        )
        if not (repair and result.differing):
            return found
        done = repair_rows(
            opened, result, collection=collection, endpoint=endpoint, options=options, stoppable=stoppable
        )
        return replace(found, result=done.outcome(), repair=done)


def _batches(source: Source, options: LoadOptions, plan: ConformPlan | None = None) -> Iterator[SourceBatch]:
    columns = None if plan is None else plan.source_columns
    return iterate(source, max_bytes=BATCH_BYTES, columns=columns, limit=options.limit)


def _compare(
    transport: SyncTransport, info: CollectionInfo, reader: _Reader, level: Level, options: LoadOptions, *, repair: bool
) -> VerifyResult:
    if info.schema.auto_id:
        return _compare_counts(transport, info, reader, options.partition_name)
    rows: Iterable[Placed] = reader
    if level == "sample":
        samples = Samples(sample_rows(options.partition_column), key=info.schema.primary_key.name)
        for found in reader:
            samples.add(found)
        rows = samples.batches()
    # What is to be repaired has to be known by its key.
    doubles = REMEMBERED if repair else DOUBLED_NAMED
    proof = prove_rows(info, level, rows, doubles=doubles)
    return drive_sync(transport, watched(info, proof))


def _compare_counts(transport: SyncTransport, info: CollectionInfo, reader: _Reader, partition: str) -> VerifyResult:
    """Without keys of their own rows cannot be told apart: only a lack of rows proves anything."""
    expected = sum(rows.batch.num_rows for rows in reader)
    found = drive_sync(transport, ops.count(info.name, partition_names=[partition] if partition else []))
    note = "the server makes the keys, so that rows cannot be looked up"
    if found < expected:
        mismatch = {"key": None, "field": "count(*)", "expected": f"{expected:,} rows", "found": f"{found:,} rows"}
        return VerifyResult("count", "mismatch", found, [mismatch], note)
    return VerifyResult("count", "not applicable", found, [], note)
