"""Rows by filter or key: count, query, get, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from headrace._proto import milvus_pb2
from headrace.calls import Operation, Wrote
from headrace.decoding import decode_ids
from headrace.errors import MilvusException
from headrace.operations.base import DEFAULT_TIMEOUT, Scope, ask, ask_columns, consistency_fields, extra_info
from headrace.operations.templates import template_values
from headrace.protocol import key_values
from headrace.results import QueryResult, dynamic_keys
from headrace.schema import ConsistencyLevel

__all__ = [
    "ask_query",
    "count",
    "delete",
    "get_by_keys",
    "key_literal",
    "keys_between",
    "keys_filter",
    "query",
    "query_request",
    "query_result",
]

#: Keys in one request: 1,000 rows of the widest float vector (32,768) are 131 MB, near what servers send at once.
KEYS_PER_QUERY = 1000
#: merr.ErrCollectionNotLoaded.
_NOT_LOADED = 101
#: The least int64, which no literal can name: Milvus 2.3.5 reads the number before its sign, and that overflows.
_LEAST = str(-(2**63))
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def keys_filter(key_name: str, keys: Sequence[int | str]) -> str:
    """The filter ``key in [...]``, texts quoted and escaped."""
    wanted = [key_literal(key) for key in keys]
    if _LEAST not in wanted:
        return f"{key_name} in [{', '.join(wanted)}]"
    others = [key for key in wanted if key != _LEAST]
    return f"({key_name} in [{', '.join(others)}] or {key_name} < {int(_LEAST) + 1})"


def keys_between(key_name: str, after: int | str | None, last: int | str | None) -> str:
    """The filter ``after < key <= last``; None for no bound, and the empty filter with neither."""
    bounds = []
    if after is not None:
        bounds.append(
            f"{key_name} > {key_literal(after)}" if str(after) != _LEAST else f"{key_name} >= {int(_LEAST) + 1}"
        )
    if last is not None:
        bounds.append(
            f"{key_name} <= {key_literal(last)}" if str(last) != _LEAST else f"{key_name} < {int(_LEAST) + 1}"
        )
    return " and ".join(bounds)


def key_literal(key: int | str) -> str:
    """A key as filters say it; texts quoted and escaped."""
    return f'"{key.translate(_ESCAPES)}"' if isinstance(key, str) else str(int(key))


def count(
    name: str,
    filter: str = "",  # noqa: A002 - pymilvus's name
    *,
    partition_names: Sequence[str] = (),
    consistency_level: ConsistencyLevel | None = ConsistencyLevel.STRONG,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Operation[int]:
    """How many rows are stored, strongly consistent by default; rows stored twice under one key count twice.

    Raises:
        MilvusException: If the server refuses; code 101 where the collection is not loaded.
    """
    request = milvus_pb2.QueryRequest(
        collection_name=name,
        expr=filter,
        output_fields=["count(*)"],
        partition_names=partition_names,
        **consistency_fields(consistency_level),
    )
    answer = yield from ask("Query", request, milvus_pb2.QueryResults, timeout)
    for column in answer.fields_data:
        if column.scalars.long_data.data:
            return int(column.scalars.long_data.data[0])
    # Milvus Lite answers so for a collection that is not loaded.
    raise MilvusException(f"collection {name!r} is not loaded: it answered no count", code=_NOT_LOADED, method="Query")


def query(
    name: str,
    filter: str = "",  # noqa: A002 - pymilvus's name
    *,
    output_fields: Sequence[str] = ("*",),
    limit: int | None = None,
    offset: int = 0,
    partition_names: Sequence[str] = (),
    consistency_level: ConsistencyLevel | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Operation[pa.RecordBatch]:
    """Rows that a filter chooses, as Arrow columns (see :class:`headrace.decoding.Columns`).

    Real servers order them by key and show a key once, also where it is stored twice. The batch has no columns
    where a server answers an empty result without any. The key is always among the columns.

    Args:
        name: The collection, which must be loaded.
        filter: Milvus's expression; empty only with a limit.
        output_fields: Fields to return; ``*`` is every one, vectors and the dynamic field included.
        limit: At most so many rows; with the offset at most 16,384.
        offset: Rows to skip.
        partition_names: Partitions to read; empty for all.
        consistency_level: None for the collection's own.
        timeout: Seconds for the call.
    """
    scope = Scope(filter, None, output_fields, partition_names, consistency_level, timeout)
    request = query_request(name, scope, {"limit": limit, "offset": offset or None})
    scope.put_into(request)
    batch, _ = yield from ask_query(request, timeout)
    return batch


def query_request(name: str, scope: Scope, params: Mapping[str, Any]) -> milvus_pb2.QueryRequest:
    """One query as a message, without output fields, partitions and consistency.

    Args:
        name: The collection.
        scope: Its filter is put in.
        params: ``limit``, ``offset`` and the like; what is None is left out, servers take everything else as text.

    Raises:
        ConfigError: If a value of the filter has no form.
    """
    return milvus_pb2.QueryRequest(
        collection_name=name,
        expr=scope.filter,
        query_params=key_values({key: str(value) for key, value in params.items() if value is not None}),
        expr_template_values=template_values(scope.filter_params),
    )


def ask_query(
    request: milvus_pb2.QueryRequest, timeout: float | None
) -> Operation[tuple[pa.RecordBatch, milvus_pb2.QueryResults]]:
    """Send a query; its rows, and the answer without them.

    Raises:
        MilvusException: If the server refuses.
    """
    answer, columns = yield from ask_columns("Query", request, milvus_pb2.QueryResults, [2], timeout)
    return columns.batch(), answer


def query_result(
    batch: pa.RecordBatch, answer: milvus_pb2.QueryResults, extra: Mapping[str, Any] | None = None
) -> QueryResult:
    """The rows of a query as users get them."""
    keys = dynamic_keys(answer.output_fields, batch.schema.names)
    return QueryResult(batch, dynamic_keys=keys, extra={**extra_info(answer.status), **(extra or {})})


def get_by_keys(
    name: str,
    key_name: str,
    keys: Sequence[int] | Sequence[str],
    output_fields: Sequence[str] = ("*",),
    *,
    partition_names: Sequence[str] = (),
    consistency_level: ConsistencyLevel | None = ConsistencyLevel.STRONG,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Operation[pa.RecordBatch]:
    """The rows with these keys, in the server's order; keys that are not stored are left out.

    Asks for 1,000 keys at a time. The batch has no columns where nothing was found.
    """
    found: list[pa.RecordBatch] = []
    for start in range(0, len(keys), KEYS_PER_QUERY):
        batch = yield from query(
            name,
            keys_filter(key_name, keys[start : start + KEYS_PER_QUERY]),
            output_fields=output_fields,
            partition_names=partition_names,
            consistency_level=consistency_level,
            timeout=timeout,
        )
        if batch.num_rows:
            found.append(batch)
    if len(found) < 2:
        return found[0] if found else pa.RecordBatch.from_arrays([], schema=pa.schema([]))
    # Columns come in any order, and only answers with nulls are nullable.
    tables = [pa.Table.from_batches([batch.select(found[0].schema.names)]) for batch in found]
    table = pa.concat_tables(tables, promote_options="default").combine_chunks()
    return table.to_batches()[0]


def delete(
    name: str,
    filter: str,  # noqa: A002 - pymilvus's name
    *,
    filter_params: Mapping[str, Any] | None = None,
    partition_name: str = "",
    consistency_level: ConsistencyLevel | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Operation[tuple[int, list[Any]]]:
    """Delete rows; ``key in [...]`` is the fast way (:func:`keys_filter`).

    Returns the server's count (the keys that were named, whether or not they existed, and 0 on some servers for any
    other filter), and the keys where the server repeats them (Milvus Lite).
    """
    request = milvus_pb2.DeleteRequest(
        collection_name=name,
        expr=filter,
        partition_name=partition_name,
        expr_template_values=template_values(filter_params),
        consistency_level=int(consistency_level or 0),
    )
    answer = yield from ask("Delete", request, milvus_pb2.MutationResult, timeout)
    yield Wrote(name, answer.timestamp)
    return int(answer.delete_cnt), list(decode_ids(answer.IDs))
