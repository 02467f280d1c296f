"""Makes the collection that parts of a source are loaded into: what ``headrace prepare`` runs, before any of them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation, drive_sync
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, LoadOptions, choose_endpoint
from headrace.fitting import fit
from headrace.plans import Plan, PlanPart
from headrace.reading import iterate
from headrace.remembered import remembered_indexes
from headrace.schema import CollectionSchema, IndexParam
from headrace.sources import open_source
from headrace.target import MARK, PLAN, Sharing, Target, check_same, ensure_indexes, index_params, open_target
from headrace.transport import SyncTransport

__all__ = ["Preparation", "prepare", "prepare_collection"]

#: Most bytes of the rows that are looked at.
SAMPLE_BYTES = 4 << 20


@dataclass(frozen=True)
class Preparation:
    """A collection that is ready to be loaded into.

    Attributes:
        collection: Its name.
        uri: The server's address, or the embedded database's path.
        database: The database; empty for the server's default.
        created: Whether this call created it; of several at once exactly one does.
        plan: The id of the plan that it was created for, first attempts of whose parts may insert; empty for none.
        rows_before: Its rows; None where they could not be counted.
        primary_key: Its key field.
        indexes: Per index: ``field``, ``type``, ``metric``.
        mapping: Per column: ``source``, ``source_type``, ``field``, ``field_type``, ``note``.
        notes: What a person should know: narrowed columns, guesses.
    """

    collection: str
    uri: str
    database: str
    created: bool
    plan: str
    rows_before: int | None
    primary_key: str
    indexes: list[dict[str, str]]
    mapping: list[dict[str, str]]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {**asdict(self), "exit_status": 0}

    def to_json(self) -> str:
        """Everything as one JSON document."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def sentence(self) -> str:
        """The outcome in one line."""
        done = "created" if self.created else "there already"
        indexes = ", ".join(f"{it['field']} ({it['metric'] or it['type']})" for it in self.indexes) or "none"
        return f"collection {self.collection} is {done}; key {self.primary_key}; indexes: {indexes}"


def prepare(
    source: object,
    *,
    collection: str,
    uri: str | os.PathLike[str] | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    db_name: str | None = None,
    endpoint: Endpoint | None = None,
    schema: CollectionSchema | None = None,
    **options: Any,
) -> Preparation:
    """Create the collection for a source, with its indexes, where it is missing; before its parts are loaded.

    May be called again, and by several workers at once: one of them creates the collection, the others find it.

    Args:
        source: A :class:`headrace.Plan`, one of its parts, or what :func:`headrace.load` takes. Its columns, and its
            first rows, decide the schema.
        collection: The collection's name.
        uri: ``http://host:port``, ``https://host:port`` or a path that ends in ``.db``; by default ``MILVUS_URI``,
            else ``http://localhost:19530``.
        token: ``user:password`` or an API key; by default ``MILVUS_TOKEN``.
        user: With ``password``, instead of a token.
        password: With ``user``, instead of a token.
        db_name: The database; by default ``MILVUS_DB``, else the server's default.
        endpoint: All of the above and TLS, as one value.
        schema: The schema to create it with, where it is not to be made from the source's.
        **options: Fields of :class:`headrace.LoadOptions`; those of created collections count.

    Returns:
        What is there now.

    Raises:
        ConfigError: If an option cannot be used.
        InputError: If the source's columns cannot become fields, or do not fit the collection that exists.
        ConnectError: If no server answers.
        MilvusException: If the server refuses.
    """
    where = choose_endpoint(endpoint, uri, token=token, user=user, password=password, db_name=db_name)
    return prepare_collection(
        source, collection=collection, endpoint=where, options=LoadOptions(**options), schema=schema
    )


def prepare_collection(
    source: object,
    *,
    collection: str,
    endpoint: Endpoint,
    options: LoadOptions,
    schema: CollectionSchema | None = None,
) -> Preparation:
    """As :func:`prepare`, with an endpoint and options that were made before."""
    plan = source.id if isinstance(source, Plan) else source.plan if isinstance(source, PlanPart) else ""
    given = [file.path for file in source.files] if isinstance(source, Plan | PlanPart) else source
    with open_source(given, options=options) as opened, SyncTransport(endpoint) as transport:
        sample = next(iterate(opened, max_bytes=SAMPLE_BYTES, columns=None, limit=options.limit), None)
        first = None if sample is None else sample.batch
        info = drive_sync(transport, ops.describe_collection(collection))
        if info is not None and schema is not None:
            check_same(collection, schema, info.schema)
        wanted, conform = fit(
            opened.schema,
            schema if info is None else info.schema,
            first,
            options,
            nulls=opened.nulls,
            later_columns=opened.open_ended,
            version=transport.server_version,
            lite=transport.server_kind == "lite",
        )
        known = remembered_indexes(opened.schema, options) if schema is None else []
        target = drive_sync(transport, _settle(collection, options, info, wanted, plan=plan, indexes=known))
        indexes = drive_sync(transport, ops.describe_index(target.info.name))
    return Preparation(
        collection=collection,
        uri=endpoint.uri,
        database=endpoint.db_name,
        created=target.created,
        plan=target.info.properties.get(PLAN, ""),
        rows_before=target.rows_before,
        primary_key=target.info.schema.primary_key.name,
        indexes=[{"field": it.field_name, "type": it.index_type, "metric": it.metric_type} for it in indexes],
        mapping=[asdict(line) for line in conform.mapping],
        notes=list(conform.notes),
    )


def _settle(
    collection: str,
    options: LoadOptions,
    info: CollectionInfo | None,
    schema: CollectionSchema,
    *,
    plan: str,
    indexes: Sequence[IndexParam],
) -> Operation[Target]:
    sharing = Sharing(plan)
    target = yield from open_target(collection, options, info, schema, create=True, sharing=sharing, indexes=indexes)
    if not target.created and MARK in target.info.properties:
        # Whoever created it may have died before its indexes were defined.
        yield from ensure_indexes(target.info.name, index_params(target.info.schema, options.metric, indexes))
    return target
