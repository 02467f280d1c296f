"""Functions of a collection: what the server computes from fields (BM25 and the like)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from headrace.errors import SchemaError, explain

__all__ = ["Function", "FunctionScore", "FunctionType"]


class FunctionType(IntEnum):
    """Kinds of functions with their wire numbers (``schema.proto``, ``FunctionType``)."""

    UNKNOWN = 0
    BM25 = 1
    TEXTEMBEDDING = 2
    RERANK = 3
    MINHASH = 4


class Function:
    """Fields that the server computes from other fields; built as in pymilvus. Servers have it since 2.5.

    Args:
        name: Its name.
        function_type: What it computes.
        input_field_names: The field, or fields, that it reads.
        output_field_names: The field, or fields, that it writes; rows leave them out.
        description: Free text.
        params: Its parameters.

    Raises:
        SchemaError: If a field is named twice, or the type is none.
    """

    def __init__(  # noqa: PLR0917 - pymilvus's order
        self,
        name: str,
        function_type: FunctionType | int,
        input_field_names: str | Sequence[str],
        output_field_names: str | Sequence[str] | None = None,
        description: str = "",
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        where = f"function {name!r}"
        try:
            self.type = FunctionType(function_type)
        except ValueError:
            allowed = ", ".join(item.name for item in FunctionType)
            raise SchemaError(explain(where, f"one of {allowed}", repr(function_type), "choose one")) from None
        self.input_field_names = _names(input_field_names)
        self.output_field_names = _names(output_field_names)
        named = [*self.input_field_names, *self.output_field_names]
        twice = sorted({item for item in named if named.count(item) > 1})
        if twice:
            found = f"{twice[0]!r} twice"
            raise SchemaError(explain(where, "each field once", found, "name different fields"), field=twice[0])
        self.description = description
        self.params = dict(params or {})

    def __repr__(self) -> str:
        return str(self.to_dict())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def to_dict(self) -> dict[str, Any]:
        """The function as a dict, with the keys that users know from pymilvus."""
        return {
            "name": self.name,
            "description": self.description,
            "type": self.type,
            "input_field_names": self.input_field_names,
            "output_field_names": self.output_field_names,
            "params": self.params,
        }


class FunctionScore:
    """Several rankers whose scores a search combines (Milvus 2.6); built as in pymilvus.

    Args:
        functions: A function of the type RERANK, or several.
        params: How they are combined, such as ``{"boost_mode": "Sum", "function_mode": "Sum"}``.

    Raises:
        SchemaError: If it has no function.
    """

    def __init__(self, functions: Function | Sequence[Function], params: Mapping[str, Any] | None = None) -> None:
        self.functions = [functions] if isinstance(functions, Function) else list(functions)
        if not self.functions or not all(isinstance(item, Function) for item in self.functions):
            found = "none" if not self.functions else repr(self.functions)
            raise SchemaError(explain("functions", "one Function or several", found, "give rankers"))
        self.params = dict(params or {})


def _names(given: str | Sequence[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())
