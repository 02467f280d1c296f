"""What a query and a search hand back: lists of dicts as pymilvus has them, and the same as columns.

Rows of a large result are made when the first of them is looked at: who takes the columns (``to_arrow()``,
``to_numpy()``) never pays for a Python object per value. C code that reads the memory of a list (orjson,
``pyarrow.array``) looks at no row: it gets those of small results, which are made at once, and refuses others, where
``list(result)`` helps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from headrace.decoding import data_type_of
from headrace.errors import SchemaError, explain
from headrace.ndarrays import vector_bytes
from headrace.rows import rows_of
from headrace.schema import DYNAMIC_FIELD_NAME, DataType

__all__ = ["Hit", "Hits", "QueryResult", "SearchPage", "SearchResult", "dynamic_keys"]

T = TypeVar("T")

#: Rows that a printed result shows.
_SHOWN = 10
#: Bytes of columns whose rows are made at once: some milliseconds at most.
_FEW_BYTES = 64 << 10
#: What a hit counts without its fields.
_BYTES_OF_A_HIT = 16
#: What reads or changes the elements of a list.
_ACCESSES = (
    *("__add__", "__contains__", "__delitem__", "__eq__", "__ge__", "__getitem__", "__gt__", "__iadd__", "__imul__"),
    *(
        "__iter__",
        "__le__",
        "__lt__",
        "__mul__",
        "__ne__",
        "__reversed__",
        "__rmul__",
        "__setitem__",
        "append",
        "clear",
    ),
    *("copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"),
)
_NUMBERS = {
    DataType.FLOAT_VECTOR: np.float32,
    DataType.FLOAT16_VECTOR: np.float16,
    DataType.BFLOAT16_VECTOR: np.uint16,
    DataType.INT8_VECTOR: np.int8,
    DataType.BINARY_VECTOR: np.uint8,
}


class _Unmade:
    """What stands for an element before the first access; None would be taken for a value."""

    def __repr__(self) -> str:
        return "<a row that is not made yet: give list(result)>"


_UNMADE: Any = _Unmade()


class _Lazy(list[T]):
    """A list whose elements are made at the first access; its length is right before."""

    def __init__(self, length: int, make: Callable[[], list[T]]) -> None:
        super().__init__([_UNMADE] * length)
        self._make: Callable[[], list[T]] | None = make

    def materialize(self) -> None:
        """Make the elements now."""
        make, self._make = self._make, None
        if make is not None:
            list.__setitem__(self, slice(None), make())

    def __radd__(self, other: list[T]) -> list[T]:
        return [*other, *self]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)

    __hash__ = None


def _accessing(name: str) -> Callable[..., Any]:
    access = getattr(list, name)

    def method(self: _Lazy[Any], *args: Any, **kwargs: Any) -> Any:
        # Lists look into other lists without asking them.
        for lazy in (self, *args):
            if isinstance(lazy, _Lazy):
                lazy.materialize()
        return access(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = access.__doc__
    return method


for _name in _ACCESSES:
    setattr(_Lazy, _name, _accessing(_name))


def _numpy(batch: pa.RecordBatch, name: str) -> np.ndarray[Any, Any]:
    """A column as an array; vectors of shape (n, d) on the column's own memory."""
    at = batch.schema.get_field_index(name)
    if at < 0:
        raise KeyError(name)
    field, column = batch.schema.field(at), batch.column(at)
    dtype = data_type_of(field)
    if dtype is DataType.SPARSE_FLOAT_VECTOR:
        expected, found = "a column of one length a row", "sparse vectors"
        raise SchemaError(explain(f"column {field.name!r}", expected, found, "take to_arrow()"), field=field.name)
    if dtype in _NUMBERS:
        return vector_bytes(column).view(_NUMBERS[dtype])
    return np.asarray(column.to_numpy(zero_copy_only=False))


