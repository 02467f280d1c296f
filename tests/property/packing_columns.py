"""Columns of every data type, in every Arrow layout, for the property tests of packing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from layouts import LAYOUTS, Chance, Layout, row_bytes

from headrace.schema import DYNAMIC_FIELD_NAME, DataType, FieldSchema

NUMBERS: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.BOOL: st.booleans(),
    DataType.INT8: st.integers(-(2**7), 2**7 - 1),
    DataType.INT16: st.integers(-(2**15), 2**15 - 1),
    DataType.INT32: st.integers(-(2**31), 2**31 - 1),
    DataType.INT64: st.integers(-(2**63), 2**63 - 1),
    DataType.FLOAT: st.floats(width=32, allow_nan=False, allow_infinity=False),
    DataType.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
}
ELEMENTS = {**NUMBERS, DataType.VARCHAR: st.text(max_size=16)}
#: In an ARRAY, Milvus takes what it refuses elsewhere.
NOT_FINITE = st.sampled_from([float("nan"), float("inf"), float("-inf")])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DOCUMENTS = JSON_VALUES.filter(lambda value: value is not None).map(lambda value: json.dumps(value, ensure_ascii=False))
OBJECTS = st.dictionaries(st.text(max_size=5).filter(lambda key: key != DYNAMIC_FIELD_NAME), JSON_VALUES, max_size=3)
WKT = st.builds("POINT ({} {})".format, st.integers(-180, 180), st.floats(-90, 90)) | st.text(max_size=16)
#: With the lengths at which the head of a value grows.
LONG_TEXTS = st.text(max_size=16) | st.sampled_from([127, 128, 16_383, 16_384]).map("x".__mul__)
TIMES = st.datetimes().map(datetime.isoformat) | st.datetimes(timezones=st.just(UTC)).map(str)
WEIGHTS = st.floats(0, width=32, allow_nan=False, allow_infinity=False)
#: Bits of a float's exponent, which are all set in NaN and infinity only.
EXPONENTS = {
    DataType.FLOAT_VECTOR: ("<u4", 0x7F800000),
    DataType.FLOAT16_VECTOR: ("<u2", 0x7C00),
    DataType.BFLOAT16_VECTOR: ("<u2", 0x7F80),
}
SEEDS = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Column:
    """A field, the values of its rows (None for null) as pymilvus takes them, and an Arrow column that holds them.

    ``source`` is the same column as somebody may have it: in chunks, each built for itself, some of them empty.
    """

    field: FieldSchema
    values: list[Any]
    array: pa.Array
    source: pa.ChunkedArray


@st.composite
def columns(
    draw: st.DrawFn,
    dtype: DataType,
    name: str = "f",
    *,
    rows: int | None = None,
    layout: Layout | None = None,
    element_type: DataType | None = None,
) -> Column:
    """A column of ``dtype``, as it is or as the middle of a longer one; what is not given is drawn."""
    layout = draw(st.sampled_from(LAYOUTS[dtype])) if layout is None else layout
    field = draw(fields(dtype, name, element_type))
    cells = _cells(field, layout)
    if field.nullable or field.default_value is not None:
        cells = st.none() | cells
    count = draw(st.integers(1, 8)) if rows is None else rows
    values = draw(st.lists(cells, min_size=count, max_size=count))
    around = draw(st.lists(cells, max_size=3))
    rng = Chance(draw(SEEDS))
    before = rng.randint(0, len(around))
    longer = layout.build(field, [*around[:before], *values, *around[before:]], rng)
    sent = [_sent(layout, value) for value in values]
    return Column(field, sent, longer.slice(before, count), _chunked(layout, field, values, rng))


def _chunked(layout: Layout, field: FieldSchema, values: Sequence[Any], rng: Chance) -> pa.ChunkedArray:
    # Nothing joins encoded lists of encoded elements.
    pieces = 1 if layout.is_encoded_twice else rng.randint(1, 4)
    cuts = sorted(rng.randint(0, len(values)) for _ in range(1, pieces))
    bounds = zip([0, *cuts], [*cuts, len(values)], strict=True)
    return pa.chunked_array([layout.build(field, values[start:end], rng) for start, end in bounds])


@st.composite
def fields(draw: st.DrawFn, dtype: DataType, name: str = "f", element_type: DataType | None = None) -> FieldSchema:
    """A field of ``dtype``, nullable, with a default or neither; an ARRAY's ``element_type`` is drawn if not given."""
    facts: dict[str, Any] = {}
    if dtype is DataType.ARRAY:
        element_type = element_type or draw(st.sampled_from(sorted(ELEMENTS)))
        facts = {"element_type": element_type, "max_capacity": draw(st.integers(1, 8))}
    if DataType.VARCHAR in (dtype, facts.get("element_type")):
        facts["max_length"] = 64
    if dtype.is_dense_vector:
        facts["dim"] = draw(st.integers(1, 5)) * (8 if dtype is DataType.BINARY_VECTOR else 1)
    defaults = [0, ""] if dtype in ELEMENTS or dtype is DataType.TEXT else []
    form = draw(st.sampled_from([None, True, *defaults]))
    key = "nullable" if form is True else "default_value"
    return FieldSchema(name, dtype, **facts, **({} if form is None else {key: form}))


