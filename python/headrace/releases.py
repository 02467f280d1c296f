"""What releases of Milvus are known not to hold: asked before a collection is created in one."""

from __future__ import annotations

from headrace import operations as ops
from headrace.calls import Operation
from headrace.errors import MilvusException, RpcError, SchemaError, explain
from headrace.handshake import parse_version
from headrace.schema import CollectionSchema, DataType

__all__ = ["UNCHECKED", "check_version", "has_timestamptz", "needs_defaults", "newer_than", "not_in_lite"]

#: The release that brought a type of field (Milvus's documentation).
_TYPE_SINCE: dict[DataType, tuple[int, ...]] = {
    DataType.SPARSE_FLOAT_VECTOR: (2, 4),
    DataType.FLOAT16_VECTOR: (2, 4),
    DataType.BFLOAT16_VECTOR: (2, 4),
    DataType.INT8_VECTOR: (2, 6),
    DataType.GEOMETRY: (2, 6, 4),
    DataType.TIMESTAMPTZ: (2, 6, 6),
    DataType.TEXT: (3, 0),
}
#: Types that old servers take into a schema and cannot hold (2.3.5 does so).
UNCHECKED = frozenset(_TYPE_SINCE) - {DataType.SPARSE_FLOAT_VECTOR}
_SECOND_VECTOR_SINCE = (2, 4)
_NULLABLE_SINCE = (2, 5)
#: Of 3.0, and brought back to 2.6.
_NULLABLE_VECTOR_SINCE = (2, 6, 17)
#: Versions of Milvus Lite that are known to have neither these types nor nullable vectors (3.2.2 was tried). What older
#: and later ones have is for them to say.
_LITE_KNOWN = ((3, 0, 0), (3, 3, 0))
_NOT_IN_LITE = frozenset(
    {
        DataType.BINARY_VECTOR,
        DataType.FLOAT16_VECTOR,
        DataType.BFLOAT16_VECTOR,
        DataType.INT8_VECTOR,
        DataType.TEXT,
    }
)


def has_timestamptz(version: tuple[int, int, int], *, lite: bool) -> bool:
    """Whether a server of ``version`` is known to hold fields of TIMESTAMPTZ."""
    known = _LITE_KNOWN[0] if lite else _TYPE_SINCE[DataType.TIMESTAMPTZ]
    return version >= known


def needs_defaults(version: tuple[int, int, int], *, lite: bool) -> bool:
    """Whether columns with a default have to be sent to a server of ``version``: without them 2.3.5 dies."""
    return not lite and version < _NULLABLE_SINCE


def newer_than(version: tuple[int, int, int], schema: CollectionSchema) -> list[str]:
    """What of ``schema`` a server of ``version`` cannot hold, in words; empty where it can hold everything.

    Servers do not always refuse it themselves: 2.3.5 creates a sparse field, dies when it is loaded and again at
    every start, and takes nullable fields for others.
    """
    found = []
    for field in schema:
        nullable_since = _NULLABLE_VECTOR_SINCE if field.dtype.is_vector else _NULLABLE_SINCE
        if version < (since := _TYPE_SINCE.get(field.dtype, (0, 0))):
            found.append(f"{field.name!r} ({field.dtype.name}, since {_shown(since)})")
        elif field.nullable and version < nullable_since:
            what = "nullable vector" if field.dtype.is_vector else "nullable"
            found.append(f"{field.name!r} ({what}, since {_shown(nullable_since)})")
    vectors = len(schema.vector_fields)
    if vectors > 1 and version < _SECOND_VECTOR_SINCE:
        found.append(f"{vectors} vector fields (more than one since {_shown(_SECOND_VECTOR_SINCE)})")
    return found


def not_in_lite(version: tuple[int, int, int], schema: CollectionSchema) -> list[str]:
    """What of ``schema`` a Milvus Lite of ``version`` is known not to hold, in words."""
    first, end = _LITE_KNOWN
    if not first <= version < end:
        return []
    found = [f"{field.name!r} ({field.dtype.name})" for field in schema if field.dtype in _NOT_IN_LITE]
    nullable = [field for field in schema.vector_fields if field.nullable and field.dtype not in _NOT_IN_LITE]
    return found + [f"{field.name!r} (nullable vector)" for field in nullable]


def check_version(collection: str, schema: CollectionSchema) -> Operation[None]:
    """Refuse what the server is known not to have; one that does not tell its version decides for itself."""
    try:
        text = yield from ops.get_server_version()
    except (MilvusException, RpcError):
        return
    version = parse_version(text)
    if version == (0, 0, 0):
        return
    lite = "milvus_lite" in text
    if lacking := not_in_lite(version, schema) if lite else newer_than(version, schema):
        expected = f"fields that Milvus {'Lite ' if lite else ''}{_shown(version)} can hold"
        remedy = "leave them out or convert them, fill nulls in, or load into a newer server"
        if any(field.dtype is DataType.INT8_VECTOR for field in schema):
            remedy += "; int8 vectors become float vectors with --cast COLUMN:float"
        raise SchemaError(explain(f"collection {collection!r}", expected, ", ".join(lacking), remedy))


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
