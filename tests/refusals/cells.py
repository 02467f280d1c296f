"""Cells that are refused, at least one for each variant of ``CellReason``."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace import _core
from headrace.schema import DataType
from tests.arrow_versions import arrow_array

VARCHAR = _core.Field("t", DataType.VARCHAR, max_length=4)
JSON = _core.Field("j", DataType.JSON)
META = _core.Field("$meta", DataType.JSON, is_dynamic=True)
INT64 = _core.Field("n", DataType.INT64)
FLOAT = _core.Field("x", DataType.FLOAT)
DOUBLE = _core.Field("x", DataType.DOUBLE)
NAMES = _core.Field("a", DataType.ARRAY, element_type=DataType.VARCHAR, max_length=4, max_capacity=2)
VECTOR = _core.Field("v", DataType.FLOAT_VECTOR, dim=2)
BINARY = _core.Field("b", DataType.BINARY_VECTOR, dim=16)
FLOAT16 = _core.Field("h", DataType.FLOAT16_VECTOR, dim=2)
BFLOAT16 = _core.Field("bh", DataType.BFLOAT16_VECTOR, dim=2)
INT8 = _core.Field("i8", DataType.INT8_VECTOR, dim=2)
SPARSE = _core.Field("sp", DataType.SPARSE_FLOAT_VECTOR)
GEOMETRY = _core.Field("g", DataType.GEOMETRY)
TEXT = _core.Field("t", DataType.TEXT)
TIMESTAMPTZ = _core.Field("at", DataType.TIMESTAMPTZ)

NOT_UTF8 = b"ab\xff"
PAIRS = pa.map_(pa.int64(), pa.float32())


def binary_as_text(cells: list[bytes]) -> pa.Array:
    """A string array with bytes that nobody has checked, as a producer may send it."""
    binary = pa.array(cells, pa.binary())
    return pa.StringArray.from_buffers(len(cells), *binary.buffers()[1:])


def lists_of(child: pa.Array, lengths: list[int]) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.cumsum([0, *lengths]), pa.int32()), child)


def vectors(values: list[float | None]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), 2)


def unequal_lists() -> pa.Array:
    arrays = [pa.array([[1], [2, 3]], pa.list_(pa.int32())), pa.array([[0.5], [0.5]], pa.list_(pa.float32()))]
    return pa.StructArray.from_arrays(arrays, ["indices", "values"])


def half_null_lists(*halves: list[list[float] | None]) -> pa.Array:
    types = [pa.list_(pa.int32()), pa.list_(pa.float32())]
    arrays = [pa.array(half, kind) for half, kind in zip(halves, types, strict=True)]
    return pa.StructArray.from_arrays(arrays, ["indices", "values"])


@dataclass(frozen=True)
class Cell:
    """A refused cell: its reason in ``error.rs``, what makes it, and the parts of the message."""

    reason: str
    field: _core.Field
    column: Callable[[], pa.Array]
    row: int
    expected: str
    found: str
    remedy: str


FILL_OR_DROP = "fill the element or drop the row"
SHORTEN = "shorten the value or declare a larger max_length"
NO_NAN = "replace NaN and infinity or drop the row"
DECODE = "decode the source with its own encoding first"
STANDARD = "write standard JSON (no NaN, no trailing text)"
RENAME = "rename the key or send it as the field of that name"
KEYS = "keys other than '$meta' and the declared fields"
RANGE = "indices between 0 and 4294967294"
SMALLER = "map the tokens to smaller indices"

OF_DIM = "give a vector of the field's dim"
IN_YEARS = "whole microseconds between the years 1 and 9999"
ROUND = "round the value or drop the row"

CELLS = [
    Cell("Null", INT64, lambda: pa.array([1, None]), 1, "a value", "null",
         "fill the value, drop the row or declare the field nullable"),
    Cell("Null", SPARSE, lambda: pa.array([None], PAIRS), 0, "a value", "null",
         "fill the value, drop the row or declare the field nullable"),
    Cell("NullElement", VECTOR, lambda: vectors([1, 2, 3, None]), 1, "no null elements", "null at element 1",
         FILL_OR_DROP),
    Cell("NullElement", NAMES, lambda: pa.array([["a"], ["b", None]]), 1, "no null elements", "null at element 1",
         FILL_OR_DROP),
    Cell("NullElement", SPARSE, lambda: pa.array([[(1, 0.5), (2, None)]], PAIRS), 0, "no null elements",
         "null at element 1", FILL_OR_DROP),
    Cell("NullElement", INT8, lambda: pa.array([[1, 2], [None, 2]], pa.large_list_view(pa.int8())), 1,
         "no null elements", "null at element 0", FILL_OR_DROP),
    Cell("NotFinite", FLOAT, lambda: pa.array([1, np.nan], pa.float32()), 1, "finite values", "NaN", NO_NAN),
    Cell("NotFinite", DOUBLE, lambda: pa.array([-np.inf]), 0, "finite values", "-inf", NO_NAN),
    Cell("NotFinite", VECTOR, lambda: vectors([1, 2, np.inf, 4]), 1, "finite values", "inf at element 0", NO_NAN),
    Cell("NotFinite", SPARSE, lambda: pa.array([[], [(1, np.nan)]], PAIRS), 1, "finite values", "NaN at element 0",
         NO_NAN),
    Cell("NotFinite", FLOAT16, lambda: pa.array([struct.pack("<2e", 1, np.inf)], pa.binary(4)), 0, "finite values",
         "inf at element 1", NO_NAN),
    Cell("NotFinite", BFLOAT16, lambda: pa.array([[0, 0x7F7F], [0xFFC0, 0]], pa.list_(pa.uint16(), 2)), 1,
         "finite values", "NaN at element 0", NO_NAN),
    Cell("TooLong", VARCHAR, lambda: pa.array(["abcd", "ééé"]), 1, "at most 4 UTF-8 bytes", "6 bytes", SHORTEN),
    Cell("TooLong", NAMES, lambda: pa.array([["a", "abcde"]]), 0, "at most 4 UTF-8 bytes", "5 bytes at element 1",
         SHORTEN),
    Cell("NotUtf8", VARCHAR, lambda: binary_as_text([b"ok", NOT_UTF8]), 1, "UTF-8", "an invalid byte at position 2",
         DECODE),
    Cell("NotUtf8", NAMES, lambda: lists_of(binary_as_text([b"ok", NOT_UTF8]), [2]), 0, "UTF-8",
         "an invalid byte at position 2 at element 1", DECODE),
    Cell("NotUtf8", TEXT, lambda: binary_as_text([NOT_UTF8]), 0, "UTF-8", "an invalid byte at position 2", DECODE),
    Cell("NotUtf8", GEOMETRY, lambda: binary_as_text([NOT_UTF8]), 0, "UTF-8", "an invalid byte at position 2", DECODE),
    Cell("NotUtf8", TIMESTAMPTZ, lambda: binary_as_text([b"", NOT_UTF8]), 1, "UTF-8", "an invalid byte at position 2",
         DECODE),
    Cell("NotUtf8", JSON, lambda: pa.array([b'"\xff"']), 0, "UTF-8", "an invalid byte at position 1", DECODE),
    Cell("JsonTooLong", JSON, lambda: pa.array(["{}", '"' + "x" * 65_535 + '"']), 1, "at most 65536 bytes of JSON",
         "65537 bytes", "shorten the document or split it over several fields"),
    Cell("NotJson", JSON, lambda: pa.array(["{}", "{'a': 1}"]), 1, "a JSON document",
         "invalid JSON (key must be a string at line 1 column 2)", STANDARD),
    Cell("NotJson", JSON, lambda: pa.array(["{} {}"]), 0, "a JSON document",
         "invalid JSON (trailing characters at line 1 column 4)", STANDARD),
    Cell("NotJson", META, lambda: pa.array([""]), 0, "a JSON document",
         "invalid JSON (EOF while parsing a value at line 1 column 0)", STANDARD),
    Cell("NotJson", META, lambda: pa.array(['{"a":NaN}']), 0, "a JSON document",
         "invalid JSON (expected value at line 1 column 6)", STANDARD),
    Cell("NotObject", META, lambda: pa.array(["{}", "[]"]), 1, "a JSON object", "an array",
         "wrap the value in an object"),
    Cell("ReservedKey", META, lambda: pa.array(['{"a":{"$meta":1}}', '{"\\u0024meta":1}']), 1, KEYS, "the key '$meta'",
         RENAME),
    Cell("TooManyElements", NAMES, lambda: pa.array([["a"], ["a", "b", "c"]]), 1, "at most 2 elements", "3 elements",
         "shorten the array or declare a larger max_capacity"),
    Cell("WrongLength", VECTOR, lambda: pa.array([[1, 2], [1, 2, 3]], pa.list_(pa.float32())), 1,
         "a vector of 2 elements", "3 elements", OF_DIM),
    Cell("WrongLength", FLOAT16, lambda: arrow_array([[1], []], pa.large_list(pa.float16())), 0,
         "a vector of 2 elements", "1 elements", OF_DIM),
    Cell("WrongLength", FLOAT16, lambda: pa.array([b"abcd", b"ab"], pa.binary_view()), 1, "a vector of 4 bytes",
         "2 bytes", OF_DIM),
    Cell("WrongLength", BFLOAT16, lambda: pa.array([[b"ab"]], pa.list_view(pa.binary(2))), 0, "a vector of 2 elements",
         "1 elements", OF_DIM),
    Cell("WrongLength", INT8, lambda: pa.array([b"ab", b""], pa.large_binary()), 1, "a vector of 2 bytes", "0 bytes",
         OF_DIM),
    Cell("WrongLength", BINARY, lambda: pa.array([b"ab", b"a"]), 1, "a vector of 2 bytes", "1 bytes", OF_DIM),
    Cell("NotATimestamp", TIMESTAMPTZ, lambda: pa.array([1_000, 1_001], pa.timestamp("ns")), 1, IN_YEARS,
         "1001 ns since 1970", ROUND),
    Cell("NotATimestamp", TIMESTAMPTZ, lambda: pa.array([-62_135_596_801], pa.timestamp("s", "UTC")), 0, IN_YEARS,
         "-62135596801 s since 1970", ROUND),
    Cell("NotATimestamp", TIMESTAMPTZ, lambda: pa.array([0, 253_402_300_800_000], pa.timestamp("ms")), 1, IN_YEARS,
         "253402300800000 ms since 1970", ROUND),
    Cell("UnequalLengths", SPARSE, unequal_lists, 1, "as many indices as values", "2 indices and 1 values",
         "give one value for each index"),
    Cell("UnequalLengths", SPARSE, lambda: half_null_lists([[1], None], [[0.5], [5.0]]), 1,
         "as many indices as values", "0 indices and 1 values", "give one value for each index"),
    Cell("UnequalLengths", SPARSE, lambda: half_null_lists([[1, 2]], [None]), 0,
         "as many indices as values", "2 indices and 0 values", "give one value for each index"),
    Cell("Null", SPARSE, lambda: half_null_lists([[1], None], [[0.5], None]), 1, "a value", "null",
         "fill the value, drop the row or declare the field nullable"),
    Cell("IndexTwice", SPARSE, lambda: pa.array([[(7, 0.5), (1, 0.5), (7, 0.5)]], PAIRS), 0, "each index once",
         "index 7 twice", "add the values of equal indices up first"),
    Cell("IndexOutOfRange", SPARSE, lambda: pa.array([[(-1, 0.5)]], PAIRS), 0, RANGE, "index -1", SMALLER),
    Cell("IndexOutOfRange", SPARSE, lambda: pa.array([[(2**32 - 1, 0.5)]], PAIRS), 0, RANGE, "index 4294967295",
         SMALLER),
    Cell("NegativeValue", SPARSE, lambda: pa.array([[(1, 0.5), (2, -0.5)]], PAIRS), 0, "values of at least 0",
         "-0.5 at element 1", "drop the entry or use a dense vector"),
]  # fmt: skip
