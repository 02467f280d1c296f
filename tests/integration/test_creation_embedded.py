"""Collections made of columns of every type that has a rule, on a real engine, and what is in them."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import numpy as np
import pyarrow as pa

import headrace
from headrace import DataType
from tests.uuids import uuids

WHEN = dt.datetime(2025, 5, 1, 23, 59, 59, 5, tzinfo=dt.timezone(dt.timedelta(hours=8)))
KEYS = [uuid.UUID(int=number) for number in range(20)]


def test_every_column_with_a_rule_becomes_its_field(lite322, collection):
    table = pa.table(
        {
            "id": pa.array(range(20), pa.uint64()),
            "when": pa.array(
                [WHEN + dt.timedelta(days=row) for row in range(20)], pa.timestamp("us", "Asia/Singapore")
            ),
            "day": pa.array([dt.date(2025, 1, 1 + row) for row in range(20)]),
            "price": pa.array([decimal.Decimal(row) / 4 for row in range(20)], pa.decimal128(10, 2)),
            "uid": uuids(KEYS),
            "kind": pa.array(["a", "b"] * 10).dictionary_encode(),
            "doc": pa.array([{"n": row, "tags": ["x"]} for row in range(20)]),
            "vector": pa.array([[float(row), 1.0] for row in range(20)], pa.list_(pa.float32(), 2)),
        }
    )
    report = headrace.load(table, collection=collection, uri=lite322.uri, create=True, verify="full")
    assert (report.rows_stored, report.verify["status"]) == (20, "ok")
    client = headrace.MilvusClient(lite322.uri)
    types = {field["name"]: field["type"] for field in client.describe_collection(collection)["fields"]}
    rows = {row["id"]: row for row in client.query(collection, filter="id >= 0", output_fields=["*"], limit=20)}
    client.drop_collection(collection)
    client.close()
    assert types == {
        "id": DataType.INT64,
        "when": DataType.TIMESTAMPTZ,
        "day": DataType.VARCHAR,
        "price": DataType.VARCHAR,
        "uid": DataType.VARCHAR,
        "kind": DataType.VARCHAR,
        "doc": DataType.JSON,
        "vector": DataType.FLOAT_VECTOR,
    }
    row = rows[7]
    assert dt.datetime.fromisoformat(row["when"]) == WHEN + dt.timedelta(days=7)
    assert (row["day"], row["price"], row["uid"], row["kind"]) == ("2025-01-08", "1.75", str(KEYS[7]), "b")
    assert row["doc"] == {"n": 7, "tags": ["x"]}
    assert np.array_equal(row["vector"], [7.0, 1.0])
