"""Query vectors in the forms people have them, to the bytes that a search sends.

Dense: numpy ``(d,)`` or ``(n, d)``, a list of numbers, a list of such, bytes or a list of bytes. The dtype says what
they are: float16, bfloat16 (ml_dtypes) and int8 are searched for as such, uint8 (packed) and bool are bits, every other
number is float32. Sparse: a dict of index to value, a tuple ``(indices, values)``, a list of either, or a sparse
matrix. Texts, where a function of the collection makes their vectors: a list of str.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from headrace.errors import InputError, explain
from headrace.matrices import BrokenMatrixError, compressed_rows, is_sparse_matrix
from headrace.ndarrays import is_bfloat16, native
from headrace.schema import DataType

__all__ = ["depends_on_field", "encode_query_vectors"]

_PAIR = np.dtype([("index", "<u4"), ("value", "<f4")])
#: Milvus keeps the largest uint32 for itself (``ValidateSparseFloatRows``).
_MAX_INDEX = 2**32 - 2
_REMEDY = "give a numpy array, a list of vectors, dicts of index to value, (indices, values) or a sparse matrix"
_TYPES = {
    "float16": DataType.FLOAT16_VECTOR,
    "bfloat16": DataType.BFLOAT16_VECTOR,
    "int8": DataType.INT8_VECTOR,
    "uint8": DataType.BINARY_VECTOR,
    "bool": DataType.BINARY_VECTOR,
}


def depends_on_field(data: Any) -> bool:
    """Whether the searched field's type decides what is sent: for bytes and for numpy arrays of a small type."""
    if isinstance(data, np.ndarray):
        return data.dtype.name in _TYPES
    if isinstance(data, bytes):
        return True
    return isinstance(data, list) and any(
        isinstance(vector, np.ndarray | bytes) and depends_on_field(vector) for vector in data
    )


def encode_query_vectors(data: Any, field_type: DataType | None = None) -> tuple[DataType, list[bytes]]:
    """The type of the vectors, or VARCHAR of texts, and one value of bytes for each.

    float32 and float16 values are little endian; sparse ones are (uint32 index, float32 value) pairs by ascending
    index.

    Args:
        data: One vector or several.
        field_type: The searched field's type, where it is known: small numbers widen to it, bytes are taken for it.
            Bytes are bits where it is not known.

    Raises:
        InputError: If it is none of these forms, is not of the field's type, or a value cannot be searched for; the
            message says which.
    """
    if is_sparse_matrix(data):
        return DataType.SPARSE_FLOAT_VECTOR, [
            _sparse(*row, which) for which, row in enumerate(_matrix_rows(data, "data"))
        ]
    vectors = _split(data)
    if not vectors:
        raise InputError(explain("data", "at least one query vector", "none", _REMEDY))
    if any(isinstance(vector, str) for vector in vectors):
        return DataType.VARCHAR, [_text(vector) for vector in vectors]
    sparse = [_is_sparse(vector) for vector in vectors]
    if any(sparse):
        if not all(sparse):
            raise InputError(explain("data", "vectors of one kind", "dense and sparse ones", "search them separately"))
        return DataType.SPARSE_FLOAT_VECTOR, [_sparse_row(vector, which) for which, vector in enumerate(vectors)]
    kinds = [_type_of(vector, field_type) for vector in vectors]
    if len(set(kinds)) > 1:
        found = " and ".join(sorted({kind.name for kind in kinds}))
        raise InputError(explain("data", "vectors of one kind", found, "search them separately"))
    if field_type is not None and field_type.is_dense_vector and kinds[0] is not field_type:
        remedy = "convert the query as the stored vectors were"
        raise InputError(explain("data", f"vectors for {field_type.name}", kinds[0].name, remedy))
    return kinds[0], _dense(vectors, kinds[0])


def _text(vector: Any) -> bytes:
    if not isinstance(vector, str):
        raise InputError(explain("data", "vectors of one kind", "texts and others", "search them separately"))
    return vector.encode()


def _type_of(vector: Any, field_type: DataType | None) -> DataType:
    if isinstance(vector, bytes):
        return field_type or DataType.BINARY_VECTOR
    named = _TYPES.get(vector.dtype.name) if isinstance(vector, np.ndarray) else None
    # float32 holds every number of the small types.
    return DataType.FLOAT_VECTOR if named is None or field_type is DataType.FLOAT_VECTOR else named


def _is_sparse(vector: Any) -> bool:
    return isinstance(vector, Mapping | tuple) or is_sparse_matrix(vector)


