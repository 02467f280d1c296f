"""The collection that a source's columns suggest: the rules of ``--create``.

Nullable is a created field only where nulls are known: the sample shows one, or the file's statistics count some.
Arrow marks almost every column nullable, Milvus before 2.5 has no nulls, and a null that turns up later in a field
that is not nullable is refused with its row. Keys, partition keys and vectors are never nullable.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from headrace.casts import plain, plain_type
from headrace.casts.base import null_mask
from headrace.casts.created import advice, element_type, is_document, scalar_type, text_length
from headrace.casts.layouts import is_list, is_text
from headrace.casts.lists import open_list
from headrace.casts.sparse import SparseLayout, sparse_layout
from headrace.casts.texts import has_text, is_uuid
from headrace.casts.vectors import (
    is_fixed_integers,
    is_fixed_vector,
    is_float_list,
    is_integer_list,
    lengths_text,
    prevailing_length,
    vector_type,
)
from headrace.casts.written import misprint, written_lengths
from headrace.config import LoadOptions
from headrace.errors import SchemaError, explain
from headrace.guesses import check_dim, key_rank
from headrace.matching import ignored_columns
from headrace.remembered import remembered_schema
from headrace.schema import (
    DYNAMIC_FIELD_NAME,
    MAX_ARRAY_CAPACITY,
    MAX_VARCHAR_BYTES,
    CollectionSchema,
    DataType,
    FieldSchema,
)
from headrace.shaping import shape_of

__all__ = ["infer_schema"]

_INTEGERS = frozenset({DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64})
#: Children of a struct that is a sparse vector. Others may be: they have to be named with --vector.
_INDEX_NAMES = frozenset({"index", "indices", "idx", "indexes", "token", "tokens", "token_id", "token_ids", "dim"})
_VALUE_NAMES = frozenset({"value", "values", "val", "vals", "weight", "weights", "score", "scores"})
_DEFAULT_KEY = "id"
#: The key field's name where the key is made of row numbers and a column has the other name.
_OTHER_KEY = "row_key"
_MOST_OFFERED = 5
_UUID_BYTES = 16
_SHOWN = 40


def infer_schema(
    arrow_schema: pa.Schema,
    *,
    sample: pa.RecordBatch | None,
    options: LoadOptions,
    nulls: Collection[str] = (),
    timestamptz: bool = False,
    later_columns: bool = False,
) -> CollectionSchema:
    """The schema of the collection to create for columns of ``arrow_schema``.

    Args:
        arrow_schema: The source's columns.
        sample: Its first rows: they tell the length of variable-length lists, and which columns have nulls.
        options: ``key``, ``auto_id``, ``vector``, ``dim``, ``partition_key`` and ``dynamic`` are used;
            :func:`~headrace.shaping.shape_of` takes its own.
        nulls: Columns that are known to have nulls beyond the sample.
        timestamptz: Whether the server has that type; else timestamps become INT64.
        later_columns: Whether later batches may bring columns that these do not have.

    Raises:
        SchemaError: If there is no key, no vector, or a column without a rule; the message names what would help.
    """
    shape = shape_of(arrow_schema, options, later=later_columns)
    if (remembered := remembered_schema(shape.schema, options)) is not None:
        return remembered
    shaped = None if sample is None else shape.apply(sample)[0]
    schema = _Inference(shape.schema, shaped, options, shape.made_of(frozenset(nulls)), timestamptz).schema()
    check_dim(schema, options)
    return schema


class _Inference:
    def __init__(
        self,
        arrow_schema: pa.Schema,
        sample: pa.RecordBatch | None,
        options: LoadOptions,
        nulls: frozenset[str],
        timestamptz: bool,
    ) -> None:
        ignored = ignored_columns(arrow_schema)
        dynamic = {DYNAMIC_FIELD_NAME} if options.dynamic else set()
        self._columns = [f for f in arrow_schema if f.name not in ignored and f.name not in dynamic]
        self._names = [column.name for column in self._columns]
        # A UUID is told from other bytes by its wrapping.
        self._types = {it.name: it.type if is_uuid(it.type) else plain_type(it.type) for it in self._columns}
        self._times = DataType.TIMESTAMPTZ if timestamptz else DataType.INT64
        self._sample = sample
        self._options = options
        self._nulls = nulls

    def schema(self) -> CollectionSchema:
        """The whole schema, or the first problem of each kind."""
        for option, names in (("--vector", self._options.vector), ("--partition-key", self._partition_keys())):
            for name in names:
                if name not in self._names:
                    raise _error(name, "a column of the source", self._known(), f"choose one of them with {option}")
        if not self._columns:
            raise _error_of_source("rows with columns", "none", "load a source that is not empty, or give a schema")
        key = self._key()
        lists = self._list_vectors()
        fields = [key] if self._options.auto_id else []
        problems = []
        for column in self._columns:
            if column.name == self._key_name:
                fields.append(key)
                continue
            try:
                fields.append(self._field(column.name, lists))
            except SchemaError as error:
                problems.append(error)
        if problems:
            raise _all_of(problems)
        if not any(field.dtype.is_vector for field in fields):
            raise self._no_vector()
        return CollectionSchema(fields, enable_dynamic_field=self._options.dynamic)

    def _partition_keys(self) -> tuple[str, ...]:
        return () if self._options.partition_key is None else (self._options.partition_key,)

    def _known(self) -> str:
        return f"the columns {', '.join(map(repr, self._names))}" if self._names else "no columns"

    def _no_vector(self) -> SchemaError:
        near = {name: seen for name, seen in self._row_lengths.items() if prevailing_length(seen) is not None}
        counted = {name: f"; {lengths_text(seen)}" for name, seen in near.items()}
        remedy = "name the vector's column with --vector, or add one"
        if near:
            name, seen = next(iter(near.items()))
            option = f"--vector {shlex.quote(name)} --dim {prevailing_length(seen)}"
            remedy = f"load it with {option}, which rejects rows of other lengths, or add a vector"
        return _error_of_source(
            "a vector column (fixed-size lists of floats, lists of one length, or a sparse layout)",
            ", ".join(f"{name!r} ({kind}{counted.get(name, '')})" for name, kind in self._types.items()),
            remedy,
        )

    # The key

    @property
    def _key_name(self) -> str:
        """The key's column: the one that was named, ``id``, or the only one that differs from it in case."""
        if self._options.key is not None or _DEFAULT_KEY in self._names:
            return self._options.key or _DEFAULT_KEY
        alike = [name for name in self._names if name.casefold() == _DEFAULT_KEY]
        return alike[0] if len(alike) == 1 else _DEFAULT_KEY

    def _key(self) -> FieldSchema:
        name = self._key_name
        if self._options.auto_id:
            if name in self._names:
                found = "a column of that name, and keys made by the server (auto id)"
                raise _error(name, "one source of keys", found, "leave out auto id, or leave out or rename the column")
            return FieldSchema(name, DataType.INT64, is_primary=True, auto_id=True)
        if name not in self._names:
            wanted = "a column of the source" if self._options.key else "a column 'id' or a named key"
            raise self._no_key(wanted, self._known())
        field = self._key_field(name)
        if field is None:
            raise self._no_key("a key of integers or strings", f"{name!r} of {self._types[name]}")
        return field

    def _key_field(self, column: str) -> FieldSchema | None:
        dtype, name = scalar_type(self._types[column]), column
        if column.startswith("@"):
            # A key that is made of row numbers has no column to take its name from.
            name = _OTHER_KEY if _DEFAULT_KEY in self._names else _DEFAULT_KEY
        if dtype in _INTEGERS:
            return FieldSchema(name, DataType.INT64, is_primary=True)
        if is_text(self._types[column]) or is_uuid(self._types[column]):
            length = text_length(self._types[column])
            return FieldSchema(name, DataType.VARCHAR, is_primary=True, max_length=length)
        return None

    def _no_key(self, expected: str, found: str) -> SchemaError:
        ranks = {name: self._key_rank(name) for name in self._names if self._could_be_key(name)}
        offered = [name for name, rank in ranks.items() if rank == min(ranks.values())][:_MOST_OFFERED]
        would_do = f" ({', '.join(offered)} would do)" if offered else ""
        remedy = (
            f"name the key's column with --key COLUMN{would_do}, make keys of row numbers with --key @row or "
            "--key @file_row, or let the server make them with --auto-id"
        )
        if self._types.get(self._key_name) == pa.binary(_UUID_BYTES):
            remedy = f"take its bytes for UUIDs with --cast {shlex.quote(f'{self._key_name}:uuid')}, {remedy}"
        return SchemaError(explain("primary key", expected, found, remedy), field=self._options.key)

    def _could_be_key(self, name: str) -> bool:
        if self._key_field(name) is None or name in self._nulls:
            return False
        values = self._sampled(name)
        if values is None:
            return True
        return values.null_count == 0 and len(plain(values).unique()) == len(values)

    def _key_rank(self, name: str) -> int:
        return key_rank(name, self._types[name], self._sampled(name))

    # The other fields

    def _sampled(self, name: str) -> pa.Array | None:
        if self._sample is None or name not in self._sample.schema.names:
            return None
        return self._sample.column(name)

    def _is_nullable(self, name: str) -> bool:
        if name in self._nulls:
            return True
        values = self._sampled(name)
        return values is not None and values.null_count > 0

    def _field(self, name: str, lists: dict[str, int]) -> FieldSchema:
        kind = self._types[name]
        if name in lists:
            dtype = DataType.FLOAT_VECTOR if is_text(kind) else vector_type(kind)
            return FieldSchema(name, dtype, dim=lists[name])
        if is_fixed_vector(kind) or (name in self._options.vector and is_fixed_integers(kind)):
            return FieldSchema(name, vector_type(kind), dim=kind.list_size)
        if self._is_sparse(name, kind):
            return FieldSchema(name, DataType.SPARSE_FLOAT_VECTOR)
        if name in self._options.vector:
            raise self._no_such_vector(name, kind)
        nullable = self._is_nullable(name)
        if name == self._options.partition_key:
            return self._partition_key_field(name, kind)
        if (scalar := scalar_type(kind)) is not None:
            return FieldSchema(name, scalar, nullable=nullable)
        if pa.types.is_timestamp(kind):
            return FieldSchema(name, self._times, nullable=nullable)
        if is_text(kind) or has_text(kind):
            return FieldSchema(name, DataType.VARCHAR, max_length=text_length(kind), nullable=nullable)
        element = element_type(kind)
        if element is not None:
            return FieldSchema(
                name,
                DataType.ARRAY,
                element_type=element,
                max_capacity=MAX_ARRAY_CAPACITY,
                max_length=MAX_VARCHAR_BYTES if element is DataType.VARCHAR else None,
                nullable=nullable,
            )
        if is_document(kind):
            return FieldSchema(name, DataType.JSON, nullable=nullable)
        raise _error(name, "a type with a rule for a new field", str(kind), advice(name, kind))

    def _partition_key_field(self, name: str, kind: pa.DataType) -> FieldSchema:
        if scalar_type(kind) in _INTEGERS:
            return FieldSchema(name, DataType.INT64, is_partition_key=True)
        if is_text(kind) or is_uuid(kind):
            return FieldSchema(name, DataType.VARCHAR, max_length=text_length(kind), is_partition_key=True)
        raise _error(name, "a partition key of integers or strings", str(kind), "choose another column")

    def _is_sparse(self, name: str, kind: pa.DataType) -> bool:
        layout = sparse_layout(kind)
        if layout is None or not pa.types.is_floating(layout.value):
            return False
        return layout.kind == "map" or _is_named_sparse(layout) or name in self._options.vector

    # Lists that are vectors

    def _list_vectors(self) -> dict[str, int]:
        """Variable-length list columns that become dense vectors, with their dims."""
        lengths = self._row_lengths
        named = [name for name in self._options.vector if name in lengths]
        if self._options.vector:
            return {name: self._named_dim(name, lengths[name]) for name in named}
        candidates = {name: dim for name, seen in lengths.items() if len(seen) == 1 for dim in seen if dim > 1}
        sure = [name for name, kind in self._types.items() if is_fixed_vector(kind)]
        candidates = {name: dim for name, dim in candidates.items() if dim == self._options.dim} or candidates
        if candidates and len(candidates) + len(sure) > 1:
            shown = ", ".join(f"{name!r} ({dim} numbers)" for name, dim in candidates.items())
            and_sure = f" beside {', '.join(map(repr, sure))}" if sure else ""
            raise _error_of_source(
                "to know which lists are vectors",
                f"lists of one length in {shown}{and_sure}",
                "name each vector's column with --vector COLUMN; the other lists become arrays",
            )
        return candidates

    @cached_property
    def _row_lengths(self) -> dict[str, dict[int, int]]:
        """Of the columns that may be dense vectors, how many of the sampled rows have which length."""
        lengths = {
            name: self._lengths(name)
            for name, kind in self._types.items()
            if is_float_list(kind) or (name in self._options.vector and is_integer_list(kind))
        }
        texts = ((name, self._written(name)) for name, kind in self._types.items() if is_text(kind))
        return lengths | {name: seen for name, seen in texts if seen}

    def _lengths(self, name: str) -> dict[int, int]:
        values = self._sampled(name)
        if values is None:
            return {}
        values = plain(values)
        nulls = null_mask(values)
        lengths = np.diff(open_list(values)[0])
        return Counter((lengths if nulls is None else lengths[~nulls]).tolist())

    def _written(self, name: str) -> dict[int, int]:
        """The lengths of rows of text, where all of them are written vectors."""
        values = self._sampled(name)
        if values is None or name in (self._key_name, self._options.partition_key):
            return {}
        texts = plain(values).drop_null()
        if (problem := misprint(texts)) is not None:
            raise _error(name, *problem)
        return written_lengths(texts, named=name in self._options.vector)

    def _no_such_vector(self, name: str, kind: pa.DataType) -> SchemaError:
        found, remedy = str(kind), "choose another column with --vector"
        values = self._sampled(name)
        if is_list(kind) and is_list(kind.value_type):
            remedy = "keep one vector a row in the source (the first, the mean), or make a row of each"
        elif is_text(kind) and values is not None and len(texts := plain(values).drop_null()):
            found = f"text such as {texts[0].as_py()[:_SHOWN]!r}"
            remedy = "write its vectors as [0.1, 0.2], or choose another column with --vector"
        return _error(name, "a column that can be a vector", found, remedy)

    def _named_dim(self, name: str, lengths: dict[int, int]) -> int:
        if self._options.dim is not None:
            return self._options.dim
        if len(lengths) != 1 or 0 in lengths:
            usual = prevailing_length(lengths)
            found = lengths_text(lengths) if lengths else "no rows to see it"
            said = "" if usual is None else f" {usual}, which rejects rows of other lengths"
            remedy = f"say it with --dim{said}, or create the collection first"
            raise _error(name, "one length in the first rows, for the vector's dim", found, remedy)
        return next(iter(lengths))


def _error(column: str, expected: str, found: str, remedy: str) -> SchemaError:
    return SchemaError(explain(f"column {column!r}", expected, found, remedy), field=column)


def _error_of_source(expected: str, found: str, remedy: str) -> SchemaError:
    return SchemaError(explain("source", expected, found, remedy))


def _all_of(problems: Sequence[SchemaError]) -> SchemaError:
    if len(problems) == 1:
        return problems[0]
    lines = "\n".join(f"  {problem}" for problem in problems)
    return SchemaError(f"{len(problems)} columns have no place in a new collection:\n{lines}", field=problems[0].field)


def _is_named_sparse(layout: SparseLayout) -> bool:
    index, value = (name.casefold() for name in layout.names)
    return index in _INDEX_NAMES and value in _VALUE_NAMES
