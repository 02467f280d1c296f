"""Columns, batches and definitions that are refused, at least one for each variant of ``ColumnReason``."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from headrace import _core
from headrace.schema import DataType
from tests.refusals.cells import FLOAT16, INT64, NAMES, SPARSE, TIMESTAMPTZ, VARCHAR, VECTOR


def corrupt_strings() -> pa.Array:
    offsets = pa.py_buffer(np.array([0, 3, 2], dtype=np.int32))
    return pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"abc"))


def wrong_keys() -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0, 2]), pa.array(["a", "b"]), safe=False)


def wrong_runs() -> pa.Array:
    kind = pa.run_end_encoded(pa.int32(), pa.string())
    column = pa.RunEndEncodedArray.from_arrays([1, 2], ["a", "b"], kind)
    ctypes.c_int32.from_address(column.run_ends.buffers()[1].address).value = 2
    return column


def wrong_view() -> pa.Array:
    column = pa.array(["x" * 20], pa.string_view())
    # The last of a view's four words is where its text begins.
    ctypes.c_int32.from_address(column.buffers()[1].address + 12).value = 1
    return column


def wrong_list_view() -> pa.Array:
    return pa.ListViewArray.from_arrays(pa.array([0, 5], pa.int32()), pa.array([1, 3], pa.int32()), TEXT)


def pack_while_it_changes() -> None:
    """Pack again and again while a thread moves the end of the last value, until the two passes differ."""
    rows = 200_000
    offsets = (np.arange(rows + 1) * 4).astype(np.int32)
    texts = pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(b"x" * (4 * rows)))
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            offsets[rows] -= 1
            offsets[rows] += 1

    changing = threading.Thread(target=change)
    changing.start()
    try:
        while True:
            _core.pack_field(VARCHAR, texts)
    finally:
        done.set()
        changing.join()


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

USE = "use vectors of the field's dim or another field"
VALIDATE = "validate the array where it is made"

COLUMNS: list[tuple[str, str | None, Callable[[], object], str]] = [
    ("WrongType", "n", lambda: _core.pack_field(INT64, pa.array(["a"])),
     "field 'n': expected int64, found utf8; cast the column"),
    ("WrongType", "sp", lambda: _core.pack_field(SPARSE, pa.array([[1]])),
     f"field 'sp': expected {SPARSE_TYPES}, found list<int64>; cast the column"),
    ("WrongType", "at", lambda: _core.pack_field(TIMESTAMPTZ, pa.array([1])),
     "field 'at': expected utf8, large_utf8, utf8_view or timestamp, found int64; cast the column"),
    ("WrongType", "h", lambda: _core.pack_field(FLOAT16, pa.array([[1, 2]], pa.list_(pa.float32(), 2))),
     "field 'h': expected fixed_size_list<float16>[2], another kind of list of float16, fixed_size_binary[4] or "
     "binary, found fixed_size_list<float32>[2]; cast the column"),
    ("WrongType", "n", lambda: _core.pack_field(INT64, pa.array(["a"]).dictionary_encode()),
     "field 'n': expected int64, found dictionary<int32, utf8>; cast the column"),
    ("WrongDim", "v", lambda: _core.pack_field(VECTOR, pa.array([[1, 2, 3]], pa.list_(pa.float32(), 3))),
     f"field 'v': expected vectors of 2 elements, as the field's dim says, found vectors of 3 elements; {USE}"),
    ("WrongDim", "h", lambda: _core.pack_field(FLOAT16, pa.array([b"ab"], pa.binary(2))),
     f"field 'h': expected vectors of 4 bytes, as the field's dim says, found vectors of 2 bytes; {USE}"),
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
    ("Corrupt", "t", lambda: _core.pack_field(VARCHAR, wrong_keys()),
     f"field 't': expected keys of a dictionary of 2 values, found key 2 in row 1; {VALIDATE}"),
    ("Corrupt", "t", lambda: _core.pack_field(VARCHAR, wrong_runs()),
     "field 't': expected ascending run ends up to 2, with a value each, found one that does not ascend in run 1; "
     f"{VALIDATE}"),
    ("Corrupt", "t", lambda: _core.pack_field(VARCHAR, wrong_view()),
     f"field 't': expected views into 1 buffers, found one that points outside them in row 0; {VALIDATE}"),
    ("Corrupt", "a", lambda: _core.pack_field(NAMES, wrong_list_view()),
     f"field 'a': expected list views between 0 and 1, found offset 5 and size 3 in row 1; {VALIDATE}"),
    ("Changed", None, pack_while_it_changes,
     "batch: expected memory that stays as it is while it is packed, found that it was changed; do not write to arrays "
     "that are being packed"),
    ("TooLarge", None, lambda: _core.pack_field(VECTOR, too_large()),
     "batch: expected a request of at most 2147483647 bytes, found 2147483673 bytes; send fewer rows in one request"),
    ("Definition", "f", lambda: field(99),
     f"field 'f': expected data_type among {SCALARS}, 22 (ARRAY), 23 (JSON), 24 (GEOMETRY), 25 (TEXT), 26 "
     "(TIMESTAMPTZ), 100 (BINARY_VECTOR), 101 (FLOAT_VECTOR), 102 (FLOAT16_VECTOR), 103 (BFLOAT16_VECTOR), 104 "
     "(SPARSE_FLOAT_VECTOR), 105 (INT8_VECTOR), found 99; choose one of them"),
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
    ("Definition", "f", lambda: field(DataType.TEXT, max_length=2),
     f"field 'f': expected no max_length with data_type 25, found one; {LEAVE_OUT}"),
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
