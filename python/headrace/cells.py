"""Python values, one a row, as Arrow columns: lists and dicts of a running program.

Values have no declared types here, so the values themselves decide; a value that fits nothing is a
:class:`~headrace.errors.CellError` with its row. Arrays with a dtype are in :mod:`headrace.columns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.casts import jsontext
from headrace.errors import CellError
from headrace.matrices import BrokenMatrixError, compressed_rows, is_sparse_matrix
from headrace.ndarrays import bfloat16_numbers, bfloat16_values, is_bfloat16, list_column, plain_values
from headrace.tensors import as_numpy

__all__ = ["cells_to_array", "checked_times", "has_double_rows", "json_cells", "sparse_cells"]

_INDEX_KEYS = ("indices", "index")
_VALUE_KEYS = ("values", "value")


def cells_to_array(cells: Sequence[Any], name: str) -> pa.Array:
    """A column of Python values: numbers, strings, bools, lists, 1-d arrays, dicts; None is null.

    Dicts with integer keys and one-row sparse matrices are sparse vectors; other dicts are structs.

    Raises:
        CellError: If a value does not go with those before it.
    """
    cells = _readable(cells, name)
    first = _first_telling(cells)
    if _is_sparse_cell(first):
        return sparse_cells(cells, name)
    if _is_bfloat16_cell(first):
        return _bfloat16_cells(cells, name)
    try:
        array = pa.array(cells)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        if (written := _as_written(cells, whole=True)) is not None:
            return written
        raise _first_bad(cells, name, error) from error
    return (_as_written(cells) or array) if jsontext.has_gaps(array) else array


def _as_written(cells: Sequence[Any], *, whole: bool = False) -> pa.Array | None:
    """The cells as structs that carry each object's text, too; None where that cannot be.

    Args:
        cells: Dicts, or lists with dicts in them.
        whole: Whether that is all they carry, because their values have no types in common; some must be dicts then.
    """
    try:
        if not whole:
            return pa.array([_marked(_plain(cell)) for cell in cells])
        if any(isinstance(cell, Mapping) for cell in cells):
            return pa.array(
                [None if cell is None else {jsontext.WRITTEN: jsontext.dumps(_plain(cell))} for cell in cells]
            )
    except (pa.ArrowException, TypeError, ValueError, OverflowError, RecursionError):
        # What has no JSON form is for the column's type to refuse.
        pass
    return None


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {**{key: _marked(item) for key, item in value.items()}, jsontext.WRITTEN: jsontext.dumps(value)}
    return [_marked(item) for item in value] if isinstance(value, list) else value


def _readable(cells: Sequence[Any], name: str) -> Sequence[Any]:
    """The cells as pyarrow reads them right; the same sequence where it already does."""
    kinds = set(map(type, cells))
    if any(issubclass(kind, date) for kind in kinds):
        cells = checked_times(cells, name)
    changed = {kind for kind in kinds if _is_array_kind(kind) or _is_odd_scalar(kind)}
    if not changed:
        return cells
    return [_readable_cell(row, cell, name) if type(cell) in changed else cell for row, cell in enumerate(cells)]


def _is_array_kind(kind: type) -> bool:
    """Whether values of this type are arrays to numpy alone: ndarrays, tensors."""
    if issubclass(kind, np.generic) or hasattr(kind, "__arrow_c_array__") or hasattr(kind, "__arrow_c_stream__"):
        return False
    return hasattr(kind, "__array__") or hasattr(kind, "__dlpack__")


def _is_odd_scalar(kind: type) -> bool:
    """Whether values of this type are scalars of numpy that pyarrow reads wrong, or not at all."""
    return issubclass(kind, np.generic) and (
        issubclass(kind, np.datetime64 | np.timedelta64) or is_bfloat16(np.dtype(kind))
    )


def _readable_cell(row: int, cell: Any, name: str) -> Any:
    if type(cell) is np.ndarray and cell.ndim and cell.dtype.kind in "biuf" and cell.dtype.isnative:
        return cell
    try:
        values = as_numpy(cell)
        if is_bfloat16(values.dtype):
            if values.ndim:
                return values
            values = bfloat16_numbers(values)
        plain = plain_values(np.asarray(values))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        expected, found = "a value of one type in every row", f"{type(cell).__name__} ({error})"
        raise CellError(row=row, field=name, expected=expected, found=found, remedy="convert the values") from error
    if plain.ndim == 0:
        return None if np.ma.is_masked(values) else plain[()]
    if plain.ndim == 1 and np.ma.is_masked(values):
        return [None if gone else item for item, gone in zip(plain, np.ma.getmaskarray(values), strict=True)]
    return plain


def checked_times(cells: Sequence[Any], name: str) -> list[Any]:
    """The cells with pandas' NaT as None.

    Raises:
        CellError: If dates and times are of several kinds, of which pyarrow would change some, or a pandas.Timestamp
            has nanoseconds, which it would drop.
    """
    checked = list(cells)
    first: str | None = None
    for row, cell in enumerate(checked):
        if not isinstance(cell, date | np.datetime64):
            continue
        if cell != cell:  # noqa: PLR0124 - NaT alone differs from itself
            checked[row] = None
            continue
        kind = _time_kind(cell)
        first = first or kind
        if kind != first:
            remedy = "give all of them a zone, or none"
            raise CellError(
                row=row, field=name, expected=f"{first}, as before", found=f"{kind} ({cell})", remedy=remedy
            )
        if getattr(cell, "nanosecond", 0):
            expected, remedy = "a time in whole microseconds", "round it, as with .floor('us')"
            raise CellError(row=row, field=name, expected=expected, found=str(cell), remedy=remedy)
    return checked


def _time_kind(cell: date | np.datetime64) -> str:
    if isinstance(cell, np.datetime64):
        return "a numpy.datetime64"
    if not isinstance(cell, datetime):
        return "a date"
    return "a time without a zone" if cell.tzinfo is None else "a time with a zone"


def _first_telling(cells: Sequence[Any]) -> Any:
    """The first cell that is not null, and not an empty dict where the cells are dicts."""
    for cell in cells:
        if cell is not None and not (isinstance(cell, Mapping) and not cell):
            return cell
    return None


def _is_sparse_cell(cell: object) -> bool:
    if isinstance(cell, Mapping):
        return bool(cell) and all(isinstance(key, int | np.integer) for key in cell)
    return is_sparse_matrix(cell)


def _is_bfloat16_cell(cell: object) -> bool:
    return isinstance(cell, np.ndarray) and is_bfloat16(cell.dtype)


def _bfloat16_cells(cells: Sequence[Any], name: str) -> pa.Array:
    for row, cell in enumerate(cells):
        if cell is not None and not (_is_bfloat16_cell(cell) and cell.ndim == 1):
            found = f"{type(cell).__name__} {getattr(cell, 'dtype', '')}".strip()
            if _is_bfloat16_cell(cell):
                found = f"bfloat16 of shape {cell.shape}"
            expected = "a bfloat16 vector in every row"
            raise CellError(row=row, field=name, expected=expected, found=found, remedy="convert the values")
    values = [bfloat16_values(cell) for cell in cells if cell is not None]
    lengths = np.fromiter((0 if cell is None else len(cell) for cell in cells), np.int64, count=len(cells))
    return list_column(lengths, pa.concat_arrays(values), _nulls(cells))


def _nulls(cells: Sequence[Any]) -> np.ndarray:
    return np.fromiter((cell is None for cell in cells), bool, count=len(cells))


def _first_bad(cells: Sequence[Any], name: str, error: Exception) -> CellError:
    """Find the row from which on the cells are no column; the longest good beginning is found by halving."""
    good, bad = 0, len(cells)
    while good + 1 < bad:
        middle = (good + bad) // 2
        try:
            pa.array(cells[:middle])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            bad = middle
        else:
            good = middle
    row = bad - 1
    if isinstance(error, OverflowError):
        expected, remedy = "a whole number of 64 bits", "write it as text"
        raise CellError(row=row, field=name, expected=expected, found=repr(cells[row])[:80], remedy=remedy) from error
    found = f"{type(cells[row]).__name__} ({str(error).splitlines()[0]})"
    return CellError(
        row=row, field=name, expected="a value of one type in every row", found=found, remedy="convert the values"
    )


def json_cells(cells: Sequence[Any], name: str) -> pa.Array:
    """A JSON column: text passes as a JSON document, every other value is written as one; None is null.

    Raises:
        CellError: If a value has no JSON form: NaN, a dict key that is no text, a lone surrogate, nesting too deep.
    """
    texts = [_document(row, cell, name) for row, cell in enumerate(cells)]
    try:
        if any(isinstance(text, bytes) for text in texts):
            return pa.array([text.encode() if isinstance(text, str) else text for text in texts], pa.large_binary())
        return pa.array(texts, pa.large_utf8())
    except UnicodeEncodeError as error:
        row = next(row for row, text in enumerate(texts) if isinstance(text, str) and not _is_encodable(text))
        raise _no_document(row, name, str(error)) from error


def _document(row: int, cell: Any, name: str) -> str | bytes | None:
    if cell is None or isinstance(cell, str | bytes):
        return cell
    try:
        return jsontext.dumps(_plain(cell))
    except (TypeError, ValueError) as error:
        raise _no_document(row, name, str(error)) from error
    except RecursionError as error:
        raise _no_document(row, name, "a value nested too deep for Python") from error


def _no_document(row: int, name: str, found: str) -> CellError:
    expected = "a value with a JSON form"
    return CellError(row=row, field=name, expected=expected, found=found, remedy="convert the value")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """numpy's scalars and arrays inside a document as Python's own; keys are text, json would write others as text."""
    if isinstance(value, np.generic | np.ndarray):
        items = value.tolist()
        return _plain(items) if value.dtype.kind == "O" else items
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"a dict with the key {wrong[0]!r}, which is no text")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def sparse_cells(cells: Sequence[Any], name: str) -> pa.Array:
    """A column of sparse vectors, ``list<struct<index: int64, value: float32 or float64>>``; None is null.

    Each cell is a dict ``{index: value}``, a dict ``{"indices": [...], "values": [...]}``, a sequence of
    ``(index, value)`` pairs or a one-row sparse matrix. Values that float32 cannot hold keep the column in float64,
    and so does a matrix of float64, as it does as a whole column.

    Raises:
        CellError: If a cell is none of these, an index is not an integer, or a value not a number, masked or so small
            that float32 makes it 0.
    """
    parts = [_sparse_parts(row, cell, name) for row, cell in enumerate(cells)]
    lengths = np.fromiter((len(index) for index, _ in parts), np.int64, count=len(parts))
    index = _joined([index for index, _ in parts], np.dtype(np.int64))
    value = _joined([value for _, value in parts], np.dtype(np.float64))
    with np.errstate(over="ignore"):
        narrow = value.astype(np.float32)
    lost = (narrow == 0) & (value != 0)
    if lost.any():
        entry = int(np.argmax(lost))
        row = int(np.searchsorted(np.cumsum(lengths), entry, side="right"))
        raise _sparse_error(row, name, "values that float32 tells from 0", repr(float(value[entry])))
    if not (has_double_rows(cells) or (np.isinf(narrow) & np.isfinite(value)).any()):
        value = narrow
    pairs = pa.StructArray.from_arrays([pa.array(index), pa.array(value)], names=["index", "value"])
    return list_column(lengths, pairs, _nulls(cells), small=True)


def has_double_rows(cells: Sequence[Any]) -> bool:
    """Whether some cell is an array or a sparse matrix of float64, which FLOAT is not made from without being asked."""
    kinds = {kind for kind in set(map(type, cells)) if kind.__module__ != "builtins"}
    return bool(kinds) and any(_is_double_row(cell) for cell in cells if type(cell) in kinds)


def _is_double_row(cell: Any) -> bool:
    if isinstance(cell, np.generic) or not getattr(cell, "shape", ()):
        return False
    dtype = getattr(cell, "dtype", None)
    if isinstance(dtype, np.dtype):
        return dtype.kind == "f" and dtype.itemsize == 8
    # Tensors have dtypes of their own: torch.float64.
    return str(dtype).endswith("float64")


def _joined(parts: list[np.ndarray], dtype: np.dtype[Any]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype, copy=False)


def _sparse_parts(row: int, cell: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    if cell is None:
        return np.zeros(0, np.int64), np.zeros(0, np.float64)
    if is_sparse_matrix(cell):
        return _matrix_parts(row, cell, name)
    if isinstance(cell, Mapping):
        index_key, value_key = (next((key for key in keys if key in cell), None) for keys in (_INDEX_KEYS, _VALUE_KEYS))
        indices, values = list(cell.keys()), list(cell.values())
        if len(cell) == 2 and index_key is not None and value_key is not None:
            indices, values = cell[index_key], cell[value_key]
    elif isinstance(cell, list | tuple) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in cell):
        indices, values = [pair[0] for pair in cell], [pair[1] for pair in cell]
    else:
        raise _sparse_error(row, name, "a sparse vector", type(cell).__name__)
    index, value = _indices(row, name, indices), _values(row, name, values)
    if len(index) != len(value):
        raise _sparse_error(row, name, "as many indices as values", f"{len(index)} and {len(value)}")
    return index, value


def _matrix_parts(row: int, cell: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    shape = tuple(cell.shape)
    if len(shape) == 2 and shape[0] != 1:
        raise _sparse_error(row, name, "a matrix of one row", f"shape {shape}")
    try:
        indptr, indices, data = compressed_rows(cell)
    except BrokenMatrixError as error:
        raise _sparse_error(row, name, error.expected, error.found) from error
    part = slice(int(indptr[0]), int(indptr[-1]))
    return _indices(row, name, indices[part]), _values(row, name, data[part])


def _indices(row: int, name: str, indices: Iterable[Any]) -> np.ndarray:
    if np.ma.is_masked(indices):
        raise _sparse_error(row, name, "integer indices", "a masked one")
    if isinstance(indices, np.ndarray) and indices.dtype.kind in "iu" and indices.ndim == 1:
        if len(indices) and int(indices.max()) > np.iinfo(np.int64).max:
            raise _sparse_error(row, name, "indices below 4294967295", str(indices.max()))
        return np.asarray(indices).astype(np.int64)
    # JSON has only text keys, so digits are an index as well.
    indices = [int(key) if isinstance(key, str) and key.isdecimal() else key for key in indices]
    wrong = [key for key in indices if not isinstance(key, int | np.integer) or isinstance(key, bool)]
    if wrong:
        raise _sparse_error(row, name, "integer indices", repr(wrong[0]))
    try:
        return np.fromiter(indices, np.int64, count=len(indices))
    except OverflowError as error:
        raise _sparse_error(row, name, "indices below 4294967295", repr(max(indices, key=abs))) from error


def _values(row: int, name: str, values: Iterable[Any]) -> np.ndarray:
    if np.ma.is_masked(values):
        raise _sparse_error(row, name, "numbers as values", "a masked one")
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu" and values.ndim == 1:
        return np.asarray(values).astype(np.float64)
    values = list(chain(values))
    wrong = [v for v in values if not isinstance(v, int | float | np.integer | np.floating) or isinstance(v, bool)]
    if wrong:
        raise _sparse_error(row, name, "numbers as values", repr(wrong[0]))
    return np.array(values, np.float64)


def _sparse_error(row: int, name: str, expected: str, found: str) -> CellError:
    remedy = "give {index: value}, pairs, or indices and values of one length"
    return CellError(row=row, field=name, expected=expected, found=found, remedy=remedy)
