"""What a server does with rows in its own time: seal and compact."""

from __future__ import annotations

from headrace._proto import admin_pb2, milvus_pb2
from headrace.calls import Operation
from headrace.client_calls.base import rpc_timeout
from headrace.client_calls.checks import flag, name_of, number, seconds, text_of
from headrace.errors import ConfigError, RpcError, explain
from headrace.operations.base import ask, until

__all__ = ["compact", "flush", "get_compaction_state"]

#: Names of compaction states, the first as servers spell it.
_STATES = ("UndefiedState", "Executing", "Completed")
#: Megabytes in each unit of a target size.
_UNITS = {"b": 2**-20, "kb": 2**-10, "mb": 1, "gb": 2**10, "tb": 2**20, "pb": 2**30}


def flush(collection_name: str, timeout: float | None = None) -> Operation[None]:
    """Seal what was written so far and wait until it is stored as segments. Acknowledged writes are durable without it.

    Raises:
        MilvusException: Code 8 where the collection was flushed less than ten seconds ago (Milvus 2.4).
        TransportError: If it was not done in time.
    """
    name, limit = name_of("collection_name", collection_name), seconds(timeout)
    request = milvus_pb2.FlushRequest(collection_names=[name])
    answer = yield from ask("Flush", request, milvus_pb2.FlushResponse, rpc_timeout(timeout))
    look = admin_pb2.GetFlushStateRequest(
        segmentIDs=answer.coll_segIDs[name].data, flush_ts=answer.coll_flush_ts[name], collection_name=name
    )

    def flushed() -> Operation[str | None]:
        try:
            state = yield from ask("GetFlushState", look, admin_pb2.GetFlushStateResponse, rpc_timeout(timeout))
        except RpcError as error:
            if error.status != "UNIMPLEMENTED":
                raise
            return None
        return None if state.flushed else "rows that are not sealed yet"

    where = f"collection {name!r}"
    yield from until(flushed, where=where, expected="flushed", remedy="wait longer", timeout=limit)


def compact(  # noqa: PLR0917 - pymilvus's order
    collection_name: str,
    is_clustering: bool = False,
    is_l0: bool = False,
    target_size: int | None = None,
    target_size_unit: str = "mb",
    timeout: float | None = None,
) -> Operation[int]:
    """Begin to merge a collection's small segments; returns the job's number.

    Args:
        collection_name: The collection.
        is_clustering: Sort by the clustering key (Milvus 2.4).
        is_l0: Merge deletions (Milvus 2.5).
        target_size: The size of a segment, in the unit; None for the server's choice.
        target_size_unit: ``"b"``, ``"kb"``, ``"mb"``, ``"gb"``, ``"tb"`` or ``"pb"``.
        timeout: Seconds for the call.
    """
    unit = text_of("target_size_unit", target_size_unit).lower()
    if unit not in _UNITS:
        allowed = f"one of {', '.join(_UNITS)}"
        raise ConfigError(explain("target_size_unit", allowed, repr(target_size_unit), "choose one"))
    request = admin_pb2.ManualCompactionRequest(
        collection_name=name_of("collection_name", collection_name),
        majorCompaction=flag("is_clustering", is_clustering),
        l0Compaction=flag("is_l0", is_l0),
        target_size=0 if target_size is None else max(int(number("target_size", target_size) * _UNITS[unit]), 1),
    )
    answer = yield from ask("ManualCompaction", request, admin_pb2.ManualCompactionResponse, rpc_timeout(timeout))
    return int(answer.compactionID)


def get_compaction_state(job_id: int, timeout: float | None = None) -> Operation[str]:
    """How far a compaction is: ``"Executing"`` or ``"Completed"``; ``"UndefiedState"`` where the server knows none."""
    request = admin_pb2.GetCompactionStateRequest(compactionID=number("job_id", job_id, least=0))
    answer = yield from ask("GetCompactionState", request, admin_pb2.GetCompactionStateResponse, rpc_timeout(timeout))
    return _STATES[answer.state] if answer.state < len(_STATES) else str(answer.state)
