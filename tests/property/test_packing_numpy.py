"""pymilvus packs the rows of numpy arrays and sparse matrices to the same messages, however they lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from agreement import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_columns import OBJECTS, SEEDS
from scipy import sparse

from headrace.packing import pack_field
from headrace.schema import DataType, FieldSchema
from tests.golden import reference

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DIM = 8
ROWS = 5


@dataclass(frozen=True)
class Source:
    """A numpy dtype that becomes a field without loss, the columns of its arrays, and a row as pymilvus takes it."""

    field: FieldSchema
    dtype: np.dtype
    columns: int = 0
    row: Callable[[Any], Any] = lambda row: getattr(row, "tolist", lambda: row)()

    def __str__(self) -> str:
        return f"{self.field.dtype.name.lower()}-{self.dtype}{'-matrix' * bool(self.columns)}"


def _scalars(dtype: DataType, *kinds: Any, **options: Any) -> list[Source]:
    return [Source(FieldSchema("f", dtype, **options), np.dtype(kind)) for kind in kinds]


def _vectors(dtype: DataType, *kinds: Any, columns: int = DIM, **options: Any) -> list[Source]:
    field = FieldSchema("f", dtype, dim=DIM)
    return [Source(field, np.dtype(kind), columns, **options) for kind in kinds]


def _arrays(element: DataType, *kinds: Any) -> list[Source]:
    field = FieldSchema("f", DataType.ARRAY, element_type=element, max_capacity=DIM)
    return [Source(field, np.dtype(kind), DIM) for kind in kinds]


SMALL = ["i1", "i2", "u1", "u2"]
SOURCES = [
    *_scalars(DataType.BOOL, "?"),
    *_scalars(DataType.INT8, "i1"),
    *_scalars(DataType.INT16, "i1", "i2", "u1"),
    *_scalars(DataType.INT32, *SMALL, "i4"),
    *_scalars(DataType.INT64, *SMALL, "i4", "u4", "i8"),
    *_scalars(DataType.FLOAT, *SMALL, "f2", "f4", BFLOAT16),
    *_scalars(DataType.DOUBLE, *SMALL, "i4", "u4", "f2", "f4", "f8", BFLOAT16),
    *_scalars(DataType.VARCHAR, "U9", "O", np.dtypes.StringDType(), max_length=64),
    *_scalars(DataType.GEOMETRY, "U9"),
    *_scalars(DataType.TEXT, "U9", "O", np.dtypes.StringDType()),
    *_arrays(DataType.BOOL, "?"),
    *_arrays(DataType.INT8, "i1"),
    *_arrays(DataType.INT16, "i2"),
    *_arrays(DataType.INT32, "i4"),
    *_arrays(DataType.INT64, *SMALL, "i4", "u4", "i8"),
    *_arrays(DataType.FLOAT, "f4"),
    *_arrays(DataType.DOUBLE, "f4", "f8"),
    *_vectors(DataType.FLOAT_VECTOR, *SMALL, "f2", "f4", BFLOAT16),
    *_vectors(DataType.FLOAT16_VECTOR, "f2", row=lambda row: row.astype("=f2")),
    *_vectors(DataType.BFLOAT16_VECTOR, BFLOAT16, row=lambda row: row.astype(BFLOAT16)),
    *_vectors(DataType.INT8_VECTOR, "i1", row=lambda row: row.astype("i1")),
    *_vectors(DataType.BINARY_VECTOR, "u1", columns=DIM // 8, row=lambda row: row.tobytes()),
    *_vectors(DataType.BINARY_VECTOR, "?", row=lambda row: np.packbits(row).tobytes()),
]


def values(dtype: np.dtype, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """An array of ``dtype`` with the limits of the type in it."""
    if dtype.kind in "UTO":
        words = ["", "a", "déjà vu", "水車", "x" * 9]
        return np.array([words[at] for at in rng.integers(0, len(words), shape)], dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    info = ml_dtypes.finfo(dtype)
    drawn = rng.standard_normal(shape).astype(dtype)
    for edge in (info.max, info.min, info.tiny, info.smallest_subnormal, -0.0):
        drawn.flat[rng.integers(drawn.size)] = edge
    return drawn


def misaligned(array: np.ndarray) -> np.ndarray:
    if array.dtype.hasobject:
        return array
    raw = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:]
    return np.ndarray(array.shape, array.dtype, raw)


def swapped(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("S")) if array.dtype.kind in "iufU" else array


def frozen(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


class Holder:
    """Something with ``__array__``, as other libraries' arrays have it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape = array.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array


