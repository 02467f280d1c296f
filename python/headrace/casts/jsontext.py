"""Arrow values as JSON text, one document a row: what a JSON field and the dynamic field take.

The only path of a load that works value by value in Python: JSON has no columns.

An Arrow struct cannot say that a key is missing, or that a value is a number in one row and text in the next. So
objects that were written as JSON or made in Python, and that are not all alike, carry their text in one more field of
the struct, :data:`WRITTEN`, and that is what is stored; the other fields are there to be reached by path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from headrace.casts.layouts import is_list, is_text
from headrace.casts.plain import is_list_view, is_permuted

__all__ = ["WRITTEN", "dumps", "has_gaps", "has_json_form", "to_json_values", "type_name"]

#: The field of a struct that holds the whole object as JSON text.
WRITTEN = "headrace.json"

_WRITTEN_CHILD = re.compile(rf"(?:, |(?<=<)){re.escape(WRITTEN)}: string")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dumps(value: object) -> str:
    """One JSON document in UTF-8-ready text, without spaces.

    Raises:
        ValueError: If a number is NaN or infinite, which JSON cannot say.
        TypeError: If a value has no JSON form (bytes, dates).
    """
    return _encode(value)


def has_json_form(kind: pa.DataType) -> bool:
    """Whether every value of this Arrow type has one obvious JSON form.

    Binary values, times and decimals have several, so none is chosen silently.
    """
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return has_json_form(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return not is_permuted(kind) and has_json_form(kind.storage_type)
    if pa.types.is_map(kind):
        key = kind.key_type
        return (is_text(key) or pa.types.is_integer(key)) and has_json_form(kind.item_type)
    if is_list(kind) or is_list_view(kind):
        return has_json_form(kind.value_type)
    if pa.types.is_struct(kind):
        return all(has_json_form(kind.field(i).type) for i in range(kind.num_fields))
    return bool(
        pa.types.is_null(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or is_text(kind)
    )


def type_name(kind: pa.DataType) -> str:
    """An Arrow type in words, as people wrote it: without :data:`WRITTEN`."""
    return _WRITTEN_CHILD.sub("", str(kind))


def has_gaps(array: pa.Array) -> bool:
    """Whether a struct in it has a null in a field, so that nobody knows whether the object had that key."""
    kind = array.type
    if is_list(kind):
        return has_gaps(array.flatten())
    if not pa.types.is_struct(kind):
        return False
    # A field of a null struct is null, and no gap.
    children = [array.drop_null().field(place) for place in range(kind.num_fields)]
    return any(child.null_count for child in children) or any(map(has_gaps, children))


def to_json_values(array: pa.Array) -> list[Any]:
    """Each row as the Python value that JSON can say; None where the row is null.

    A row whose text is not valid UTF-8 becomes the ``UnicodeDecodeError`` itself, so that the caller can refuse
    that row alone. ``array`` must be of a type for which :func:`has_json_form` holds.
    """
    shape = _shaper(array.type)
    try:
        values = array.to_pylist()
    except UnicodeDecodeError:
        return [_decoded(array[i], shape) for i in range(len(array))]
    return values if shape is None else [shape(value) for value in values]


def _decoded(scalar: pa.Scalar, shape: Callable[[Any], Any] | None) -> Any:
    try:
        value = scalar.as_py()
    except UnicodeDecodeError as error:
        return error
    return value if shape is None else shape(value)


def _shaper(kind: pa.DataType) -> Callable[[Any], Any] | None:
    """What still has to happen to ``to_pylist``'s values; None where they are JSON already."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _shaper(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _shaper(kind.storage_type)
    if pa.types.is_float16(kind):
        # Older pyarrow gives numpy.float16, which the json module does not know.
        return _or_none(float)
    if pa.types.is_map(kind):
        item = _shaper(kind.item_type) or _same
        return _or_none(lambda pairs: {str(key): item(value) for key, value in pairs})
    if is_list(kind) or is_list_view(kind):
        inner = _shaper(kind.value_type)
        return None if inner is None else _or_none(lambda values: [inner(value) for value in values])
    if pa.types.is_struct(kind):
        fields = [(kind.field(i).name, _shaper(kind.field(i).type)) for i in range(kind.num_fields)]
        if kind.get_field_index(WRITTEN) >= 0:
            return _or_none(lambda row: json.loads(row[WRITTEN]))
        changed = [(name, inner) for name, inner in fields if inner is not None]
        if changed:
            return _or_none(lambda row: {**row, **{name: inner(row[name]) for name, inner in changed}})
    return None


def _same(value: Any) -> Any:
    return value


def _or_none(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else change(value)
