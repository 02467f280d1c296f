"""Every data type on every engine that holds it: written by headrace, read by pymilvus, equal to the last bit."""

from __future__ import annotations

import pyarrow as pa
import pytest

import headrace
from headrace.packing import pack_insert, pack_upsert
from headrace.schema import DataType
from tests.integration.edges import array, batch_of, canonical, nullable, scalar, schema_of, searchable_vector, vector
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


def _sets(engine):
    """Collections that together hold every type of an engine: (name, columns)."""
    keyed = vector(DataType.FLOAT_VECTOR, ROWS)
    scalars = [scalar(dtype, ROWS) for dtype in SCALARS + NEWER_SCALARS.get(engine, ())]
    arrays = [array(dtype, ROWS) for dtype in ELEMENTS]
    yield "scalars", [keyed, *scalars]
    yield "arrays", [keyed, *arrays]
    if engine == "lite322":
        yield "nulls", [keyed, *map(nullable, scalars), *map(nullable, arrays)]
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


def assert_stored(client, collection, schema, batch):
    """Every value of every row is there, once, as it was sent."""
    stored = stored_rows(client, collection, fields=batch.schema.names)
    assert len(stored) == batch.num_rows
    for field in schema:
        for row, expected in zip(stored, batch[field.name].to_pylist(), strict=True):
            found = canonical(field, row[field.name])
            assert found == canonical(field, expected), (field.name, row["id"])


@pytest.mark.parametrize(("server", "columns"), CASES, indirect=["server"])
def test_what_is_packed_is_stored(server, columns, collection):
    batch, schema = batch_of(columns), schema_of(columns)
    other = batch.take(list(reversed(range(ROWS)))).set_column(0, "id", batch["id"])
    with connect(server) as client:
        create(client, collection, schema)
        send(server, "Insert", pack_insert(other, schema, collection_name=collection))
        assert_stored(client, collection, schema, other)
        send(server, "Upsert", pack_upsert(batch, schema, collection_name=collection))
        assert count(client, collection) == ROWS
        assert_stored(client, collection, schema, batch)
        client.drop_collection(collection)


@pytest.mark.parametrize(("server", "columns"), CASES, indirect=["server"])
def test_what_is_loaded_is_stored(server, columns, collection):
    batch, schema = batch_of(columns), schema_of(columns)
    source = pa.Table.from_batches([batch])
    with connect(server) as client:
        create(client, collection, schema)
        report = headrace.load(source, collection=collection, uri=server.uri, verify="full", batch_bytes=100_000)
        assert (report.exit_status, report.rows_stored, report.verify["status"]) == (0, ROWS, "ok")
        assert count(client, collection) == ROWS
        assert_stored(client, collection, schema, batch)
        client.drop_collection(collection)


@pytest.mark.parametrize(
    ("server", "dtype"),
    [
        ("lite251", DataType.FLOAT16_VECTOR),
        ("lite251", DataType.BFLOAT16_VECTOR),
        ("lite251", DataType.BINARY_VECTOR),
        ("lite251", DataType.SPARSE_FLOAT_VECTOR),
        ("milvus235", DataType.BINARY_VECTOR),
    ],
    indirect=["server"],
)
def test_a_collection_that_a_load_creates_can_be_searched(server, dtype, collection):
    column = searchable_vector(dtype, ROWS)
    options = {"schema": schema_of([column]), "create": True, "verify": "sample"}
    report = headrace.load(
        pa.Table.from_batches([batch_of([column])]), collection=collection, uri=server.uri, **options
    )
    assert (report.exit_status, report.rows_stored) == (0, ROWS)
    # Each sampled vector was searched for, and found itself.
    assert (report.verify["status"], report.verify["checked"]) == ("ok", ROWS)
