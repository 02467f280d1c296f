"""Whether a collection is still the one that rows were stored in, and still holds them.

Operations without I/O, as in :mod:`headrace.operations`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from headrace import operations as ops
from headrace.calls import AsyncCaller, Operation, drive_async
from headrace.collection_messages import CollectionInfo
from headrace.errors import HeadraceError, MilvusException, RpcError, explain
from headrace.schema import ConsistencyLevel
from headrace.target import MARK, Target

__all__ = ["Proof", "Stored", "changed_error", "identity_of", "prove_stored", "watch_identity"]


def identity_of(info: CollectionInfo) -> str:
    """What tells a collection from another one that takes its name.

    Milvus gives each an id and a time of creation. Milvus Lite gives neither: there it is the property that headrace
    sets when it creates a collection, and the fields.
    """
    mark = info.properties.get(MARK, "")
    if info.collection_id:
        return f"{info.collection_id} {info.created_timestamp} {mark}"
    fields = repr([(field.name, int(field.dtype), field.dim, field.is_primary) for field in info.schema])
    return f"{info.name} {hashlib.sha256(fields.encode()).hexdigest()[:16]} {mark}"


def changed_error(name: str) -> HeadraceError:
    """Why a load cannot go on, or has not succeeded: the collection is another one now."""
    return HeadraceError(
        explain(
            f"collection {name!r}",
            "the one that this load began with",
            "none of that name, or one that was made since",
            "find out who drops it, and run the load again",
        )
    )


@dataclass(frozen=True)
class Stored:
    """What a journal says is stored.

    Attributes:
        rows: How many rows.
        rows_before: How many there were before them, or None where that is not known.
        keys: Keys of some of the rows; none where the server makes the keys.
    """

    rows: int
    rows_before: int | None
    keys: Sequence[int | str]


@dataclass(frozen=True)
class Proof:
    """What became of rows that were stored once.

    Attributes:
        outcome: ``"there"``, ``"empty"`` (the collection holds nothing at all), ``"lost"`` (some are missing) or
            ``"unknown"`` (the collection cannot be read).
        detail: What was found, in words.
    """

    outcome: Literal["there", "empty", "lost", "unknown"]
    detail: str


def prove_stored(target: Target, stored: Stored, *, partition_name: str, budget: float) -> Operation[Proof]:
    """Whether the rows that a journal knows are still there: a strongly consistent count, and the sampled keys.

    A collection of headrace's own that is not in memory yet is loaded for this and released again, so that the rest
    of the load does not meet growing segments in memory.

    Args:
        target: The collection.
        stored: What should be there.
        partition_name: The partition that it was written to; empty for the default one.
        budget: Seconds for a server that has just been restarted.
    """
    name = target.info.name
    try:
        woken = False
        if not (yield from ops.is_loaded(name)):
            if not target.ours:
                return Proof("unknown", "the collection is not in memory")
            yield from ops.patiently(lambda: ops.load_collection(name), budget=budget)
            woken = True
        proof = yield from ops.patiently(lambda: _look(target, stored, partition_name), budget=budget)
        if woken:
            yield from ops.release_collection(name)
    except MilvusException as error:
        return Proof("unknown", str(error))
    except RpcError as error:
        # A role that may only write is no reason not to write.
        if error.status not in ("PERMISSION_DENIED", "UNIMPLEMENTED"):
            raise
        return Proof("unknown", str(error))
    return proof


def _look(target: Target, stored: Stored, partition: str) -> Operation[Proof]:
    name, partitions = target.info.name, [partition] if partition else []
    count = yield from ops.count(name)
    if count == 0:
        return Proof("empty", "the collection is empty")
    if not target.keyed:
        # Inserts never replace a row, so there are at least as many.
        least = stored.rows + (stored.rows_before or 0)
        return Proof("there" if count >= least else "lost", f"{count:,} rows of at least {least:,}")
    if not stored.keys:
        # None of the rows that were drawn was stored; that there are any has to do.
        return Proof("there", f"{count:,} rows")
    key = target.info.schema.primary_key.name
    found = yield from ops.query(
        name,
        ops.keys_filter(key, stored.keys),
        output_fields=[key],
        partition_names=partitions,
        consistency_level=ConsistencyLevel.STRONG,
    )
    missing = set(stored.keys) - set(found.column(key).to_pylist() if found.num_rows else [])
    if not missing:
        return Proof("there", f"{len(stored.keys)} sampled keys")
    named = ", ".join(sorted(map(repr, missing))[:3])
    return Proof("lost", f"{len(missing)} of {len(stored.keys)} sampled keys missing, among them {named}")


async def watch_identity(
    caller: AsyncCaller,
    info: CollectionInfo,
    losses: Callable[[], int],
    changed: Callable[[HeadraceError], None],
    *,
    tick: float = 1.0,
) -> None:
    """After every lost answer ask whether the collection is still the same; returns once it is not.

    Args:
        caller: Whom to ask.
        info: The collection.
        losses: How many answers were lost so far.
        changed: Called with the reason once it is another one.
        tick: Seconds between two looks.
    """
    seen = losses()
    while True:
        await asyncio.sleep(tick)
        now = losses()
        if now == seen:
            continue
        try:
            found = await drive_async(caller, ops.describe_collection(info.name))
        except HeadraceError:
            continue  # a server that is away is asked again at the next tick
        seen = now
        if found is None or identity_of(found) != identity_of(info):
            changed(changed_error(info.name))
            return