def _split(data: Any) -> list[Any]:
    """One vector or several: as a list of several."""
    if isinstance(data, np.ndarray):
        return [data] if data.ndim == 1 else list(data)
    if isinstance(data, Mapping | tuple | bytes):
        return [data]
    if isinstance(data, str) or not isinstance(data, Iterable):
        raise InputError(explain("data", "query vectors", type(data).__name__, _REMEDY))
    vectors = list(data)
    return [vectors] if vectors and isinstance(vectors[0], Real) else vectors


def _dense(vectors: list[Any], dtype: DataType) -> list[bytes]:
    encoded, length = [], None
    for which, vector in enumerate(vectors):
        where = f"data, vector {which}"
        values = np.frombuffer(vector, np.uint8) if isinstance(vector, bytes) else _values(vector, dtype, where)
        if values.ndim != 1 or not len(values):
            raise InputError(explain(where, "a vector of one dimension", f"shape {values.shape}", _REMEDY))
        if length is not None and len(values) != length:
            raise InputError(explain(where, f"{length} values like the first", f"{len(values)}", "make them alike"))
        length = len(values)
        encoded.append(values.tobytes())
    return encoded


def _values(vector: Any, dtype: DataType, where: str) -> np.ndarray[Any, Any]:
    """The vector as the numbers that are sent for the type."""
    if dtype is not DataType.FLOAT_VECTOR:
        if vector.ndim == 1 and vector.dtype.kind == "b":
            return np.packbits(vector)
        values = native(vector)
        _check_finite(values.astype(np.float32) if is_bfloat16(values.dtype) else values, where)
        return values
    try:
        values = np.ascontiguousarray(vector, dtype="<f4")
    except (TypeError, ValueError) as error:
        raise InputError(explain(where, "a vector of numbers", type(vector).__name__, _REMEDY)) from error
    if values.ndim == 1:
        _check_finite(values, where)
    return values


def _check_finite(values: np.ndarray[Any, Any], where: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        found = f"{values[bad[0]]} at position {bad[0]}"
        raise InputError(explain(where, "finite values", found, "replace it or leave the vector out"))


def _sparse_row(vector: Any, which: int) -> bytes:
    if isinstance(vector, Mapping):
        return _sparse(list(vector.keys()), list(vector.values()), which)
    if is_sparse_matrix(vector):
        rows = _matrix_rows(vector, f"data, vector {which}")
        if len(rows) != 1:
            raise InputError(explain(f"data, vector {which}", "a matrix of one row", f"{len(rows)} rows", _REMEDY))
        return _sparse(*rows[0], which)
    if len(vector) != 2:
        raise InputError(explain(f"data, vector {which}", "(indices, values)", f"{len(vector)} parts", _REMEDY))
    return _sparse(vector[0], vector[1], which)


def _matrix_rows(matrix: Any, where: str) -> list[tuple[Any, Any]]:
    try:
        indptr, indices, values = compressed_rows(matrix)
    except BrokenMatrixError as error:
        raise InputError(explain(where, error.expected, error.found, "build the sparse matrix again")) from error
    return [(indices[start:end], values[start:end]) for start, end in pairwise(indptr.tolist())]


def _sparse(indices: Any, values: Any, which: int) -> bytes:
    where = f"data, vector {which}"
    try:
        keys, weights = np.asarray(indices, dtype=np.int64), np.asarray(values, dtype="<f4")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(explain(where, "integer indices and numbers", "something else", _REMEDY)) from error
    if keys.ndim != 1 or keys.shape != weights.shape:
        found = f"shapes {keys.shape} and {weights.shape}"
        raise InputError(explain(where, "as many values as indices", found, "make them alike"))
    _check_finite(weights, where)
    order = np.argsort(keys, kind="stable")
    pairs = np.empty(len(keys), dtype=_PAIR)
    keys = keys[order]
    if len(keys) and (keys[0] < 0 or keys[-1] > _MAX_INDEX):
        found = str(keys[0] if keys[0] < 0 else keys[-1])
        raise InputError(explain(where, f"indices from 0 to {_MAX_INDEX}", found, "use smaller indices"))
    if (keys[1:] == keys[:-1]).any():
        twice = keys[1:][keys[1:] == keys[:-1]][0]
        raise InputError(explain(where, "each index once", f"{twice} more than once", "add its values up"))
    pairs["index"], pairs["value"] = keys, weights[order]
    return pairs.tobytes()