def member(array: np.ndarray) -> np.ndarray:
    if array.dtype.hasobject or array.dtype.kind in "TV":
        return array
    records = np.zeros(len(array), [("before", "i1"), ("value", array.dtype, array.shape[1:])])
    records["value"] = array
    return records["value"]


MEMORY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda array: array,
    "byte-swapped": swapped,
    "fortran": np.asfortranarray,
    "fortran and byte-swapped": lambda array: np.asfortranarray(swapped(array)),
    "every other row": lambda array: np.repeat(array, 2, axis=0)[::2],
    "every other element": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "from the end": lambda array: array[::-1].copy()[::-1],
    "from every end": lambda array: np.flip(np.flip(array).copy()),
    "a slice": lambda array: np.concatenate([array, array])[len(array) :],
    "one row for all": lambda array: np.broadcast_to(array[:1], array.shape),
    "misaligned": misaligned,
    "a member of records": member,
    "read only": frozen,
}


@pytest.mark.parametrize("source", SOURCES, ids=str)
@settings(max_examples=3)
@given(seed=SEEDS)
def test_a_numpy_array_is_the_message_of_pymilvus(source, seed):
    shape = (ROWS, source.columns) if source.columns else (ROWS,)
    array = values(source.dtype, shape, np.random.default_rng(seed))
    for form in MEMORY.values():
        column = form(array)
        before = column.copy()
        theirs = reference.field_data(source.field, [source.row(row) for row in column])
        assert_same(pack_field(source.field, column), theirs)
        assert_same(pack_field(source.field, Holder(column)), theirs)
        assert column.tolist() == before.tolist()


@pytest.mark.parametrize("source", [s for s in SOURCES if s.dtype.kind in "iufb" and not s.columns], ids=str)
@settings(max_examples=3)
@given(seed=SEEDS, hidden=st.lists(st.booleans(), min_size=ROWS, max_size=ROWS))
def test_a_masked_array_is_the_message_of_pymilvus_with_none(source, seed, hidden):
    field = FieldSchema("f", source.field.dtype, nullable=True)
    array = values(source.dtype, (ROWS,), np.random.default_rng(seed))
    theirs = reference.field_data(
        field, [None if null else value for null, value in zip(hidden, array.tolist(), strict=True)]
    )
    for form in (array, swapped(array)):
        assert_same(pack_field(field, np.ma.MaskedArray(form, hidden)), theirs)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@settings(max_examples=10)
@given(days=st.lists(st.integers(-90_000, 90_000), min_size=1, max_size=4), seed=SEEDS)
def test_an_array_of_times_is_the_message_of_pymilvus_with_their_texts(unit, days, seed):
    micros = np.random.default_rng(seed).integers(0, 86_400 * 10**6, len(days))
    times = np.array(days, "M8[D]").astype("M8[us]") + micros.astype("m8[us]")
    column = times.astype(f"M8[{unit}]")
    texts = np.datetime_as_string(column.astype("M8[us]") if unit == "ns" else column).tolist()
    theirs = reference.field_data(FieldSchema("f", DataType.TIMESTAMPTZ), texts)
    for form in (column, column.astype(column.dtype.newbyteorder("S")), np.repeat(column, 2)[::2]):
        assert_same(pack_field(FieldSchema("f", DataType.TIMESTAMPTZ), form), theirs)


