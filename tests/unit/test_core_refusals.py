"""Every reason to refuse a cell, a column or a definition, from Python, with its whole message."""

from __future__ import annotations

import ctypes
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace import _core
from headrace.errors import CellError, SchemaError
from headrace.schema import DataType

RUST_ERRORS = Path(__file__).parent.parent.parent / "rust" / "error.rs"

VARCHAR = _core.Field("t", DataType.VARCHAR, max_length=4)
JSON = _core.Field("j", DataType.JSON)
META = _core.Field("$meta", DataType.JSON, is_dynamic=True)
INT64 = _core.Field("n", DataType.INT64)
FLOAT = _core.Field("x", DataType.FLOAT)
DOUBLE = _core.Field("x", DataType.DOUBLE)
NAMES = _core.Field("a", DataType.ARRAY, element_type=DataType.VARCHAR, max_length=4, max_capacity=2)
VECTOR = _core.Field("v", DataType.FLOAT_VECTOR, dim=2)
BINARY = _core.Field("b", DataType.BINARY_VECTOR, dim=16)
SPARSE = _core.Field("sp", DataType.SPARSE_FLOAT_VECTOR)
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
    Cell("NotFinite", FLOAT, lambda: pa.array([1, np.nan], pa.float32()), 1, "finite values", "NaN", NO_NAN),
    Cell("NotFinite", DOUBLE, lambda: pa.array([-np.inf]), 0, "finite values", "-inf", NO_NAN),
    Cell("NotFinite", VECTOR, lambda: vectors([1, 2, np.inf, 4]), 1, "finite values", "inf at element 0", NO_NAN),
    Cell("NotFinite", SPARSE, lambda: pa.array([[], [(1, np.nan)]], PAIRS), 1, "finite values", "NaN at element 0",
         NO_NAN),
    Cell("TooLong", VARCHAR, lambda: pa.array(["abcd", "ééé"]), 1, "at most 4 UTF-8 bytes", "6 bytes", SHORTEN),
    Cell("TooLong", NAMES, lambda: pa.array([["a", "abcde"]]), 0, "at most 4 UTF-8 bytes", "5 bytes at element 1",
         SHORTEN),
    Cell("NotUtf8", VARCHAR, lambda: binary_as_text([b"ok", NOT_UTF8]), 1, "UTF-8", "an invalid byte at position 2",
         DECODE),
    Cell("NotUtf8", NAMES, lambda: lists_of(binary_as_text([b"ok", NOT_UTF8]), [2]), 0, "UTF-8",
         "an invalid byte at position 2 at element 1", DECODE),
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
         "a vector of 2 elements or bytes", "3", "give a vector of the field's dim"),
    Cell("WrongLength", BINARY, lambda: pa.array([b"ab", b"a"]), 1, "a vector of 2 elements or bytes", "1",
         "give a vector of the field's dim"),
    Cell("NotATimestamp", TIMESTAMPTZ, lambda: pa.array([1_000, 1_001], pa.timestamp("ns")), 1,
         "whole microseconds between the years 1 and 9999", "1001 ns since 1970", "round the value or drop the row"),
    Cell("UnequalLengths", SPARSE, unequal_lists, 1, "as many indices as values", "2 indices and 1 values",
         "give one value for each index"),
    Cell("IndexTwice", SPARSE, lambda: pa.array([[(7, 0.5), (1, 0.5), (7, 0.5)]], PAIRS), 0, "each index once",
         "index 7 twice", "add the values of equal indices up first"),
    Cell("IndexOutOfRange", SPARSE, lambda: pa.array([[(-1, 0.5)]], PAIRS), 0, RANGE, "index -1", SMALLER),
    Cell("IndexOutOfRange", SPARSE, lambda: pa.array([[(2**32 - 1, 0.5)]], PAIRS), 0, RANGE, "index 4294967295",
         SMALLER),
    Cell("NegativeValue", SPARSE, lambda: pa.array([[(1, 0.5), (2, -0.5)]], PAIRS), 0, "values of at least 0",
         "-0.5 at element 1", "drop the entry or use a dense vector"),
]  # fmt: skip


@pytest.mark.parametrize("case", CELLS, ids=lambda case: f"{case.reason}-{case.field.name}")
def test_refuses_a_cell_and_says_where_why_and_what_to_do(case):
    column = case.column()
    with pytest.raises(CellError) as caught:
        _core.pack_field(case.field, column)
    error = caught.value
    parts = (error.row, error.field, error.expected, error.found, error.remedy)
    assert parts == (case.row, case.field.name, case.expected, case.found, case.remedy)
    where = f"row {case.row}, field {case.field.name!r}"
    assert str(error) == f"{where}: expected {case.expected}, found {case.found}; {case.remedy}"
    assert pickle.loads(pickle.dumps(error)).__dict__ == error.__dict__


