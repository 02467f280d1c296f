"""pymilvus packs the same rows to the same messages: columns of every type in every layout."""

from __future__ import annotations

from collections import Counter
from itertools import cycle

import pytest
from agreement import assert_same
from hypothesis import given, note, settings
from hypothesis import strategies as st
from layouts import LAYOUTS
from packing_columns import ELEMENTS, Column, columns

from headrace import _core
from headrace.packing import pack_field
from headrace.schema import DataType
from tests.golden import reference
from tests.golden.generate import describe

#: Columns of one type in one layout; the second number for `make test-long`.
FEW, MANY = 3, 40


@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
@pytest.mark.parametrize("dtype", list(LAYOUTS), ids=lambda dtype: dtype.name.lower())
def test_a_column_in_any_layout_is_the_message_of_pymilvus(dtype, examples):
    drawn: Counter[str] = Counter()
    elements: set[DataType | None] = set()

    def compare(layout: str, column: Column) -> None:
        drawn[layout] += 1
        elements.add(column.field.element_type)
        note(f"{layout}: {column.array.type}, {column.field}")
        theirs = reference.field_data(column.field, column.values)
        assert_same(_core.pack_field(_core.Field(**describe(column.field)), column.array), theirs)
        assert_same(pack_field(column.field, column.source), theirs)

    for layout, element_type in zip(LAYOUTS[dtype], cycle(ELEMENTS), strict=False):
        drawing = columns(dtype, layout=layout, element_type=element_type)
        settings(max_examples=examples)(given(st.just(layout.name), drawing)(compare))()
    assert drawn.keys() == {layout.name for layout in LAYOUTS[dtype]}
    assert dtype is not DataType.ARRAY or elements == set(ELEMENTS)


def test_the_columns_above_are_more_than_five_hundred_and_of_every_type_that_a_client_may_send():
    assert FEW * sum(map(len, LAYOUTS.values())) > 500
    assert {dtype.name for dtype in LAYOUTS} == {
        "BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR", "JSON", "ARRAY", "GEOMETRY",
        "TEXT", "TIMESTAMPTZ", "FLOAT_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR", "INT8_VECTOR", "BINARY_VECTOR",
        "SPARSE_FLOAT_VECTOR",
    }  # fmt: skip
