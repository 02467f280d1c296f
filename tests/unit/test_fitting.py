"""A collection and a source's columns are fitted to each other as the server's release allows."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from headrace import CollectionSchema, DataType, FieldSchema
from headrace.config import LoadOptions
from headrace.fitting import fit

NEW, OLD, LITE = {"version": (2, 6, 8), "lite": False}, {"version": (2, 3, 5), "lite": False}, (2, 5, 1)
VECTOR = pa.array([[1.0, 2.0]] * 2, pa.list_(pa.float32(), 2))


def fitted(schema=None, server=NEW, later_columns=False, drop=(), nulls=(), **columns):
    sample = pa.record_batch({"id": [1, 2], "v": VECTOR, **columns})
    options = LoadOptions(create=schema is None, drop=drop)
    return fit(sample.schema, schema, sample, options, nulls=nulls, later_columns=later_columns, **server)


def test_columns_with_nulls_beyond_the_sample_become_nullable():
    schema, _ = fitted(n=[1, 2], m=[3, 4], nulls={"n"})
    assert [field.name for field in schema if field.nullable] == ["n"]


@pytest.mark.parametrize(
    ("server", "dtype"),
    [(NEW, DataType.TIMESTAMPTZ), (OLD, DataType.INT64), ({"version": LITE, "lite": True}, DataType.INT64)],
)
def test_times_become_what_the_server_has(server, dtype):
    times = pa.array([datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)] * 2, pa.timestamp("us", "UTC"))
    schema, _ = fitted(server=server, t=times)
    assert next(field.dtype for field in schema if field.name == "t") is dtype


@pytest.mark.parametrize(("server", "sent"), [(NEW, ("id", "v")), (OLD, ("id", "v", "d"))])
def test_defaults_are_sent_to_servers_that_need_them(server, sent):
    wanted = CollectionSchema(
        [
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
            FieldSchema("d", DataType.VARCHAR, max_length=9, default_value="d"),
        ]
    )
    schema, plan = fitted(wanted, server)
    assert (schema, plan.columns) == (wanted, sent)


def test_what_was_guessed_is_said_of_schemas_that_were_made_only():
    schema, plan = fitted()
    assert [line.note for line in plan.mapping if line.field == "id"] == ["the key, by its name"]
    _, plan = fitted(schema)
    assert [line.note for line in plan.mapping if line.field == "id"] == [""]


@pytest.mark.parametrize("given", [True, False])
def test_a_column_to_leave_out_may_come_later(given):
    schema, _ = fitted() if given else (None, None)
    _, plan = fitted(schema, later_columns=True, drop=("later",))
    assert plan.columns == ("id", "v")
