"""Which column may be the key, and why columns became the fields of a new collection: a guess is never silent."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts import plain, plain_type
from headrace.casts.layouts import is_text
from headrace.casts.texts import is_uuid
from headrace.config import LoadOptions
from headrace.errors import SchemaError, explain
from headrace.schema import CollectionSchema, DataType, FieldSchema

__all__ = ["check_dim", "key_rank", "why_created"]

#: How the names of keys end, in any case.
_KEY_NAMES = ("id", "key", "pk")
_UUID = r"^\{?[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}\}?$"


def key_rank(name: str, kind: pa.DataType, values: pa.Array | None) -> int:
    """How much a column of integers, text or UUIDs looks like a key; the least the most.

    0 by its name, or as UUIDs, also as text; 1 for integers and text without spaces; 2 for prose.

    Args:
        name: The column's name.
        kind: Its type.
        values: Some of its values, no two of them equal; None where nobody knows any.
    """
    if is_uuid(kind) or name.casefold().endswith(_KEY_NAMES):
        return 0
    if not is_text(kind) or values is None:
        return 1
    texts = plain(values)
    if len(texts) and pc.all(pc.match_substring_regex(texts, _UUID)).as_py():
        return 0
    return 2 if pc.any(pc.match_substring_regex(texts, r"\s")).as_py() else 1


def why_created(kind: pa.DataType, field: FieldSchema, options: LoadOptions) -> str:
    """What was guessed when a column of this type became ``field``; empty where its type or an option says it all."""
    if field.is_primary:
        return "" if options.key is not None else "the key, by its name"
    if field.dtype.is_vector:
        return _why_vector(plain_type(kind), field, options)
    return "takes nulls, because it has some" if field.nullable else ""


def _why_vector(kind: pa.DataType, field: FieldSchema, options: LoadOptions) -> str:
    named = field.name in options.vector
    if field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        reason = "as a map of whole numbers to floats" if pa.types.is_map(kind) else "by the names of its parts"
        return "" if named else f"a sparse vector, {reason}"
    if pa.types.is_fixed_size_list(kind):
        return ""
    if named:
        return "" if options.dim is not None else f"all of {field.dim} numbers in the first rows"
    noun = "text of vectors" if is_text(kind) else "lists"
    return f"a vector, as the only {noun} of one length ({field.dim} numbers) in the first rows"


def check_dim(schema: CollectionSchema, options: LoadOptions) -> None:
    """Refuse a ``dim`` that no vector of a new collection has.

    Raises:
        SchemaError: If it is said and would be ignored.
    """
    dims = {field.name: field.dim for field in schema.vector_fields if field.dim is not None}
    if options.dim is None or options.dim in dims.values():
        return
    found = ", ".join(f"{dim} in {name!r}" for name, dim in dims.items()) or "no dense vector"
    remedy = "leave out --dim, or name a column of variable-length lists or of text with --vector"
    raise SchemaError(explain(f"--dim {options.dim}", f"vectors of {options.dim} numbers", found, remedy))
