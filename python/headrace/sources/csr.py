"""Sparse rows in a file, compressed (CSR): ``indptr`` in memory, the entries read range by range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from headrace.matrices import matrix_column

__all__ = ["ArrayRows", "CsrRows"]


class ArrayRows(Protocol):
    """An array of which ranges of rows can be read."""

    rows: int
    dtype: np.dtype
    shape: tuple[int, ...]
    row_bytes: int

    def read(self, start: int, stop: int, file: pa.NativeFile | None = None) -> np.ndarray:
        """Rows ``start`` to ``stop``; of ``file`` where it is open."""


@dataclass(frozen=True)
class _Matrix:
    """What :func:`headrace.matrices.matrix_column` takes."""

    shape: tuple[int, int]
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    format: str = "csr"


class CsrRows:
    """The rows of a matrix of shape (rows, dim), given the array of their bounds and where their entries lie.

    Raises:
        ValueError: If the three contradict each other.
    """

    def __init__(self, indptr: np.ndarray, indices: ArrayRows, data: ArrayRows, shape: tuple[int, int]) -> None:
        entries = indices.rows
        if indptr.ndim != 1 or indptr.dtype.kind not in "iu" or not len(indptr):
            raise ValueError(f"indptr of {indptr.dtype} and shape {indptr.shape}")
        if indptr[0] != 0 or indptr[-1] != entries or (indptr[1:] < indptr[:-1]).any():
            raise ValueError(f"indptr from {indptr[0]} to {indptr[-1]}, of {entries} entries")
        if indices.shape or data.shape or data.rows != entries:
            raise ValueError(f"{entries} indices and {data.rows} values")
        self.rows = len(indptr) - 1
        if self.rows != shape[0]:
            raise ValueError(f"bounds of {self.rows} rows, and a shape of {shape[0]}")
        self.row_bytes = entries * (indices.row_bytes + data.row_bytes) // max(1, self.rows)
        self._indptr = indptr
        self._dim = shape[1]

    def read(
        self, indices: ArrayRows, data: ArrayRows, start: int, stop: int, file: pa.NativeFile | None = None
    ) -> pa.Array:
        """Rows ``start`` to ``stop`` as ``large_list<struct<index, value>>``.

        Raises:
            BrokenMatrixError: If an index is beyond the matrix.
        """
        bounds = self._indptr[start : stop + 1].astype(np.int64)
        first, last = int(bounds[0]), int(bounds[-1])
        shape = (stop - start, self._dim)
        entries = indices.read(first, last, file), data.read(first, last, file)
        return matrix_column(_Matrix(shape, bounds - first, *entries))
