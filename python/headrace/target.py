"""The collection a load goes to: found or created, and how rows are written to it.

Operations without I/O, as in :mod:`headrace.operations`.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from headrace import operations as ops
from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.config import LoadOptions
from headrace.errors import ConfigError, HeadraceError, MilvusException, RpcError, SchemaError, explain
from headrace.releases import UNCHECKED, check_version
from headrace.schema import CollectionSchema, ConsistencyLevel, FieldSchema, IndexParam

__all__ = [
    "Sharing",
    "Target",
    "check_same",
    "ensure_indexes",
    "finish_target",
    "index_params",
    "missing_collection",
    "open_target",
    "readable_collection",
]

T = TypeVar("T")

#: A property of collections that headrace created; Milvus Lite 3.2 and Milvus 2.3.5 keep it.
MARK = "headrace.id"
#: A property of collections that ``headrace prepare`` created for a plan: the plan's id.
PLAN = "headrace.plan"

#: How servers say that there is a collection of that name; Milvus Lite does so some time before it can be described.
_EXISTS = re.compile(r"exist|duplicate", re.IGNORECASE)
_LOOKS, _LOOK_PAUSE = 20, 0.25


@dataclass(frozen=True)
class Sharing:
    """What a load has to know of others that load parts of the same source into the same collection meanwhile.

    Attributes:
        plan: The plan's id; empty for none.
        first_attempt: Whether the caller knows that nobody ever began to load this part.
    """

    plan: str = ""
    first_attempt: bool = False


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
        indexes: Those that this load gave to a collection that it created.
    """

    info: CollectionInfo
    created: bool
    ours: bool
    mode: str
    mode_reason: str
    rows_before: int | None
    indexes: tuple[IndexParam, ...] = ()

    @property
    def keyed(self) -> bool:
        """Whether rows carry their own key."""
        return not self.info.schema.auto_id


def index_params(schema: CollectionSchema, metric: str | None, known: Sequence[IndexParam] = ()) -> list[IndexParam]:
    """An index for every vector field: the server's own choice of type, ``metric`` where the vectors have it.

    Indexes that the collection is ``known`` to have had elsewhere it gets again, with the ``metric`` that is asked for.

    Raises:
        ConfigError: If no vector field has the metric.
    """
    had = {index.field_name: index for index in known}
    params = []
    for field in schema.vector_fields:
        index = had.pop(field.name, IndexParam(field.name))
        own = index.metric_type if metric is None or metric.upper() not in ops.METRICS[field.dtype] else ""
        params.append(replace(index, metric_type=own or ops.metric_for(field.dtype, metric)))
    params += [index for index in had.values() if any(field.name == index.field_name for field in schema)]
    if metric is not None and all(param.metric_type != metric.upper() for param in params):
        names = sorted({name for field in schema.vector_fields for name in ops.METRICS[field.dtype]})
        raise ConfigError(explain("metric", f"one of {', '.join(names)}", repr(metric), "choose one, or leave it out"))
    return params


def open_target(
    collection: str,
    options: LoadOptions,
    info: CollectionInfo | None,
    schema: CollectionSchema,
    *,
    create: bool = False,
    embedded: bool = False,
    sharing: Sharing | None = None,
    indexes: Sequence[IndexParam] = (),
) -> Operation[Target]:
    """Create the collection with its indexes where it does not exist, and decide how rows are written.

    Args:
        collection: Its name, or an alias.
        options: What the caller asked for.
        info: The collection as the server describes it, or None where it is to be created.
        schema: The collection's schema, existing or wanted.
        create: Whether the caller asked for the collection to be created.
        embedded: Whether the server is this process's own, so that nobody else decides what is loaded into memory.
        sharing: Who else writes to it meanwhile; None for nobody that is known of. A collection that is shared is
            neither loaded into memory by this load nor ever taken for empty.
        indexes: Those that a created collection had elsewhere; see :func:`index_params`.

    Raises:
        ConfigError: If the options do not fit the collection.
        MilvusException: If the server refuses.
    """
    created = False
    rows_before: int | None = 0
    params = index_params(schema, options.metric, indexes) if info is None else []
    if info is None:
        info, created = yield from _create(collection, options, schema, sharing, params)
    elif UNCHECKED & {field.dtype for field in schema}:
        yield from check_version(collection, schema)
    # One that an earlier run of this command created and did not finish is finished by this one.
    ours = sharing is None and (created or (create and MARK in info.properties))
    if ours and not created and not options.dry_run:
        yield from _finish_indexes(collection, index_params(schema, options.metric, indexes))
    if options.searchable == "before" and not options.dry_run:
        yield from ops.load_collection(collection)
    if not created:
        if embedded:
            yield from _wake(collection)
        if not (ours and options.searchable == "after"):
            yield from _check_searchable(collection, options)
        rows_before = yield from _count(collection)
    mode, reason = _choose_mode(info, options, created=created, rows_before=rows_before, sharing=sharing)
    return Target(info, created, ours, mode, reason, rows_before, tuple(params) if created else ())


