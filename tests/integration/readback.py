"""What a server holds, read by pymilvus: the referee that shares no code with headrace."""

from __future__ import annotations

import contextlib

import numpy as np
from pymilvus import DataType as PymilvusType
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from headrace.schema import DataType

__all__ = ["comparable", "connect", "count", "create", "stored_rows"]

#: Index and metric, where they are not those of dense vectors.
_INDEXES = {
    DataType.BINARY_VECTOR: ("BIN_FLAT", "HAMMING"),
    DataType.SPARSE_FLOAT_VECTOR: ("SPARSE_INVERTED_INDEX", "IP"),
}
#: The code of pymilvus's own for a connection that could not be made.
_CONNECT_FAILED = 2
#: Rows of one page.
_PAGE = 2000


@contextlib.contextmanager
def connect(server, **credentials):
    """A pymilvus client that is closed at the end."""
    client = _connected(server.uri, credentials)
    try:
        yield client
    finally:
        client.close()


def _connected(uri, credentials, attempts=5):
    """A client. A busy server lets the first connections expire, and ends an old one that pymilvus asked too often."""
    for left in reversed(range(attempts)):
        try:
            return MilvusClient(uri, **credentials)
        except MilvusException as error:
            if not left or error.code != _CONNECT_FAILED:
                raise
    raise AssertionError


def create(client, name, schema, **options):
    """Make a collection and load it, with pymilvus's code alone; flat indexes, which every engine has."""
    made = client.create_schema(enable_dynamic_field=schema.enable_dynamic_field)
    indexes = client.prepare_index_params()
    for field in schema:
        facts = ("is_primary", "auto_id", "is_partition_key", "dim", "max_length", "max_capacity", "nullable")
        given = {fact: getattr(field, fact) for fact in facts if getattr(field, fact)}
        if field.element_type:
            given["element_type"] = PymilvusType(field.element_type)
        made.add_field(field.name, PymilvusType(field.dtype), **given)
        if field.dtype.is_vector:
            index_type, metric_type = _INDEXES.get(field.dtype, ("FLAT", "L2"))
            indexes.add_index(field.name, index_type=index_type, metric_type=metric_type)
    client.create_collection(name, schema=made, **options)
    # Waiting for an index takes pymilvus half a second at least, and an empty collection's has nothing to wait for.
    client.create_index(name, indexes, sync=False)
    client.load_collection(name)


def count(client, name, expression=""):
    """The strongly consistent number of rows, doubled keys counted twice."""
    found = client.query(name, filter=expression, output_fields=["count(*)"], consistency_level="Strong")
    return found[0]["count(*)"]


def stored_rows(client, name, key="id", fields=("*",)):
    """Every row, as dicts in the order of an integer key."""
    rows, last = [], 1 - 2**63  # Milvus 2.3.5 cannot parse the number one lower
    while True:
        page = client.query(
            name,
            filter=f"{key} > {last}",
            output_fields=list(fields),
            limit=_PAGE,
            consistency_level="Strong",
        )
        rows += page
        if len(page) < _PAGE:
            # Milvus Lite keeps an order of its own.
            return sorted(rows, key=lambda row: row[key])
        last = max(row[key] for row in page)


def comparable(row, *, single=(), double=()):
    """A row whose float32 fields (``single``) and float64 fields (``double``) are bytes: -0.0 is not 0.0."""
    kinds = dict.fromkeys(single, "<f4") | dict.fromkeys(double, "<f8")
    return {name: np.asarray(value, kinds[name]).tobytes() if name in kinds else value for name, value in row.items()}