def _cells(field: FieldSchema, layout: Layout) -> st.SearchStrategy[Any]:
    dtype = field.dtype
    if layout.unit:
        return _instants(layout.unit)
    if dtype is DataType.ARRAY:
        elements = ELEMENTS[field.element_type]
        if field.element_type in (DataType.FLOAT, DataType.DOUBLE):
            elements |= NOT_FINITE
        return st.lists(elements, min_size=field.max_capacity if layout.is_fixed else 0, max_size=field.max_capacity)
    if dtype is DataType.FLOAT_VECTOR:
        return st.binary(min_size=4 * field.dim, max_size=4 * field.dim).map(lambda raw: _floats(_finite(dtype, raw)))
    if dtype.is_dense_vector:
        size = row_bytes(field)
        return st.binary(min_size=size, max_size=size).map(lambda raw: _finite(dtype, raw))
    if dtype is DataType.SPARSE_FLOAT_VECTOR:
        indices = st.integers(0, layout.max_index) | st.integers(0, 9)
        return st.dictionaries(indices, WEIGHTS, min_size=1, max_size=6)
    others = {
        DataType.JSON: DOCUMENTS,
        DataType.GEOMETRY: WKT,
        DataType.TEXT: LONG_TEXTS,
        DataType.TIMESTAMPTZ: TIMES,
    }
    return others[dtype] if dtype in others else ELEMENTS[dtype]


def _finite(dtype: DataType, raw: bytes) -> bytes:
    if dtype not in EXPONENTS:
        return raw
    unsigned, exponent = EXPONENTS[dtype]
    bits = np.frombuffer(raw, unsigned)
    lowest = exponent & -exponent
    return np.where(bits & exponent == exponent, bits ^ lowest, bits).astype(unsigned).tobytes()


def _floats(raw: bytes) -> list[float]:
    return np.frombuffer(raw, "<f4").tolist()


#: Microseconds of a unit, units of a microsecond, and how a time of that unit is written.
_UNITS = {
    "s": (10**6, 1, "seconds"),
    "ms": (10**3, 1, "milliseconds"),
    "us": (1, 1, "microseconds"),
    "ns": (1, 10**3, "microseconds"),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def _instants(unit: str) -> st.SearchStrategy[int]:
    """Timestamps of whole microseconds in the years 1 to 9999, as far as 64 bits reach."""
    coarse, fine, _ = _UNITS[unit]
    low, high = ((bound - _EPOCH) // timedelta(microseconds=coarse) for bound in (_FIRST, _LAST))
    reach = (2**63 - 1) // fine
    return st.integers(max(low, -reach), min(high, reach)).map(lambda count: count * fine)


def _sent(layout: Layout, value: Any) -> Any:
    """What pymilvus is given: a timestamp as its text."""
    if not layout.unit or value is None:
        return value
    coarse, fine, digits = _UNITS[layout.unit]
    instant = _EPOCH + timedelta(microseconds=value // fine * coarse)
    text = instant.replace(tzinfo=None).isoformat(timespec=digits)
    return text + "Z" if layout.zoned else text
