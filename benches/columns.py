"""The columns that are packed, one of each type, and what pymilvus gets for the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from benches.measure import SOURCES
from headrace._proto import milvus_pb2
from headrace.schema import CollectionSchema, DataType, FieldSchema

REQUEST_BYTES = 8_000_000
DIM = 768
NNZ = 120
VOCABULARY = 30_522
KEY = FieldSchema("id", DataType.INT64, is_primary=True)

Source = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One kind of request: its sources, how to check a packed one, and how pymilvus gets the same rows."""

    name: str
    schema: CollectionSchema
    sources: list[Source]
    check: Callable[[milvus_pb2.InsertRequest, Source], bool]
    target: str = ""
    rows: Callable[[Source], list[dict[str, Any]]] | None = None
    """One dict a row, as pymilvus's users give them."""
    columns: Callable[[Source], list[Any]] | None = None
    """One list of values a field, in the form that pymilvus packs fastest."""


def of_vectors(name: str, dtype: DataType, dim: int, make: Callable[[int], np.ndarray], slot: str) -> Case:
    """A column of dense vectors and its keys."""
    rows = REQUEST_BYTES // make(1).nbytes
    schema = CollectionSchema([KEY, FieldSchema("v", dtype, dim=dim)])
    sources = [{"id": np.arange(rows), "v": make(rows)} for _ in range(SOURCES)]

    def check(request: milvus_pb2.InsertRequest, source: Source) -> bool:
        vectors = request.fields_data[1].vectors
        packed = (
            vectors.float_vector.data if slot == "float_vector" else np.frombuffer(getattr(vectors, slot), np.uint8)
        )
        return np.array_equal(
            packed, source["v"].ravel() if slot == "float_vector" else source["v"].view(np.uint8).ravel()
        )

    return Case(f"{name}, {rows} rows", schema, sources, check)


def dense(random: np.random.Generator) -> Case:
    """What most people load."""
    case = of_vectors(
        f"dense float32, {DIM}-d",
        DataType.FLOAT_VECTOR,
        DIM,
        lambda rows: random.standard_normal((rows, DIM), dtype=np.float32),
        "float_vector",
    )

    def rows(source: Source) -> list[dict[str, Any]]:
        return [{"id": int(key), "v": row} for key, row in zip(source["id"], source["v"], strict=True)]

    def columns(source: Source) -> list[Any]:
        return [source["id"].tolist(), source["v"].tolist()]

    return Case(case.name, case.schema, case.sources, case.check, "0.8 / 50", rows, columns)


