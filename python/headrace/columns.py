"""Whatever holds a column or a batch becomes Arrow, without a copy where the memory allows.

No copy: contiguous numpy arrays in the machine's byte order (bool and strings excepted, Arrow lays them out
differently), CSR matrices with int32 or int64 ``indptr``, Arrow data in one piece. One copy: other memory orders,
Arrow data in several pieces. The producer's buffer is kept alive by the result; nothing is ever written to it.
"""

from __future__ import annotations

import array as stdlib_array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.casts import canonical_type, find_cast
from headrace.cells import cells_to_array, is_csr, json_cells, sparse_cells
from headrace.errors import SchemaError, explain
from headrace.schema import DYNAMIC_FIELD_NAME, CollectionSchema, DataType, FieldSchema

__all__ = ["canonical_type", "is_frame", "is_row", "pandas_table", "row_columns", "to_array", "to_batch"]

#: numpy kinds that Arrow can hold: bool, integers, floats, text, bytes, objects, dates, durations, numpy 2 strings.
_KINDS = frozenset("biufSUOMmT")
_CSR_INDEX = frozenset({"int32", "int64", "uint32", "uint64"})


def to_array(value: object, field: FieldSchema | None = None, *, name: str | None = None) -> pa.Array:
    """One column as an Arrow array.

    Args:
        value: A numpy array, shape (n,) or (n, d); a CSR matrix of n rows; an Arrow array or chunked array, or
            anything with ``__arrow_c_array__``, ``__arrow_c_stream__`` or ``__array__``; a list of Python values.
        field: What the column is for. Where its type can be reached without loss (for plain Python values: with
            the values as they are), the result has it; else the column keeps its own type.
        name: The column's name for messages; by default the field's.

    Returns:
        (n, d) becomes ``fixed_size_list[d]``, CSR becomes ``list|large_list<struct<index, value>>``.

    Raises:
        SchemaError: If the value is no column.
        CellError: If one Python value does not go with the others.
    """
    label = name if name is not None else "column" if field is None else field.name
    if _is_cells(value):
        return _from_cells(list(value), field, label)  # type: ignore[call-overload]
    return _fitted(_from_typed(value, label), field, by_value=False)


