"""Casts to scalar and JSON fields, and what all casts share.

Nothing here works row by row but the way to JSON and the wording of refusals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts import jsontext
from headrace.errors import SchemaError, explain
from headrace.schema import DataType, FieldSchema

__all__ = [
    "Cast",
    "Refusal",
    "Run",
    "always_fits",
    "buffer_values",
    "canonical_type",
    "convert_numbers",
    "is_number",
    "json_text",
    "misfit",
    "null_mask",
    "number_note",
    "number_rule",
    "scalar_cast",
    "type_text",
]

_SCALARS: dict[DataType, pa.DataType] = {
    DataType.BOOL: pa.bool_(),
    DataType.INT8: pa.int8(),
    DataType.INT16: pa.int16(),
    DataType.INT32: pa.int32(),
    DataType.INT64: pa.int64(),
    DataType.FLOAT: pa.float32(),
    DataType.DOUBLE: pa.float64(),
    DataType.VARCHAR: pa.utf8(),
    DataType.JSON: pa.utf8(),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One cell that cannot be stored: its row in the batch, its field, and why."""

    row: int
    field: str
    expected: str
    found: str
    remedy: str


#: A column in, the same number of rows out, and the refused ones (whose output is arbitrary). Null rows stay null.
Run = Callable[[pa.Array], tuple[pa.Array, list[Refusal]]]


@dataclass(frozen=True, slots=True)
class Cast:
    """How a column of one Arrow type becomes a field.

    Attributes:
        run: The work; None where the column passes as it is, without a copy.
        note: What a person should know about it, or empty.
        lossless: Whether every value of the source type survives unchanged.
    """

    run: Run | None = None
    note: str = ""
    lossless: bool = True


def canonical_type(field: FieldSchema) -> pa.DataType:
    """The Arrow type that a column of ``field`` has where nothing else is given.

    Raises:
        SchemaError: If this version cannot write the field's type.
    """
    if field.dtype in _SCALARS:
        return _SCALARS[field.dtype]
    if field.dtype is DataType.ARRAY and field.element_type is not None:
        return pa.list_(_SCALARS[field.element_type])
    if field.dtype is DataType.FLOAT_VECTOR:
        return pa.list_(pa.float32(), field.dim)
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))
    raise SchemaError(
        explain(
            f"field {field.name!r}",
            "a type that this version of headrace writes",
            field.dtype.name,
            "leave the field out if it is nullable, or load it with pymilvus",
        ),
        field=field.name,
    )


def type_text(field: FieldSchema) -> str:
    """A field's type for people: ``FLOAT_VECTOR(384)``, ``VARCHAR(65535)``, ``ARRAY<INT64>(4096)``."""
    if field.dtype is DataType.ARRAY and field.element_type is not None:
        return f"ARRAY<{field.element_type.name}>({field.max_capacity})"
    size = field.dim if field.dim is not None else field.max_length
    return field.dtype.name if size is None else f"{field.dtype.name}({size})"


def misfit(field: FieldSchema, expected: str, found: pa.DataType, remedy: str) -> SchemaError:
    """The error for a column whose type no safe cast leads to ``field``."""
    return SchemaError(explain(f"field {field.name!r}", expected, f"a column of {found}", remedy), field=field.name)


def scalar_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    """The cast of a column of ``source`` to a scalar or JSON field.

    Raises:
        SchemaError: If there is no safe one.
    """
    if field.dtype is DataType.JSON:
        return _json_cast(source, field)
    target = canonical_type(field)
    if source == target:
        return Cast()
    if is_number(source) and is_number(target):
        return _number_cast(source, target, field)
    if field.dtype is DataType.VARCHAR:
        if pa.types.is_large_string(source):
            return Cast()
        if pa.types.is_string_view(source):
            return Cast(lambda array: (_plain_strings(array), []))
    wanted = {DataType.BOOL: "a column of bool", DataType.VARCHAR: "a column of strings"}
    raise misfit(
        field,
        f"{wanted.get(field.dtype, 'a column of numbers')} for {type_text(field)}",
        source,
        "cast the column in the source",
    )


