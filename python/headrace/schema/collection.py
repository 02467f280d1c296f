"""The fields and functions of a collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from headrace.errors import SchemaError, explain
from headrace.schema.field import FieldSchema
from headrace.schema.functions import Function, FunctionType
from headrace.schema.types import DYNAMIC_FIELD_NAME, DataType

__all__ = ["CollectionSchema"]

_WHERE = "collection schema"
#: Types that may have a ``max_length``.
_WITH_LENGTH = frozenset({DataType.STRING, DataType.VARCHAR, DataType.ARRAY})
#: What a BM25 function reads.
_TEXTS = frozenset({DataType.VARCHAR, DataType.TEXT})

_DYNAMIC_FIELD = FieldSchema(DYNAMIC_FIELD_NAME, DataType.JSON, is_dynamic=True)


@dataclass(init=False)
class CollectionSchema:
    """The fields of a collection; built as in pymilvus: at once, or field by field from :meth:`empty`.

    Attributes:
        fields: The declared fields, in order; the dynamic field is not among them.
        description: Free text.
        enable_dynamic_field: Whether undeclared columns are kept in the JSON field ``$meta``.
        properties: Collection properties, verbatim.
        functions: What the server computes from fields (Milvus 2.5).

    Args:
        fields: The declared fields.
        description: Free text.
        enable_dynamic_field: As above.
        properties: As above.
        functions: As above; the fields that they write are marked as their outputs.
        auto_id: Whether the server makes the keys; None leaves it to the primary key's field.
        primary_field: The name of the primary key, where its field does not say so.
        partition_key_field: The name of the partition key, where its field does not say so.
        clustering_key_field: The name of the clustering key, where its field does not say so.

    Raises:
        SchemaError: As :meth:`verify`.
    """

    fields: tuple[FieldSchema, ...]
    description: str
    enable_dynamic_field: bool
    properties: Mapping[str, str]
    functions: tuple[Function, ...]

    def __init__(
        self,
        fields: Sequence[FieldSchema],
        description: str = "",
        *,
        enable_dynamic_field: bool = False,
        properties: Mapping[str, str] | None = None,
        functions: Sequence[Function] = (),
        auto_id: bool | None = None,
        primary_field: str | None = None,
        partition_key_field: str | None = None,
        clustering_key_field: str | None = None,
    ) -> None:
        self._begin(
            description,
            enable_dynamic_field=enable_dynamic_field,
            properties=properties,
            functions=functions,
            auto_id=auto_id,
            primary_field=primary_field,
            partition_key_field=partition_key_field,
            clustering_key_field=clustering_key_field,
        )
        self._extend(fields)
        self.verify()

    def _begin(
        self,
        description: str = "",
        *,
        enable_dynamic_field: bool = False,
        properties: Mapping[str, str] | None = None,
        functions: Sequence[Function] | None = None,
        auto_id: bool | None = None,
        primary_field: str | None = None,
        partition_key_field: str | None = None,
        clustering_key_field: str | None = None,
    ) -> None:
        self.fields = ()
        self.description = description
        self.enable_dynamic_field = enable_dynamic_field
        self.properties = dict(properties or {})
        self.functions = tuple(functions or ())
        self._auto_id = auto_id
        named = {
            "is_primary": primary_field,
            "is_partition_key": partition_key_field,
            "is_clustering_key": clustering_key_field,
        }
        self._keys = {flag: name for flag, name in named.items() if name is not None}

    @classmethod
    def empty(cls, description: str = "", **options: Any) -> Self:
        """A schema to which fields are added one by one; it is checked when it is used.

        Args:
            description: Free text.
            **options: As the class takes them.
        """
        schema = cls.__new__(cls)
        schema._begin(description, **options)  # noqa: SLF001 - of its own class
        return schema

    def add_field(self, field_name: str, datatype: DataType | int, **facts: Any) -> Self:
        """Declare one more field and return the schema.

        Args:
            field_name: Its name.
            datatype: Its type.
            **facts: What :class:`FieldSchema` takes: ``is_primary``, ``dim``, ``max_length`` ... A ``max_length`` is
                left out for types that have none, because guides give it to numbers.

        Raises:
            SchemaError: If the field cannot be, or its name stands already.
        """
        if datatype not in _WITH_LENGTH:
            facts.pop("max_length", None)
        self._extend([FieldSchema(field_name, datatype, **facts)])
        return self

    def add_function(self, function: Function) -> Self:
        """Let the server compute a field, and return the schema."""
        if not isinstance(function, Function):
            raise SchemaError(explain(_WHERE, "a headrace.Function", repr(function), "build one"))
        self.functions += (function,)
        self._extend([])
        return self

    def _extend(self, fields: Sequence[FieldSchema]) -> None:
        for item in fields:
            if not isinstance(item, FieldSchema):
                raise SchemaError(explain(_WHERE, "fields that are FieldSchema", repr(item), "build each with one"))
        outputs = {name for function in self.functions for name in function.output_field_names}
        marked = tuple(self._marked(item, outputs) for item in (*self.fields, *fields))
        names = [item.name for item in marked]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            found = f"{', '.join(map(repr, twice))} more than once"
            raise SchemaError(explain(_WHERE, "each field once", found, "rename or drop the others"), field=twice[0])
        self.fields = marked

    def _marked(self, item: FieldSchema, outputs: set[str]) -> FieldSchema:
        """A field with what the schema says of it."""
        facts: dict[str, Any] = {flag: True for flag, name in self._keys.items() if name == item.name}
        if self._auto_id is not None and (item.is_primary or "is_primary" in facts):
            facts["auto_id"] = self._auto_id or item.auto_id
        if item.name in outputs:
            facts["is_function_output"] = True
        changed = {name: value for name, value in facts.items() if getattr(item, name) != value}
        return replace(item, **changed) if changed else item

    def verify(self) -> None:
        """Refuse a schema that no server would take.

        Raises:
            SchemaError: If there is not exactly one primary key, a key that is named is no field, or a function reads
                or writes what is not there.
        """
        keys = [item.name for item in self.fields if item.is_primary]
        if len(keys) != 1:
            found = "none" if not keys else ", ".join(map(repr, keys))
            raise SchemaError(explain(_WHERE, "exactly one primary key", found, "set is_primary=True on one field"))
        for name in self._keys.values():
            if name not in self:
                raise SchemaError(explain(_WHERE, f"a field {name!r}", "none", "declare it"), field=name)
        for function in self.functions:
            self._verify_function(function)

    def _verify_function(self, function: Function) -> None:
        where = f"function {function.name!r}"
        for name in (*function.input_field_names, *function.output_field_names):
            if name not in self:
                raise SchemaError(explain(where, f"a field {name!r}", "none", "declare it in the schema"), field=name)
        if function.type is not FunctionType.BM25:
            return
        if len(function.input_field_names) != 1 or len(function.output_field_names) != 1:
            found = f"{len(function.input_field_names)} and {len(function.output_field_names)}"
            raise SchemaError(explain(where, "one input field and one output field", found, "name one of each"))
        read, written = self[function.input_field_names[0]], self[function.output_field_names[0]]
        if read.dtype not in _TEXTS:
            raise SchemaError(
                explain(where, "an input of type VARCHAR", read.dtype.name, "name a text field"), field=read.name
            )
        if written.dtype is not DataType.SPARSE_FLOAT_VECTOR:
            found = written.dtype.name
            raise SchemaError(
                explain(where, "an output of type SPARSE_FLOAT_VECTOR", found, "name a sparse field"),
                field=written.name,
            )

    def __repr__(self) -> str:
        return str(self.to_dict())

    def __len__(self) -> int:
        return len(self.fields)

    def __iter__(self) -> Iterator[FieldSchema]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> FieldSchema:
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(item.name == name for item in self.fields)

    def to_dict(self) -> dict[str, Any]:
        """The schema as a dict, with the keys that users know from pymilvus."""
        shown = {
            "auto_id": self.auto_id,
            "description": self.description,
            "fields": [item.to_dict() for item in self.fields],
            "enable_dynamic_field": self.enable_dynamic_field,
            "enable_namespace": False,
        }
        return shown | ({"functions": [item.to_dict() for item in self.functions]} if self.functions else {})

    @property
    def primary_key(self) -> FieldSchema:
        """The primary key field.

        Raises:
            SchemaError: If none is declared yet.
        """
        if self.primary_field is None:
            self.verify()
        return next(item for item in self.fields if item.is_primary)

    @property
    def primary_field(self) -> FieldSchema | None:
        """The primary key field; None where none is declared yet."""
        return next((item for item in self.fields if item.is_primary), None)

    @property
    def auto_id(self) -> bool:
        """Whether the server makes the keys."""
        return bool(self._auto_id) if self.primary_field is None else self.primary_field.auto_id

    @property
    def vector_fields(self) -> tuple[FieldSchema, ...]:
        """The vector fields, in order."""
        return tuple(item for item in self.fields if item.dtype.is_vector)

    @property
    def sent_fields(self) -> tuple[FieldSchema, ...]:
        """What an insert carries: all but auto-id keys and function outputs, then ``$meta`` where it is enabled."""
        sent = tuple(
            item for item in self.fields if not (item.is_primary and item.auto_id) and not item.is_function_output
        )
        if self.enable_dynamic_field:
            sent += (_DYNAMIC_FIELD,)
        return sent

    def with_fields(self, fields: Sequence[FieldSchema]) -> CollectionSchema:
        """A copy with other fields, and with those functions whose fields are all among them."""
        names = {item.name for item in fields}
        kept = tuple(
            item for item in self.functions if names.issuperset(item.input_field_names + item.output_field_names)
        )
        return replace(self, fields=tuple(fields), functions=kept)
