"""One field of a collection, checked when it is built."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.arguments import closest
from headrace.errors import SchemaError, explain
from headrace.schema.types import (
    DYNAMIC_FIELD_NAME,
    MAX_ARRAY_CAPACITY,
    MAX_VARCHAR_BYTES,
    DataType,
    check_name,
)

__all__ = ["ELEMENT_TYPES", "FieldSchema"]

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

#: Type parameters that are taken by their names, and what the wire calls them.
_NAMED_PARAMS = {
    "analyzer_params": "analyzer_params",
    "enable_analyzer": "enable_analyzer",
    "enable_match": "enable_match",
    "mmap_enabled": "mmap.enabled",
    "multi_analyzer_params": "multi_analyzer_params",
    "warmup": "warmup",
}
_WORDS = {"true": True, "false": False}
#: Types with a longest value.
_TEXTS = frozenset({DataType.STRING, DataType.VARCHAR})


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
        is_clustering_key: Whether clustering compaction sorts by it (Milvus 2.4).
        dim: Dimension of a dense vector (bits for BINARY_VECTOR); None for every other type.
        max_length: Longest value of a VARCHAR, or of a VARCHAR element of an ARRAY, in UTF-8 bytes.
        element_type: Element type of an ARRAY.
        max_capacity: Most elements of an ARRAY, 1 to 4,096.
        nullable: Whether values may be null (Milvus 2.5).
        default_value: What the server stores where no value is sent, or None for no default; keys, arrays and vectors
            have none.
        is_dynamic: Whether it is the dynamic field ``$meta``.
        is_function_output: Whether the server computes it (BM25 and the like); it is left out of inserts.
        type_params: The remaining type parameters as the wire has them, texts (``{"enable_analyzer": "true"}``). They
            are also taken by their names: ``mmap_enabled``, ``enable_analyzer``, ``enable_match``, ``warmup``, and
            ``analyzer_params`` and ``multi_analyzer_params`` as dicts.

    Raises:
        SchemaError: If the facts contradict each other.
    """

    name: str
    dtype: DataType
    description: str
    is_primary: bool
    auto_id: bool
    is_partition_key: bool
    is_clustering_key: bool
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
        is_clustering_key: bool = False,
        dim: int | None = None,
        max_length: int | None = None,
        element_type: DataType | int | None = None,
        max_capacity: int | None = None,
        nullable: bool = False,
        default_value: Any = None,
        is_dynamic: bool = False,
        is_function_output: bool = False,
        type_params: Mapping[str, str] | None = None,
        **named_params: Any,
    ) -> None:
        values = {
            "name": name,
            "dtype": _type_of(name, "datatype", dtype),
            "description": description,
            "is_primary": is_primary,
            "auto_id": auto_id,
            "is_partition_key": is_partition_key,
            "is_clustering_key": is_clustering_key,
            "dim": _whole(name, "dim", dim),
            "max_length": _whole(name, "max_length", max_length),
            "element_type": None if element_type is None else _type_of(name, "element_type", element_type),
            "max_capacity": _whole(name, "max_capacity", max_capacity),
            "nullable": nullable,
            "default_value": default_value,
            "is_dynamic": is_dynamic,
            "is_function_output": is_function_output,
            "type_params": {**(type_params or {}), **_params(name, named_params)},
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        self._check()

    def __repr__(self) -> str:
        return str(self.to_dict())

    @property
    def params(self) -> dict[str, Any]:
        """Type parameters as they were given: numbers as numbers, flags as bool."""
        typed = {key: getattr(self, key) for key in ("dim", "max_length", "max_capacity")}
        words = {key: _WORDS.get(value, value) for key, value in self.type_params.items()}
        if "mmap.enabled" in words:
            words["mmap_enabled"] = words.pop("mmap.enabled")
        first = {key: words.pop(key) for key in ("mmap_enabled", "warmup") if key in words}
        return first | {key: value for key, value in typed.items() if value is not None} | words

    def to_dict(self) -> dict[str, Any]:
        """The field as a dict, with the keys that users know from pymilvus."""
        shown: dict[str, Any] = {"name": self.name, "description": self.description, "type": self.dtype}
        if self.params:
            shown["params"] = self.params
        if self.is_primary:
            shown |= {"is_primary": True, "auto_id": self.auto_id}
        if self.is_partition_key:
            shown["is_partition_key"] = True
        if self.default_value is not None:
            shown["default_value"] = self.default_value
        shown |= {key: True for key in ("is_dynamic", "nullable") if getattr(self, key)}
        if self.element_type is not None:
            shown["element_type"] = self.element_type
        return shown | {key: True for key in ("is_clustering_key", "is_function_output") if getattr(self, key)}

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


def _type_of(name: str, parameter: str, given: DataType | int) -> DataType:
    try:
        return DataType(given)
    except ValueError:
        raise SchemaError(
            explain(f"field {name!r}", f"a DataType as {parameter}", repr(given), "give one, such as DataType.INT64"),
            field=name,
        ) from None


def _whole(name: str, parameter: str, given: int | str | None) -> int | None:
    """A number that may stand in a text, as guides have it."""
    if given is None:
        return None
    with contextlib.suppress(TypeError, ValueError):
        if not isinstance(given, bool):
            return int(given)
    where = f"field {name!r}"
    raise SchemaError(explain(where, f"a whole number as {parameter}", repr(given), "give a number"), field=name)


def _params(name: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Type parameters that were given by name, as the wire has them."""
    for key in given:
        if key not in _NAMED_PARAMS:
            known = [*inspect.signature(FieldSchema).parameters][:-1] + list(_NAMED_PARAMS)
            match = closest(key, known)
            remedy = f"did you mean {match!r}?" if match else f"it takes {', '.join(known)}"
            raise SchemaError(explain(f"field {name!r}", "one of its parameters", repr(key), remedy), field=name)
    texts = {_NAMED_PARAMS[key]: value for key, value in given.items() if value is not None}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in texts.items()}