def is_number(kind: pa.DataType) -> bool:
    """Whether the type is an integer or a float (decimals are not: they have no exact canonical layout)."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _plain_strings(array: pa.Array) -> pa.Array:
    try:
        return pc.cast(array, pa.large_utf8())
    except pa.ArrowNotImplementedError:
        # pyarrow 16 and 17 know string_view, but no cast from it.
        return pa.array(array.to_pylist(), pa.large_utf8())


def _number_cast(source: pa.DataType, target: pa.DataType, field: FieldSchema) -> Cast:
    def run(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        converted, bad = convert_numbers(array, target)
        if bad is None:
            return converted, []
        expected, remedy = number_rule(target, source)
        values = array.take(pa.array(bad)).to_pylist()
        return converted, [
            Refusal(int(row), field.name, expected, repr(value), remedy) for row, value in zip(bad, values, strict=True)
        ]

    return Cast(run, number_note(source, target), lossless=always_fits(source, target))


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
    before, after = np.dtype(source.to_pandas_dtype()), np.dtype(target.to_pandas_dtype())
    # numpy calls int64 to float64 safe; it is not exact beyond 2**53.
    wide = before.kind in "iu" and before.itemsize == 8 and after.kind == "f"
    return bool(np.can_cast(before, after, "safe")) and not wide


def _limits(integer: pa.DataType) -> tuple[int, int]:
    info = np.iinfo(integer.to_pandas_dtype())
    return int(info.min), int(info.max)


def buffer_values(array: pa.Array) -> np.ndarray:
    """The values of a primitive array as a numpy view, without a copy; what lies under nulls is arbitrary."""
    dtype = np.dtype(array.type.to_pandas_dtype())
    buffer = array.buffers()[1]
    if buffer is None or len(array) == 0:
        return np.zeros(len(array), dtype)
    return np.frombuffer(buffer, dtype, count=len(array), offset=array.offset * dtype.itemsize)


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
        narrow = values.astype(target.to_pandas_dtype())
    infinite = np.isinf(narrow)
    if infinite.any():
        overflown = infinite & np.isfinite(values)
        if overflown.any():
            return _replace(array, target, overflown)
    return pa.array(narrow, mask=null_mask(array)), None


def null_mask(array: pa.Array) -> np.ndarray | None:
    """Which rows are null, as bools; None where none is."""
    if array.null_count == 0:
        return None
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False))


def _fits(values: np.ndarray, target: pa.DataType) -> np.ndarray:
    if pa.types.is_floating(target):
        return _exact_as_float(values, np.finfo(target.to_pandas_dtype()).nmant + 1)
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
    values = np.where(hidden, array.type.to_pandas_dtype()(0), buffer_values(array))
    converted = pa.array(values.astype(target.to_pandas_dtype()), mask=nulls)
    positions = np.flatnonzero(bad)
    return converted, positions if len(positions) else None


def _json_cast(source: pa.DataType, field: FieldSchema) -> Cast:
    if any(
        check(source)
        for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    ):
        return Cast(note="taken as JSON documents")
    if pa.types.is_string_view(source):
        return Cast(lambda array: (_plain_strings(array), []), note="taken as JSON documents")
    if not jsontext.has_json_form(source):
        raise misfit(field, "a column with a JSON form", source, "cast the column in the source, or drop it")

    def run(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        texts: list[str | None] = []
        refused: list[Refusal] = []
        for row, value in enumerate(jsontext.to_json_values(array)):
            text, problem = json_text(value)
            texts.append(text)
            if problem:
                refused.append(Refusal(row, field.name, *problem))
        return pa.array(texts, pa.large_utf8()), refused

    return Cast(run, "written as JSON text")


def json_text(value: object) -> tuple[str | None, tuple[str, str, str] | None]:
    """One value as JSON text (None for null), or expected, found and remedy of why it has none."""
    if value is None:
        return None, None
    if isinstance(value, UnicodeDecodeError):
        return None, ("text in valid UTF-8", "bytes that are not", "correct the value")
    try:
        return jsontext.dumps(value), None
    except ValueError:
        return None, ("numbers that JSON can say", "NaN or infinity", "replace it by null or a number")
