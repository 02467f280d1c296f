"""Whatever holds a column or a batch becomes Arrow, without a copy where the memory allows.

No copy: contiguous numpy arrays in the machine's byte order (bool and strings excepted, Arrow lays them out
differently), CSR matrices with int32 or int64 ``indptr``, Arrow data in one piece. One copy: other memory orders,
other sparse formats, Arrow data in several pieces. The producer's buffer is kept alive by the result; nothing is ever
written to it.
"""

from __future__ import annotations

import array as stdlib_array
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from headrace import _core
from headrace.casts import canonical_type, find_cast, packs_as_is
from headrace.casts.joining import joined
from headrace.cells import cells_to_array, checked_times, has_double_rows, json_cells, sparse_cells
from headrace.errors import CellError, SchemaError, explain
from headrace.matrices import BrokenMatrixError, is_sparse_matrix, matrix_column
from headrace.ndarrays import from_numpy
from headrace.schema import DYNAMIC_FIELD_NAME, CollectionSchema, DataType, FieldSchema
from headrace.tensors import from_tensor, is_tensor

__all__ = ["canonical_type", "is_frame", "is_row", "pandas_table", "row_columns", "to_array", "to_batch"]


def to_array(
    value: object, field: FieldSchema | None = None, *, name: str | None = None, strict: bool = False
) -> pa.Array:
    """One column as an Arrow array.

    Args:
        value: A numpy array, shape (n,) or (n, d); a sparse matrix of n rows; an Arrow array or chunked array, or
            anything with ``__arrow_c_array__``, ``__arrow_c_stream__``, ``__array__`` or ``__dlpack__``; a list of
            Python values.
        field: What the column is for. A layout that is packed as it is stays; another becomes one where that loses
            nothing; else the column keeps its own type. Of Python values, where every one fits the field: integers and
            text keep their values, Python floats are rounded to the nearest FLOAT (they have no narrower type to say
            what is meant), while rows that are arrays or matrices of float64 are no more rounded than a whole one.
        name: The column's name for messages; by default the field's.
        strict: Whether a Python value that does not fit the field is an error at once. Else the column keeps its own
            type, for a load to set aside the rows that do not fit and to go on with the others.

    Returns:
        (n, d) becomes ``fixed_size_list[d]``, a sparse matrix ``list|large_list<struct<index, value>>``. Masked
        elements are null, and in pandas NaN and NaT are, which is how it says that nothing is there; NaN anywhere
        else stays, for the packer to refuse.

    Raises:
        SchemaError: If the value is no column.
        CellError: If one Python value does not go with the others, or would become another one; with ``strict`` for
            the first one that does not fit the field.
    """
    label = name if name is not None else "column" if field is None else field.name
    if _is_cells(value):
        return _from_cells(list(value), field, label, strict=strict)  # type: ignore[call-overload]
    return _fitted(_from_typed(value, label), field, by_value=False, strict=False)


