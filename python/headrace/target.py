"""The collection a load goes to: found or created, and how rows are written to it.

Operations without I/O, as in :mod:`headrace.operations`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from headrace import operations as ops
from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.config import LoadOptions
from headrace.errors import ConfigError, HeadraceError, MilvusException, RpcError, SchemaError, explain
from headrace.handshake import parse_version
from headrace.schema import CollectionSchema, ConsistencyLevel, DataType, FieldSchema, IndexParam

__all__ = [
    "Target",
    "check_same",
    "finish_target",
    "has_timestamptz",
    "index_params",
    "missing_collection",
    "newer_than",
    "not_in_lite",
    "open_target",
    "readable_collection",
]

#: A property of collections that headrace created; Milvus Lite 3.2 and Milvus 2.3.5 keep it.
MARK = "headrace.id"

#: The release that brought a type of field (Milvus's documentation).
_TYPE_SINCE: dict[DataType, tuple[int, ...]] = {
    DataType.SPARSE_FLOAT_VECTOR: (2, 4),
    DataType.FLOAT16_VECTOR: (2, 4),
    DataType.BFLOAT16_VECTOR: (2, 4),
    DataType.INT8_VECTOR: (2, 6),
    DataType.GEOMETRY: (2, 6, 4),
    DataType.TIMESTAMPTZ: (2, 6, 6),
    DataType.TEXT: (3, 0),
}
#: Types that old servers take into a schema and cannot hold (2.3.5 does so).
_UNCHECKED = frozenset(_TYPE_SINCE) - {DataType.SPARSE_FLOAT_VECTOR}
_SECOND_VECTOR_SINCE = (2, 4)
_NULLABLE_SINCE = (2, 5)
#: Of 3.0, and brought back to 2.6.
_NULLABLE_VECTOR_SINCE = (2, 6, 17)
#: Versions of Milvus Lite that are known to have neither these types nor nullable vectors (3.2.2 was tried). What older
#: and later ones have is for them to say.
_LITE_KNOWN = ((3, 0, 0), (3, 3, 0))
_NOT_IN_LITE = frozenset(
    {
        DataType.BINARY_VECTOR,
        DataType.FLOAT16_VECTOR,
        DataType.BFLOAT16_VECTOR,
        DataType.INT8_VECTOR,
        DataType.TEXT,
    }
)


@dataclass(frozen=True)
class Target:
    """Where rows go and how.

    Attributes:
        info: The collection as the server describes it.
        created: Whether this load created it.
        ours: Whether this load, or an earlier run of the same command, created it.
        mode: ``"insert"`` or ``"upsert"``.
        mode_reason: Why that mode.
        rows_before: A strongly consistent count before the first row; None where it could not be taken.
    """

    info: CollectionInfo
    created: bool
    ours: bool
    mode: str
    mode_reason: str
    rows_before: int | None

    @property
    def keyed(self) -> bool:
        """Whether rows carry their own key."""
        return not self.info.schema.auto_id


def index_params(schema: CollectionSchema, metric: str | None) -> list[IndexParam]:
    """An index for every vector field: the server's own choice of type, ``metric`` where the vectors have it.

    Raises:
        ConfigError: If no vector field has the metric.
    """
    params = [
        IndexParam(field.name, "AUTOINDEX", ops.metric_for(field.dtype, metric)) for field in schema.vector_fields
    ]
    if metric is not None and all(param.metric_type != metric.upper() for param in params):
        known = sorted({name for field in schema.vector_fields for name in ops.METRICS[field.dtype]})
        raise ConfigError(explain("metric", f"one of {', '.join(known)}", repr(metric), "choose one, or leave it out"))
    return params


def has_timestamptz(version: tuple[int, int, int], *, lite: bool) -> bool:
    """Whether a server of ``version`` is known to hold fields of TIMESTAMPTZ."""
    known = _LITE_KNOWN[0] if lite else _TYPE_SINCE[DataType.TIMESTAMPTZ]
    return version >= known


def newer_than(version: tuple[int, int, int], schema: CollectionSchema) -> list[str]:
    """What of ``schema`` a server of ``version`` cannot hold, in words; empty where it can hold everything.

    Servers do not always refuse it themselves: 2.3.5 creates a sparse field, dies when it is loaded and again at
    every start, and takes nullable fields for others.
    """
    found = []
    for field in schema:
        nullable_since = _NULLABLE_VECTOR_SINCE if field.dtype.is_vector else _NULLABLE_SINCE
        if version < (since := _TYPE_SINCE.get(field.dtype, (0, 0))):
            found.append(f"{field.name!r} ({field.dtype.name}, since {_shown(since)})")
        elif field.nullable and version < nullable_since:
            what = "nullable vector" if field.dtype.is_vector else "nullable"
            found.append(f"{field.name!r} ({what}, since {_shown(nullable_since)})")
    vectors = len(schema.vector_fields)
    if vectors > 1 and version < _SECOND_VECTOR_SINCE:
        found.append(f"{vectors} vector fields (more than one since {_shown(_SECOND_VECTOR_SINCE)})")
    return found


def not_in_lite(version: tuple[int, int, int], schema: CollectionSchema) -> list[str]:
    """What of ``schema`` a Milvus Lite of ``version`` is known not to hold, in words."""
    first, end = _LITE_KNOWN
    if not first <= version < end:
        return []
    found = [f"{field.name!r} ({field.dtype.name})" for field in schema if field.dtype in _NOT_IN_LITE]
    nullable = [field for field in schema.vector_fields if field.nullable and field.dtype not in _NOT_IN_LITE]
    return found + [f"{field.name!r} (nullable vector)" for field in nullable]


def open_target(
    collection: str,
    options: LoadOptions,
    info: CollectionInfo | None,
    schema: CollectionSchema,
    *,
    create: bool = False,
    embedded: bool = False,
) -> Operation[Target]:
    """Create the collection with its indexes where it does not exist, and decide how rows are written.

    Args:
        collection: Its name, or an alias.
        options: What the caller asked for.
        info: The collection as the server describes it, or None where it is to be created.
        schema: The collection's schema, existing or wanted.
        create: Whether the caller asked for the collection to be created.
        embedded: Whether the server is this process's own, so that nobody else decides what is loaded into memory.

    Raises:
        ConfigError: If the options do not fit the collection.
        MilvusException: If the server refuses.
    """
    created = info is None
    # One that an earlier run of this command created and did not finish is finished by this one.
    ours = created or (create and info is not None and MARK in info.properties)
    rows_before: int | None = 0
    if info is None:
        info = yield from _create(collection, options, schema)
    elif _UNCHECKED & {field.dtype for field in schema}:
        yield from _check_version(collection, schema)
    if ours and not created and not options.dry_run:
        yield from _finish_indexes(collection, schema, options.metric)
    if options.searchable == "before" and not options.dry_run:
        yield from ops.load_collection(collection)
    if not created:
        if embedded:
            yield from _wake(collection)
        if not (ours and options.searchable == "after"):
            yield from _check_searchable(collection, options)
        rows_before = yield from _count(collection)
    mode, reason = _choose_mode(info, options, created=created, rows_before=rows_before)
    return Target(info, created, ours, mode, reason, rows_before)


def finish_target(target: Target, options: LoadOptions) -> Operation[None]:
    """After the last row: load a collection that this load created into memory, so that it can be searched.

    An existing collection keeps its state. A server that was restarted during the load is given
    ``options.give_up_after`` seconds to come to itself.
    """
    if target.ours and options.searchable == "after":
        name = target.info.name
        yield from ops.patiently(lambda: ops.load_collection(name), budget=options.give_up_after)


def _create(collection: str, options: LoadOptions, schema: CollectionSchema) -> Operation[CollectionInfo]:
    if options.verify != "none" and options.searchable == "no":
        raise _unsearchable(collection, options)
    if options.mode == "upsert" and schema.auto_id:
        raise _needs_keys(collection)
    yield from _check_version(collection, schema)
    if options.dry_run:
        return CollectionInfo(name=collection, schema=schema)
    consistency = None if options.consistency is None else _consistency(options.consistency)
    yield from _make(collection, schema, num_shards=options.num_shards, consistency_level=consistency)
    try:
        for param in index_params(schema, options.metric):
            yield from ops.create_index(collection, param)
    except HeadraceError:
        # Without its indexes it could never be searched, and the next run would take it for somebody's.
        yield from ops.drop_collection(collection)
        raise
    info = yield from ops.describe_collection(collection)
    if info is None:
        raise SchemaError(explain(f"collection {collection!r}", "the collection just created", "none", "run again"))
    return info


def _make(collection: str, schema: CollectionSchema, **options: Any) -> Operation[None]:
    """Create the collection, and know it again where nothing but the answer was lost."""
    mark = uuid.uuid4().hex
    for last in (False, False, True):
        try:
            yield from ops.create_collection(collection, schema, properties={MARK: mark}, **options)
        except (MilvusException, RpcError) as error:
            info = yield from ops.describe_collection(collection)
            if info is not None and info.properties.get(MARK) == mark:
                return
            if last or not (isinstance(error, RpcError) and error.status == "UNAVAILABLE"):
                raise
        else:
            return


def _finish_indexes(collection: str, schema: CollectionSchema, metric: str | None) -> Operation[None]:
    """Make the indexes that whoever created the collection did not come to make."""
    try:
        known = yield from ops.describe_index(collection)
    except (MilvusException, RpcError):
        # Who may not ask could not make them either; if they are missing, loading the collection says so.
        return
    indexed = {index.field_name for index in known}
    for param in index_params(schema, metric):
        if param.field_name not in indexed:
            yield from ops.create_index(collection, param)


def _check_version(collection: str, schema: CollectionSchema) -> Operation[None]:
    """Refuse what the server is known not to have; one that does not tell its version decides for itself."""
    try:
        text = yield from ops.get_server_version()
    except (MilvusException, RpcError):
        return
    version = parse_version(text)
    if version == (0, 0, 0):
        return
    lite = "milvus_lite" in text
    if lacking := not_in_lite(version, schema) if lite else newer_than(version, schema):
        expected = f"fields that Milvus {'Lite ' if lite else ''}{_shown(version)} can hold"
        remedy = "leave them out or convert them, fill nulls in, or load into a newer server"
        raise SchemaError(explain(f"collection {collection!r}", expected, ", ".join(lacking), remedy))


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _wake(collection: str) -> Operation[None]:
    """Load what an embedded server that just started has released; where it cannot be, the next step says so."""
    try:
        yield from ops.load_collection(collection)
    except MilvusException:
        return


def _consistency(name: str) -> ConsistencyLevel:
    try:
        return ConsistencyLevel[name.upper()]
    except KeyError:
        allowed = ", ".join(level.name.lower() for level in ConsistencyLevel)
        raise ConfigError(explain("consistency", f"one of {allowed}", repr(name), "choose one")) from None


def _check_searchable(collection: str, options: LoadOptions) -> Operation[None]:
    """Reading back needs a loaded collection; an existing one keeps its state, so say no before sending."""
    if options.verify == "none" or options.dry_run:
        return
    if not (yield from ops.is_loaded(collection)):
        raise _unsearchable(collection, options)


def _unsearchable(collection: str, options: LoadOptions) -> ConfigError:
    remedy = "load the collection, use --searchable before, or --verify none"
    return ConfigError(
        explain(f"--verify {options.verify}", f"collection {collection!r} loaded into memory", "it is not", remedy)
    )


def _count(collection: str) -> Operation[int | None]:
    """A strongly consistent count, or None where the collection cannot be read: not loaded, or not allowed."""
    try:
        if not (yield from ops.is_loaded(collection)):
            return None
        return (yield from ops.count(collection))
    except MilvusException:
        return None
    except RpcError as error:
        # A role that may only write is no reason not to write.
        if error.status != "PERMISSION_DENIED":
            raise
        return None


def _choose_mode(
    info: CollectionInfo, options: LoadOptions, *, created: bool, rows_before: int | None
) -> tuple[str, str]:
    keyed = not info.schema.auto_id
    if options.mode == "upsert" and not keyed:
        raise _needs_keys(info.name)
    if options.mode != "auto":
        return options.mode, "as asked for"
    if not keyed:
        return "insert", "the server makes the keys"
    if created:
        return "insert", "this load created the collection"
    if rows_before == 0:
        return "insert", "a strongly consistent count found the collection empty"
    if rows_before is None:
        return "upsert", "whether the collection is empty could not be counted"
    return "upsert", f"the collection already holds {rows_before} rows"


def _needs_keys(collection: str) -> ConfigError:
    found = f"collection {collection!r} whose keys the server makes"
    return ConfigError(explain("--mode upsert", "rows that carry their own key", found, "use --mode insert"))


def readable_collection(collection: str, *, embedded: bool) -> Operation[CollectionInfo]:
    """An existing collection that is in memory, so that it can be read.

    Args:
        collection: Its name, or an alias.
        embedded: Whether the server is this process's own: then it is loaded where it is not.

    Raises:
        SchemaError: If there is none of that name.
        ConfigError: If it is not in memory.
    """
    info = yield from ops.describe_collection(collection)
    if info is None:
        raise missing_collection(collection)
    if embedded:
        # The engine was started for this and ends with it: nobody else has a use for its memory.
        yield from ops.load_collection(collection)
    if not (yield from ops.is_loaded(collection)):
        where, remedy = f"collection {collection!r}", "load it into memory first"
        raise ConfigError(explain(where, "it to be in memory, so that it can be read", "it is not", remedy))
    return info


def missing_collection(collection: str) -> SchemaError:
    """The refusal of a load whose collection does not exist and must not be created."""
    remedy = "create it first, or let the load create it from the source's schema with --create"
    return SchemaError(explain(f"collection {collection!r}", "an existing collection", "none of that name", remedy))


def check_same(collection: str, wanted: CollectionSchema, found: CollectionSchema) -> None:
    """Refuse a schema that was given for creation where the collection exists with another one."""

    def facts(field: FieldSchema) -> tuple[object, ...]:
        return field.name, field.dtype, field.dim, field.element_type, field.is_primary, field.auto_id

    differ = {facts(field) for field in wanted} ^ {facts(field) for field in found}
    if differ:
        names = ", ".join(sorted({repr(name) for name, *_ in differ}))
        remedy = "leave schema out to load into it as it is, or choose another name"
        raise SchemaError(explain(f"collection {collection!r}", "the given schema", f"other fields ({names})", remedy))
