"""Columns of every data type, in every Arrow layout, for the property tests of packing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from headrace.schema import DYNAMIC_FIELD_NAME, DataType, FieldSchema

MAX_INDEX = 2**32 - 2

ELEMENTS: dict[DataType, tuple[st.SearchStrategy[Any], list[pa.DataType]]] = {
    DataType.BOOL: (st.booleans(), [pa.bool_()]),
    DataType.INT8: (st.integers(-(2**7), 2**7 - 1), [pa.int8()]),
    DataType.INT16: (st.integers(-(2**15), 2**15 - 1), [pa.int16()]),
    DataType.INT32: (st.integers(-(2**31), 2**31 - 1), [pa.int32()]),
    DataType.INT64: (st.integers(-(2**63), 2**63 - 1), [pa.int64()]),
    DataType.FLOAT: (st.floats(width=32, allow_nan=False, allow_infinity=False), [pa.float32()]),
    DataType.DOUBLE: (st.floats(allow_nan=False, allow_infinity=False), [pa.float64()]),
    DataType.VARCHAR: (st.text(max_size=16), [pa.string(), pa.large_string()]),
}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DOCUMENTS = JSON_VALUES.filter(lambda value: value is not None).map(lambda value: json.dumps(value, ensure_ascii=False))
OBJECTS = st.dictionaries(st.text(max_size=5).filter(lambda key: key != DYNAMIC_FIELD_NAME), JSON_VALUES, max_size=3)
SPARSE_ROWS = st.dictionaries(
    st.integers(0, MAX_INDEX) | st.integers(0, 9),
    st.floats(0, width=32, allow_nan=False, allow_infinity=False),
    min_size=1,
    max_size=6,
)
SPARSE_TYPES = [
    pa.map_(pa.uint32(), pa.float32()),
    pa.map_(pa.int64(), pa.float32()),
    pa.list_(pa.struct([("i", pa.uint64()), ("v", pa.float32())])),
    pa.large_list(pa.struct([("i", pa.int64()), ("v", pa.float32())])),
    pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.large_list(pa.float32()))]),
]


@dataclass(frozen=True)
class Column:
    """A field, the values of its rows (None for null), and an Arrow column that holds them."""

    field: FieldSchema
    values: list[Any]
    array: pa.Array


@st.composite
def columns(draw: st.DrawFn, dtype: DataType, name: str = "f", rows: int | None = None) -> Column:
    """A column of ``dtype``, as it is or as the middle of a longer one."""
    nullable = draw(st.booleans())
    field, cells, arrow_types = draw(_kinds(dtype, name, nullable=nullable))
    if nullable:
        cells = st.none() | cells
    size = {"min_size": rows or 0, "max_size": 12 if rows is None else rows}
    values = draw(st.lists(cells, **size))
    before, after = draw(st.lists(cells, max_size=3)), draw(st.lists(cells, max_size=3))
    arrow_type = draw(st.sampled_from(arrow_types))
    longer = [_arrow_value(field, arrow_type, value) for value in [*before, *values, *after]]
    array = pa.array(longer, arrow_type).slice(len(before), len(values))
    return Column(field, values, array)


@st.composite
def _kinds(
    draw: st.DrawFn, dtype: DataType, name: str, *, nullable: bool
) -> tuple[FieldSchema, st.SearchStrategy[Any], list[pa.DataType]]:
    if dtype is DataType.ARRAY:
        element = draw(st.sampled_from(sorted(ELEMENTS)))
        cells, types = ELEMENTS[element]
        length = {"max_length": 64} if element is DataType.VARCHAR else {}
        field = FieldSchema(name, dtype, element_type=element, max_capacity=8, nullable=nullable, **length)
        lists = [wrap(inner) for inner in types for wrap in (pa.list_, pa.large_list)]
        return field, st.lists(cells, max_size=8), lists
    if dtype is DataType.JSON:
        return FieldSchema(name, dtype, nullable=nullable), DOCUMENTS, [pa.string(), pa.large_string(), pa.binary()]
    if dtype is DataType.FLOAT_VECTOR:
        dim = draw(st.integers(1, 5))
        cells = st.lists(ELEMENTS[DataType.FLOAT][0], min_size=dim, max_size=dim)
        return FieldSchema(name, dtype, dim=dim, nullable=nullable), cells, [pa.list_(pa.float32(), dim)]
    if dtype is DataType.SPARSE_FLOAT_VECTOR:
        return FieldSchema(name, dtype, nullable=nullable), SPARSE_ROWS, SPARSE_TYPES
    cells, types = ELEMENTS[dtype]
    length = {"max_length": 64} if dtype is DataType.VARCHAR else {}
    return FieldSchema(name, dtype, nullable=nullable, **length), cells, types


def _arrow_value(field: FieldSchema, arrow_type: pa.DataType, value: Any) -> Any:
    if field.dtype is not DataType.SPARSE_FLOAT_VECTOR or value is None:
        return value.encode() if pa.types.is_binary(arrow_type) and value is not None else value
    if pa.types.is_struct(arrow_type):
        return {"indices": list(value), "values": list(value.values())}
    if pa.types.is_map(arrow_type):
        return list(value.items())
    return [{"i": index, "v": weight} for index, weight in value.items()]