@pytest.mark.parametrize("case", CELLS, ids=lambda case: f"{case.reason}-{case.field.name}")
def test_check_finds_the_cell_that_packing_refuses(case):
    packer = _core.Packer([case.field], collection_name="c")
    batch = pa.record_batch({case.field.name: case.column()})
    expected = (case.row, case.field.name, case.expected, case.found, case.remedy)
    assert packer.check(batch)[0] == expected


def corrupt_strings() -> pa.Array:
    offsets = pa.py_buffer(np.array([0, 3, 2], dtype=np.int32))
    return pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"abc"))


def too_large() -> pa.Array:
    zeros = pa.array(np.zeros(2**29, dtype=np.float32))
    return pa.FixedSizeListArray.from_arrays(zeros, 2)


def batch_of(packer: _core.Packer, columns: dict[str, pa.Array] | list[tuple[str, pa.Array]]) -> bytes:
    pairs = list(columns.items()) if isinstance(columns, dict) else columns
    return packer.pack_insert(pa.RecordBatch.from_arrays([array for _, array in pairs], [name for name, _ in pairs]))


def pack_two(columns: dict[str, pa.Array] | list[tuple[str, pa.Array]]) -> bytes:
    return batch_of(_core.Packer([INT64, VARCHAR], collection_name="c"), columns)


def field(data_type: int, name: str = "f", **options: object) -> _core.Field:
    return _core.Field(name, data_type, **options)


ONE = pa.array([1])
TEXT = pa.array(["a"])
SCALARS = "1 (BOOL), 2 (INT8), 3 (INT16), 4 (INT32), 5 (INT64), 10 (FLOAT), 11 (DOUBLE), 21 (VARCHAR)"
SPARSE_TYPES = (
    "any kind of list of struct<index, value>, a map<index, value> or a struct<list of index, list of value> "
    "(index int32, uint32, int64 or uint64; value float32)"
)
CORRECT = "correct the schema"
LEAVE_OUT = "leave the parameter out or choose another type"

