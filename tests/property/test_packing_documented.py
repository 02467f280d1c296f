"""What the documentation of packing says a column may be is what the tests of this folder draw, and nothing else."""

from __future__ import annotations

import re
from array import array
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from agreement import assert_same
from layouts import LAYOUTS
from scipy import sparse

from headrace import packing
from headrace.schema import DataType, FieldSchema
from tests.golden import reference

LISTS = {"list", "large_list", "fixed_size_list", "list_view", "large_list_view"}
BYTES = {"fixed_size_binary", "binary", "large_binary", "binary_view"}
TEXTS = {"utf8", "large_utf8", "utf8_view"}
INDICES = {"int32", "uint32", "int64", "uint64"}


def lists_of(*elements: str) -> set[str]:
    return {f"{form}<{element}>" for form in LISTS for element in elements}


SPARSE = {
    *(f"{form}<struct<{index}, float32>>" for form in LISTS - {"fixed_size_list"} for index in INDICES),
    *(f"map<{index}, float32>" for index in INDICES),
    *(f"struct<{form}<{index}>, list<float32>>" for form in LISTS - {"fixed_size_list"} for index in INDICES),
}
WRAPPERS = ("dictionary", "run_end_encoded", "extension")
TIMES = {f"timestamp[{unit}{zone}]" for unit in ("s", "ms", "us", "ns") for zone in ("", ", UTC")}
#: The rows of the table, word for word, with the layouts that each promises to its types.
ROWS: dict[str, tuple[str, dict[DataType, set[str]]]] = {
    "BOOL, INT8, INT16, INT32, INT64": (
        "bool, int8, int16, int32, int64",
        {
            DataType.BOOL: {"bool"},
            DataType.INT8: {"int8"},
            DataType.INT16: {"int16"},
            DataType.INT32: {"int32"},
            DataType.INT64: {"int64"},
        },
    ),
    "FLOAT, DOUBLE": (
        "float32, float64; NaN and infinity are refused",
        {DataType.FLOAT: {"float32"}, DataType.DOUBLE: {"float64"}},
    ),
    "VARCHAR, TEXT, GEOMETRY (WKT)": (
        "utf8, large_utf8, utf8_view",
        {DataType.VARCHAR: TEXTS, DataType.TEXT: TEXTS, DataType.GEOMETRY: TEXTS},
    ),
    "TIMESTAMPTZ": (
        "utf8, large_utf8, utf8_view in ISO 8601, sent as it is; timestamp[s, ms, us, ns] in whole microseconds, "
        "written in UTC where it has a zone, else without an offset (Milvus takes it in the collection's time zone)",
        {DataType.TIMESTAMPTZ: TEXTS | TIMES},
    ),
    "JSON, the dynamic field $meta": (
        "utf8, large_utf8, utf8_view, binary, large_binary, binary_view: a document a row",
        {DataType.JSON: TEXTS | BYTES - {"fixed_size_binary"}},
    ),
    "ARRAY": (
        "any list of the element's type",
        {DataType.ARRAY: lists_of("T", "dictionary<T>", "run_end_encoded<T>")},
    ),
    "FLOAT_VECTOR": ("any list of float32", {DataType.FLOAT_VECTOR: lists_of("float32")}),
    "FLOAT16_VECTOR": ("any list of float16; bytes", {DataType.FLOAT16_VECTOR: lists_of("float16") | BYTES}),
    "BFLOAT16_VECTOR": (
        "any list of uint16 (bit patterns) or fixed_size_binary[2]; bytes",
        {DataType.BFLOAT16_VECTOR: lists_of("uint16", "fixed_size_binary[2]") | BYTES},
    ),
    "INT8_VECTOR": ("any list of int8; bytes", {DataType.INT8_VECTOR: lists_of("int8") | BYTES}),
    "BINARY_VECTOR": (
        "any list of uint8 (dim / 8 a row, the first bit the highest); bytes",
        {DataType.BINARY_VECTOR: lists_of("uint8") | BYTES},
    ),
    "SPARSE_FLOAT_VECTOR": (
        "list, large_list or view of struct<index, value>; map<index, value>; struct<list of index, list of value>. "
        "index int32, uint32, int64 or uint64, value float32. Rows are sorted by index while they are written",
        {DataType.SPARSE_FLOAT_VECTOR: SPARSE},
    ),
    "any list": ("list, large_list, fixed_size_list, list_view, large_list_view", {}),
    "bytes": ("fixed_size_binary, binary, large_binary, binary_view of a vector's bytes, little endian", {}),
}


def documented(number: int) -> dict[str, str]:
    """The rows of one of the tables in the module's documentation."""
    block = re.split(r"\.\. code-block:: text\n\n", packing.__doc__ or "")[number]
    rows: dict[str, str] = {}
    for line in block.splitlines():
        if line and not line.startswith("    "):
            break
        if found := re.fullmatch(r"    (\S.*?)  +(\S.*)", line):
            rows[found[1]] = found[2]
        elif line:
            rows[list(rows)[-1]] += " " + line.strip()
    return rows


def test_every_row_of_the_table_of_layouts_is_drawn():
    assert documented(1) == {name: text for name, (text, _) in ROWS.items()}
    promised = {dtype: layouts for _, types in ROWS.values() for dtype, layouts in types.items()}
    for dtype, layouts in promised.items():
        wrapped = {
            f"{wrapper}<{name}>" for wrapper in ("dictionary", "run_end_encoded", "extension") for name in layouts
        }
        assert {layout.name for layout in LAYOUTS[dtype]} == layouts | wrapped
    assert promised.keys() == LAYOUTS.keys()