def _is_cells(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "O" and value.ndim == 1 and not isinstance(value, np.ma.MaskedArray)
    return isinstance(value, list | tuple | range)


def _from_cells(cells: list[Any], field: FieldSchema | None, name: str) -> pa.Array:
    if field is not None and field.dtype is DataType.JSON:
        return json_cells(cells, name)
    if field is not None and field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return sparse_cells(cells, name)
    return _fitted(cells_to_array(cells, name), field, by_value=True)


def _fitted(array: pa.Array, field: FieldSchema | None, *, by_value: bool) -> pa.Array:
    if field is None:
        return array
    try:
        cast = find_cast(array.type, field)
    except SchemaError:
        # Whoever asks for exactly this field says so, with the source's own words.
        return array
    if cast.run is None or not (cast.lossless or by_value):
        return array
    converted, refused = cast.run(array)
    return array if refused else converted


def _from_typed(value: object, name: str) -> pa.Array:
    if isinstance(value, pa.Array):
        return value
    if isinstance(value, pa.ChunkedArray):
        return _one_piece(value, name)
    if is_csr(value):
        return _from_csr(value, name)
    if hasattr(value, "tocsr"):
        return _from_csr(value.tocsr(), name)
    if isinstance(value, np.ndarray):
        return _from_numpy(value, name)
    if hasattr(value, "__arrow_c_array__"):
        return pa.array(value)
    if _root_module(value) == "pandas":
        return _one_piece(pa.array(value, from_pandas=True), name)
    if hasattr(value, "__arrow_c_stream__"):
        return _one_piece(pa.chunked_array(value), name)
    if hasattr(value, "__array__") or isinstance(value, stdlib_array.array | memoryview):
        return _from_numpy(np.asarray(value), name)
    raise _no_column(name, type(value).__name__)


def _no_column(name: str, found: str) -> SchemaError:
    expected = "a column (numpy array, CSR matrix, Arrow array or list)"
    return SchemaError(explain(f"column {name!r}", expected, found, "give one value for each row"), field=name)


def _root_module(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _one_piece(value: pa.Array | pa.ChunkedArray, name: str) -> pa.Array:
    if not isinstance(value, pa.ChunkedArray):
        return value
    whole = value.chunk(0) if value.num_chunks == 1 else value.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        if whole.num_chunks == 1:
            return whole.chunk(0)
        found = f"{value.nbytes} bytes in {whole.num_chunks} pieces"
        raise SchemaError(
            explain(f"column {name!r}", "a column that fits one Arrow array", found, "give it in batches"), field=name
        )
    return whole


def _from_numpy(value: np.ndarray, name: str) -> pa.Array:
    if value.dtype.kind not in _KINDS or (value.dtype.kind == "f" and value.dtype.itemsize > 8):
        remedy = "convert it with .astype() to a type that a field can have"
        raise SchemaError(
            explain(f"column {name!r}", "an array of numbers, bools or text", f"dtype {value.dtype}", remedy),
            field=name,
        )
    if value.ndim not in (1, 2) or (value.ndim == 2 and value.shape[1] == 0):
        remedy = "give shape (n,) for scalars or (n, d) for vectors"
        raise SchemaError(
            explain(f"column {name!r}", "an array of one or two dimensions", f"shape {value.shape}", remedy), field=name
        )
    masked = isinstance(value, np.ma.MaskedArray)
    flat = np.ma.ravel(value) if masked else _native(np.asarray(value)).reshape(-1)
    if value.dtype.kind == "T":
        flat = flat.astype(object)
    try:
        values = pa.array(flat)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _no_column(name, f"dtype {value.dtype} ({error})") from error
    if value.ndim == 1:
        return values
    kind = pa.list_(values.type, value.shape[1])
    return pa.Array.from_buffers(kind, value.shape[0], [None], 0, 0, [values])


def _native(value: np.ndarray) -> np.ndarray:
    """The array in C order, aligned and in this machine's byte order; itself where it already is."""
    dtype = value.dtype if value.dtype.isnative else value.dtype.newbyteorder("=")
    return np.require(value, dtype=dtype, requirements=["C", "A"])


def _from_csr(matrix: Any, name: str) -> pa.Array:
    if len(tuple(matrix.shape)) != 2:
        found = f"shape {tuple(matrix.shape)}"
        raise SchemaError(
            explain(f"column {name!r}", "a sparse matrix of shape (rows, dim)", found, "give a row for each row"),
            field=name,
        )
    indptr, indices, data = (_native(np.asarray(part)) for part in (matrix.indptr, matrix.indices, matrix.data))
    problem = _csr_problem(matrix.shape[0], indptr, indices, data)
    if problem:
        expected, found = problem
        raise SchemaError(explain(f"column {name!r}", expected, found, "build the CSR matrix again"), field=name)
    if indices.dtype.name not in _CSR_INDEX:
        indices = indices.astype(np.int64)
    if data.dtype != np.float32 and np.can_cast(data.dtype, np.float32, "safe"):
        data = data.astype(np.float32)
    pairs = pa.StructArray.from_arrays([pa.array(indices), pa.array(data)], names=["index", "value"])
    if indptr.dtype == np.int32:
        return pa.ListArray.from_arrays(pa.array(indptr), pairs)
    return pa.LargeListArray.from_arrays(pa.array(indptr.astype(np.int64, copy=False)), pairs)


def _csr_problem(rows: int, indptr: np.ndarray, indices: np.ndarray, data: np.ndarray) -> tuple[str, str] | None:
    """Why these are not the parts of a CSR matrix: Arrow would read outside the arrays if they are not."""
    if any(part.ndim != 1 for part in (indptr, indices, data)):
        return "one-dimensional indptr, indices and data", f"{indptr.ndim}, {indices.ndim} and {data.ndim} dimensions"
    if indptr.dtype.kind not in "iu" or indices.dtype.kind not in "iu":
        return "integer indptr and indices", f"{indptr.dtype} and {indices.dtype}"
    if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8:
        return "real numbers as data", f"dtype {data.dtype}"
    if len(indptr) != rows + 1:
        return f"{rows + 1} values in indptr for {rows} rows", f"{len(indptr)}"
    if len(indices) != len(data):
        return "as many indices as data", f"{len(indices)} and {len(data)}"
    if indptr[0] < 0 or indptr[-1] > len(indices) or (indptr[1:] < indptr[:-1]).any():
        return f"indptr ascending from 0 to at most {len(indices)}", f"{int(indptr[0])} to {int(indptr[-1])}"
    return None


def is_row(value: object) -> bool:
    """Whether a mapping is one row: some value is a scalar, which no column can be."""
    return isinstance(value, Mapping) and any(
        item is None or isinstance(item, str | bytes | int | float | np.generic) for item in value.values()
    )


def is_frame(value: object) -> bool:
    """Whether it is a table of its own: Arrow data, or a data frame that gives some."""
    return isinstance(value, pa.RecordBatch | pa.Table) or (
        not isinstance(value, pa.Array | pa.ChunkedArray)
        and (hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__") or _is_pandas_frame(value))
    )


def _is_pandas_frame(value: object) -> bool:
    return _root_module(value) == "pandas" and type(value).__name__ == "DataFrame"


def to_batch(data: object, schema: CollectionSchema | None = None) -> pa.RecordBatch:
    """A batch of columns or rows as one record batch.

    Args:
        data: A dict of columns (each as :func:`to_array` takes them), a list of dicts (a key that a row lacks is
            null), a RecordBatch or Table, or a frame that gives Arrow data.
        schema: The collection that the batch is for; guides each column as in :func:`to_array`. Arrow data and
            frames stay as they are.

    Raises:
        SchemaError: If the columns have different lengths (compared before anything else), or are no columns.
        CellError: If one Python value does not go with the others.
    """
    if isinstance(data, Mapping):
        return _from_columns(data, schema)
    if isinstance(data, pa.RecordBatch):
        return data
    if is_frame(data):
        return _from_frame(data)
    if isinstance(data, list | tuple):
        return _from_columns(row_columns(data), schema, rows=len(data))
    found = type(data).__name__
    raise SchemaError(explain("batch", "a dict of columns, a list of dicts or Arrow data", found, "give one of them"))


def pandas_table(frame: Any) -> pa.Table:
    """A pandas DataFrame as a table, without its index.

    Raises:
        SchemaError: If a column holds values of several types.
    """
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        found = str(error.args[-1] if error.args else error)
        raise SchemaError(
            explain("pandas.DataFrame", "columns of one type each", found, "convert the column")
        ) from error


def _from_frame(data: Any) -> pa.RecordBatch:
    if _is_pandas_frame(data):
        data = pandas_table(data)
    elif hasattr(data, "__arrow_c_array__") and not isinstance(data, pa.Table):
        return pa.record_batch(data)
    table = data if isinstance(data, pa.Table) else pa.table(data)
    columns = [_one_piece(column, name) for name, column in zip(table.column_names, table.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def row_columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """Rows as columns, in order of first appearance; a key that a row lacks is None.

    Raises:
        SchemaError: If a row is no dict with text keys.
    """
    columns: dict[str, list[Any]] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or not all(isinstance(key, str) for key in row):
            found = type(row).__name__ if not isinstance(row, Mapping) else "a dict with keys that are no text"
            raise SchemaError(
                explain(f"row {number}", "a dict of column names and values", found, "give one dict a row")
            )
        for key in row:
            if key not in columns:
                columns[key] = [None] * len(rows)
            columns[key][number] = row[key]
    return columns


def _from_columns(
    data: Mapping[str, object], schema: CollectionSchema | None, rows: int | None = None
) -> pa.RecordBatch:
    _check_lengths(data)
    fields = _guides(schema)
    arrays = [to_array(value, fields.get(str(name).casefold()), name=str(name)) for name, value in data.items()]
    if not arrays and schema is not None and not rows:
        return pa.RecordBatch.from_pylist([], _empty_schema(schema))
    return pa.RecordBatch.from_arrays(arrays, names=[str(name) for name in data])


def _guides(schema: CollectionSchema | None) -> dict[str, FieldSchema]:
    return {} if schema is None else {field.name.casefold(): field for field in schema.sent_fields}


def _empty_schema(schema: CollectionSchema) -> pa.Schema:
    sent = [field for field in schema.sent_fields if field.name != DYNAMIC_FIELD_NAME]
    return pa.schema([(field.name, canonical_type(field)) for field in sent])


def _check_lengths(data: Mapping[str, object]) -> None:
    first: tuple[str, int] | None = None
    for name, value in data.items():
        length = _length(value, str(name))
        if first is None:
            first = (str(name), length)
        elif length != first[1]:
            found = f"{first[1]} in {first[0]!r} and {length} in {name!r}"
            raise SchemaError(
                explain("columns", "the same number of rows in each", found, "give one value for each row"),
                field=str(name),
            )


def _length(value: object, name: str) -> int:
    shape = getattr(value, "shape", None)
    if shape is not None and not isinstance(value, pa.Array | pa.ChunkedArray):
        if len(tuple(shape)) == 0:
            raise _no_column(name, f"a single value ({value!r})")
        return int(shape[0])
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        raise _no_column(name, type(value).__name__)
    return len(value)
