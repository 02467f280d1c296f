"""Sparse matrices by their parts: scipy's formats, and whatever has ``indptr``, ``indices`` and ``data``.

Rows come out compressed (CSR). Entries are never summed, as scipy's own conversions do: an index that stands twice in
a row is for the packer to refuse.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from headrace.ndarrays import native

__all__ = ["BrokenMatrixError", "Csr", "compressed_rows", "is_sparse_matrix", "matrix_column"]

_INDEX = frozenset({"int32", "int64", "uint32", "uint64"})


class BrokenMatrixError(ValueError):
    """The parts contradict each other. Callers say where it stands: ``expected`` and ``found`` are their words.

    ``row`` is the row of the matrix, where one is to blame.
    """

    def __init__(self, expected: str, found: str, row: int | None = None) -> None:
        super().__init__(expected, found, row)
        self.expected = expected
        self.found = found
        self.row = row


class Csr(NamedTuple):
    """Rows of a sparse matrix: row ``i`` has the entries ``indptr[i]`` to ``indptr[i + 1]``."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


def is_sparse_matrix(value: object) -> bool:
    """Whether it is a sparse matrix: compressed, in coordinates, or one that can say itself in coordinates."""
    return _is_compressed(value) or hasattr(value, "tocoo")


def _is_compressed(value: object) -> bool:
    return all(hasattr(value, part) for part in ("indptr", "indices", "data"))


def compressed_rows(matrix: Any) -> Csr:
    """The rows of a matrix of shape (rows, dim), or of one row of shape (dim,).

    No copy of CSR in the machine's byte order; one copy of other formats, entries of a row in the order in which they
    stand. CSC is told from CSR by ``format``, and taken for CSR where there is none.

    Raises:
        BrokenMatrixError: If the parts contradict each other.
    """
    shape = tuple(matrix.shape)
    if len(shape) not in (1, 2):
        raise BrokenMatrixError("a sparse matrix of shape (rows, dim)", f"shape {shape}")
    rows = 1 if len(shape) == 1 else int(shape[0])
    form = getattr(matrix, "format", "csr")
    if _is_compressed(matrix) and form in ("csr", "csc"):
        parts = Csr(_part(matrix.indptr), _part(matrix.indices), _part(matrix.data))
        _check_entries(parts.indices, parts.data)
        _check_bounds(parts, rows if form == "csr" else int(shape[-1]))
        if form == "csr":
            return _within(parts, int(shape[-1]))
        columns = np.repeat(np.arange(len(parts.indptr) - 1), np.diff(parts.indptr).astype(np.int64))
        span = slice(int(parts.indptr[0]), int(parts.indptr[-1]))
        return _by_row(parts.indices[span], columns, parts.data[span], rows)
    entries = matrix if form == "coo" else matrix.tocoo()
    # scipy's one-dimensional arrays have no rows; older ones have no coords.
    coords = getattr(entries, "coords", None)
    if coords is None:
        coords = entries.row, entries.col
    indices, data = _part(coords[-1]), _part(entries.data)
    of_rows = _part(coords[0]) if len(coords) == 2 else np.zeros(len(indices), np.int64)
    _check_entries(indices, data)
    return _within(_by_row(of_rows, indices, data, rows), int(shape[-1]))


def _part(value: Any) -> np.ndarray:
    values = np.asanyarray(value)
    if np.ma.is_masked(values):
        raise BrokenMatrixError("parts without masked entries", f"{int(np.ma.getmaskarray(values).sum())} masked")
    return native(np.asarray(values))


def _within(parts: Csr, dim: int) -> Csr:
    """The parts, if no index is beyond the matrix; negative ones are for the packer to refuse."""
    indptr, indices, _ = parts
    first, last = int(indptr[0]), int(indptr[-1])
    used = indices[first:last]
    if len(used) and int(used.max()) >= dim:
        entry = int(np.argmax(used >= dim))
        row = int(np.searchsorted(indptr, first + entry, side="right")) - 1
        raise BrokenMatrixError(f"indices below {dim}, the matrix's width", str(used[entry]), row)
    return parts


def _by_row(of_rows: np.ndarray, indices: np.ndarray, data: np.ndarray, rows: int) -> Csr:
    if of_rows.shape != indices.shape or of_rows.dtype.kind not in "iu":
        raise BrokenMatrixError("a row for each entry", f"{of_rows.dtype} of shape {of_rows.shape}")
    if len(of_rows) and not (of_rows.min() >= 0 and of_rows.max() < rows):
        raise BrokenMatrixError(f"rows from 0 to {rows - 1}", f"{of_rows.min()} to {of_rows.max()}")
    indptr = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(of_rows.astype(np.int64, copy=False), minlength=rows), out=indptr[1:])
    if (of_rows[1:] < of_rows[:-1]).any():
        order = np.argsort(of_rows, kind="stable")
        indices, data = indices[order], data[order]
    return Csr(indptr, indices, data)


def _check_entries(indices: np.ndarray, data: np.ndarray) -> None:
    if indices.ndim != 1 or data.ndim != 1:
        found = f"{indices.ndim} and {data.ndim} dimensions"
        raise BrokenMatrixError("one-dimensional indices and data", found)
    if indices.dtype.kind not in "iu":
        raise BrokenMatrixError("integer indices", str(indices.dtype))
    if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8:
        raise BrokenMatrixError("real numbers as data", f"dtype {data.dtype}")
    if len(indices) != len(data):
        raise BrokenMatrixError("as many indices as data", f"{len(indices)} and {len(data)}")


def _check_bounds(parts: Csr, lines: int) -> None:
    """Arrow would read outside the arrays if these did not hold."""
    indptr, most = parts.indptr, len(parts.indices)
    if indptr.ndim != 1 or indptr.dtype.kind not in "iu":
        raise BrokenMatrixError("one-dimensional indptr of integers", f"{indptr.dtype} of {indptr.ndim} dimensions")
    if len(indptr) != lines + 1:
        raise BrokenMatrixError(f"{lines + 1} values in indptr", f"{len(indptr)}")
    if indptr[0] < 0 or indptr[-1] > most or (indptr[1:] < indptr[:-1]).any():
        raise BrokenMatrixError(f"indptr ascending from 0 to at most {most}", f"{int(indptr[0])} to {int(indptr[-1])}")


def matrix_column(matrix: Any) -> pa.Array:
    """The rows as ``list|large_list<struct<index, value>>``, float32 where no value changes by it.

    Raises:
        BrokenMatrixError: As :func:`compressed_rows`.
    """
    indptr, indices, data = compressed_rows(matrix)
    if indices.dtype.name not in _INDEX:
        indices = indices.astype(np.int64)
    if data.dtype != np.float32 and np.can_cast(data.dtype, np.float32, "safe"):
        data = data.astype(np.float32)
    pairs = pa.StructArray.from_arrays([pa.array(indices), pa.array(data)], names=["index", "value"])
    if indptr.dtype == np.int32:
        return pa.ListArray.from_arrays(pa.array(indptr), pairs)
    return pa.LargeListArray.from_arrays(pa.array(indptr.astype(np.int64, copy=False)), pairs)
