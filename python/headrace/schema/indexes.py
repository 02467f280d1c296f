"""How fields are indexed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from headrace.arguments import closest
from headrace.errors import ConfigError, explain

__all__ = ["IndexParam", "IndexParams"]

#: Parameters of :meth:`IndexParams.add_index`: a build parameter that nearly has one's name is a mistake.
_NAMES = ("field_name", "index_type", "index_name", "metric_type", "params")


@dataclass(frozen=True)
class IndexParam:
    """How one field is indexed.

    Attributes:
        field_name: The field.
        index_type: ``"AUTOINDEX"`` (the server chooses), ``"HNSW"``, ``"SPARSE_INVERTED_INDEX"`` ...
        metric_type: ``"COSINE"``, ``"L2"``, ``"IP"`` ...; empty for scalar indexes.
        index_name: Empty for the server's choice.
        params: Build parameters, for example ``{"M": 16, "efConstruction": 200}``.

    Raises:
        ConfigError: If the field's name is none.
    """

    field_name: str
    index_type: str = "AUTOINDEX"
    metric_type: str = ""
    index_name: str = ""
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("field_name", "index_type", "metric_type", "index_name"):
            value = getattr(self, name)
            if not isinstance(value, str) or (name == "field_name" and not value):
                raise ConfigError(explain(name, "a text", repr(value), "give a name"))
        if not isinstance(self.params, Mapping):
            raise ConfigError(explain("params", "a dict of build parameters", repr(self.params), "give a dict"))

    def __repr__(self) -> str:
        return str(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The parameters as a flat dict, as users know them from pymilvus."""
        shown = {"field_name": self.field_name, "index_type": self.index_type, "index_name": self.index_name}
        return shown | dict(self.params) | ({"metric_type": self.metric_type} if self.metric_type else {})

    def with_type(self, index_type: str, metric_type: str | None = None) -> IndexParam:
        """A copy with another index type and, where given, another metric."""
        return replace(
            self, index_type=index_type, metric_type=self.metric_type if metric_type is None else metric_type
        )


class IndexParams(list[IndexParam]):
    """The indexes of a collection, to be built together."""

    def add_index(
        self,
        field_name: str,
        index_type: str = "",
        index_name: str = "",
        *,
        metric_type: str = "",
        params: Mapping[str, Any] | None = None,
        **build_params: Any,
    ) -> Self:
        """Add the index of a field, and return the list.

        Args:
            field_name: The field.
            index_type: Empty for AUTOINDEX: the server chooses.
            index_name: Empty for the server's choice.
            metric_type: Empty for scalar indexes, and for the server's choice.
            params: Build parameters, for example ``{"M": 16}``.
            **build_params: Build parameters one by one.

        Raises:
            ConfigError: If a parameter's name is mistyped or a value cannot be used.
        """
        for name in build_params:
            if match := closest(name, _NAMES):
                remedy = f"did you mean {match!r}?"
                raise ConfigError(explain("add_index()", "a build parameter of the index", repr(name), remedy))
        if params is not None and not isinstance(params, Mapping):
            raise ConfigError(explain("params", "a dict of build parameters", repr(params), "give a dict"))
        built = {**(params or {}), **build_params}
        metric = metric_type or built.pop("metric_type", "")
        kind = index_type or built.pop("index_type", "") or "AUTOINDEX"
        self.append(IndexParam(field_name, kind, metric or "", index_name or "", built))
        return self

    @classmethod
    def of(cls, given: Any) -> IndexParams:
        """Indexes however they are given: as such a list, or any other of IndexParam or dicts.

        Raises:
            ConfigError: If there is none, or something else is among them.
        """
        remedy = "make them with prepare_index_params() and add_index()"
        items = list(given) if isinstance(given, Iterable) and not isinstance(given, str | Mapping) else []
        if not items:
            raise ConfigError(explain("index_params", "at least one index", repr(given), remedy))
        params = cls()
        for item in items:
            if isinstance(item, Mapping) and "field_name" in item:
                params.add_index(**item)
            elif isinstance(item, IndexParam):
                params.append(item)
            else:
                raise ConfigError(explain("index_params", "indexes of fields", repr(item), remedy))
        return params