def finish_target(target: Target, options: LoadOptions) -> Operation[None]:
    """After the last row: load a collection that this load created into memory; an existing one keeps its state."""
    if target.ours and options.searchable == "after":
        name = target.info.name
        yield from ops.patiently(lambda: ops.load_collection(name), budget=options.give_up_after)


def _create(
    collection: str,
    options: LoadOptions,
    schema: CollectionSchema,
    sharing: Sharing | None,
    params: list[IndexParam],
) -> Operation[tuple[CollectionInfo, bool]]:
    """The collection, and whether it was created here: others may be creating it at the same moment."""
    if options.verify != "none" and options.searchable == "no":
        raise _unsearchable(collection, options)
    if options.mode == "upsert" and schema.auto_id:
        raise _needs_keys(collection)
    yield from check_version(collection, schema)
    if options.dry_run:
        return CollectionInfo(name=collection, schema=schema), True
    consistency = None if options.consistency is None else _consistency(options.consistency)
    mark = uuid.uuid4().hex
    properties = {MARK: mark} if sharing is None or not sharing.plan else {MARK: mark, PLAN: sharing.plan}
    info, refused = yield from _make(
        collection, schema, num_shards=options.num_shards, consistency_level=consistency, properties=properties
    )
    # A server may take the second creation of one name for the first one repeated.
    created = info.properties.get(MARK, None if refused else mark) == mark
    if not created:
        check_same(collection, schema, info.schema)
    try:
        yield from ensure_indexes(collection, params)
    except HeadraceError:
        # Without its indexes it could never be searched, and the next run would take it for somebody's.
        if created:
            yield from ops.drop_collection(collection)
        raise
    return info, created


def _made_by_another(collection: str, refusal: MilvusException) -> Operation[CollectionInfo | None]:
    """The collection whose creation was refused, if somebody else is just making it."""
    looks = _LOOKS if _EXISTS.search(refusal.message) else 1
    for number in range(looks):
        if number:
            yield ops.Sleep(_LOOK_PAUSE)
        info = yield from ops.describe_collection(collection)
        if info is not None:
            return info
    return None


def ensure_indexes(collection: str, params: list[IndexParam]) -> Operation[None]:
    """Define these indexes where their fields have none; somebody else may be doing the same.

    Raises:
        MilvusException: If the server refuses.
    """
    yield from _add_indexes(collection, params, (yield from ops.describe_index(collection)))


def _add_indexes(collection: str, params: list[IndexParam], known: Sequence[ops.IndexInfo]) -> Operation[None]:
    indexed = {index.field_name for index in known}
    for param in params:
        if param.field_name in indexed:
            continue
        try:
            yield from ops.create_index(collection, param)
        except MilvusException:
            found = yield from ops.describe_index(collection)
            if any(index.field_name == param.field_name for index in found):
                continue
            if param.index_type == "AUTOINDEX":
                raise
            # Another server's type of index: this one chooses one of that metric.
            yield from ops.create_index(collection, IndexParam(param.field_name, metric_type=param.metric_type))


def _make(collection: str, schema: CollectionSchema, **options: Any) -> Operation[tuple[CollectionInfo, bool]]:
    """The collection just created, and whether it was refused because there is one; a lost answer is looked for."""
    for last in (False, False, True):
        info, refused = None, False
        try:
            yield from ops.create_collection(collection, schema, **options)
        except MilvusException as error:
            info, refused = (yield from _made_by_another(collection, error)), True
            if info is None:
                raise
        except RpcError as error:
            info = yield from ops.describe_collection(collection)
            if info is None and (last or error.status != "UNAVAILABLE"):
                raise
            if info is None:
                continue
        info = info or (yield from ops.describe_collection(collection))
        if info is not None:
            return info, refused
    raise SchemaError(explain(f"collection {collection!r}", "the collection just created", "none", "run again"))


