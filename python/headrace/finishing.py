"""What is left to do once all parts are loaded, and is done once: flush, index, load into memory, verify."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation, drive_sync
from headrace.config import Endpoint, LoadOptions, VerifyLevel, choose_endpoint
from headrace.errors import ConfigError, explain
from headrace.merging import MergedReport, merge_reports
from headrace.plans import Plan
from headrace.quantities import number_of
from headrace.report import EXIT_DIFFERENT, EXIT_DONE, LoadReport
from headrace.target import missing_collection
from headrace.transport import SyncTransport
from headrace.verifying import Level, verify_source

__all__ = ["CollectionState", "FinishReport", "finish", "finish_collection", "look_at"]

#: Seconds until every index has to be built: large ones take hours.
INDEX_TIMEOUT = 86_400.0


@dataclass(frozen=True)
class FinishReport:
    """A collection whose load is finished.

    Attributes:
        collection: Its name.
        uri: The server's address, or the embedded database's path.
        database: The database; empty for the server's default.
        rows: Its rows, strongly consistent; None where it is not in memory.
        indexes: Per index: ``field``, ``type``, ``metric``, ``state``, ``rows``.
        loaded: Whether it is in memory, so that it can be searched.
        verify: What the comparison with the source found; None where nothing was asked for.
        report: The joint account of the parts; None where no reports were given.
        seconds: How long this took.
    """

    collection: str
    uri: str
    database: str
    rows: int | None
    indexes: list[dict[str, Any]]
    loaded: bool
    verify: dict[str, Any] | None
    report: MergedReport | None
    seconds: float

    @property
    def exit_status(self) -> int:
        """5 where the comparison found a difference, else that of the joint account, else 0."""
        if self.verify is not None and self.verify["status"] == "mismatch":
            return EXIT_DIFFERENT
        return EXIT_DONE if self.report is None else self.report.exit_status

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, with ``exit_status``."""
        return {**asdict(self), "exit_status": self.exit_status}

    def to_json(self) -> str:
        """Everything as one JSON document."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def sentence(self) -> str:
        """The outcome in one line."""
        rows = "rows not counted" if self.rows is None else number_of(self.rows, "row")
        indexes = ", ".join(f"{it['field']} {it['state']}" for it in self.indexes) or "none"
        verified = "" if self.verify is None else f"; verify {self.verify['level']}: {self.verify['status']}"
        memory = "in memory" if self.loaded else "not in memory"
        return f"collection {self.collection}: {rows}, {memory}; indexes: {indexes}{verified}"


def finish(
    source: object = None,
    *,
    collection: str,
    uri: str | os.PathLike[str] | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    db_name: str | None = None,
    endpoint: Endpoint | None = None,
    verify: VerifyLevel = "none",
    flush: bool = True,
    load: bool = True,
    timeout: float = INDEX_TIMEOUT,
    reports: Iterable[LoadReport | Mapping[str, Any] | str | os.PathLike[str]] = (),
    **options: Any,
) -> FinishReport:
    """After the last part: flush, wait until the indexes are built, load the collection into memory, verify.

    May be called again; changes no row. A difference that the verification finds is in the report, and does not raise.

    Args:
        source: What was loaded, or its :class:`headrace.Plan`, where it is to be verified.
        collection: The collection's name or alias.
        uri: As for :func:`headrace.load`.
        token: ``user:password`` or an API key; by default ``MILVUS_TOKEN``.
        user: With ``password``, instead of a token.
        password: With ``user``.
        db_name: The database; by default ``MILVUS_DB``, else the server's default.
        endpoint: All of the above and TLS, as one value.
        verify: Compare ``source`` with the collection: ``"count"`` (every key once), ``"sample"``, ``"full"``.
        flush: Whether to seal what was written first, so that it is indexed as well.
        load: Whether to load the collection into memory.
        timeout: Seconds until the indexes have to be built, and as many for loading.
        reports: Reports of the parts, to be joined by :func:`headrace.merge_reports`.
        **options: Fields of :class:`headrace.LoadOptions`, for the verification.

    Raises:
        ConfigError: If an option cannot be used.
        MilvusException: If the server refuses, or an index failed.
        TransportError: If the server cannot be asked, or is not done in time.
    """
    where = choose_endpoint(endpoint, uri, token=token, user=user, password=password, db_name=db_name)
    if verify != "none" and source is None:
        raise ConfigError(explain(f"verify {verify}", "the source that was loaded", "none", "give it, or its plan"))
    account, began = merge_reports(given) if (given := [*reports]) else None, time.monotonic()
    operation = finish_collection(collection, flush=flush, load=load, timeout=timeout)
    with SyncTransport(where, create=False) as transport:
        indexes, loaded, rows = drive_sync(transport, operation)
    return FinishReport(
        collection=collection,
        uri=where.uri,
        database=where.db_name,
        rows=rows,
        indexes=[_index_line(index) for index in indexes],
        loaded=loaded,
        verify=None if verify == "none" else _verify(source, collection, verify, where, LoadOptions(**options)),
        report=account,
        seconds=round(time.monotonic() - began, 3),
    )


def _verify(source: object, collection: str, level: Level, endpoint: Endpoint, options: LoadOptions) -> dict[str, Any]:
    given = [file.path for file in source.files] if isinstance(source, Plan) else source
    found = verify_source(given, collection=collection, level=level, endpoint=endpoint, options=options)
    return found.result.to_dict()


def _index_line(index: ops.IndexInfo) -> dict[str, Any]:
    return {
        "field": index.field_name,
        "type": index.index_type,
        "metric": index.metric_type,
        "state": index.state,
        "rows": index.indexed_rows,
    }


def finish_collection(
    collection: str, *, flush: bool, load: bool, timeout: float
) -> Operation[tuple[list[ops.IndexInfo], bool, int | None]]:
    """The indexes once all are built, whether the collection is in memory, and its rows where it is."""
    info = yield from ops.describe_collection(collection)
    if info is None:
        raise (yield from missing_collection(collection))
    if flush:
        yield from ops.flush(info.name)
    indexes = yield from ops.wait_for_indexes(info.name, timeout=timeout)
    if load:
        yield from ops.load_collection(info.name, timeout=timeout)
    loaded = yield from ops.is_loaded(info.name)
    return indexes, loaded, (yield from ops.count(info.name)) if loaded else None


@dataclass(frozen=True)
class CollectionState:
    """A collection as it is now.

    Attributes:
        exists: Whether there is one of that name.
        indexed: Whether every vector field has an index, and all indexes are built.
        loaded: Whether it is in memory.
        rows: Its rows, strongly consistent; None where it is not in memory.
    """

    exists: bool
    indexed: bool = False
    loaded: bool = False
    rows: int | None = None

    def has(self, *, rows: int | None = None, indexed: bool = False, loaded: bool = False) -> bool:
        """Whether it exists and what is asked for holds; rows are counted in memory only."""
        enough = rows is None or (self.rows is not None and self.rows >= rows)
        return self.exists and enough and (self.indexed or not indexed) and (self.loaded or not loaded)


def look_at(collection: str) -> Operation[CollectionState]:
    """How far a collection is.

    Raises:
        MilvusException: If the server refuses, or an index failed.
    """
    info = yield from ops.describe_collection(collection)
    if info is None:
        return CollectionState(exists=False)
    indexes = yield from ops.describe_index(info.name)
    ops.check_indexes(indexes)
    built = {index.field_name for index in indexes if index.state == "Finished"}
    loaded = yield from ops.is_loaded(info.name)
    return CollectionState(
        exists=True,
        indexed=len(built) == len({it.field_name for it in indexes})
        and built >= {field.name for field in info.schema.vector_fields},
        loaded=loaded,
        rows=(yield from ops.count(info.name)) if loaded else None,
    )
