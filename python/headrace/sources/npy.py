"""numpy's ``.npy`` files: an array of shape (n, d), (n,), or a structured one with a column for each of its fields.

The header is read by numpy, the data is mapped. Arrays of objects are pickles, which can run anything when they are
loaded: they are refused.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from headrace.errors import SchemaError, SourceError, explain
from headrace.ndarrays import BFLOAT16, from_numpy
from headrace.sources.paths import READ_ERRORS, FileRef, damaged
from headrace.sources.ranges import FixedRows, RangeReader

__all__ = [
    "MOST_HEADER_BYTES",
    "ArrayHeader",
    "NpyReader",
    "array_columns",
    "array_types",
    "read_header",
    "refuse_shape",
]

#: A header is a line of text; numpy itself refuses longer ones.
MOST_HEADER_BYTES = 1 << 16


class ArrayHeader:
    """What an array's header says.

    Attributes:
        shape: Its shape, of at least one dimension.
        dtype: Its dtype, without objects.
        fortran: Whether columns lie together instead of rows.
        length: Bytes of the header; the data follows.
    """

    def __init__(self, file: BinaryIO) -> None:
        major = np.lib.format.read_magic(file)[0]
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        self.shape, self.fortran, dtype = read(file)
        # Version 3 differs from 2 in the encoding of names only.
        if major > 2 and dtype.names is not None:
            dtype.names = tuple(name.encode("latin1").decode() for name in dtype.names)
        self.dtype: np.dtype = dtype
        # A single value is an array of one row.
        self.shape = self.shape or (1,)
        self.length = file.tell()

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return self.dtype.itemsize * math.prod(self.shape)


def read_header(head: bytes, ref: FileRef, where: str = "header", way_out: str = "") -> ArrayHeader:
    """The header of the array that begins with ``head``; ``where`` in the file it stands, and how to do without it.

    Raises:
        SourceError: If it is none, or the data would be pickled objects.
    """
    try:
        header = ArrayHeader(io.BytesIO(head))
    except (ValueError, SyntaxError, TypeError) as error:
        raise damaged(ref, "a numpy array", error, where) from error
    if header.dtype.hasobject:
        found = "objects, which only unpickling could read: it can run any code, so headrace never does it"
        remedy = f"save it with another dtype, as array.astype(numpy.float32){way_out}"
        raise _refused(ref, where, "numbers or text", found, remedy)
    if min(header.shape) < 0:
        raise _refused(ref, where, "an array of shape (n, d) or (n,)", f"shape {header.shape}", "write the file again")
    return header


def _refused(ref: FileRef, where: str, expected: str, found: str, remedy: str) -> SourceError:
    message = explain(f"{ref.label}, {where}", expected, found, remedy)
    return SourceError(message, source=ref.label, position=where)


def array_columns(value: np.ndarray, name: str) -> dict[str, pa.Array]:
    """The columns of an array: those of its fields where it is structured, else the one called ``name``.

    Raises:
        SchemaError: If Arrow has no such values.
    """
    if value.dtype.names is not None:
        return {field: from_numpy(value[field], field) for field in value.dtype.names}
    if value.dtype.str[1:] == "V2" and value.ndim == 2:
        # What numpy.save makes of ml_dtypes' bfloat16, whose dtype numpy does not know.
        value = value.view(BFLOAT16)
    return {name: from_numpy(value, name)}


def array_types(header: ArrayHeader, name: str, ref: FileRef, where: str) -> list[tuple[str, pa.DataType]]:
    """The names and types of the columns that :func:`array_columns` makes.

    Raises:
        SourceError: If Arrow has no such values.
    """
    try:
        columns = array_columns(np.zeros((0, *header.shape[1:]), header.dtype), name)
    except SchemaError as error:
        raise SourceError(f"{ref.label}, {where}, {error}", source=ref.label, position=where) from error
    return [(column, array.type) for column, array in columns.items()]


class NpyReader(RangeReader):
    """One ``.npy`` file, of which only the header was read.

    Args:
        ref: The file.
        name: What the column is called where the array has no fields.
    """

    def __init__(self, ref: FileRef, name: str) -> None:
        self.ref = ref
        self._name = name
        try:
            with ref.open() as file:
                size = int(file.size())
                head = file.read(min(size, MOST_HEADER_BYTES))
        except READ_ERRORS as error:
            raise damaged(ref, "a file that can be read", error, None) from error
        header = read_header(head, ref)
        if header.length + header.size != size:
            raise refuse_shape(ref, header.shape, header.length + header.size, size)
        self.rows = header.shape[0]
        self.row_bytes = header.size // max(1, self.rows)
        shape = header.shape[1:]
        # In Fortran order the file holds the transposed array.
        self._transposed = header.fortran and len(header.shape) > 1
        if self._transposed and not ref.is_local:
            found, remedy = "Fortran order, far away", "save numpy.ascontiguousarray() of it, or load a local copy"
            raise SourceError(explain(ref.label, "an array in C order", found, remedy), source=ref.label)
        rows, shape = (header.shape[-1], header.shape[-2::-1]) if self._transposed else (self.rows, shape)
        self._values = FixedRows(ref, offset=header.length, rows=rows, dtype=header.dtype, shape=shape)
        self.schema: pa.Schema = pa.schema(array_types(header, name, ref, "header"))

    def read_rows(
        self, start: int, stop: int, columns: Sequence[str], file: pa.NativeFile | None = None
    ) -> pa.RecordBatch:
        """Rows ``start`` to ``stop`` of these columns."""
        if self._transposed:
            found = array_columns(self._values.read(0, self._values.rows)[..., start:stop].T, self._name)
        else:
            found = array_columns(self._values.read(start, stop, file), self._name)
        return pa.RecordBatch.from_arrays([found[name] for name in columns], names=list(columns))


def refuse_shape(ref: FileRef, shape: tuple[int, ...], expected: int, found: int) -> SourceError:
    """The error for a file whose head promises other data than is there."""
    size = f"{expected} bytes, as its shape {shape} needs"
    message = explain(ref.label, size, f"{found} bytes", "write the file again or leave it out")
    return SourceError(message, source=ref.label, position="header")