def _finish_indexes(collection: str, params: list[IndexParam]) -> Operation[None]:
    """Make the indexes that whoever created the collection did not come to make."""
    # Who may not ask could not make them either; if they are missing, loading the collection says so.
    if (known := (yield from _if_permitted(ops.describe_index(collection)))) is not None:
        yield from _add_indexes(collection, params, known)


def _if_permitted(operation: Operation[T]) -> Operation[T | None]:
    """What an operation returns; None where the server refuses it, because a role may be for writing only."""
    try:
        return (yield from operation)
    except MilvusException:
        return None
    except RpcError as error:
        if error.status != "PERMISSION_DENIED":
            raise
        return None


def _wake(collection: str) -> Operation[None]:
    """Load what an embedded server that just started has released; where it cannot be, the next step says so."""
    with contextlib.suppress(MilvusException):
        yield from ops.load_collection(collection)


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

    def counted() -> Operation[int | None]:
        return (yield from ops.count(collection)) if (yield from ops.is_loaded(collection)) else None

    return (yield from _if_permitted(counted()))


def _choose_mode(
    info: CollectionInfo,
    options: LoadOptions,
    *,
    created: bool,
    rows_before: int | None,
    sharing: Sharing | None,
) -> tuple[str, str]:
    keyed = not info.schema.auto_id
    if options.mode == "upsert" and not keyed:
        raise _needs_keys(info.name)
    if options.mode != "auto":
        return options.mode, "as asked for"
    if not keyed:
        return "insert", "the server makes the keys"
    if sharing is not None:
        prepared = bool(sharing.plan) and info.properties.get(PLAN) == sharing.plan
        if prepared and sharing.first_attempt:
            return "insert", "the collection was created for this plan, and this is the part's first attempt"
        return "upsert", "other parts are loaded into the collection too"
    if created:
        return "insert", f"this load {'would create' if options.dry_run else 'created'} the collection"
    if rows_before == 0:
        return "insert", "a strongly consistent count found the collection empty"
    if rows_before is None:
        return "upsert", "whether the collection is empty could not be counted"
    return "upsert", f"the collection already holds {rows_before:,} rows"


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
        raise (yield from missing_collection(collection))
    if embedded:
        # The engine was started for this and ends with it: nobody else has a use for its memory.
        yield from ops.load_collection(collection)
    if not (yield from ops.is_loaded(collection)):
        where, remedy = f"collection {collection!r}", "load it into memory first"
        raise ConfigError(explain(where, "it to be in memory, so that it can be read", "it is not", remedy))
    return info


def missing_collection(collection: str) -> Operation[SchemaError]:
    """The refusal of work on a collection that does not exist and must not be created; with those of a like name."""
    names: list[str] = []
    # Who may not list collections learns as much as before.
    with contextlib.suppress(HeadraceError):
        names = yield from ops.list_collections()
    like = difflib.get_close_matches(collection, names, n=3)
    found = "none of that name" + (f" (there is {', '.join(map(repr, like))})" if like else "")
    remedy = "check the name and --db, or create it: a load does with --create, from the source's schema"
    return SchemaError(explain(f"collection {collection!r}", "an existing collection", found, remedy))


def check_same(collection: str, wanted: CollectionSchema, found: CollectionSchema) -> None:
    """Refuse a schema that was given for creation where the collection exists with another one."""

    def facts(field: FieldSchema) -> tuple[object, ...]:
        return field.name, field.dtype, field.dim, field.element_type, field.is_primary, field.auto_id

    differ = {facts(field) for field in wanted} ^ {facts(field) for field in found}
    if differ:
        names = ", ".join(sorted({repr(name) for name, *_ in differ}))
        remedy = "leave schema out to load into it as it is, or choose another name"
        raise SchemaError(explain(f"collection {collection!r}", "the given schema", f"other fields ({names})", remedy))