FLOATS = np.arange(8, dtype=np.float32).reshape(2, 4)
VECTOR = FieldSchema("f", DataType.FLOAT_VECTOR, dim=4)
SPARSE_FIELD = FieldSchema("f", DataType.SPARSE_FLOAT_VECTOR)
INT64 = FieldSchema("f", DataType.INT64)
BF16 = FLOATS.astype(ml_dtypes.bfloat16)


class Stream:
    """What another library's column has."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.column = column

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.column.__arrow_c_stream__(requested_schema)


#: Sources of the second table: a field, the source, the rows as pymilvus takes them.
EXAMPLES: dict[str, list[tuple[FieldSchema, Any, list[Any]]]] = {
    "numpy": [
        (INT64, np.array([1, -1], ">i8"), [1, -1]),
        (VECTOR, np.asfortranarray(FLOATS), FLOATS.tolist()),
        (FieldSchema("f", DataType.FLOAT16_VECTOR, dim=4), FLOATS.astype("f2"), list(FLOATS.astype("f2"))),
        (FieldSchema("f", DataType.INT8_VECTOR, dim=4), FLOATS.astype("i1"), list(FLOATS.astype("i1"))),
        (FieldSchema("f", DataType.BFLOAT16_VECTOR, dim=4), BF16, list(BF16)),
        (FieldSchema("f", DataType.BINARY_VECTOR, dim=16), np.array([[1, 2]], "u1"), [b"\1\2"]),
        (FieldSchema("f", DataType.BINARY_VECTOR, dim=8), np.array([[True] + [False] * 7]), [b"\x80"]),
    ],
    "sparse": [
        (SPARSE_FIELD, sparse.coo_array(FLOATS), [{1: 1.0, 2: 2.0, 3: 3.0}, {0: 4.0, 1: 5.0, 2: 6.0, 3: 7.0}]),
    ],
    "Arrow": [
        (INT64, pa.chunked_array([[1], [], [2]], pa.int64()), [1, 2]),
        (INT64, Stream(pa.chunked_array([[1], [2]])), [1, 2]),
    ],
    "lists": [
        (INT64, [1, 2], [1, 2]),
        (INT64, (1, 2), [1, 2]),
        (INT64, range(2), [0, 1]),
        (INT64, array("q", [1, 2]), [1, 2]),
        (FieldSchema("f", DataType.BOOL, nullable=True), [True, None], [True, None]),
        (FieldSchema("f", DataType.DOUBLE), [0.1, 2.0], [0.1, 2.0]),
        (FieldSchema("f", DataType.VARCHAR, max_length=9), ["a", ""], ["a", ""]),
        (FieldSchema("f", DataType.JSON), [{"a": [1, None]}, "[]"], [{"a": [1, None]}, "[]"]),
        (FieldSchema("f", DataType.TEXT), ["a", ""], ["a", ""]),
        (FieldSchema("f", DataType.GEOMETRY), ["POINT (1 2)"], ["POINT (1 2)"]),
        (FieldSchema("f", DataType.TIMESTAMPTZ), ["2025-01-02T03:04:05Z"], ["2025-01-02T03:04:05Z"]),
        (FieldSchema("f", DataType.ARRAY, element_type=DataType.INT8, max_capacity=2), [[1, 2], []], [[1, 2], []]),
        (VECTOR, FLOATS.tolist(), FLOATS.tolist()),
        (VECTOR, list(FLOATS), FLOATS.tolist()),
        (FieldSchema("f", DataType.FLOAT16_VECTOR, dim=4), list(FLOATS.astype("f2")), list(FLOATS.astype("f2"))),
        (FieldSchema("f", DataType.BFLOAT16_VECTOR, dim=4), list(BF16), list(BF16)),
        (FieldSchema("f", DataType.BFLOAT16_VECTOR, dim=1), [b"\1\2", b"\3\4"], [b"\1\2", b"\3\4"]),
        (FieldSchema("f", DataType.INT8_VECTOR, dim=2), [[-1, 2]], [b"\xff\2"]),
        (FieldSchema("f", DataType.INT8_VECTOR, dim=2), [b"\xff\2"], [b"\xff\2"]),
        (FieldSchema("f", DataType.BINARY_VECTOR, dim=16), [b"\1\2"], [b"\1\2"]),
        (FieldSchema("f", DataType.BINARY_VECTOR, dim=16, nullable=True), [None, [1, 2]], [None, b"\1\2"]),
        (SPARSE_FIELD, [{7: 0.5, 1: 1.0}, {0: 2.0}], [{1: 1.0, 7: 0.5}, {0: 2.0}]),
        (SPARSE_FIELD, [{"indices": [7, 1], "values": [0.5, 1.0]}], [{1: 1.0, 7: 0.5}]),
        (SPARSE_FIELD, [[(7, 0.5), (1, 1.0)]], [{1: 1.0, 7: 0.5}]),
    ],
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_kind_of_source_is_the_message_of_pymilvus(kind):
    for field, source, rows in EXAMPLES[kind]:
        assert_same(packing.pack_field(field, source), reference.field_data(field, rows))


def test_every_row_of_the_table_of_sources_has_examples():
    assert documented(2).keys() == EXAMPLES.keys()
