"""Ways to get a ``bytes`` object that is filled later, over its size: ``python -m benches.allocation``.

The packer's way is the first. Each copies a source into the new object, some calls in a row, in turn with the others:
what a way costs depends on the memory that its last call gave back. Up to 32 MB that is the C library's heap; above, it
maps fresh memory for each object, of which the kernel clears every page.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from statistics import median

import numpy as np

from benches.columns import DIM, KEY
from benches.measure import SOURCES, environment, keep, require_release_build, timed, without_collector
from headrace.columns import to_batch
from headrace.packing import make_packer
from headrace.schema import CollectionSchema, DataType, FieldSchema

SIZES_KB = (64, 256, 1024, 4096, 8192, 16384, 30720, 34816, 65536)
BYTES_PER_RUN = 2_000_000_000
CALLS_IN_A_ROW = 12

allocate = ctypes.pythonapi.PyBytes_FromStringAndSize
allocate.restype, allocate.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t]
address_of = ctypes.pythonapi.PyBytes_AsString
address_of.restype, address_of.argtypes = ctypes.c_void_p, [ctypes.py_object]
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]


def uninitialised(source: np.ndarray) -> bytes:
    """``PyBytes_FromStringAndSize(NULL, size)``, then fill: the packer's way."""
    target = allocate(None, source.nbytes)
    ctypes.memmove(address_of(target), source.ctypes.data, source.nbytes)
    return target


def zeroed(source: np.ndarray) -> bytes:
    """As pyo3's ``PyBytes::new_with``: zeroes first."""
    target = allocate(None, source.nbytes)
    ctypes.memset(address_of(target), 0, source.nbytes)
    ctypes.memmove(address_of(target), source.ctypes.data, source.nbytes)
    return target


def through_a_vector(source: np.ndarray) -> bytes:
    """As ``PyBytes::new(&vec)``: fill other memory, then copy it."""
    vector = malloc(source.nbytes)
    ctypes.memmove(vector, source.ctypes.data, source.nbytes)
    target = allocate(vector, source.nbytes)
    free(vector)
    return target


WAYS: list[Callable[[np.ndarray], bytes]] = [uninitialised, zeroed, through_a_vector]


def row_of(kilobytes: int) -> str:
    rows = max(1, kilobytes * 1024 // (4 * DIM))
    schema = CollectionSchema([KEY, FieldSchema("v", DataType.FLOAT_VECTOR, dim=DIM)])
    vectors = [np.full((rows, DIM), at, dtype=np.float32) for at in range(SOURCES)]
    packer = make_packer(schema, collection_name="bench")
    batches = [to_batch({"id": np.arange(rows), "v": part}, schema) for part in vectors]
    calls = [*(lambda at, way=way: way(vectors[at]) for way in WAYS), lambda at: packer.pack_insert(batches[at])]
    spent: list[list[float]] = [[] for _ in calls]
    turns = int(min(100, max(3, BYTES_PER_RUN / CALLS_IN_A_ROW / len(calls) / vectors[0].nbytes)))
    with without_collector():
        for turn in range(turns):
            for call, seconds in zip(calls, spent, strict=True):
                in_a_row = [
                    timed(lambda at=at, call=call: call(at % SOURCES)) for at in range(turn, turn + CALLS_IN_A_ROW)
                ]
                # The first ones get memory that another way has left.
                seconds.extend(in_a_row[CALLS_IN_A_ROW // 3 :])
    rates = [vectors[0].nbytes / median(seconds) / 1e9 for seconds in spent]
    others = " | ".join(f"{rate / rates[0]:.2f}" for rate in rates[1:])
    return f"| {vectors[0].nbytes / 1e6:.2f} | {rates[0]:.1f} | {others} |"


def main() -> None:
    require_release_build()
    lines = [
        "| MB | uninitialised, GB/s | zeroed first, of that | through a vector, of that | the packer, of that |",
        "|---|---|---|---|---|",
        *(row_of(kilobytes) for kilobytes in SIZES_KB),
    ]
    how = f"{SOURCES} rotating sources of float32, CPU time of the thread, kernel included."
    keep("allocation", "Ways to allocate", f"{environment()} {how}\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
