"""Packing against memcpy and against pymilvus, in one run: ``python -m benches.packing``.

Every turn packs one of several sources and, next to it, copies a source of the same size into a fresh ``bytes``, so
that both meet the same machine. Ratios are medians over the turns' own ratios, of the thread's CPU time (other
processes of the machine then cost caches and memory bandwidth, but no turns). Answers are checked by parsing. The table
is printed and kept in ``benches/results/packing.md``.
"""

from __future__ import annotations

import gc
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from headrace import _core
from headrace._proto import milvus_pb2
from headrace.columns import to_batch
from headrace.packing import make_packer
from headrace.schema import CollectionSchema, DataType, FieldSchema

RESULT = Path(__file__).parent / "results" / "packing.md"
SOURCES = 8
TURNS = 240
PEER_TURNS = 6
REQUEST_BYTES = 8_000_000
DIM = 768
NNZ = 120
VOCABULARY = 30_522
KEY = FieldSchema("id", DataType.INT64, is_primary=True)


@dataclass
class Case:
    """One kind of request: its sources, how to check a packed one, and how pymilvus gets the same rows."""

    name: str
    target: str
    schema: CollectionSchema
    sources: list[dict[str, Any]]
    check: Callable[[milvus_pb2.InsertRequest, dict[str, Any]], bool]
    rows: Callable[[dict[str, Any]], list[dict[str, Any]]] | None = None
    ratios: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    peer_seconds: list[float] = field(default_factory=list)
    size: int = 0


def dense_case(random: np.random.Generator) -> Case:
    rows = REQUEST_BYTES // (4 * DIM)
    schema = CollectionSchema([KEY, FieldSchema("v", DataType.FLOAT_VECTOR, dim=DIM)])
    sources = [
        {"id": np.arange(rows), "v": random.standard_normal((rows, DIM), dtype=np.float32)} for _ in range(SOURCES)
    ]

    def check(request: milvus_pb2.InsertRequest, source: dict[str, Any]) -> bool:
        return np.array_equal(request.fields_data[1].vectors.float_vector.data, source["v"].ravel())

    def to_rows(source: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"id": int(key), "v": row} for key, row in zip(source["id"], source["v"], strict=True)]

    return Case(f"dense float32, {DIM}-d, {rows} rows", "0.8 / 50", schema, sources, check, to_rows)


