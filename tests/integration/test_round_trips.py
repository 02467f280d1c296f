"""Every data type on every engine that holds it: written by headrace, read by pymilvus, equal to the last bit."""

from __future__ import annotations

import pyarrow as pa
import pytest

import headrace
from headrace.packing import pack_insert, pack_upsert
from headrace.schema import DataType
from tests.integration.edges import array, batch_of, canonical, nullable, scalar, schema_of, vector
from tests.integration.readback import connect, count, create, stored_rows
from tests.integration.writing import send

ROWS = 120
SCALARS = (
    DataType.BOOL,
    DataType.INT8,
    DataType.INT16,
    DataType.INT32,
    DataType.INT64,
    DataType.FLOAT,
    DataType.DOUBLE,
    DataType.VARCHAR,
    DataType.JSON,
)
ELEMENTS = SCALARS[:-1]
#: What each engine holds beside the scalars and the arrays of them. One collection of 2.3.5 has one vector field.
NEWER_SCALARS = {"lite322": (DataType.GEOMETRY, DataType.TIMESTAMPTZ)}
VECTORS = {
    "lite322": (DataType.FLOAT_VECTOR, DataType.SPARSE_FLOAT_VECTOR),
    "lite251": (
        DataType.FLOAT_VECTOR,
        DataType.FLOAT16_VECTOR,
        DataType.BFLOAT16_VECTOR,
        DataType.BINARY_VECTOR,
        DataType.SPARSE_FLOAT_VECTOR,
    ),
    "milvus235": (DataType.FLOAT_VECTOR, DataType.BINARY_VECTOR),
}
NULLABLE = ("lite322", "lite251")


def _sets(engine):
    """The collections that show every type of an engine: (name, columns)."""
    key_and_vector = vector(DataType.FLOAT_VECTOR, ROWS)
    scalars = [scalar(dtype, ROWS) for dtype in SCALARS + NEWER_SCALARS.get(engine, ())]
    arrays = [array(dtype, ROWS) for dtype in ELEMENTS]
    yield "scalars", [key_and_vector, *scalars]
    yield "arrays", [key_and_vector, *arrays]
    if engine in NULLABLE:
        yield "nulls", [key_and_vector, *map(nullable, scalars), *map(nullable, arrays)]
    for dtype in VECTORS[engine]:
        yield dtype.name.lower(), [vector(dtype, ROWS)]


CASES = [
    pytest.param(engine, columns, id=f"{engine}-{name}")
    for engine in ("lite322", "lite251", "milvus235")
    for name, columns in _sets(engine)
]


@pytest.fixture(autouse=True)
def _still_running(server):
    yield
    assert server.running, f"the server ended:\n{server.tail()}"


def by_insert(server, collection, columns):
    send(server, "Insert", pack_insert(batch_of(columns), schema_of(columns), collection_name=collection))


def by_upsert(server, collection, columns):
    """The same keys twice: with the values in another order, then as they are."""
    batch, schema = batch_of(columns), schema_of(columns)
    other = batch.take(list(reversed(range(ROWS)))).set_column(0, "id", batch["id"])
    send(server, "Insert", pack_insert(other, schema, collection_name=collection))
    send(server, "Upsert", pack_upsert(batch, schema, collection_name=collection))


def by_load(server, collection, columns):
    source = pa.Table.from_batches([batch_of(columns)])
    report = headrace.load(source, collection=collection, uri=server.uri, verify="full", batch_bytes=100_000)
    assert (report.exit_status, report.rows_stored, report.verify["status"]) == (0, ROWS, "ok")


def assert_stored(client, collection, columns):
    """Every value of every row is there, once, as it was sent."""
    stored = stored_rows(client, collection, fields=[column.field.name for column in columns])
    assert [row["id"] for row in stored] == list(range(ROWS))
    for column in columns:
        sent = column.values.to_pylist()
        for row, expected in zip(stored, sent, strict=True):
            found = canonical(column.field, row[column.field.name])
            assert found == canonical(column.field, expected), (column.field.name, row["id"])


@pytest.mark.parametrize("write", [by_insert, by_upsert, by_load])
@pytest.mark.parametrize(("server", "columns"), CASES, indirect=["server"])
def test_every_value_comes_back(server, columns, write, collection):
    with connect(server) as client:
        create(client, collection, schema_of(columns))
        write(server, collection, columns)
        assert count(client, collection) == ROWS
        assert_stored(client, collection, columns)
        client.drop_collection(collection)
