"""numpy arrays as Arrow columns: on the same memory where Arrow lays values out alike, else with one copy.

bfloat16 is ml_dtypes' (JAX, TensorFlow): known by the name of its dtype, so that ml_dtypes need not be installed; what
others give is seen as :data:`BFLOAT16`. In Arrow its values are ``fixed_size_binary[2]``, which nothing else is taken
for.
"""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa

from headrace.errors import SchemaError, explain

__all__ = [
    "BFLOAT16",
    "bfloat16_numbers",
    "bfloat16_values",
    "from_numpy",
    "is_bfloat16",
    "list_column",
    "native",
    "numpy_dtype",
    "plain_values",
    "vector_bytes",
    "widened",
]

#: bfloat16 by its bits, for whoever has it without ml_dtypes: PyTorch, files.
BFLOAT16 = np.dtype([("bfloat16", "u2")])
#: numpy kinds that Arrow can hold: bool, integers, floats, text, bytes, objects, dates, durations, numpy 2 strings.
_KINDS = frozenset("biufSUOMmT")
#: numpy's names where Arrow's differ.
_FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}


def numpy_dtype(kind: pa.DataType) -> np.dtype:
    """The dtype of an Arrow type of integers or floats."""
    # Not to_pandas_dtype(): in pyarrow 16 that imports pandas.
    return np.dtype(_FLOATS.get(str(kind), str(kind)))


def native(value: np.ndarray) -> np.ndarray:
    """The array in C order, aligned and in this machine's byte order; itself where it already is."""
    dtype = value.dtype if value.dtype.isnative else value.dtype.newbyteorder("=")
    return np.require(value, dtype=dtype, requirements=["C", "A"])


def plain_values(value: np.ndarray) -> np.ndarray:
    """The array as pyarrow reads it right: :func:`native`, times in whole units, text with its NULs.

    pyarrow drops the multiplier of a unit (``M8[2s]``) and cuts text and bytes at the first NUL.

    Raises:
        ValueError: If a time has no 64-bit number of the whole unit.
    """
    value = native(value)
    if value.dtype.kind in "mM":
        return _whole_units(value)
    if value.dtype.kind == "T" or _has_inner_nul(value):
        return value.astype(object)
    return value


def _whole_units(value: np.ndarray) -> np.ndarray:
    unit, count = np.datetime_data(value.dtype)
    if count == 1:
        return value
    most = np.iinfo(np.int64).max // count
    numbers = value.view(np.int64)
    if (~np.isnat(value) & ((numbers > most) | (numbers < -most))).any():
        raise ValueError(f"times that 64 bits of {unit} do not hold")
    whole: np.ndarray = value.astype(f"{value.dtype.kind}8[{unit}]")
    return whole


def _has_inner_nul(value: np.ndarray) -> bool:
    """Whether a text or bytes value goes on after a NUL; those at the end are numpy's padding."""
    if value.dtype.kind not in "US":
        return False
    code = np.dtype("u4" if value.dtype.kind == "U" else "u1")
    length = value.dtype.itemsize // code.itemsize
    if length < 2:
        return False
    codes = value.reshape(-1).view(code).reshape(-1, length)
    return bool(((codes[:, :-1] == 0) & (codes[:, 1:] != 0)).any())


def is_bfloat16(dtype: np.dtype) -> bool:
    """Whether it is ml_dtypes' bfloat16, or :data:`BFLOAT16`."""
    return dtype.kind == "V" and (dtype.name == "bfloat16" or dtype == BFLOAT16)


def bfloat16_values(value: np.ndarray) -> pa.Array:
    """The elements of a bfloat16 array in C order, as ``fixed_size_binary[2]``; masked ones are null."""
    flat = _patterns(value)
    valid = None if not np.ma.is_masked(value) else pa.array(~np.ma.getmaskarray(value).reshape(-1)).buffers()[1]
    return pa.Array.from_buffers(pa.binary(2), len(flat), [valid, pa.py_buffer(flat)])


def bfloat16_numbers(value: np.ndarray) -> np.ndarray:
    """A bfloat16 array as float32 of the same values, shape and mask."""
    wide = widened(_patterns(value)).reshape(value.shape)
    return np.ma.array(wide, mask=np.ma.getmaskarray(value)) if np.ma.is_masked(value) else wide