COLUMNS: list[tuple[str, str | None, Callable[[], object], str]] = [
    ("WrongType", "n", lambda: _core.pack_field(INT64, pa.array(["a"])),
     "field 'n': expected int64, found utf8; cast the column"),
    ("WrongType", "sp", lambda: _core.pack_field(SPARSE, pa.array([[1]])),
     f"field 'sp': expected {SPARSE_TYPES}, found list<int64>; cast the column"),
    ("WrongDim", "v", lambda: _core.pack_field(VECTOR, pa.array([[1, 2, 3]], pa.list_(pa.float32(), 3))),
     "field 'v': expected vectors of 2 elements (the field's dim), found vectors of 3 elements; use vectors of the "
     "field's dim or another field"),
    ("Missing", "t", lambda: pack_two({"n": ONE}),
     "field 't': expected a column of this name, found none; add the column, or build the packer without the field "
     "where Milvus can fill it"),
    ("Unknown", "other", lambda: pack_two({"n": ONE, "t": TEXT, "other": ONE}),
     "field 'other': expected only the fields 'n', 't', found another column; drop the column or put it into the "
     "dynamic field"),
    ("Twice", "n", lambda: pack_two([("n", ONE), ("t", TEXT), ("n", ONE)]),
     "field 'n': expected each name once, found two; rename or drop one"),
    ("Twice", "n", lambda: _core.Packer([INT64, INT64], collection_name="c"),
     "field 'n': expected each name once, found two; rename or drop one"),
    ("Corrupt", "t", lambda: _core.pack_field(VARCHAR, corrupt_strings()),
     "field 't': expected ascending offsets between 0 and 2, found descending offsets; validate the array where it is "
     "made"),
    ("TooLarge", None, lambda: _core.pack_field(VECTOR, too_large()),
     "batch: expected a request of at most 2147483647 bytes, found 2147483673 bytes; send fewer rows in one request"),
    ("Definition", "f", lambda: field(99),
     f"field 'f': expected data_type among {SCALARS}, 22 (ARRAY), 23 (JSON), 24 (GEOMETRY), 26 (TIMESTAMPTZ), 100 "
     "(BINARY_VECTOR), 101 (FLOAT_VECTOR), 102 (FLOAT16_VECTOR), 103 (BFLOAT16_VECTOR), 104 (SPARSE_FLOAT_VECTOR), 105 "
     "(INT8_VECTOR), found 99; choose one of them"),
    ("Definition", "f", lambda: field(DataType.BINARY_VECTOR, dim=12),
     "field 'f': expected a dim that is a multiple of 8 bits, found dim=12; pad the vectors to whole bytes"),
    ("NoRows", None, lambda: pack_two({"n": ONE[:0], "t": TEXT[:0]}),
     "batch: expected at least one row, found none; send no request"),
    ("Definition", "f", lambda: field(DataType.ARRAY, element_type=DataType.JSON, max_capacity=1),
     f"field 'f': expected element_type among {SCALARS}, found 23; choose one of them"),
    ("Definition", "f", lambda: field(DataType.FLOAT_VECTOR),
     f"field 'f': expected dim between 1 and 262144, found dim=0; {CORRECT}"),
    ("Definition", "f", lambda: field(DataType.VARCHAR, max_length=65_536),
     f"field 'f': expected max_length between 1 and 65535, found max_length=65536; {CORRECT}"),
    ("Definition", "f", lambda: field(DataType.ARRAY, element_type=DataType.BOOL, max_capacity=-1),
     f"field 'f': expected max_capacity between 1 and 4096, found max_capacity=-1; {CORRECT}"),
    ("Definition", "f", lambda: field(DataType.INT64, dim=2),
     f"field 'f': expected no dim with data_type 5, found one; {LEAVE_OUT}"),
    ("Definition", "f", lambda: field(DataType.JSON, max_length=2),
     f"field 'f': expected no max_length with data_type 23, found one; {LEAVE_OUT}"),
    ("Definition", "f", lambda: field(DataType.JSON, is_dynamic=True),
     "field 'f': expected a dynamic field '$meta' of data_type 23 (JSON), not nullable, found 'f' of data_type 23, "
     "nullable=false; set is_dynamic=False"),
    ("Definition", None, lambda: field(DataType.JSON, name=""),
     "batch: expected a name, found an empty one; name the field"),
    ("Definition", None, lambda: _core.Packer([INT64], collection_name=""),
     "batch: expected a collection name and at least one field, found '' and 1 fields; name the collection and its "
     "fields"),
    ("Definition", None, lambda: _core.Packer([INT64], collection_name="c").pack_insert({"n": [1]}),
     "batch: expected an Arrow record batch (an object with __arrow_c_array__), found dict; convert it with pyarrow "
     "first"),
    ("Definition", "n", lambda: _core.pack_field(INT64, [1]),
     "field 'n': expected an Arrow array (an object with __arrow_c_array__), found list; convert it with pyarrow "
     "first"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "message"), [case[1:] for case in COLUMNS], ids=[c[0] for c in COLUMNS])
def test_refuses_a_column_or_definition_and_says_what_to_do(name, make, message):
    with pytest.raises(SchemaError) as caught:
        make()
    assert (str(caught.value), caught.value.field) == (message, name)


def test_a_batch_with_nulls_that_its_schema_excludes_is_refused_with_the_cause():
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    batch = pa.RecordBatch.from_arrays([pa.array([None, 1])], schema=schema)
    with pytest.raises(SchemaError, match="non-nullable but contains null") as caught:
        _core.Packer([INT64], collection_name="c").pack_insert(batch)
    assert isinstance(caught.value.__cause__, ValueError)


class Longer:
    """An Arrow array that says it has more rows than its child has values for."""

    def __init__(self, inner):
        self.inner = inner

    def __arrow_c_array__(self, requested_schema=None):
        schema, array = self.inner.__arrow_c_array__(requested_schema)
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        # The first member of ArrowArray is its length.
        ctypes.c_int64.from_address(pointer(array, b"arrow_array")).value = 1_000
        return schema, array


def test_an_array_that_contradicts_its_child_is_refused(capfd):
    with pytest.raises(SchemaError) as caught:
        _core.pack_field(VECTOR, Longer(vectors([1, 2, 3, 4])))
    assert str(caught.value) == (
        "field 'v': expected an Arrow array (an object with __arrow_c_array__), found an array whose parts contradict "
        "each other; convert it with pyarrow first"
    )
    # Rust's panic hook has its say; the message above is what the caller gets.
    assert "panicked" in capfd.readouterr().err


def test_every_reason_of_the_core_has_a_case():
    text = RUST_ERRORS.read_text(encoding="utf-8")
    for enum, cases in (("CellReason", {case.reason for case in CELLS}), ("ColumnReason", {c[0] for c in COLUMNS})):
        body = text.partition(f"pub enum {enum} {{")[2].partition("\n}\n")[0]
        variants = set(re.findall(r"^    ([A-Z]\w+)", body, re.MULTILINE))
        # Changed needs memory that changes between the two passes: rust/tests/changing.rs and test_core_changing.py.
        assert variants - {"Changed"} == cases
