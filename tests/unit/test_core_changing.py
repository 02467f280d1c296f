"""Memory that another thread overwrites while it is packed: an error or torn values, and nothing written outside.

The same with every read and write checked is in ``rust/tests/changing.rs``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import empty_pb2

from headrace import _core
from headrace.errors import CellError, SchemaError
from headrace.schema import DataType

ROWS = 5_000
TIMES = 1_500

Case = tuple[_core.Field, pa.Array, list[np.ndarray]]


def text() -> Case:
    data = np.full(ROWS * 4, ord("x"), dtype=np.uint8)
    offsets = np.arange(ROWS + 1, dtype=np.int32) * 4
    column = pa.Array.from_buffers(pa.string(), ROWS, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return _core.Field("f", DataType.VARCHAR, max_length=65_535), column, [offsets, data]


def documents() -> Case:
    data = np.frombuffer(b'{"a":[1]}' * ROWS, dtype=np.uint8).copy()
    offsets = np.arange(ROWS + 1, dtype=np.int64) * 9
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    column = pa.Array.from_buffers(pa.large_binary(), ROWS, buffers)
    return _core.Field("f", DataType.JSON), column, [offsets, data]


def integers() -> Case:
    values = np.arange(ROWS, dtype=np.int64) ** 4
    column = pa.Array.from_buffers(pa.int64(), ROWS, [None, pa.py_buffer(values)])
    return _core.Field("f", DataType.INT64), column, [values]


def arrays() -> Case:
    values = np.arange(3 * ROWS, dtype=np.int64)
    offsets = np.arange(ROWS + 1, dtype=np.int32) * 3
    child = pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])
    column = pa.Array.from_buffers(pa.list_(pa.int64()), ROWS, [None, pa.py_buffer(offsets)], children=[child])
    field = _core.Field("f", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4_096)
    return field, column, [offsets, values]


def csr() -> Case:
    """A CSR matrix, as its three numpy arrays."""
    indptr = np.arange(ROWS + 1, dtype=np.int32) * 6
    indices = np.tile(np.array([1, 5, 9, 300, 70_000, 2**31 - 1], dtype=np.int32), ROWS)
    data = np.linspace(0, 1, len(indices), dtype=np.float32)
    lists = [
        pa.Array.from_buffers(
            pa.list_(kind),
            ROWS,
            [None, pa.py_buffer(indptr)],
            children=[pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])],
        )
        for kind, values in ((pa.int32(), indices), (pa.float32(), data))
    ]
    column = pa.StructArray.from_arrays(lists, ["indices", "values"])
    return _core.Field("f", DataType.SPARSE_FLOAT_VECTOR), column, [indptr, indices, data]


def vectors() -> Case:
    values = np.linspace(0, 1, ROWS * 8, dtype=np.float32)
    child = pa.Array.from_buffers(pa.float32(), len(values), [None, pa.py_buffer(values)])
    column = pa.FixedSizeListArray.from_arrays(child, 8)
    return _core.Field("f", DataType.FLOAT_VECTOR, dim=8), column, [values]


def disturb(arrays: list[np.ndarray], disturbed: threading.Event, done: threading.Event) -> None:
    """Overwrite a few bytes of ``arrays``, mend them and overwrite others, until ``done``; then mend all."""
    state = np.random.default_rng(0)
    parts = [(array.view(np.uint8), array.copy().view(np.uint8)) for array in arrays]
    while not done.is_set():
        part, _ = parts[state.integers(len(parts))]
        at, changes = state.integers(0, len(part), 3), state.integers(0, 256, 3)
        for whole, mended in parts:
            whole[:] = mended
        part[at] = changes
        disturbed.set()
    for whole, mended in parts:
        whole[:] = mended


@pytest.mark.parametrize("case", [text, documents, integers, arrays, csr, vectors])
def test_memory_that_changes_while_it_is_packed_gives_an_error_or_torn_values(case: Callable[[], Case]):
    field, column, memory = case()
    honest = _core.pack_field(field, column)
    disturbed, done = threading.Event(), threading.Event()
    disturber = threading.Thread(target=disturb, args=(memory, disturbed, done))
    disturber.start()
    torn = 0
    try:
        for _ in range(TIMES):
            # Without waiting, all packing can be over before the other thread has had a turn.
            disturbed.clear()
            assert disturbed.wait(timeout=60)
            try:
                packed = _core.pack_field(field, column)
            except (SchemaError, CellError):
                torn += 1
            else:
                # Whatever its values are, which need not even be UTF-8, it is a message: Empty takes any fields.
                torn += packed != honest
                empty_pb2.Empty.FromString(packed)
    finally:
        done.set()
        disturber.join()
    assert torn > 0
    assert _core.pack_field(field, column) == honest


def test_a_change_between_two_requests_is_no_error():
    field, column, [values] = integers()
    before = _core.pack_field(field, column)
    values[0] = 1
    assert _core.pack_field(field, column) != before
