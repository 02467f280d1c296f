"""Rows in and rows away: insert, upsert, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace import operations as ops
from headrace.calls import Compute, Operation
from headrace.client_calls.base import Keys, Level, filter_of_keys, known, level_of, listed, rows_timeout, with_known
from headrace.client_calls.checks import name_of, text_of
from headrace.client_calls.preparing import is_empty, is_small, prepare
from headrace.collection_messages import CollectionInfo
from headrace.errors import ConfigError, explain

__all__ = ["delete", "insert", "upsert"]


def insert(
    collection_name: str, data: Any, timeout: float | None = None, partition_name: str | None = ""
) -> Operation[dict[str, Any]]:
    """Insert rows; every one is checked before the first is sent.

    More than 8 MiB or 50,000 rows go as several requests, of which an asynchronous client has four in flight. Milvus
    keeps rows with a key that is already there beside the earlier ones; see :func:`upsert`.

    Args:
        collection_name: The collection or an alias.
        data: One dict (a row) or a list of dicts; a dict of columns (numpy arrays, sparse matrices, Arrow arrays,
            lists, one value a row); a list of columns in the order of the schema, without a key that the server makes;
            a pandas or polars DataFrame; a pyarrow Table or RecordBatch, or whatever gives one. Not to be changed by
            others before the call returns.
        timeout: Seconds for each request; None for 600.
        partition_name: The partition; empty for the default one.

    Returns:
        ``{"insert_count": n, "ids": [...]}``: the rows' keys in order, also those that the server made.

    Raises:
        InputError: If data and collection do not fit each other; a CellError names row and field. Nothing was sent.
        MilvusException: If the server refuses; code 100 where there is no such collection.
        TransportError: If an answer is missing. Of this and a refusal, ``rows`` says which rows are stored.
    """
    written = yield from _write(collection_name, data, timeout, partition_name, upsert=False)
    return {"insert_count": written.insert_count, "ids": written.ids} | _cost(written.cost)


def upsert(
    collection_name: str,
    data: Any,
    timeout: float | None = None,
    partition_name: str | None = "",
    *,
    partial_update: bool = False,
) -> Operation[dict[str, Any]]:
    """Insert rows, each in the place of those that have its key.

    Args:
        collection_name: The collection or an alias.
        data: As :func:`insert` takes it, and the keys also where the server makes those of inserted rows.
        timeout: Seconds for each request; None for 600.
        partition_name: The partition; empty for the default one.
        partial_update: Whether rows keep the values of the fields that ``data`` does not have (Milvus 2.6.2).

    Returns:
        ``{"upsert_count": n, "ids": [...]}``: new keys where the server makes them (Milvus 2.4.15).

    Raises:
        HeadraceError: As :func:`insert`.
    """
    written = yield from _write(
        collection_name, data, timeout, partition_name, upsert=True, partial_update=partial_update
    )
    return {"upsert_count": written.upsert_count} | _cost(written.cost) | {"ids": written.ids}


def _cost(cost: int) -> dict[str, int]:
    return {"cost": cost} if cost else {}


def _write(
    collection_name: str,
    data: Any,
    timeout: float | None,
    partition_name: str | None,
    *,
    upsert: bool,
    partial_update: bool = False,
) -> Operation[ops.Written]:
    deadline = rows_timeout(timeout)
    partition = text_of("partition_name", partition_name)
    name_of("collection_name", collection_name)
    if is_empty(data):
        return ops.Written()

    def use(info: CollectionInfo) -> Operation[ops.Written]:
        def work() -> list[ops.Request]:
            return prepare(
                data,
                info,
                collection_name,
                upsert=upsert,
                partial_update=partial_update,
                partition_name=partition,
            )

        requests = work() if is_small(data) else (yield Compute(work))
        return (yield from ops.write("Upsert" if upsert else "Insert", collection_name, requests, timeout=deadline))

    return (yield from with_known(collection_name, timeout, use))


def delete(
    collection_name: str,
    ids: Keys | None = None,
    timeout: float | None = None,
    filter: str | None = None,  # noqa: A002 - pymilvus's name
    partition_name: str | None = None,
    *,
    filter_params: Mapping[str, Any] | None = None,
    consistency_level: Level = None,
) -> Operation[dict[str, int] | list[Any]]:
    """Delete rows by key or by filter.

    Args:
        collection_name: The collection or an alias.
        ids: A key or keys, instead of a filter.
        timeout: Seconds for the call.
        filter: Milvus's expression, instead of ids.
        partition_name: The partition; empty for all.
        filter_params: The values of what the filter names in braces (``"id in {ids}"``, Milvus 2.5).
        consistency_level: A name or number: what a filter sees.

    Returns:
        ``{"delete_count": n}``: the server counts the keys that were named, whether or not they existed, and some count
        0 for a filter. A list of the deleted keys where the server repeats them (Milvus Lite).

    Raises:
        ConfigError: If both ids and filter are given, or neither.
    """
    if (ids is None) == (not text_of("filter", filter)):
        found = "both" if filter else "neither"
        raise ConfigError(explain("ids and filter", "one of them", found, "say which rows to delete"))
    expression = filter or ""
    if ids is not None:
        keys = listed(ids)
        expression = filter_of_keys((yield from known(collection_name, timeout)), keys)
    count, deleted = yield from ops.delete(
        name_of("collection_name", collection_name),
        expression,
        filter_params=filter_params,
        partition_name=text_of("partition_name", partition_name),
        consistency_level=level_of(consistency_level),
        timeout=rows_timeout(timeout),
    )
    return deleted or {"delete_count": count}