def _is_cells(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "O" and value.ndim == 1 and not isinstance(value, np.ma.MaskedArray)
    return isinstance(value, list | tuple | range)


def _from_cells(cells: list[Any], field: FieldSchema | None, name: str, *, strict: bool) -> pa.Array:
    if field is not None and field.dtype is DataType.JSON:
        return json_cells(cells, name)
    if field is not None and field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return sparse_cells(cells, name)
    if field is not None and field.dtype is DataType.FLOAT_VECTOR and field.dim:
        # What people have most, ten times as fast; whatever is not just that is looked at with care.
        packed = _core.float_rows(cells, field.dim)
        if packed is not None:
            values = pa.Array.from_buffers(pa.float32(), len(cells) * field.dim, [None, pa.py_buffer(packed)])
            return pa.FixedSizeListArray.from_arrays(values, field.dim)
    array = cells_to_array(cells, name)
    doubles = array.type.num_fields == 1 and array.type.field(0).type == pa.float64()
    return _fitted(array, field, by_value=not (doubles and has_double_rows(cells)), strict=strict)


def _fitted(array: pa.Array, field: FieldSchema | None, *, by_value: bool, strict: bool) -> pa.Array:
    if field is None or (packs_as_is(array.type, field) and not by_value):
        return array
    try:
        cast = find_cast(array.type, field)
    except SchemaError:
        # Whoever asks for exactly this field says so, with the source's own words.
        return array
    if cast.run is None or not (cast.lossless or by_value):
        return array
    converted, refused = cast.run(array)
    if refused and strict:
        first = min(refused, key=lambda refusal: refusal.row)
        raise CellError(**asdict(first))
    return array if refused else converted


def _from_typed(value: object, name: str) -> pa.Array:
    if isinstance(value, pa.Array):
        return value
    if isinstance(value, pa.ChunkedArray):
        return _one_piece(value, name)
    if is_sparse_matrix(value):
        return _from_matrix(value, name)
    if isinstance(value, np.ndarray):
        return from_numpy(value, name)
    if is_tensor(value):
        return from_tensor(value, name)
    if hasattr(value, "__arrow_c_array__"):
        return pa.array(value)
    if _root_module(value) == "pandas":
        return _one_piece(_from_pandas(value, name), name)
    if hasattr(value, "__arrow_c_stream__"):
        return _one_piece(pa.chunked_array(value), name)
    if hasattr(value, "__array__") or isinstance(value, stdlib_array.array | memoryview):
        return from_numpy(_as_numpy(value, name), name)
    if hasattr(value, "__dlpack__"):
        return from_numpy(_from_dlpack(value, name), name)
    raise _no_column(name, type(value).__name__)


def _from_pandas(value: Any, name: str) -> pa.Array | pa.ChunkedArray:
    dtype = getattr(value, "dtype", None)
    if isinstance(dtype, np.dtype) and not dtype.isnative:
        value = value.astype(dtype.newbyteorder("="))
    elif isinstance(dtype, np.dtype) and dtype.kind == "O":
        checked_times(value, name)
    if hasattr(value, "dtype") and (special := _unlike_arrow(value)) is not None:
        return special
    try:
        return pa.array(value, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        expected, found = "a column of one type", f"{type(value).__name__} of dtype {dtype} ({error})"
        raise SchemaError(
            explain(f"column {name!r}", expected, found, "convert it with .astype()"), field=name
        ) from error


def _as_numpy(value: Any, name: str) -> np.ndarray:
    try:
        return np.asanyarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        # Whoever has the array is no numpy, and says by itself what it does not give.
        raise _no_column(name, f"{type(value).__name__} ({error})") from error


def _from_dlpack(value: Any, name: str) -> np.ndarray:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        expected, found = "a column on the CPU, of a type that numpy has", f"{type(value).__name__} ({error})"
        remedy = "copy it to the CPU, and convert it to float32"
        raise SchemaError(explain(f"column {name!r}", expected, found, remedy), field=name) from error


def _no_column(name: str, found: str) -> SchemaError:
    expected = "a column (numpy array, sparse matrix, Arrow array or list)"
    return SchemaError(explain(f"column {name!r}", expected, found, "give one value for each row"), field=name)


def _root_module(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _one_piece(value: pa.Array | pa.ChunkedArray, name: str) -> pa.Array:
    if not isinstance(value, pa.ChunkedArray):
        return value
    filled = [chunk for chunk in value.chunks if len(chunk)]
    if len(filled) == 1:
        return filled[0]
    whole = _combined(value, name)
    if isinstance(whole, pa.ChunkedArray):
        if whole.num_chunks == 1:
            return whole.chunk(0)
        found = f"{value.nbytes} bytes in {whole.num_chunks} pieces"
        raise SchemaError(
            explain(f"column {name!r}", "a column that fits one Arrow array", found, "give it in batches"), field=name
        )
    return whole


def _combined(value: pa.ChunkedArray, name: str) -> pa.Array | pa.ChunkedArray:
    if pa.types.is_dictionary(value.type) and pa.types.is_floating(value.type.value_type):
        # Arrow makes one of the pieces' dictionaries, and takes -0.0 for 0.0.
        value = value.cast(value.type.value_type)
    try:
        return value.combine_chunks()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        pass
    try:
        return joined(value.chunks)
    except pa.ArrowException as error:
        expected, found = "pieces that Arrow can join", f"{value.num_chunks} pieces of {value.type} ({error})"
        raise SchemaError(explain(f"column {name!r}", expected, found, "give it in batches"), field=name) from error


def _from_matrix(matrix: Any, name: str) -> pa.Array:
    try:
        return matrix_column(matrix)
    except BrokenMatrixError as error:
        expected, found, remedy = error.expected, error.found, "build the sparse matrix again"
        if error.row is not None:
            raise CellError(row=error.row, field=name, expected=expected, found=found, remedy=remedy) from error
        raise SchemaError(explain(f"column {name!r}", expected, found, remedy), field=name) from error


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


def to_batch(data: object, schema: CollectionSchema | None = None, *, strict: bool = False) -> pa.RecordBatch:
    """A batch of columns or rows as one record batch.

    Args:
        data: A dict of columns (each as :func:`to_array` takes them), a list of dicts (a key that a row lacks is
            null), a RecordBatch or Table, or a frame that gives Arrow data.
        schema: The collection that the batch is for; guides each column as in :func:`to_array`. Arrow data and
            frames stay as they are.
        strict: As in :func:`to_array`.

    Raises:
        SchemaError: If the columns have different lengths (compared before anything else), or are no columns.
        CellError: As :func:`to_array`.
    """
    if isinstance(data, Mapping):
        return _from_columns(data, schema, strict=strict)
    if isinstance(data, pa.RecordBatch):
        return data
    if is_frame(data):
        return _from_frame(data)
    if isinstance(data, list | tuple):
        return _from_columns(row_columns(data), schema, rows=len(data), strict=strict)
    found = type(data).__name__
    raise SchemaError(explain("batch", "a dict of columns, a list of dicts or Arrow data", found, "give one of them"))


def pandas_table(frame: Any) -> pa.Table:
    """A pandas DataFrame as a table; its index becomes a column where it has a name that no column has.

    Raises:
        SchemaError: If a column holds values of several types.
    """
    named = [name for name in frame.index.names if isinstance(name, str) and name not in frame.columns]
    if named:
        frame = frame.reset_index(level=named)
    special = [(place, _unlike_arrow(frame.iloc[:, place])) for place in range(frame.shape[1])]
    special = [(place, array) for place, array in special if array is not None]
    try:
        others = [place for place in range(frame.shape[1]) if place not in dict(special)]
        table = pa.Table.from_pandas(frame.iloc[:, others], preserve_index=False)
        for place, array in special:
            table = table.add_column(place, str(frame.columns[place]), array)
    except (pa.ArrowException, TypeError, ValueError) as error:
        found = ": ".join(str(part) for part in reversed(error.args)) or str(error)
        raise SchemaError(
            explain("pandas.DataFrame", "columns of one type each", found, "convert the column")
        ) from error
    return table


def _unlike_arrow(series: Any) -> pa.Array | None:
    """What Arrow makes something else of: objects with other keys in each row, periods (as text); None for the rest."""
    if str(series.dtype).startswith("period["):
        return pa.array(series.astype("string"))
    if series.dtype != object:
        return None
    # NaN is how pandas says that nothing is there.
    cells = [None if isinstance(cell, float) and np.isnan(cell) else cell for cell in series]
    is_document = isinstance(next((cell for cell in cells if cell is not None), None), Mapping)
    return cells_to_array(cells, str(series.name)) if is_document else None


def _from_frame(data: Any) -> pa.RecordBatch:
    if _is_pandas_frame(data):
        data = pandas_table(data)
    elif hasattr(data, "__arrow_c_array__") and not isinstance(data, pa.Table):
        return pa.record_batch(data)
    table = data if isinstance(data, pa.Table) else pa.table(data)
    columns = [_one_piece(column, name) for name, column in zip(table.column_names, table.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=table.column_names)


def row_columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """Rows as columns, in order of first appearance; a key that a row lacks is None.

    Raises:
        SchemaError: If a row is no dict with text keys.
    """
    alike = _columns_of_like_rows(rows)
    if alike is not None:
        return alike
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


def _columns_of_like_rows(rows: Sequence[Any]) -> dict[str, list[Any]] | None:
    """The columns of dicts that all have the first one's keys, several times as fast; None where they are others."""
    if not rows or set(map(type, rows)) != {dict} or not all(isinstance(key, str) for key in rows[0]):
        return None
    if sum(map(len, rows)) != len(rows) * len(rows[0]):
        return None
    try:
        return {key: [row[key] for row in rows] for key in rows[0]}
    except KeyError:
        return None


def _from_columns(
    data: Mapping[str, object], schema: CollectionSchema | None, rows: int | None = None, *, strict: bool
) -> pa.RecordBatch:
    _check_lengths(data)
    fields = _guides(schema)
    arrays = [
        to_array(value, fields.get(str(name).casefold()), name=str(name), strict=strict) for name, value in data.items()
    ]
    if not arrays and schema is not None and not rows:
        return pa.RecordBatch.from_pylist([], _empty_schema(schema))
    return pa.RecordBatch.from_arrays(arrays, names=[str(name) for name in data])


def _guides(schema: CollectionSchema | None) -> dict[str, FieldSchema]:
    return {} if schema is None else {field.name.casefold(): field for field in (*schema, *schema.sent_fields)}


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
        return 1 if len(tuple(shape)) == 1 and is_sparse_matrix(value) else int(shape[0])
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        raise _no_column(name, type(value).__name__)
    return len(value)