def _patterns(value: np.ndarray) -> np.ndarray:
    """The bits of a bfloat16 array in C order, as uint16 of shape (n,); on the same memory where it lies so."""
    order = "=" if value.dtype.isnative else ">" if sys.byteorder == "little" else "<"
    return native(np.ascontiguousarray(np.asarray(value)).view(f"{order}u2")).reshape(-1)


def from_numpy(value: np.ndarray, name: str) -> pa.Array:
    """A column of shape (n,), or of shape (n, d) as ``fixed_size_list[d]``; masked values are null.

    bfloat16 of shape (n,) becomes float32, which holds its values.

    Raises:
        SchemaError: If Arrow has no such values, or the array has another number of dimensions.
    """
    small = is_bfloat16(value.dtype)
    if not small and (value.dtype.kind not in _KINDS or (value.dtype.kind == "f" and value.dtype.itemsize > 8)):
        remedy = "convert it with .astype() to a type that a field can have"
        raise _error(name, "an array of numbers, bools or text", f"dtype {value.dtype}", remedy)
    if value.ndim not in (1, 2) or (value.ndim == 2 and value.shape[1] == 0):
        remedy = "give shape (n,) for scalars or (n, d) for vectors"
        raise _error(name, "an array of one or two dimensions", f"shape {value.shape}", remedy)
    if small and value.ndim == 1:
        value = bfloat16_numbers(value)
    values = bfloat16_values(value) if small and value.ndim == 2 else _flat(value, name)
    if value.ndim == 1:
        return values
    kind = pa.list_(values.type, value.shape[1])
    return pa.Array.from_buffers(kind, value.shape[0], [None], 0, 0, [values])


def list_column(lengths: np.ndarray, values: pa.Array, nulls: np.ndarray | None, *, small: bool = False) -> pa.Array:
    """A column of lists that follow one another in ``values``; no value is copied.

    Args:
        lengths: How many values each row has (int64, shape (n,)); of a null row 0.
        values: The rows' values.
        nulls: Which rows are null (bool, shape (n,)), or None where none is.
        small: Make ``list`` instead of ``large_list`` where there are few enough values.
    """
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    # A null offset makes its row null.
    mask = None if nulls is None or not nulls.any() else np.append(nulls, [False])
    if small and offsets[-1] <= np.iinfo(np.int32).max:
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32), mask=mask), values)
    return pa.LargeListArray.from_arrays(pa.array(offsets, mask=mask), values)


def vector_bytes(column: pa.Array) -> np.ndarray:
    """The memory of dense vectors, ``fixed_size_list`` of numbers or ``fixed_size_binary``, without a copy.

    Returns:
        uint8 of shape (rows, bytes of a vector), read only; anything at all where a row is null.
    """
    kind, values, first = column.type, column, column.offset
    if pa.types.is_fixed_size_binary(kind):
        width = item = kind.byte_width
    else:
        item = kind.value_type.bit_width // 8
        width = kind.list_size * item
        values = column.values
        first = column.offset * kind.list_size + values.offset
    data = values.buffers()[1]
    if data is None or not len(column):
        return np.zeros((len(column), width), np.uint8)
    return np.frombuffer(data, np.uint8, count=len(column) * width, offset=first * item).reshape(len(column), width)


def widened(patterns: np.ndarray) -> np.ndarray:
    """bfloat16, given as uint16, as float32 of the same values: it is the upper half of one."""
    wide: np.ndarray = (patterns.astype(np.uint32) << 16).view(np.float32)
    return wide


def _flat(value: np.ndarray, name: str) -> pa.Array:
    mask = np.ma.getmaskarray(value).reshape(-1) if np.ma.is_masked(value) else None
    try:
        return pa.array(plain_values(np.asarray(value)).reshape(-1), mask=mask)
    except (pa.ArrowException, TypeError, ValueError) as error:
        expected, remedy = "an array of numbers, bools or text", "convert it with .astype() to one type"
        raise _error(name, expected, f"dtype {value.dtype} ({error})", remedy) from error


def _error(name: str, expected: str, found: str, remedy: str) -> SchemaError:
    return SchemaError(explain(f"column {name!r}", expected, found, remedy), field=name)
