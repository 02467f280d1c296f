"""Indexes: AUTOINDEX everywhere, and what was built."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headrace._proto import common_pb2, milvus_pb2
from headrace.calls import Operation, Rpc
from headrace.errors import MilvusException
from headrace.operations.base import DEFAULT_TIMEOUT, ask, until
from headrace.operations.collections import describe_collection
from headrace.protocol import property_pairs, status_error
from headrace.schema import DataType, IndexParam

__all__ = [
    "METRICS",
    "IndexInfo",
    "check_indexes",
    "create_index",
    "describe_index",
    "index_descriptions",
    "index_state",
    "metric_for",
    "wait_for_index",
    "wait_for_indexes",
]

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
#: Vectors for which the metric of floats is a mistake that servers find late.
_UNLIKE_FLOATS = frozenset({DataType.BINARY_VECTOR, DataType.SPARSE_FLOAT_VECTOR})
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
#: merr.ErrServiceInternal: what is said of an index that cannot be built.
_FAILED = 5
#: ``common.IndexState`` by number.
_STATES = ("IndexStateNone", "Unissued", "InProgress", "Finished", "Failed", "Retry")


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

    Raises:
        MilvusException: If the server refuses, also what headrace chose.
    """
    if param.index_type == "AUTOINDEX" and not param.metric_type:
        param = yield from _with_metric(name, param)
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
    # Flat, as pymilvus sends them: what servers show of an index is what they were told.
    extra: dict[str, Any] = dict(param.params)
    if param.metric_type:
        extra["metric_type"] = param.metric_type
    extra["index_type"] = param.index_type
    request = milvus_pb2.CreateIndexRequest(
        collection_name=name,
        field_name=param.field_name,
        index_name=param.index_name,
        extra_params=property_pairs(extra),
    )
    yield from ask("CreateIndex", request, common_pb2.Status, timeout)


def _with_metric(name: str, param: IndexParam) -> Operation[IndexParam]:
    """An index of bits or of a sparse vector with a metric that such have.

    Milvus 2.3.5 chooses IP for either where none is said, and refuses every search of bits afterwards.
    """
    info = yield from describe_collection(name)
    if info is None or param.field_name not in info.schema:
        return param
    item = info.schema[param.field_name]
    if item.dtype not in _UNLIKE_FLOATS:
        return param
    # The one function that writes such vectors is BM25.
    return replace(param, metric_type="BM25" if item.is_function_output else metric_for(item.dtype))


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
    # Scalars have no metric: where one was given, it may be what was refused.
    kinds = (("AUTOINDEX",) if param.metric_type else ()) + _SCALAR_INDEXES.get(dtype, _OTHER_INDEXES)
    return [param.with_type(kind, "") for kind in kinds]


def metric_for(dtype: DataType, wanted: str | None = None) -> str:
    """The metric of an index on vectors of this type: the wanted one where they have it, else their own."""
    metrics = METRICS[dtype]
    return wanted.upper() if wanted is not None and wanted.upper() in metrics else metrics[0]


def describe_index(
    name: str, field_name: str = "", *, timeout: float | None = DEFAULT_TIMEOUT
) -> Operation[list[IndexInfo]]:
    """The indexes of a collection, or of one field; empty where there are none."""
    return [_info(item) for item in (yield from index_descriptions(name, field_name, timeout=timeout))]


def index_descriptions(
    name: str, field_name: str = "", *, index_name: str = "", timeout: float | None = DEFAULT_TIMEOUT
) -> Operation[list[milvus_pb2.IndexDescription]]:
    """The indexes of a collection as the server's messages; empty where there are none."""
    request = milvus_pb2.DescribeIndexRequest(collection_name=name, field_name=field_name, index_name=index_name)
    answer = yield Rpc("DescribeIndex", request, milvus_pb2.DescribeIndexResponse, timeout)
    refusal = status_error(answer.status, "DescribeIndex")
    if refusal is not None:
        if refusal.code in _NOT_FOUND:
            return []
        raise refusal
    return list(answer.index_descriptions)


def index_state(number: int) -> str:
    """What a server says of how far an index is: ``"Finished"``, ``"InProgress"`` ..."""
    return _STATES[number] if 0 <= number < len(_STATES) else str(number)


def wait_for_index(name: str, param: IndexParam, *, timeout: float | None = None) -> Operation[None]:
    """Wait until an index is built for all rows that there are.

    Args:
        name: The collection.
        param: The index, as it was created.
        timeout: Seconds until it must be built, counted by the pauses between looks; None waits without end.

    Raises:
        MilvusException: If it cannot be built, with the server's reason.
        TransportError: If it was not built in time; the server goes on building it.
    """

    def look() -> Operation[str | None]:
        found = [item for item in (yield from describe_index(name)) if item.field_name == param.field_name]
        if param.index_name:
            found = [item for item in found if item.index_name == param.index_name]
        check_indexes(found)
        # A server that does not list it has nothing to build.
        return next((f"state {item.state}" for item in found if item.state != "Finished"), None)

    where, remedy = f"index of {param.field_name!r}", "wait longer, or create it with sync=False"
    yield from until(look, where=where, expected="built", remedy=remedy, timeout=timeout)


def check_indexes(indexes: Iterable[IndexInfo]) -> None:
    """Refuse indexes of which one cannot be built.

    Raises:
        MilvusException: With the server's reason.
    """
    for index in indexes:
        if index.state == "Failed":
            raise MilvusException(index.fail_reason or "no reason given", code=_FAILED, method="CreateIndex")


def wait_for_indexes(name: str, *, timeout: float | None = None) -> Operation[list[IndexInfo]]:
    """The indexes of a collection, once all are built for all rows that there are.

    Args:
        name: The collection.
        timeout: Seconds until they must be built, counted by the pauses between looks; None waits without end.

    Raises:
        MilvusException: If one of them cannot be built, with the server's reason.
        TransportError: If they were not built in time; the server goes on building them.
    """

    def look() -> Operation[str | None]:
        found = yield from describe_index(name)
        check_indexes(found)
        building = (index for index in found if index.state != "Finished")
        return next((f"{it.field_name!r} with state {it.state}" for it in building), None)

    remedy = "wait longer, and finish again"
    yield from until(look, where=f"indexes of {name!r}", expected="all built", remedy=remedy, timeout=timeout)
    return (yield from describe_index(name))


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
        state=index_state(item.state),
        indexed_rows=item.indexed_rows,
        total_rows=item.total_rows,
        pending_rows=item.pending_index_rows,
        fail_reason=item.index_state_fail_reason,
    )
