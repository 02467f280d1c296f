"""pymilvus packs the same rows to the same messages."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from layouts import LAYOUTS
from packing_columns import ELEMENTS, OBJECTS, Column, columns

from headrace import _core
from headrace.packing import make_packer, pack_field, pack_insert
from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.golden import reference
from tests.golden.generate import describe

#: Examples of one layout of one type; the second for `make test-long`.
EXAMPLES = [4, pytest.param(100, marks=pytest.mark.long)]
REQUESTS = [60, pytest.param(3_000, marks=pytest.mark.long)]
TYPES = list(LAYOUTS)


def canonical(packed: bytes, kind: type) -> bytes:
    """The message's bytes without the one thing that is free, the order of fields; repeated floats compare as bits."""
    message = kind.FromString(packed)
    if hasattr(message, "fields_data"):
        columns = sorted(message.fields_data, key=lambda data: data.field_name)
        del message.fields_data[:]
        message.fields_data.extend(columns)
    return message.SerializeToString(deterministic=True)


def assert_same(ours: bytes, theirs: Any) -> None:
    kind = type(theirs)
    wanted = canonical(theirs.SerializeToString(), kind)
    if canonical(ours, kind) != wanted:
        assert str(kind.FromString(ours)) == str(kind.FromString(wanted))
        raise AssertionError(f"{ours.hex()} is not {wanted.hex()}")


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.name.lower())
def test_a_column_in_any_layout_is_the_message_of_pymilvus(dtype, examples):
    drawn: Counter[str] = Counter()
    elements: set[DataType | None] = set()

    def compare(layout: str, column: Column) -> None:
        drawn[layout] += 1
        elements.add(column.field.element_type)
        note(f"{layout}: {column.array.type}")
        theirs = reference.field_data(column.field, column.values)
        assert_same(_core.pack_field(_core.Field(**describe(column.field)), column.array), theirs)
        assert_same(pack_field(column.field, column.source), theirs)

    for layout in LAYOUTS[dtype]:
        given(st.just(layout.name), columns(dtype, layout=layout))(settings(max_examples=examples)(compare))()
    assert drawn.keys() == {layout.name for layout in LAYOUTS[dtype]}
    assert dtype is not DataType.ARRAY or elements == set(ELEMENTS)


def test_the_columns_above_are_more_than_five_hundred_and_of_every_type_that_milvus_takes():
    assert 4 * sum(map(len, LAYOUTS.values())) > 500
    assert {dtype.name for dtype in LAYOUTS} == {
        "BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR", "JSON", "ARRAY", "GEOMETRY",
        "TIMESTAMPTZ", "FLOAT_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR", "INT8_VECTOR", "BINARY_VECTOR",
        "SPARSE_FLOAT_VECTOR",
    }  # fmt: skip
