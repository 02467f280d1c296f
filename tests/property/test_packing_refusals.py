"""A bad cell is refused in every layout, with its row, in the same words."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from layouts import LAYOUTS, Chance, Layout

from headrace import _core
from headrace.errors import CellError
from headrace.schema import DataType, FieldSchema
from tests.golden.generate import describe

INF, NAN = float("inf"), float("nan")
ROWS = 6


@dataclass(frozen=True)
class Bad:
    """A cell that is refused, one that is not, and what the refusal says."""

    dtype: DataType
    cell: Any
    good: Any
    expected: str
    found: str
    remedy: str
    within: tuple[str, ...] = ("",)
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def field(self) -> FieldSchema:
        return FieldSchema("f", self.dtype, **dict(self.options))

    def layouts(self) -> list[Layout]:
        return [layout for layout in LAYOUTS[self.dtype] if any(part in layout.name for part in self.within)]

    def __str__(self) -> str:
        return f"{self.dtype.name.lower()}: {self.found}"


NULL = ("a value", "null", "fill the value, drop the row or declare the field nullable")
FINITE = ("finite values", "replace NaN and infinity or drop the row")
LONG = "shorten the value or declare a larger max_length"
TIME = ("whole microseconds between the years 1 and 9999", "round the value or drop the row")
FILL = "fill the element or drop the row"
INDEX = ("indices between 0 and 4294967294", "map the tokens to smaller indices")
DIM2 = (("dim", 2),)
TEXT = (("max_length", 4),)
LIST = (("element_type", DataType.VARCHAR), ("max_length", 4), ("max_capacity", 2))
GOOD: dict[DataType, tuple[Any, tuple[tuple[str, Any], ...]]] = {
    DataType.BOOL: (True, ()),
    **dict.fromkeys((DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64), (1, ())),
    DataType.FLOAT: (1.0, ()),
    DataType.DOUBLE: (1.0, ()),
    DataType.VARCHAR: ("a", TEXT),
    DataType.JSON: ("{}", ()),
    DataType.GEOMETRY: ("POINT (1 2)", ()),
    DataType.TEXT: ("a", ()),
    DataType.ARRAY: (["a", "b"], LIST),
    DataType.FLOAT_VECTOR: ([1.0, 2.0], DIM2),
    DataType.FLOAT16_VECTOR: (struct.pack("<2e", 1, 2), DIM2),
    DataType.BFLOAT16_VECTOR: (b"\x80\x3f\x00\x40", DIM2),
    DataType.INT8_VECTOR: (b"\x01\x02", DIM2),
    DataType.BINARY_VECTOR: (b"\x01\x02", (("dim", 16),)),
    DataType.SPARSE_FLOAT_VECTOR: ({1: 0.5}, ()),
}
TEXTS = ("utf8",)


def _bad(dtype: DataType, cell: Any, words: tuple[str, str, str], *within: str) -> Bad:
    good, options = GOOD[dtype]
    return Bad(dtype, cell, good, *words, within or ("",), options)


def _not_finite(dtype: DataType, cell: Any, found: str) -> Bad:
    return _bad(dtype, cell, (FINITE[0], found, FINITE[1]))


def _late(unit: str, value: int) -> Bad:
    within = (f"timestamp[{unit}]", f"timestamp[{unit}, UTC]")
    return Bad(DataType.TIMESTAMPTZ, value, 0, TIME[0], f"{value} {unit} since 1970", TIME[1], within)


CASES = [
    *(_bad(dtype, None, NULL) for dtype in GOOD),
    Bad(DataType.TIMESTAMPTZ, None, "2025-01-02T03:04:05Z", *NULL, TEXTS),
    Bad(DataType.TIMESTAMPTZ, None, 0, *NULL, ("timestamp",)),
    _not_finite(DataType.FLOAT, NAN, "NaN"),
    _not_finite(DataType.FLOAT, -INF, "-inf"),
    _not_finite(DataType.DOUBLE, INF, "inf"),
    _not_finite(DataType.FLOAT_VECTOR, [0.0, NAN], "NaN at element 1"),
    _not_finite(DataType.FLOAT_VECTOR, [-INF, NAN], "-inf at element 0"),
    _not_finite(DataType.FLOAT16_VECTOR, struct.pack("<2e", 1, NAN), "NaN at element 1"),
    _not_finite(DataType.FLOAT16_VECTOR, struct.pack("<2e", -INF, NAN), "-inf at element 0"),
    _not_finite(DataType.FLOAT16_VECTOR, b"\x00\x00\x01\xfc", "NaN at element 1"),
    _not_finite(DataType.BFLOAT16_VECTOR, b"\x00\x00\x80\x7f", "inf at element 1"),
    _not_finite(DataType.BFLOAT16_VECTOR, b"\x81\xff\x00\x00", "NaN at element 0"),
    _not_finite(DataType.SPARSE_FLOAT_VECTOR, {3: 0.5, 1: INF}, "inf at element 1"),
    _bad(DataType.VARCHAR, "ééé", ("at most 4 UTF-8 bytes", "6 bytes", LONG)),
    _bad(DataType.ARRAY, ["a", "abcde"], ("at most 4 UTF-8 bytes", "5 bytes at element 1", LONG)),
    _bad(DataType.ARRAY, ["a", None], ("no null elements", "null at element 1", FILL)),
    _bad(DataType.ARRAY, ["a"] * 3, ("at most 2 elements", "3 elements",
         "shorten the array or declare a larger max_capacity"), "large_list<", "list_view<"),
    _bad(DataType.JSON, "{'a': 1}", ("a JSON document", "invalid JSON (key must be a string at line 1 column 2)",
         "write standard JSON (no NaN, no trailing text)")),
    _bad(DataType.JSON, '"' + "x" * 65_535 + '"', ("at most 65536 bytes of JSON", "65537 bytes",
         "shorten the document or split it over several fields")),
    _bad(DataType.FLOAT_VECTOR, [1.0, None], ("no null elements", "null at element 1", FILL)),
    _late("s", 253_402_300_800),
    _late("s", -62_135_596_801),
    _late("ms", 253_402_300_800_000),
    _late("us", -62_135_596_800_000_001),
    _late("us", 2**63 - 1),
    _late("ns", 1),
    _late("ns", -1_001),
    _bad(DataType.SPARSE_FLOAT_VECTOR, {2: 0.5, 1: -0.5}, ("values of at least 0", "-0.5 at element 1",
         "drop the entry or use a dense vector")),
    _bad(DataType.SPARSE_FLOAT_VECTOR, {-1: 0.5}, (INDEX[0], "index -1", INDEX[1]), "<int32", "<int64"),
    _bad(DataType.SPARSE_FLOAT_VECTOR, {2**32 - 1: 0.5}, (INDEX[0], "index 4294967295", INDEX[1]), "uint32", "int64"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_cell_is_refused_in_every_layout_with_its_row_and_the_same_words(case):
    field = _core.Field(**describe(case.field))
    packer = _core.Packer([field], collection_name="c")
    for seed, layout in enumerate(case.layouts()):
        rng = Chance(seed)
        row = rng.randrange(ROWS)
        cells = [case.cell if at == row else case.good for at in range(-1, ROWS + 1)]
        column = layout.build(case.field, cells, rng).slice(1, ROWS)
        with pytest.raises(CellError) as caught:
            _core.pack_field(field, column)
        error = caught.value
        parts = (error.row, error.field, error.expected, error.found, error.remedy)
        assert parts == (row, "f", case.expected, case.found, case.remedy), layout.name
        assert packer.check(pa.record_batch({"f": column})) == [parts], layout.name


DENSE = [dtype for dtype in GOOD if dtype.is_dense_vector]


@pytest.mark.parametrize("dtype", DENSE, ids=lambda dtype: dtype.name.lower())
def test_a_vector_of_another_length_is_refused_in_every_layout_that_can_hold_one(dtype):
    good, options = GOOD[dtype]
    schema = FieldSchema("f", dtype, **dict(options))
    field = _core.Field(**describe(schema))
    layouts = [layout for layout in LAYOUTS[dtype] if "fixed_size_list" not in layout.name]
    layouts = [layout for layout in layouts if not layout.name.rstrip(">").endswith("fixed_size_binary")]
    assert len(layouts) >= 16
    for seed, layout in enumerate(layouts):
        # Twice the vector, half of it, nothing.
        cells = [good, good + good, good[: len(good) // 2], good[:0]]
        column = layout.build(schema, cells, Chance(seed))
        size, unit = (2, "elements") if "list" in layout.name else (len(good), "bytes")
        with pytest.raises(CellError) as caught:
            _core.pack_field(field, column)
        error = caught.value
        expected = f"a vector of {size} {unit}, found {2 * size} {unit}"
        assert str(error) == f"row 1, field 'f': expected {expected}; give a vector of the field's dim", layout.name
        refused = _core.Packer([field], collection_name="c").check(pa.record_batch({"f": column}))
        found = [(row, found) for row, _, _, found, _ in refused]
        assert found == [(1, f"{2 * size} {unit}"), (2, f"{size // 2} {unit}"), (3, f"0 {unit}")]