def sparse_case(random: np.random.Generator) -> Case:
    rows = REQUEST_BYTES // (8 * NNZ)
    schema = CollectionSchema([KEY, FieldSchema("v", DataType.SPARSE_FLOAT_VECTOR)])

    def matrix() -> sparse.csr_matrix:
        # A random ascending walk: as many distinct indices in each row as real token weights have.
        steps = random.integers(1, 2 * VOCABULARY // NNZ, (rows, NNZ), dtype=np.int32)
        indices = np.cumsum(steps, axis=1, dtype=np.int32).ravel()
        weights = random.random(rows * NNZ, dtype=np.float32)
        return sparse.csr_matrix((weights, indices, np.arange(0, rows * NNZ + 1, NNZ, dtype=np.int32)))

    def check(request: milvus_pb2.InsertRequest, source: dict[str, Any]) -> bool:
        pairs = np.frombuffer(b"".join(request.fields_data[1].vectors.sparse_float_vector.contents), dtype="<u4,<f4")
        return np.array_equal(pairs["f0"], source["v"].indices) and np.array_equal(pairs["f1"], source["v"].data)

    def to_rows(source: dict[str, Any]) -> list[dict[str, Any]]:
        # One-row matrices: pymilvus packs them twice as fast as dicts of index and value.
        return [{"id": int(key), "v": source["v"][row]} for row, key in enumerate(source["id"])]

    sources = [{"id": np.arange(rows), "v": matrix()} for _ in range(SOURCES)]
    return Case(f"CSR sparse, {NNZ} nnz, {rows} rows", "0.5 / 100", schema, sources, check, to_rows)


def scalar_case(name: str, spec: FieldSchema, make: Callable[[], pa.Array], slot: str) -> Case:
    """One column of a scalar type by itself, measured against memcpy only."""
    sources = [{"v": make()} for _ in range(SOURCES)]

    def check(request: milvus_pb2.InsertRequest, source: dict[str, Any]) -> bool:
        packed = list(getattr(request.fields_data[0].scalars, slot).data)
        values = source["v"].to_pylist()
        return packed == [value.encode() for value in values] if slot == "json_data" else packed == values

    return Case(name, "", CollectionSchema([KEY, spec]), sources, check)


def scalar_cases(random: np.random.Generator) -> list[Case]:
    def text() -> pa.Array:
        letters = random.integers(97, 123, (REQUEST_BYTES // 102, 100), dtype=np.uint8)
        return pa.array(letters.view("S100").ravel()).cast(pa.string())

    def documents() -> pa.Array:
        numbers = random.integers(0, 10**9, REQUEST_BYTES // 105)
        return pa.array([f'{{"source":"wiki","page":{n},"tags":["a","b"],"score":0.{n:09d}}}' for n in numbers])

    def keys() -> pa.Array:
        return pa.array(random.integers(0, 2**63, REQUEST_BYTES // 10))

    return [
        scalar_case("varchar, 100 bytes", FieldSchema("v", DataType.VARCHAR, max_length=200), text, "string_data"),
        scalar_case("int64, 63 random bits", FieldSchema("v", DataType.INT64), keys, "long_data"),
        scalar_case("JSON, 65 bytes", FieldSchema("v", DataType.JSON), documents, "json_data"),
    ]


def timed(call: Callable[[], Any]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start


def run(case: Case) -> None:
    packer = make_packer(case.schema, collection_name="bench", columns=list(case.sources[0]))
    batches = [to_batch(source, case.schema) for source in case.sources]
    for batch, source in zip(batches, case.sources, strict=True):
        packed = packer.pack_insert(batch)
        if not case.check(milvus_pb2.InsertRequest.FromString(packed), source):
            raise SystemExit(f"{case.name}: the packed request does not hold the source's values")
    case.size = len(packed)
    del packed
    # From numpy, as the sources are: the same kind of pages.
    copies = [memoryview(np.full(case.size, at, dtype=np.uint8)) for at in range(SOURCES)]
    gc.disable()
    for turn in range(TURNS):
        at = turn % SOURCES
        calls = [lambda at=at: packer.pack_insert(batches[at]), lambda at=at: bytes(copies[at])]
        # Who comes second finds the memory that the first has just given back.
        order = [0, 1] if turn % 2 else [1, 0]
        spent = {which: timed(calls[which]) for which in order}
        case.seconds.append(spent[0])
        case.ratios.append(spent[1] / spent[0])
        if case.rows is not None and turn % (TURNS // PEER_TURNS) == 0:
            case.peer_seconds.append(timed(pymilvus_call(case, at)))
    gc.enable()


def pymilvus_call(case: Case, at: int) -> Callable[[], bytes]:
    """What pymilvus does with the rows between ``insert`` and the network. Making the rows is not counted."""
    from pymilvus.client.prepare import Prepare

    rows = case.rows(case.sources[at])
    fields = [
        {"name": f.name, "type": int(f.dtype), "params": {"dim": f.dim} if f.dim else {}, "is_primary": f.is_primary}
        for f in case.schema
    ]
    return lambda: Prepare.row_insert_param("bench", rows, "", fields).SerializeToString()


def table(cases: list[Case]) -> str:
    lines = [
        "| request | MB | packs at GB/s | of memcpy (lowest, highest tenth) | times pymilvus | target |",
        "|---|---|---|---|---|---|",
    ]
    for case in cases:
        seconds, ratios = median(case.seconds), sorted(case.ratios)
        low, high = ratios[len(ratios) // 10], ratios[-len(ratios) // 10]
        peer = f"{median(case.peer_seconds) / seconds:.0f}" if case.peer_seconds else ""
        lines.append(
            f"| {case.name} | {case.size / 1e6:.1f} | {case.size / seconds / 1e9:.2f} | {median(ratios):.2f} "
            f"({low:.2f}, {high:.2f}) | {peer} | {case.target} |"
        )
    return "\n".join(lines)


def environment() -> str:
    info = _core.build_info()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pyarrow", "protobuf", "pymilvus"))
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return (
        f"headrace {info['version']} ({info['profile']} build, {info['target']}, arrow {info['arrow']}); Python "
        f"{platform.python_version()}, {libraries}; {cpu}, {os.cpu_count()} cores. {SOURCES} rotating sources, "
        f"{TURNS} turns, each with a memcpy of the same size into a fresh `bytes`; pymilvus in {PEER_TURNS} of them. "
        "CPU time of the thread."
    )


def main() -> None:
    """Run every case, print the table and keep it."""
    if _core.build_info()["profile"] != "release":
        raise SystemExit("headrace._core is a debug build; run `make build` first")
    random = np.random.default_rng(1)
    cases = [dense_case(random), sparse_case(random), *scalar_cases(random)]
    for case in cases:
        run(case)
    text = f"# Packing\n\nMade by `python -m benches.packing`.\n\n{environment()}\n\n{table(cases)}\n"
    RESULT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
