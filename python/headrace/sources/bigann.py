"""The binary files of the big-ann benchmarks and of DiskANN, which have no mark and are told by their names.

.. code-block:: text

    .fbin .u8bin .i8bin .ibin    uint32 rows, uint32 dim; rows * dim values of float32, uint8, int8, int32
    .csr                         int64 rows, columns, entries; int64 bounds[rows + 1], int32 indices, float32 values
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.errors import SourceError, explain
from headrace.ndarrays import from_numpy
from headrace.sources.csr import CsrRows
from headrace.sources.paths import READ_ERRORS, FileRef, damaged
from headrace.sources.ranges import FixedRows, RangeReader, read_bytes

__all__ = ["NAMES", "CsrReader", "MatrixReader", "open_bigann"]

_DTYPES = {".fbin": "<f4", ".u8bin": "u1", ".i8bin": "i1", ".ibin": "<i4"}
#: The ends of their names.
NAMES = (*_DTYPES, ".csr")


def open_bigann(ref: FileRef, name: str) -> MatrixReader | CsrReader:
    """The reader of a file whose name ends with one of :data:`NAMES`; its column is called ``name``.

    Raises:
        SourceError: If its size is not what its head says.
    """
    suffix = next(suffix for suffix in NAMES if ref.path.lower().endswith(suffix))
    return CsrReader(ref, name) if suffix == ".csr" else MatrixReader(ref, name, np.dtype(_DTYPES[suffix]))


class MatrixReader(RangeReader):
    """One file of dense vectors."""

    def __init__(self, ref: FileRef, name: str, dtype: np.dtype) -> None:
        self.ref = ref
        rows, dim = (int(number) for number in _head(ref, "<u4", 2))
        self._values = FixedRows(ref, offset=8, rows=rows, dtype=dtype, shape=(dim,))
        _check_size(ref, f"{rows} rows of {dim} values", self._values.end)
        self.rows, self.row_bytes = rows, self._values.row_bytes
        if not dim:
            raise _refused(ref, "vectors", "rows of 0 values")
        self.schema: pa.Schema = pa.schema([(name, pa.list_(pa.from_numpy_dtype(dtype), dim))])

    def read_rows(
        self, start: int, stop: int, columns: Sequence[str], file: pa.NativeFile | None = None
    ) -> pa.RecordBatch:
        """Rows ``start`` to ``stop``."""
        array = from_numpy(self._values.read(start, stop, file), self.schema.names[0])
        return pa.RecordBatch.from_arrays([array for _ in columns], names=list(columns))


class CsrReader(RangeReader):
    """One file of sparse vectors."""

    def __init__(self, ref: FileRef, name: str) -> None:
        self.ref = ref
        rows, dim, entries = (int(number) for number in _head(ref, "<i8", 3))
        if min(rows, dim, entries) < 0:
            raise _refused(ref, "a head of three counts", f"{rows}, {dim} and {entries}")
        bounds = FixedRows(ref, offset=24, rows=rows + 1, dtype=np.dtype("<i8"))
        self._indices = FixedRows(ref, offset=bounds.end, rows=entries, dtype=np.dtype("<i4"))
        self._data = FixedRows(ref, offset=self._indices.end, rows=entries, dtype=np.dtype("<f4"))
        _check_size(ref, f"{rows} rows of {entries} entries", self._data.end)
        try:
            self._sparse = CsrRows(bounds.read(0, rows + 1), self._indices, self._data, (rows, dim))
            kind = self._sparse.read(self._indices, self._data, 0, 0).type
        except READ_ERRORS as error:
            raise damaged(ref, "the parts of a CSR matrix", error, None) from error
        self.rows, self.row_bytes = rows, self._sparse.row_bytes
        self.schema: pa.Schema = pa.schema([(name, kind)])

    def read_rows(
        self, start: int, stop: int, columns: Sequence[str], file: pa.NativeFile | None = None
    ) -> pa.RecordBatch:
        """Rows ``start`` to ``stop``."""
        array = self._sparse.read(self._indices, self._data, start, stop, file)
        return pa.RecordBatch.from_arrays([array for _ in columns], names=list(columns))


def _head(ref: FileRef, dtype: str, count: int) -> np.ndarray:
    try:
        return np.frombuffer(read_bytes(ref, 0, count * np.dtype(dtype).itemsize), dtype)
    except READ_ERRORS as error:
        raise damaged(ref, f"a head of {count} counts", error, "header") from error


def _check_size(ref: FileRef, meaning: str, expected: int) -> None:
    if ref.size != expected:
        raise _refused(ref, f"{expected} bytes, for {meaning}", f"{ref.size} bytes")


def _refused(ref: FileRef, expected: str, found: str) -> SourceError:
    message = explain(ref.label, expected, found, "write the file again or leave it out")
    return SourceError(message, source=ref.label, position="header")