class QueryResult(_Lazy[dict[str, Any]]):
    """The rows of a query.

    Attributes:
        extra: What the server says beside them, such as ``cost``.
    """

    def __init__(
        self, batch: pa.RecordBatch, *, dynamic_keys: Collection[str] = (), extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(batch.num_rows, lambda: rows_of(batch, dynamic_keys, wrap_bytes=True))
        self._batch = batch
        self.extra = dict(extra or {})
        if batch.nbytes <= _FEW_BYTES:
            self.materialize()

    @classmethod
    def empty(cls) -> QueryResult:
        """No rows."""
        return cls(pa.RecordBatch.from_arrays([], schema=pa.schema([])))

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table; layouts as :class:`headrace.decoding.Columns`."""
        return pa.Table.from_batches([self._batch])

    def to_numpy(self, field_name: str) -> np.ndarray[Any, Any]:
        """One field as an array, vectors of shape ``(n, d)`` without a copy.

        float32, float16 and int8 vectors are of these numbers, bfloat16 ones uint16 (bit patterns), binary ones uint8
        of shape ``(n, d / 8)``. What lies under a null is arbitrary.

        Raises:
            KeyError: If the result has no such field.
            SchemaError: For sparse vectors.
        """
        return _numpy(self._batch, field_name)

    def __str__(self) -> str:
        shown = [str(row) for row in self[:_SHOWN]]
        more = " ..." if len(self) > _SHOWN else ""
        return f"data: {shown}{more}" + (f", extra_info: {self.extra}" if self.extra else "")

    __repr__ = __str__


class Hit(dict[str, Any]):
    """One found row: its key under the key's name, ``distance``, and in ``entity`` the output fields.

    Subscripts and attributes also reach the fields (``hit["text"]``) and, as ``id``, the key.
    """

    def __init__(self, key_name: str, key: int | str, distance: float, entity: dict[str, Any]) -> None:
        super().__init__({key_name: key, "distance": distance, "entity": entity})

    @property
    def id(self) -> int | str:
        """The row's key."""
        key: int | str = next(iter(self.values()))
        return key

    @property
    def fields(self) -> dict[str, Any]:
        """The output fields."""
        entity: dict[str, Any] = dict.__getitem__(self, "entity")
        return entity

    def __missing__(self, name: str) -> Any:
        if name in self.fields:
            return self.fields[name]
        if name == "id":
            return self.id
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """A value, also of a field."""
        try:
            return self[name]
        except KeyError:
            return default

    def __getattr__(self, name: str) -> Any:
        others = {"pk": "id", "score": "distance"}
        try:
            # `hit.entity.get("text")` is what users of pymilvus write as well.
            return self if name == "entity" else self[others.get(name, name)]
        except KeyError:
            raise AttributeError(name) from None

    def to_dict(self) -> dict[str, Any]:
        """The hit as it is."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class Hits(_Lazy[Hit]):
    """The hits of one query vector, nearest first.

    Attributes:
        ids: Their keys.
        distances: Their distances or scores.
    """

    def __init__(
        self,
        key_name: str,
        ids: list[Any],
        distances: list[float],
        entities: Callable[[], Iterable[dict[str, Any]]],
        highlights: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        def make() -> list[Hit]:
            parts = zip(ids, distances, entities(), strict=True)
            hits = [Hit(key_name, key, distance, entity) for key, distance, entity in parts]
            for hit, marked in zip(hits, highlights or (), strict=False):
                hit["highlight"] = marked
            return hits

        super().__init__(len(ids), make)
        self.ids = ids
        self.distances = distances

    def __str__(self) -> str:
        more = f" ... and {len(self) - _SHOWN} entities remaining" if len(self) > _SHOWN else ""
        return f"{list(self[:_SHOWN])}{more}"

    __repr__ = __str__

    @classmethod
    def none(cls) -> Hits:
        """No hits."""
        return cls("id", [], [], list)


class SearchPage(list[Hit]):
    """A page of a search iterator: hits, nearest first."""

    def ids(self) -> list[Any]:
        """Their keys."""
        return [hit.id for hit in self]

    def distances(self) -> list[float]:
        """Their distances or scores."""
        return [hit["distance"] for hit in self]


class SearchResult(list[Hits]):
    """The hits of each query vector.

    Attributes:
        recalls: How many of the true nearest rows each query found, where the server was asked for it; else None.
        extra: What the server says beside them, such as ``cost``.

    Args:
        key_name: The name of the collection's key.
        ids: The keys of all hits, one query after the other.
        distances: Their distances.
        sizes: How many hits each query has.
        fields: The output fields of all hits.
        dynamic_keys: Keys of the dynamic field to be shown; empty for all.
        recalls: As the attribute.
        highlights: What was marked in each hit, by field; None where nothing was asked for.
        extra: As the attribute.
    """

    def __init__(
        self,
        key_name: str,
        ids: list[Any],
        distances: list[float],
        sizes: Iterable[int],
        *,
        fields: pa.RecordBatch,
        dynamic_keys: Collection[str] = (),
        recalls: list[float] | None = None,
        highlights: Sequence[dict[str, Any]] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._highlights = highlights
        self._key_name = key_name
        self._ids = ids
        self._distances = distances
        self._sizes = list(sizes)
        self._fields = _in_order(fields)
        self.recalls = recalls
        self.extra = dict(extra or {})
        parts = []
        start = 0
        for size in self._sizes:
            parts.append(self._part(start, size, dynamic_keys))
            start += size
        super().__init__(parts)
        if self._fields.nbytes <= _FEW_BYTES and len(ids) * _BYTES_OF_A_HIT <= _FEW_BYTES:
            self.materialize()

    def _part(self, start: int, size: int, dynamic_keys: Collection[str]) -> Hits:
        def entities() -> list[dict[str, Any]]:
            if not self._fields.num_columns:
                return [{} for _ in range(size)]
            return rows_of(self._fields.slice(start, size), dynamic_keys)

        end = start + size
        marked = self._highlights and self._highlights[start:end]
        return Hits(self._key_name, self._ids[start:end], self._distances[start:end], entities, marked)

    def to_arrow(self) -> pa.Table:
        """All hits as an Arrow table: ``query`` (the number of the query vector), the key, ``distance``, the fields.

        A field with one of these names is left out.
        """
        columns = {
            "query": pa.array(np.repeat(np.arange(len(self._sizes)), self._sizes), pa.int64()),
            self._key_name: pa.array(self._ids, pa.int64() if not self._ids else None),
            "distance": pa.array(self._distances, pa.float32()),
        }
        table = pa.table(columns)
        for field, column in zip(self._fields.schema, self._fields.columns, strict=True):
            if field.name not in columns:
                table = table.append_column(field, column)
        return table

    def to_numpy(self, field_name: str) -> np.ndarray[Any, Any]:
        """One field of all hits, one query after the other, as :meth:`QueryResult.to_numpy`.

        Raises:
            KeyError: If the result has no such field.
            SchemaError: For sparse vectors.
        """
        return _numpy(self._fields, field_name)

    def materialize(self) -> None:
        """Make all hits now."""
        for hits in self:
            hits.materialize()

    def __str__(self) -> str:
        recalls = f",recalls: {self.recalls[:_SHOWN]}" if self.recalls else ""
        more = f" ... and {len(self) - _SHOWN} results remaining" if len(self) > _SHOWN else ""
        return f"data: {self[:_SHOWN]}{recalls}{more}" + (f",{self.extra}" if self.extra else "")

    __repr__ = __str__

    def __reduce__(self) -> tuple[Any, ...]:
        return list, ([list(hits) for hits in self],)


def _in_order(fields: pa.RecordBatch) -> pa.RecordBatch:
    """Scalars before vectors and documents, as pymilvus shows them."""
    late = {DataType.JSON, *_NUMBERS, DataType.SPARSE_FLOAT_VECTOR}
    return fields.select(
        sorted(range(fields.num_columns), key=lambda at: data_type_of(fields.schema.field(at)) in late)
    )


def dynamic_keys(output_fields: Iterable[str], names: Collection[str]) -> set[str]:
    """The keys of the dynamic field that were asked for by name; empty where all of it was."""
    wanted = list(output_fields)
    return set() if DYNAMIC_FIELD_NAME in wanted else set(wanted) - set(names)
