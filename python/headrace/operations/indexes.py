"""Indexes: AUTOINDEX everywhere, and what was built."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headrace._proto import common_pb2, milvus_pb2
from headrace.calls import Operation, Rpc, Sleep
from headrace.errors import MilvusException, TransportError, explain
from headrace.operations.base import DEFAULT_TIMEOUT, ask
from headrace.operations.collections import describe_collection
from headrace.protocol import key_values, status_error
from headrace.schema import DataType, IndexParam

__all__ = ["METRICS", "IndexInfo", "check_indexes", "create_index", "describe_index", "metric_for", "wait_for_indexes"]

_DENSE = ("COSINE", "L2", "IP")
#: Metrics of an index on a type of vector, the one that is chosen where nobody does first.
METRICS: Mapping[DataType, tuple[str, ...]] = {
    DataType.FLOAT_VECTOR: _DENSE,
    DataType.FLOAT16_VECTOR: _DENSE,
    DataType.BFLOAT16_VECTOR: _DENSE,
    DataType.INT8_VECTOR: _DENSE,
    # The last is of 2.6, those before it of 2.3.
    DataType.BINARY_VECTOR: ("HAMMING", "JACCARD", "TANIMOTO", "SUBSTRUCTURE", "SUPERSTRUCTURE", "MHJACCARD"),
    DataType.SPARSE_FLOAT_VECTOR: ("IP",),
}
_GRAPH = ("HNSW", {"M": 18, "efConstruction": 240})
#: What to ask for, in turn, where AUTOINDEX is refused for a vector field; build parameters as AUTOINDEX has them.
_VECTOR_INDEXES: Mapping[DataType, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    DataType.FLOAT16_VECTOR: (_GRAPH, ("FLAT", {})),
    DataType.BFLOAT16_VECTOR: (_GRAPH, ("FLAT", {})),
    DataType.INT8_VECTOR: (_GRAPH,),
    DataType.BINARY_VECTOR: (("BIN_IVF_FLAT", {"nlist": 1024}), ("BIN_FLAT", {})),
    DataType.SPARSE_FLOAT_VECTOR: (("SPARSE_INVERTED_INDEX", {}),),
}
#: The same for scalar fields of some types, and for those of all others.
_SCALAR_INDEXES = {DataType.VARCHAR: ("INVERTED", "Trie"), DataType.GEOMETRY: ("RTREE",)}
_OTHER_INDEXES = ("INVERTED", "STL_SORT")

#: Codes by which engines refuse an index type: unexpected, illegal argument (5, and Milvus Lite's 6), not
#: supported, invalid and missing parameter, any Go error.
_TYPE_REFUSALS = frozenset({1, 5, 6, 701, 1100, 1101, 65535})
#: merr.ErrIndexNotFound and the legacy IndexNotExist (25; Milvus Lite uses 11).
_NOT_FOUND = frozenset({700, 25, 11})
#: Seconds between two looks at an index that is being built: doubled from the first to the last.
_FIRST_POLL, _LAST_POLL = 0.1, 5.0
#: ``common.IndexState`` by number.
_STATES = ("None", "Unissued", "InProgress", "Finished", "Failed", "Retry")


@dataclass(frozen=True)
class IndexInfo:
    """One index as its server describes it.

    Attributes:
        field_name: The field it is on.
        index_name: Its name.
        index_type: What was built.
        metric_type: Its metric; empty for scalar indexes.
        params: Build parameters, and whatever else the server lists.
        state: ``"Finished"``, ``"InProgress"`` ...
        indexed_rows, total_rows, pending_rows: How far it is.
        fail_reason: Why it failed, in the server's words.
    """

    field_name: str
    index_name: str
    index_type: str
    metric_type: str
    params: Mapping[str, Any] = field(default_factory=dict)
    state: str = "None"
    indexed_rows: int = 0
    total_rows: int = 0
    pending_rows: int = 0
    fail_reason: str = ""


def create_index(name: str, param: IndexParam, *, timeout: float | None = DEFAULT_TIMEOUT) -> Operation[None]:
    """Define the index of one field.

    AUTOINDEX means "you choose": where an engine refuses it for the field's type, headrace chooses what engines have
    for it: SPARSE_INVERTED_INDEX for sparse vectors and INVERTED for scalars (Milvus Lite 3.2), Trie for VARCHAR and
    STL_SORT for other scalars (Milvus 2.3), RTREE for geometries, BIN_IVF_FLAT or BIN_FLAT for binary vectors, HNSW or
    FLAT for vectors of 16 and 8 bits.

    :raises MilvusException: if the server refuses, also what headrace chose.
    """
    try:
        yield from _create(name, param, timeout)
    except MilvusException as error:
        if param.index_type != "AUTOINDEX" or error.code not in _TYPE_REFUSALS:
            raise
        choices = yield from _instead(name, param)
        if not choices:
            raise
    else:
        return
    for choice in choices[:-1]:
        try:
            yield from _create(name, choice, timeout)
        except MilvusException as error:
            if error.code not in _TYPE_REFUSALS:
                raise
        else:
            return
    yield from _create(name, choices[-1], timeout)


def _create(name: str, param: IndexParam, timeout: float | None) -> Operation[None]:
    extra: dict[str, Any] = {"index_type": param.index_type, "params": dict(param.params)}
    if param.metric_type:
        extra["metric_type"] = param.metric_type
    request = milvus_pb2.CreateIndexRequest(
        collection_name=name, field_name=param.field_name, index_name=param.index_name, extra_params=key_values(extra)
    )
    yield from ask("CreateIndex", request, common_pb2.Status, timeout)


def _instead(name: str, param: IndexParam) -> Operation[list[IndexParam]]:
    """What to ask for, in turn, where AUTOINDEX was refused; empty where the refusal stands."""
    info = yield from describe_collection(name)
    if info is None or param.field_name not in info.schema:
        return []
    dtype = info.schema[param.field_name].dtype
    if dtype.is_vector:
        metric = param.metric_type or metric_for(dtype)
        choices = _VECTOR_INDEXES.get(dtype, ())
        return [replace(param, index_type=kind, metric_type=metric, params=params) for kind, params in choices]
    return [param.with_type(kind, "") for kind in _SCALAR_INDEXES.get(dtype, _OTHER_INDEXES)]


def metric_for(dtype: DataType, wanted: str | None = None) -> str:
    """The metric of an index on vectors of this type: the wanted one where they have it, else their own."""
    metrics = METRICS[dtype]
    return wanted.upper() if wanted is not None and wanted.upper() in metrics else metrics[0]


def describe_index(
    name: str, field_name: str = "", *, timeout: float | None = DEFAULT_TIMEOUT
) -> Operation[list[IndexInfo]]:
    """The indexes of a collection, or of one field; empty where there are none."""
    request = milvus_pb2.DescribeIndexRequest(collection_name=name, field_name=field_name)
    answer = yield Rpc("DescribeIndex", request, milvus_pb2.DescribeIndexResponse, timeout)
    refusal = status_error(answer.status, "DescribeIndex")
    if refusal is not None:
        if refusal.code in _NOT_FOUND:
            return []
        raise refusal
    return [_info(item) for item in answer.index_descriptions]


def check_indexes(name: str, indexes: Iterable[IndexInfo]) -> None:
    """Refuse an index of a collection that failed.

    :raises MilvusException: if one did, with the server's reason.
    """
    for index in indexes:
        if index.state == "Failed":
            where = f"index of {name!r} on {index.field_name!r}"
            reason = explain(where, "it to be built", index.fail_reason or "Failed", "drop and create it again")
            raise MilvusException(reason, code=0, method="DescribeIndex")


def wait_for_indexes(name: str, *, timeout: float | None = None) -> Operation[list[IndexInfo]]:
    """The indexes of a collection, once all that was sealed is in them.

    Args:
        name: The collection.
        timeout: Seconds until they have to be built, counted by the pauses between looks; None waits without end.

    :raises MilvusException: if one of them failed, with the server's reason.
    :raises TransportError: if they were not built in time; the server goes on building them.
    """
    waited, pause = 0.0, _FIRST_POLL
    while True:
        found = yield from describe_index(name)
        check_indexes(name, found)
        building = [index for index in found if index.state != "Finished"]
        if not building:
            return found
        if timeout is not None and waited >= timeout:
            at = f"{building[0].indexed_rows} of {building[0].total_rows} rows"
            expected, remedy = f"built within {timeout:g} s", "wait longer: it goes on being built"
            raise TransportError(explain(f"index on {building[0].field_name!r}", expected, at, remedy))
        yield Sleep(pause)
        waited += pause
        pause = min(pause * 2, _LAST_POLL)


def _info(item: milvus_pb2.IndexDescription) -> IndexInfo:
    listed: dict[str, Any] = {pair.key: pair.value for pair in item.params}
    params = listed.pop("params", "")
    try:
        inner = json.loads(params) if params else {}
    except ValueError:
        inner = {"params": params}
    return IndexInfo(
        field_name=item.field_name,
        index_name=item.index_name,
        index_type=listed.pop("index_type", ""),
        # Milvus Lite says NONE for a scalar index.
        metric_type=listed.pop("metric_type", "").replace("NONE", ""),
        params={**listed, **(inner if isinstance(inner, dict) else {"params": inner})},
        state=_STATES[item.state] if 0 <= item.state < len(_STATES) else str(item.state),
        indexed_rows=item.indexed_rows,
        total_rows=item.total_rows,
        pending_rows=item.pending_index_rows,
        fail_reason=item.index_state_fail_reason,
    )
