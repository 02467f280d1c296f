"""numpy's ``.npz`` archives: each array a column under its name; of scipy's ``save_npz``, one sparse column.

Arrays that are stored as they are (``numpy.savez``) are mapped and read from anywhere. Compressed ones are unpacked
from their start, once, in one part: the format has no places to begin at. Sparse matrices by columns (CSC) or in
coordinates (COO) have no rows to begin at either: they are one part too, turned over in memory while it is read.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import IO

import numpy as np
import pyarrow as pa

from headrace.errors import SourceError, explain
from headrace.sources.base import Part
from headrace.sources.chosen import ALL, REMEDY, Chosen
from headrace.sources.csr import ArrayRows, CsrRows, TurnedRows
from headrace.sources.npy import MOST_HEADER_BYTES, ArrayHeader, array_columns, array_types, read_header, refuse_shape
from headrace.sources.paths import READ_ERRORS, FileRef, damaged
from headrace.sources.ranges import FixedRows, RangeReader, read_bytes

__all__ = ["NpzReader"]

#: RuntimeError and NotImplementedError: archives with a password, or packed in a way that this Python cannot unpack.
_ERRORS = (*READ_ERRORS, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
_SPARSE = frozenset({"format", "shape", "data"})
#: What else scipy keeps of a matrix, by its format.
_SPARSE_PARTS = {"csr": ("indptr", "indices"), "csc": ("indptr", "indices"), "coo": ("row", "col")}
#: The local header of a member: 30 bytes, then its name and extra fields of these lengths.
_LOCAL_HEADER = np.dtype([("magic", "<u4"), ("rest", "V22"), ("name", "<u2"), ("extra", "<u2")])


class _Packed:
    """An array in a compressed member: rows are read in ascending order, each once."""

    def __init__(self, open_member: Callable[[], IO[bytes]], header: ArrayHeader) -> None:
        self.rows = header.shape[0]
        self.dtype = header.dtype
        self.shape = header.shape[1:]
        self.row_bytes = header.size // max(1, self.rows)
        self._open = open_member
        self._file: IO[bytes] | None = None
        self._header = header

    def fresh(self) -> _Packed:
        """The same array, to be read from its start."""
        return _Packed(self._open, self._header)

    def read(self, start: int, stop: int, _file: pa.NativeFile | None = None) -> np.ndarray:
        """Rows ``start`` to ``stop``."""
        if self._file is None:
            self._file = self._open()
        self._file.seek(self._header.length + start * self.row_bytes)
        length = (stop - start) * self.row_bytes
        data = self._file.read(length)
        if len(data) != length:
            raise OSError(f"the array ends {length - len(data)} bytes early")
        return np.frombuffer(data, self.dtype).reshape(stop - start, *self.shape)


class NpzReader(RangeReader):
    """One ``.npz`` file, of which only the directory and the arrays' headers were read.

    Args:
        ref: The file.
        name: What the column of a sparse matrix is called.
        chosen: Which arrays are read; the others are columns of nulls.

    Raises:
        SourceError: If it is damaged, or its chosen arrays do not go together.
    """

    def __init__(self, ref: FileRef, name: str, chosen: Chosen = ALL) -> None:
        self.ref = ref
        try:
            with ref.open() as file, zipfile.ZipFile(file) as archive:
                members = [(member, _head(archive, member)) for member in archive.infolist() if not member.is_dir()]
        except _ERRORS as error:
            raise damaged(ref, "a readable npz archive", error, "directory") from error
        headers: dict[str, ArrayHeader] = {}
        self._arrays: dict[str, ArrayRows] = {}
        self._sparse: CsrRows | None = None
        self._turned: TurnedRows | None = None
        sparse = {member.filename for member, _ in members} >= {f"{part}.npy" for part in _SPARSE}
        self._left_out: list[str] = []
        for member, head in members:
            array = member.filename.removesuffix(".npy")
            columns = _columns_in(head, array)
            if sparse or any(column in chosen for column in columns):
                headers[array] = header = self._header(member, head)
                self._arrays[array] = self._member(member, header)
            else:
                self._left_out += columns
        self._name = name
        if sparse:
            self._open_sparse(headers)
        else:
            self._open_columns(headers)

    def parts(self, names: Sequence[str]) -> Iterator[Part]:
        """The file's parts; one only where an array is compressed."""
        if self._turned is not None:
            yield Part(self.ref.label, 0, self.rows, partial(self._read_turned, self._turned))
        elif not any(isinstance(array, _Packed) for array in self._arrays.values()):
            yield from super().parts(names)
        elif self.rows:
            yield Part(self.ref.label, 0, self.rows, partial(self._read_packed, tuple(names)))

    def read_rows(
        self, start: int, stop: int, columns: Sequence[str], file: pa.NativeFile | None = None
    ) -> pa.RecordBatch:
        """Rows ``start`` to ``stop`` of these columns."""
        return self._rows(self._arrays, start, stop, columns, file)

    def _read_packed(
        self, names: Sequence[str], max_bytes: int, columns: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        wanted = names if columns is None else columns
        arrays = {name: _fresh(it) for name, it in self._arrays.items()}
        step = max(1, max_bytes // max(1, self.row_bytes))
        for start in range(0, self.rows, step):
            try:
                yield self._rows(arrays, start, min(start + step, self.rows), wanted)
            except _ERRORS as error:
                raise damaged(self.ref, "readable arrays", error, f"row {start}") from error

    def _read_turned(
        self, matrix: TurnedRows, max_bytes: int, columns: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        names = [self._name] if columns is None else list(columns)
        try:
            for array in matrix.batches(max(1, max_bytes // max(1, self.row_bytes))):
                found = {self._name: array}
                yield pa.RecordBatch.from_arrays([found[name] for name in names], names=names)
        except _ERRORS as error:
            raise damaged(self.ref, "the parts of a sparse matrix", error, None) from error

    def _rows(
        self,
        arrays: Mapping[str, ArrayRows],
        start: int,
        stop: int,
        columns: Sequence[str],
        file: pa.NativeFile | None = None,
    ) -> pa.RecordBatch:
        if self._sparse is not None:
            found = {self._name: self._sparse.read(arrays["indices"], arrays["data"], start, stop, file)}
        else:
            # A structured array has several columns.
            wanted = {self._columns[name] for name in columns if name in self._columns}
            found = {name: pa.nulls(stop - start) for name in self._left_out}
            for array in wanted:
                found.update(array_columns(arrays[array].read(start, stop, file), array))
        return pa.RecordBatch.from_arrays([found[name] for name in columns], names=list(columns))

    def _header(self, member: zipfile.ZipInfo, head: bytes) -> ArrayHeader:
        array = member.filename.removesuffix(".npy")
        if array == member.filename:
            pickled = " (pickled, as PyTorch does it: headrace never unpickles)" if ".pkl" in member.filename else ""
            remedy = "unpack it, or write numpy.savez or Parquet"
            raise self._refused("a zip archive of arrays (.npy) only", f"{member.filename!r}{pickled}", remedy)
        header = read_header(head, self.ref, f"array {array!r}", f", or leave it out with --drop {array}")
        if header.length + header.size != member.file_size:
            raise refuse_shape(self.ref, header.shape, header.length + header.size, member.file_size)
        if header.fortran and len(header.shape) > 1:
            raise self._refused("arrays in C order", f"{array!r} in Fortran order", "save numpy.ascontiguousarray()")
        return header

    def _member(self, member: zipfile.ZipInfo, header: ArrayHeader) -> ArrayRows:
        def open_member() -> IO[bytes]:
            return zipfile.ZipFile(self.ref.open()).open(member.filename)

        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            return _Packed(open_member, header)
        try:
            local = np.frombuffer(read_bytes(self.ref, member.header_offset, 30), _LOCAL_HEADER)[0]
        except READ_ERRORS as error:
            raise damaged(self.ref, "a readable npz archive", error, f"member {member.filename!r}") from error
        offset = member.header_offset + 30 + int(local["name"]) + int(local["extra"]) + header.length
        return FixedRows(self.ref, offset=offset, rows=header.shape[0], dtype=header.dtype, shape=header.shape[1:])

    def _open_columns(self, headers: Mapping[str, ArrayHeader]) -> None:
        if not headers:
            remedy = REMEDY if self._left_out else "load an archive that numpy.savez made"
            raise self._refused("arrays", "none", remedy)
        first, *others = headers
        self.rows = headers[first].shape[0]
        for array in others:
            if headers[array].shape[0] != self.rows:
                found = f"{self.rows} in {first!r} and {headers[array].shape[0]} in {array!r}"
                raise self._refused("as many rows in each array", found, REMEDY)
        fields, self._columns = [], {}
        for array, header in headers.items():
            types = array_types(header, array, self.ref, f"array {array!r}")
            fields += types
            self._columns.update({name: array for name, _ in types})
        self.schema = pa.schema([*fields, *((name, pa.null()) for name in self._left_out)])
        self.row_bytes = sum(header.size for header in headers.values()) // max(1, self.rows)

    def _open_sparse(self, headers: Mapping[str, ArrayHeader]) -> None:
        form = self._whole("format")[0].decode("ascii", "replace") if headers["format"].dtype.kind == "S" else "?"
        if form not in _SPARSE_PARTS or not headers.keys() >= set(_SPARSE_PARTS[form]):
            expected = "a sparse matrix by rows (csr), by columns (csc) or in coordinates (coo)"
            raise self._refused(expected, form, "save matrix.tocsr() with scipy.sparse.save_npz")
        lines, indices, data = (self._arrays[name] for name in (*_SPARSE_PARTS[form], "data"))
        try:
            rows, dim = (int(size) for size in self._whole("shape"))
            if form != "csr":
                turned = self._turned = TurnedRows(form, _fresh(lines), _fresh(indices), _fresh(data), (rows, dim))
                self.rows, self.row_bytes, kind = rows, turned.row_bytes, turned.type
            else:
                sparse = self._sparse = CsrRows(self._whole("indptr"), indices, data, (rows, dim))
                self.rows, self.row_bytes = rows, sparse.row_bytes
                kind = sparse.read(_Nothing(indices), _Nothing(data), 0, 0).type
        except ValueError as error:
            raise damaged(self.ref, f"the parts of a {form.upper()} matrix", error, None) from error
        self.schema = pa.schema([(self._name, kind)])

    def _whole(self, array: str) -> np.ndarray:
        found = _fresh(self._arrays[array])
        try:
            return found.read(0, found.rows)
        except _ERRORS as error:
            raise damaged(self.ref, "readable arrays", error, f"array {array!r}") from error

    def _refused(self, expected: str, found: str, remedy: str) -> SourceError:
        return SourceError(explain(self.ref.label, expected, found, remedy), source=self.ref.label)


class _Nothing:
    """An array like another, without rows."""

    def __init__(self, like: ArrayRows) -> None:
        self.rows = 0
        self.dtype, self.shape, self.row_bytes = like.dtype, like.shape, like.row_bytes

    def read(self, _start: int, _stop: int, _file: pa.NativeFile | None = None) -> np.ndarray:
        """No rows."""
        return np.zeros((0, *self.shape), self.dtype)


def _fresh(array: ArrayRows) -> ArrayRows:
    return array.fresh() if isinstance(array, _Packed) else array


def _columns_in(head: bytes, array: str) -> tuple[str, ...]:
    """The columns of an array: the fields of a structured one, else itself."""
    try:
        return ArrayHeader(io.BytesIO(head)).dtype.names or (array,)
    except (ValueError, SyntaxError, TypeError):
        # Whether that matters, depends on whether it is wanted.
        return (array,)


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return file.read(MOST_HEADER_BYTES)
