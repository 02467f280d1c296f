"""Milvus's schema, in Milvus's words: data types, fields, collections, indexes.

Pure values: the protocol is in :mod:`headrace.protocol`, the way from Arrow types in :mod:`headrace.inference`.
Numbers are those of ``schema.proto`` of milvus-proto (2.6 and later; older servers know a subset).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from headrace.errors import SchemaError

__all__ = [
    "DYNAMIC_FIELD_NAME",
    "ELEMENT_TYPES",
    "MAX_JSON_BYTES",
    "MAX_VARCHAR_BYTES",
    "CollectionSchema",
    "ConsistencyLevel",
    "DataType",
    "FieldSchema",
    "IndexParam",
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


#: Types an Array field may hold.
ELEMENT_TYPES = frozenset(
    {
        DataType.BOOL,
        DataType.INT8,
        DataType.INT16,
        DataType.INT32,
        DataType.INT64,
        DataType.FLOAT,
        DataType.DOUBLE,
        DataType.VARCHAR,
    }
)

#: Types with a longest value.
_TEXTS = frozenset({DataType.STRING, DataType.VARCHAR})


def check_name(kind: str, name: str) -> str:
    """Return ``name``, or raise :class:`SchemaError` where Milvus would refuse it as a name for a ``kind``."""
    if name == DYNAMIC_FIELD_NAME or _NAME.match(name):
        return name
    raise SchemaError(
        f"{kind} {name!r}: expected a letter or underscore followed by letters, digits or underscores, at most "
        f"255 bytes, found {name!r}; rename it",
        field=name,
    )


@dataclass(frozen=True, init=False)
class FieldSchema:
    """One field of a collection; built as in pymilvus.

    Attributes:
        name: The field's name.
        dtype: Its :class:`DataType`.
        description: Free text.
        is_primary: Whether it is the primary key (INT64 or VARCHAR, never null).
        auto_id: Of the primary key, whether the server makes the keys; the column is then left out of inserts.
        is_partition_key: Whether its value chooses the partition.
        dim: Dimension of a dense vector (bits for BINARY_VECTOR); None for every other type.
        max_length: Longest value of a VARCHAR, or of a VARCHAR element of an ARRAY, in UTF-8 bytes.
        element_type: Element type of an ARRAY.
        max_capacity: Most elements of an ARRAY, 1 to 4,096.
        nullable: Whether values may be null (Milvus 2.5).
        default_value: What the server stores where no value is sent, or None for no default; keys, arrays and vectors
            have none.
        is_dynamic: Whether it is the dynamic field ``$meta``.
        is_function_output: Whether the server computes it (BM25 and the like); it is left out of inserts.
        type_params: The remaining type parameters, verbatim (``enable_analyzer`` and the like).

    Raises:
        SchemaError: If the facts contradict each other.
    """

    name: str
    dtype: DataType
    description: str
    is_primary: bool
    auto_id: bool
    is_partition_key: bool
    dim: int | None
    max_length: int | None
    element_type: DataType | None
    max_capacity: int | None
    nullable: bool
    default_value: Any
    is_dynamic: bool
    is_function_output: bool
    type_params: Mapping[str, str] = field(hash=False)

    def __init__(
        self,
        name: str,
        dtype: DataType | int,
        description: str = "",
        *,
        is_primary: bool = False,
        auto_id: bool = False,
        is_partition_key: bool = False,
        dim: int | None = None,
        max_length: int | None = None,
        element_type: DataType | int | None = None,
        max_capacity: int | None = None,
        nullable: bool = False,
        default_value: Any = None,
        is_dynamic: bool = False,
        is_function_output: bool = False,
        type_params: Mapping[str, str] | None = None,
    ) -> None:
        values = {
            "name": name,
            "dtype": DataType(dtype),
            "description": description,
            "is_primary": is_primary,
            "auto_id": auto_id,
            "is_partition_key": is_partition_key,
            "dim": None if dim is None else int(dim),
            "max_length": None if max_length is None else int(max_length),
            "element_type": None if element_type is None else DataType(element_type),
            "max_capacity": None if max_capacity is None else int(max_capacity),
            "nullable": nullable,
            "default_value": default_value,
            "is_dynamic": is_dynamic,
            "is_function_output": is_function_output,
            "type_params": dict(type_params or {}),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        self._check()

    def _check(self) -> None:
        check_name("field", self.name)
        if self.name == DYNAMIC_FIELD_NAME and not self.is_dynamic:
            expected = "another name (this is the dynamic field's)"
            raise self._error(expected, repr(self.name), "rename it, or set enable_dynamic_field on the collection")
        self._check_key()
        dtype = self.dtype
        if dtype.is_dense_vector and (self.dim is None or not 1 <= self.dim <= 262_144):
            raise self._error("dim between 1 and 262144", f"dim={self.dim}", "give the vector's dimension")
        if dtype is DataType.BINARY_VECTOR and self.dim is not None and self.dim % 8:
            raise self._error("a dim that is a multiple of 8 bits", f"dim={self.dim}", "pad the vectors to whole bytes")
        self._check_foreign()
        holds_text = dtype is DataType.VARCHAR or (dtype is DataType.ARRAY and self.element_type is DataType.VARCHAR)
        if holds_text and (self.max_length is None or not 1 <= self.max_length <= MAX_VARCHAR_BYTES):
            raise self._error(
                f"max_length between 1 and {MAX_VARCHAR_BYTES} bytes",
                f"max_length={self.max_length}",
                "give the longest value in UTF-8 bytes",
            )
        if dtype is DataType.ARRAY:
            if self.element_type not in ELEMENT_TYPES:
                found = "none" if self.element_type is None else self.element_type.name
                allowed = ", ".join(t.name for t in sorted(ELEMENT_TYPES))
                raise self._error(f"an element_type among {allowed}", found, "choose one of them or JSON")
            if self.max_capacity is None or not 1 <= self.max_capacity <= MAX_ARRAY_CAPACITY:
                raise self._error(
                    f"max_capacity between 1 and {MAX_ARRAY_CAPACITY}",
                    f"max_capacity={self.max_capacity}",
                    "give the most elements a row can have",
                )

    def _check_key(self) -> None:
        dtype = self.dtype
        if not self.is_primary:
            if self.auto_id:
                raise self._error("no auto_id (only the primary key has it)", "auto_id=True", "leave auto_id out")
            return
        if dtype not in (DataType.INT64, DataType.VARCHAR) or self.nullable:
            kind = f"nullable {dtype.name}" if self.nullable else dtype.name
            raise self._error("a primary key of type INT64 or VARCHAR that is not nullable", kind, "choose another key")
        if self.default_value is not None:
            found = f"default_value={self.default_value!r}"
            raise self._error("a primary key without a default", found, "leave default_value out")
        if self.is_function_output:
            raise self._error("a primary key that rows bring", "the output of a function", "choose another key")

    def _check_foreign(self) -> None:
        """Refuse parameters that the type does not have."""
        dtype = self.dtype
        if not dtype.is_dense_vector and self.dim is not None:
            raise self._error("no dim (only dense vectors have one)", f"dim={self.dim}", "leave dim out")
        if dtype is not DataType.ARRAY:
            for name in ("element_type", "max_capacity"):
                if (value := getattr(self, name)) is not None:
                    raise self._error(f"no {name} (only arrays have one)", f"{name}={value!r}", f"leave {name} out")
        has_length = dtype in _TEXTS or (dtype is DataType.ARRAY and self.element_type is DataType.VARCHAR)
        if self.max_length is not None and not has_length:
            expected = f"no max_length for {dtype.name} (only VARCHAR has one, alone or in an array)"
            raise self._error(expected, f"max_length={self.max_length}", "leave max_length out")
        if self.default_value is not None and (dtype is DataType.ARRAY or dtype.is_vector):
            expected = f"no default_value for {dtype.name} (arrays and vectors have none)"
            raise self._error(expected, f"default_value={self.default_value!r}", "leave default_value out")
        if self.is_partition_key and dtype not in (DataType.INT64, DataType.VARCHAR):
            raise self._error("a partition key of type INT64 or VARCHAR", dtype.name, "choose another field")

    def _error(self, expected: str, found: str, remedy: str) -> SchemaError:
        return SchemaError(f"field {self.name!r}: expected {expected}, found {found}; {remedy}", field=self.name)


@dataclass(frozen=True, init=False)
class CollectionSchema:
    """The fields of a collection; built as in pymilvus.

    Attributes:
        fields: The declared fields, in order; the dynamic field is not among them.
        description: Free text.
        enable_dynamic_field: Whether undeclared columns are kept in the JSON field ``$meta``.
        properties: Collection properties, verbatim.

    Raises:
        SchemaError: If there is not exactly one primary key, or a name stands twice.
    """

    fields: tuple[FieldSchema, ...]
    description: str
    enable_dynamic_field: bool
    properties: Mapping[str, str] = field(hash=False)

    def __init__(
        self,
        fields: Sequence[FieldSchema],
        description: str = "",
        *,
        enable_dynamic_field: bool = False,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        object.__setattr__(self, "fields", tuple(fields))
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "enable_dynamic_field", enable_dynamic_field)
        object.__setattr__(self, "properties", dict(properties or {}))
        names = [f.name for f in self.fields]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise SchemaError(
                f"collection schema: expected each field once, found {', '.join(map(repr, twice))} more than once; "
                "rename or drop the others",
                field=twice[0],
            )
        keys = [f.name for f in self.fields if f.is_primary]
        if len(keys) != 1:
            found = "none" if not keys else ", ".join(map(repr, keys))
            raise SchemaError(
                f"collection schema: expected exactly one primary key, found {found}; set is_primary=True on one field"
            )

    def __iter__(self) -> Iterator[FieldSchema]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> FieldSchema:
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(f.name == name for f in self.fields)

    @property
    def primary_key(self) -> FieldSchema:
        """The primary key field."""
        return next(f for f in self.fields if f.is_primary)

    @property
    def auto_id(self) -> bool:
        """Whether the server makes the keys."""
        return self.primary_key.auto_id

    @property
    def vector_fields(self) -> tuple[FieldSchema, ...]:
        """The vector fields, in order."""
        return tuple(f for f in self.fields if f.dtype.is_vector)

    @property
    def sent_fields(self) -> tuple[FieldSchema, ...]:
        """What an insert carries: all but auto-id keys and function outputs, then ``$meta`` where it is enabled."""
        sent = tuple(f for f in self.fields if not (f.is_primary and f.auto_id) and not f.is_function_output)
        if self.enable_dynamic_field:
            sent += (FieldSchema(DYNAMIC_FIELD_NAME, DataType.JSON, is_dynamic=True),)
        return sent

    def with_fields(self, fields: Sequence[FieldSchema]) -> CollectionSchema:
        """A copy with other fields."""
        return CollectionSchema(
            fields,
            self.description,
            enable_dynamic_field=self.enable_dynamic_field,
            properties=self.properties,
        )


@dataclass(frozen=True)
class IndexParam:
    """How one field is indexed.

    Attributes:
        field_name: The field.
        index_type: ``"AUTOINDEX"`` (the server chooses), ``"HNSW"``, ``"SPARSE_INVERTED_INDEX"`` ...
        metric_type: ``"COSINE"``, ``"L2"``, ``"IP"`` ...; empty for scalar indexes.
        index_name: Empty for the server's choice.
        params: Build parameters, for example ``{"M": 16, "efConstruction": 200}``.
    """

    field_name: str
    index_type: str = "AUTOINDEX"
    metric_type: str = ""
    index_name: str = ""
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def with_type(self, index_type: str, metric_type: str | None = None) -> IndexParam:
        """A copy with another index type and, where given, another metric."""
        return replace(
            self, index_type=index_type, metric_type=self.metric_type if metric_type is None else metric_type
        )