def quantised(random: np.random.Generator) -> list[Case]:
    """The other dense vectors."""

    def halves(rows: int) -> np.ndarray:
        return random.standard_normal((rows, DIM), dtype=np.float32).astype(np.float16)

    def truncated(rows: int) -> np.ndarray:
        import ml_dtypes

        return random.standard_normal((rows, DIM), dtype=np.float32).astype(ml_dtypes.bfloat16)

    def small(rows: int) -> np.ndarray:
        return random.integers(-128, 128, (rows, DIM), dtype=np.int8)

    def bits(rows: int) -> np.ndarray:
        return random.integers(0, 256, (rows, DIM // 8), dtype=np.uint8)

    return [
        of_vectors(f"float16, {DIM}-d", DataType.FLOAT16_VECTOR, DIM, halves, "float16_vector"),
        of_vectors(f"bfloat16, {DIM}-d", DataType.BFLOAT16_VECTOR, DIM, truncated, "bfloat16_vector"),
        of_vectors(f"int8, {DIM}-d", DataType.INT8_VECTOR, DIM, small, "int8_vector"),
        of_vectors(f"binary, {DIM}-d", DataType.BINARY_VECTOR, DIM, bits, "binary_vector"),
    ]


def csr(random: np.random.Generator) -> Case:
    """Rows with as many distinct indices as real token weights have: a random ascending walk."""
    rows = REQUEST_BYTES // (8 * NNZ)
    schema = CollectionSchema([KEY, FieldSchema("v", DataType.SPARSE_FLOAT_VECTOR)])

    def matrix() -> sparse.csr_matrix:
        steps = random.integers(1, 2 * VOCABULARY // NNZ, (rows, NNZ), dtype=np.int32)
        indices = np.cumsum(steps, axis=1, dtype=np.int32).ravel()
        weights = random.random(rows * NNZ, dtype=np.float32)
        return sparse.csr_matrix((weights, indices, np.arange(0, rows * NNZ + 1, NNZ, dtype=np.int32)))

    def check(request: milvus_pb2.InsertRequest, source: Source) -> bool:
        pairs = np.frombuffer(b"".join(request.fields_data[1].vectors.sparse_float_vector.contents), dtype="<u4,<f4")
        return np.array_equal(pairs["f0"], source["v"].indices) and np.array_equal(pairs["f1"], source["v"].data)

    def to_rows(source: Source) -> list[dict[str, Any]]:
        # One-row matrices: pymilvus packs them twice as fast as dicts of index and value.
        return [{"id": int(key), "v": source["v"][row]} for row, key in enumerate(source["id"])]

    def to_columns(source: Source) -> list[Any]:
        return [source["id"].tolist(), source["v"]]

    sources = [{"id": np.arange(rows), "v": matrix()} for _ in range(SOURCES)]
    return Case(f"CSR sparse, {NNZ} nnz, {rows} rows", schema, sources, check, "0.5 / 100", to_rows, to_columns)


def of_scalars(name: str, spec: FieldSchema, make: Callable[[], pa.Array], slot: str, target: str = "") -> Case:
    """One column of a scalar type by itself."""
    sources = [{"v": make()} for _ in range(SOURCES)]

    def check(request: milvus_pb2.InsertRequest, source: Source) -> bool:
        packed = list(getattr(request.fields_data[0].scalars, slot).data)
        values = source["v"].to_pylist()
        if slot == "json_data":
            return packed == [value.encode() for value in values]
        if slot == "array_data":
            return [list(row.int_data.data) for row in packed] == values
        return packed == values

    return Case(name, CollectionSchema([KEY, spec]), sources, check, target)


def keys(random: np.random.Generator) -> list[Case]:
    """Keys as people have them."""
    count = REQUEST_BYTES // 9
    spec = FieldSchema("v", DataType.INT64)
    # Milliseconds since 2010 in the upper bits, a machine and a counter in the lower 22.
    clock = 500_000_000_000 + np.arange(count) // 50
    kinds = {
        "0 to n": lambda: np.arange(count),
        "10^9 to 10^9 + n": lambda: 10**9 + np.arange(count),
        "32-bit hashes": lambda: random.integers(0, 2**32, count),
        "snowflakes": lambda: clock << 22 | random.integers(0, 2**22, count),
        "63 random bits": lambda: random.integers(0, 2**63, count),
    }
    return [
        of_scalars(f"int64, {name}", spec, lambda make=make: pa.array(make()), "long_data")
        for name, make in kinds.items()
    ]


def texts(random: np.random.Generator) -> list[Case]:
    """Strings and documents."""

    def ascii_text() -> pa.Array:
        letters = random.integers(97, 123, (REQUEST_BYTES // 102, 100), dtype=np.uint8)
        return pa.array(letters.view("S100").ravel()).cast(pa.string())

    def other_text() -> pa.Array:
        # Two bytes a letter.
        letters = random.integers(0x430, 0x450, (REQUEST_BYTES // 102, 50), dtype=np.uint32)
        return pa.array(letters.view("U50").ravel().tolist())

    def documents() -> pa.Array:
        numbers = random.integers(0, 10**9, REQUEST_BYTES // 73)
        return pa.array([f'{{"source":"wiki","page":{n},"tags":["a","b"],"score":0.{n:09d}}}' for n in numbers])

    def long_documents() -> pa.Array:
        numbers = random.integers(0, 10**9, REQUEST_BYTES // 560)
        text = "the quick brown fox jumps over the lazy dog, " * 11
        return pa.array([f'{{"page": {n}, "title": "page {n}", "text": "{text}"}}' for n in numbers])

    varchar = FieldSchema("v", DataType.VARCHAR, max_length=200)
    document = FieldSchema("v", DataType.JSON)
    return [
        of_scalars("varchar, 100 bytes of ASCII", varchar, ascii_text, "string_data", "0.5"),
        of_scalars("varchar, 100 bytes of Cyrillic", varchar, other_text, "string_data"),
        of_scalars("JSON, 70 bytes", document, documents, "json_data", "0.5"),
        of_scalars("JSON, 550 bytes, mostly text", document, long_documents, "json_data"),
    ]


def small_scalars(random: np.random.Generator) -> list[Case]:
    """The other scalars, and an array."""
    count = REQUEST_BYTES

    def lists() -> pa.Array:
        values = pa.array(random.integers(0, 100, count // 2, dtype=np.int32))
        return pa.ListArray.from_arrays(pa.array(np.arange(0, count // 2 + 1, 16, dtype=np.int32)), values)

    number = np.random.default_rng(2)
    array = FieldSchema("v", DataType.ARRAY, element_type=DataType.INT32, max_capacity=16)
    return [
        of_scalars(
            "float",
            FieldSchema("v", DataType.FLOAT),
            lambda: pa.array(number.random(count // 4, np.float32)),
            "float_data",
        ),
        of_scalars(
            "double", FieldSchema("v", DataType.DOUBLE), lambda: pa.array(number.random(count // 8)), "double_data"
        ),
        of_scalars(
            "bool",
            FieldSchema("v", DataType.BOOL),
            lambda: pa.array(random.integers(0, 2, count // 8) > 0),
            "bool_data",
        ),
        of_scalars(
            "int8, 0 to 99",
            FieldSchema("v", DataType.INT8),
            lambda: pa.array(random.integers(0, 100, count // 8, dtype=np.int8)),
            "int_data",
        ),
        of_scalars("array of 16 int32", array, lists, "array_data"),
    ]


def all_cases(random: np.random.Generator) -> list[Callable[[], list[Case]]]:
    """Makers, so that the sources of one kind are gone before those of the next are made."""
    return [
        lambda: [dense(random)],
        lambda: [csr(random)],
        lambda: quantised(random),
        lambda: texts(random),
        lambda: keys(random),
        lambda: small_scalars(random),
    ]