@settings(max_examples=30)
@given(objects=st.lists(OBJECTS, min_size=1, max_size=5))
def test_an_array_of_dicts_is_the_message_of_pymilvus(objects):
    column = np.empty(len(objects), object)
    column[:] = objects
    theirs = reference.field_data(FieldSchema("f", DataType.JSON), objects)
    assert_same(pack_field(FieldSchema("f", DataType.JSON), column), theirs)


class Parts:
    """Anything with ``indptr``, ``indices`` and ``data``."""

    def __init__(self, matrix: Any) -> None:
        self.shape = matrix.shape
        self.indptr, self.indices, self.data = matrix.indptr, matrix.indices, matrix.data


def unsorted(matrix: Any) -> Any:
    """Each row from its end."""
    order = np.concatenate([np.arange(b, e)[::-1] for b, e in zip(matrix.indptr, matrix.indptr[1:], strict=False)])
    parts = (matrix.data[order], matrix.indices[order], matrix.indptr)
    return sparse.csr_array(parts, shape=matrix.shape)


def wide(matrix: Any) -> Any:
    found = matrix.copy()
    found.indices, found.indptr = found.indices.astype(np.int64), found.indptr.astype(np.int64)
    return found


def swapped_parts(matrix: Any) -> Parts:
    found = Parts(matrix)
    found.indptr, found.indices, found.data = (swapped(p) for p in (found.indptr, found.indices, found.data))
    return found


FORMATS: dict[str, Callable[[Any], Any]] = {
    **{
        name: lambda matrix, name=name: matrix.asformat(name)
        for name in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")
    },
    "csr_matrix": sparse.csr_matrix,
    "csc_matrix": sparse.csc_matrix,
    "coo_matrix": sparse.coo_matrix,
    "int64 indices": wide,
    "int64 indices, csc": lambda matrix: wide(matrix.tocsc()),
    "unsorted": unsorted,
    "a slice of rows": lambda matrix: sparse.vstack([matrix, matrix]).tocsr()[len(range(matrix.shape[0])) :],
    "every other row": lambda matrix: sparse.csr_array(np.repeat(matrix.toarray(), 2, axis=0))[::2],
    "parts": Parts,
    "parts of int64": lambda matrix: Parts(wide(matrix)),
    "byte-swapped parts": swapped_parts,
}


@pytest.mark.parametrize("dtype", ["f4", "i1", "i2", "u1", "u2", "?"])
@settings(max_examples=5)
@given(seed=SEEDS)
def test_a_sparse_matrix_is_the_message_of_pymilvus(dtype, seed):
    rng = np.random.default_rng(seed)
    dense = values(np.dtype(dtype), (ROWS, 12), rng)
    dense = np.where((rng.random(dense.shape) < 0.3) & (dense >= 0), dense, np.zeros(1, dense.dtype))
    field = FieldSchema("f", DataType.SPARSE_FLOAT_VECTOR)
    for form in FORMATS.values():
        matrix = form(sparse.csr_array(dense))
        rows = sparse.csr_array(dense) if isinstance(matrix, Parts) else matrix.tocsr()
        theirs = reference.field_data(field, [rows[[at]] for at in range(ROWS)])
        assert_same(pack_field(field, matrix), theirs)
    cells = sparse.csr_array(dense.astype("f4"))
    theirs = reference.field_data(field, [cells[[at]] for at in range(ROWS)])
    assert_same(pack_field(field, [cells[[at]] for at in range(ROWS)]), theirs)


def test_explicit_zeros_and_empty_rows_are_those_of_pymilvus():
    matrix = sparse.csr_array((np.array([0, 0.5], "f4"), [3, 1], [0, 1, 1, 2]), shape=(3, 5))
    field = FieldSchema("f", DataType.SPARSE_FLOAT_VECTOR)
    theirs = reference.field_data(field, [matrix[[at]] for at in range(3)])
    assert_same(pack_field(field, matrix), theirs)
