"""Numbers of one Arrow type as numbers of another: exactly, or the positions of those that do not fit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts.base import buffer_values, null_mask
from headrace.ndarrays import numpy_dtype

__all__ = ["always_fits", "convert_numbers", "is_number", "number_note", "number_rule"]


def is_number(kind: pa.DataType) -> bool:
    """Whether the type is an integer or a float (decimals are not: they have no exact canonical layout)."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def number_note(source: pa.DataType, target: pa.DataType) -> str:
    """What a person should know when ``source`` numbers become ``target`` numbers."""
    if source == target or always_fits(source, target):
        return ""
    if pa.types.is_floating(source) and pa.types.is_floating(target):
        return f"{source} is narrowed to {target}: values are rounded, rows out of range are rejected"
    if pa.types.is_floating(source):
        return f"{source} becomes {target} where it is a whole number in range, other rows are rejected"
    return f"{source} becomes {target} where it fits exactly, other rows are rejected"


def number_rule(target: pa.DataType, source: pa.DataType) -> tuple[str, str]:
    """The ``expected`` and ``remedy`` of a refused number."""
    if pa.types.is_floating(target):
        if pa.types.is_floating(source):
            return f"a number within the range of {target}", "correct the value or use a DOUBLE field"
        return f"an integer that {target} holds exactly", "use a wider field or an integer one"
    low, high = _limits(target)
    kind = "a whole number" if pa.types.is_floating(source) else "an integer"
    return f"{kind} from {low} to {high}", "correct the value or use a wider field"


def always_fits(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether every number of type ``source`` is exactly a ``target``."""
    before, after = numpy_dtype(source), numpy_dtype(target)
    # numpy calls int64 to float64 safe; it is not exact beyond 2**53.
    wide = before.kind in "iu" and before.itemsize == 8 and after.kind == "f"
    return bool(np.can_cast(before, after, "safe")) and not wide


def _limits(integer: pa.DataType) -> tuple[int, int]:
    info = np.iinfo(numpy_dtype(integer))
    return int(info.min), int(info.max)


def convert_numbers(array: pa.Array, target: pa.DataType) -> tuple[pa.Array, np.ndarray | None]:
    """Numbers as ``target``, and the positions (int64, ascending) of those that do not fit, or None.

    Fitting means: the same number, but for float64 to a narrower float, where it means rounded and in range. Null
    values always fit. NaN and infinity stay what they are (whether a field may hold them is asked elsewhere).
    """
    source = array.type
    if source == target:
        return array, None
    if pa.types.is_float16(source):
        array = pc.cast(array, pa.float32())
        return convert_numbers(array, target)
    if always_fits(source, target):
        return pc.cast(array, target), None
    if pa.types.is_floating(source) and pa.types.is_floating(target):
        return _narrow(array, target)
    try:
        return pc.cast(array, target, safe=True), None
    except pa.ArrowInvalid:
        # At least one value is out of range by Arrow's rule, which is stricter than needed for integers
        # beyond 2**53 with trailing zero bits: look at each.
        return _replace(array, target, ~_fits(buffer_values(array), target))


def _narrow(array: pa.Array, target: pa.DataType) -> tuple[pa.Array, np.ndarray | None]:
    values = buffer_values(array)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = values.astype(numpy_dtype(target))
    infinite = np.isinf(narrow)
    if infinite.any():
        overflown = infinite & np.isfinite(values)
        if overflown.any():
            return _replace(array, target, overflown)
    return pa.array(narrow, mask=null_mask(array)), None


def _fits(values: np.ndarray, target: pa.DataType) -> np.ndarray:
    if pa.types.is_floating(target):
        return _exact_as_float(values, np.finfo(numpy_dtype(target)).nmant + 1)
    low, high = _limits(target)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return np.asarray((values >= float(low)) & (values < float(high + 1)) & (np.trunc(values) == values))
    own = np.iinfo(values.dtype)
    return np.asarray((values >= max(low, int(own.min))) & (values <= min(high, int(own.max))))


def _exact_as_float(values: np.ndarray, bits: int) -> np.ndarray:
    """Which integers a float with ``bits`` significant bits holds: those whose odd part has no more bits."""
    if values.dtype.kind == "i":
        wide = values.astype(np.int64).view(np.uint64)
        magnitude = np.where(values < 0, ~wide + np.uint64(1), wide)
    else:
        magnitude = values.astype(np.uint64)
    lowest = magnitude & (~magnitude + np.uint64(1))
    odd = magnitude // np.maximum(lowest, np.uint64(1))
    return np.asarray(odd < np.uint64(1 << bits))


def _replace(array: pa.Array, target: pa.DataType, bad: np.ndarray) -> tuple[pa.Array, np.ndarray | None]:
    """Convert with zero in place of what does not fit."""
    nulls = null_mask(array)
    if nulls is not None:
        bad = bad & ~nulls
    hidden = bad if nulls is None else bad | nulls
    values = np.where(hidden, numpy_dtype(array.type).type(0), buffer_values(array))
    converted = pa.array(values.astype(numpy_dtype(target)), mask=nulls)
    positions = np.flatnonzero(bad)
    return converted, positions if len(positions) else None
