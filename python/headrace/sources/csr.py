"""Sparse rows in a file.

Compressed ones (CSR) are read range by range, with only ``indptr`` in memory; matrices by columns (CSC) and in
coordinates (COO) are turned over as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from headrace.matrices import compressed_rows, matrix_column

__all__ = ["ArrayRows", "CsrRows", "TurnedRows"]


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


@dataclass(frozen=True)
class _Coordinates:
    """The same, of a matrix in coordinates."""

    shape: tuple[int, int]
    coords: tuple[np.ndarray, np.ndarray]
    data: np.ndarray
    format: str = "coo"


class TurnedRows:
    """The rows of a matrix of shape (rows, dim) by columns (CSC) or in coordinates (COO).

    Args:
        form: ``"csc"`` or ``"coo"``.
        lines: Of CSC the bounds of the columns, of COO each entry's row.
        indices: Of CSC each entry's row, of COO its column.
        data: The entries.
        shape: Rows and dim.

    Raises:
        ValueError: If their lengths contradict each other.
    """

    def __init__(
        self, form: str, lines: ArrayRows, indices: ArrayRows, data: ArrayRows, shape: tuple[int, int]
    ) -> None:
        expected = shape[1] + 1 if form == "csc" else data.rows
        if lines.shape or indices.shape or data.shape or lines.rows != expected or indices.rows != data.rows:
            raise ValueError(f"{data.rows} entries, {indices.rows} indices and {lines.rows} lines of shape {shape}")
        self.rows, self._dim = shape
        self.row_bytes = data.rows * (indices.row_bytes + data.row_bytes) // max(1, self.rows)
        self._form = form
        self._parts = lines, indices, data

    @property
    def type(self) -> pa.DataType:
        """The column's type."""
        _, indices, data = self._parts
        columns = np.empty(0, np.int64 if self._form == "csc" else indices.dtype)
        nothing = _Coordinates((0, self._dim), (np.empty(0, np.int64), columns), np.empty(0, data.dtype))
        return matrix_column(nothing).type

    def batches(self, rows: int) -> Iterator[pa.Array]:
        """The rows, so many at a time; the whole matrix is in memory meanwhile.

        Raises:
            BrokenMatrixError: If the parts contradict each other.
        """
        lines, indices, data = (part.read(0, part.rows) for part in self._parts)
        shape = self.rows, self._dim
        matrix = (
            _Matrix(shape, lines, indices, data, "csc")
            if self._form == "csc"
            else _Coordinates(shape, (lines, indices), data)
        )
        turned = compressed_rows(matrix)
        del lines, indices, data, matrix
        for start in range(0, self.rows, rows):
            bounds = turned.indptr[start : start + rows + 1]
            entries = slice(int(bounds[0]), int(bounds[-1]))
            part = (len(bounds) - 1, self._dim), bounds - bounds[0], turned.indices[entries], turned.data[entries]
            yield matrix_column(_Matrix(*part))
