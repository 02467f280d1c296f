"""Query vectors in the forms people have them, to the bytes that a search sends.

Dense: numpy ``(d,)`` or ``(n, d)``, a list of numbers, a list of such. Sparse: a dict of index to value, a tuple
``(indices, values)``, a list of either, or a CSR matrix (anything with ``indptr``, ``indices`` and ``data``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from headrace.errors import InputError, explain
from headrace.schema import DataType

__all__ = ["encode_query_vectors"]

_PAIR = np.dtype([("index", "<u4"), ("value", "<f4")])
#: Milvus keeps the largest uint32 for itself (``ValidateSparseFloatRows``).
_MAX_INDEX = 2**32 - 2
_REMEDY = "give a numpy array, a list of vectors, dicts of index to value, (indices, values) or a CSR matrix"


def encode_query_vectors(data: Any) -> tuple[DataType, list[bytes]]:
    """The type of the vectors, and one value of bytes for each.

    Dense values are float32, little endian; sparse ones (uint32 index, float32 value) pairs by ascending index.

    :raises InputError: if it is none of these forms, or a value cannot be searched for; the message says which.
    """
    if _is_csr(data):
        rows = _csr_rows(data)
        return DataType.SPARSE_FLOAT_VECTOR, [_sparse(*row, which) for which, row in enumerate(rows)]
    vectors = _split(data)
    if not vectors:
        raise InputError(explain("data", "at least one query vector", "none", _REMEDY))
    sparse = [_is_sparse(vector) for vector in vectors]
    if any(sparse):
        if not all(sparse):
            raise InputError(explain("data", "vectors of one kind", "dense and sparse ones", "search them separately"))
        return DataType.SPARSE_FLOAT_VECTOR, [_sparse_row(vector, which) for which, vector in enumerate(vectors)]
    return DataType.FLOAT_VECTOR, _dense(vectors)


def _is_csr(data: Any) -> bool:
    return all(hasattr(data, name) for name in ("indptr", "indices", "data"))


def _is_sparse(vector: Any) -> bool:
    return isinstance(vector, Mapping | tuple) or _is_csr(vector)


def _split(data: Any) -> list[Any]:
    """One vector or several: as a list of several."""
    if isinstance(data, np.ndarray):
        return [data] if data.ndim == 1 else list(data)
    if isinstance(data, Mapping | tuple):
        return [data]
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise InputError(explain("data", "query vectors", type(data).__name__, _REMEDY))
    vectors = list(data)
    return [vectors] if vectors and isinstance(vectors[0], Real) else vectors


def _dense(vectors: list[Any]) -> list[bytes]:
    encoded, dim = [], None
    for which, vector in enumerate(vectors):
        where = f"data, vector {which}"
        try:
            values = np.ascontiguousarray(vector, dtype="<f4")
        except (TypeError, ValueError) as error:
            raise InputError(explain(where, "a vector of numbers", type(vector).__name__, _REMEDY)) from error
        if values.ndim != 1 or not len(values):
            raise InputError(explain(where, "a vector of one dimension", f"shape {values.shape}", _REMEDY))
        if dim is not None and len(values) != dim:
            raise InputError(explain(where, f"{dim} values like the first", f"{len(values)}", "make them alike"))
        _check_finite(values, where)
        dim = len(values)
        encoded.append(values.tobytes())
    return encoded


def _check_finite(values: np.ndarray[Any, Any], where: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        found = f"{values[bad[0]]} at position {bad[0]}"
        raise InputError(explain(where, "finite values", found, "replace it or leave the vector out"))


def _sparse_row(vector: Any, which: int) -> bytes:
    if isinstance(vector, Mapping):
        return _sparse(list(vector.keys()), list(vector.values()), which)
    if _is_csr(vector):
        rows = _csr_rows(vector)
        if len(rows) != 1:
            raise InputError(explain(f"data, vector {which}", "a matrix of one row", f"{len(rows)} rows", _REMEDY))
        return _sparse(*rows[0], which)
    if len(vector) != 2:
        raise InputError(explain(f"data, vector {which}", "(indices, values)", f"{len(vector)} parts", _REMEDY))
    return _sparse(vector[0], vector[1], which)


def _csr_rows(matrix: Any) -> list[tuple[Any, Any]]:
    bounds = np.asarray(matrix.indptr)
    return [(matrix.indices[start:end], matrix.data[start:end]) for start, end in pairwise(bounds)]


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
