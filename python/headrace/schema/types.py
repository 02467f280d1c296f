"""Milvus's words for data types and consistency, with their wire numbers, and its limits."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

from headrace.errors import SchemaError, explain

__all__ = [
    "DYNAMIC_FIELD_NAME",
    "MAX_ARRAY_CAPACITY",
    "MAX_JSON_BYTES",
    "MAX_VARCHAR_BYTES",
    "ConsistencyLevel",
    "DataType",
    "check_name",
]

#: The JSON field that holds undeclared columns (real servers do not list it in DescribeCollection).
DYNAMIC_FIELD_NAME = "$meta"
#: The longest VarChar that Milvus can declare, in UTF-8 bytes.
MAX_VARCHAR_BYTES = 65_535
#: The longest JSON cell, in bytes (``common.jsonMaxLength``).
MAX_JSON_BYTES = 65_536
#: The most elements an Array field can declare.
MAX_ARRAY_CAPACITY = 4_096
#: Names of collections, fields, partitions and aliases (``proxy.maxNameLength`` is 255 bytes).
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}\Z")


class DataType(IntEnum):
    """Milvus data types with their wire numbers (``schema.proto``, ``DataType``)."""

    NONE = 0
    BOOL = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    FLOAT = 10
    DOUBLE = 11
    STRING = 20
    VARCHAR = 21
    ARRAY = 22
    JSON = 23
    GEOMETRY = 24
    TEXT = 25
    TIMESTAMPTZ = 26
    BINARY_VECTOR = 100
    FLOAT_VECTOR = 101
    FLOAT16_VECTOR = 102
    BFLOAT16_VECTOR = 103
    SPARSE_FLOAT_VECTOR = 104
    INT8_VECTOR = 105
    UNKNOWN = 999

    @property
    def is_vector(self) -> bool:
        """Whether values of this type are vectors, dense or sparse."""
        return 100 <= self <= 105

    @property
    def is_dense_vector(self) -> bool:
        """Whether values of this type are vectors with a fixed dimension."""
        return self.is_vector and self is not DataType.SPARSE_FLOAT_VECTOR


class ConsistencyLevel(IntEnum):
    """What a read waits for (``common.proto``, ``ConsistencyLevel``). Milvus creates collections as BOUNDED."""

    STRONG = 0
    SESSION = 1
    BOUNDED = 2
    EVENTUALLY = 3
    CUSTOMIZED = 4


def check_name(kind: str, name: Any) -> str:
    """Return ``name``, or raise :class:`SchemaError` where Milvus would refuse it as a name for a ``kind``."""
    if isinstance(name, str) and (name == DYNAMIC_FIELD_NAME or _NAME.match(name)):
        return name
    expected = "a letter or underscore followed by letters, digits or underscores, at most 255 bytes"
    raise SchemaError(explain(f"{kind} {name!r}", expected, repr(name), "rename it"), field=str(name))
