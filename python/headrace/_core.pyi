"""The Rust core. Every call releases the GIL while it checks and packs; nothing is copied before it is packed.

Wherever a batch or a column is taken, it is an object with ``__arrow_c_array__`` (a pyarrow RecordBatch or Array,
arro3, nanoarrow, ...). What the columns of a batch may look like is in :mod:`headrace.packing`.
"""

from collections.abc import Sequence
from typing import Any, Protocol, final, type_check_only

__all__ = ["Field", "Packer", "build_info", "decode_columns", "float_lists", "float_rows", "pack_field"]

#: Bytes that were decoded, or start and length of those of the message.
_Memory = bytes | tuple[int, int]
#: Slot of ``schema.proto``, buffers, and of arrays the elements' data type and values.
_DecodedValues = tuple[str, list[_Memory], tuple[int, _DecodedValues | None] | None]
#: Name, data type, whether it is dynamic, dim, mask (a byte a row, or empty), values where they are known.
_DecodedColumn = tuple[str, int, bool, int, bytes, _DecodedValues | None]

@type_check_only
class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]: ...

@final
class Field:
    """One field of a collection, checked when it is built. Immutable.

    Args:
        name: The field's name.
        data_type: Its number in ``schema.proto`` (see ``headrace.DataType``).
        dim: Dimension of a dense vector; 0 for other types.
        element_type: Element type of an array; 0 for other types.
        max_length: Longest varchar, or varchar element of an array, in UTF-8 bytes; 0 for other types.
        max_capacity: Most elements of an array; 0 for other types.
        nullable: Whether cells may be null; the mask (``valid_data``) is then always sent.
        is_dynamic: Whether it is the dynamic field ``$meta``.

    Raises:
        SchemaError: If the type is not supported, or a parameter is missing, out of bounds or not the type's.
    """

    def __new__(
        cls,
        name: str,
        data_type: int,
        *,
        dim: int = 0,
        element_type: int = 0,
        max_length: int = 0,
        max_capacity: int = 0,
        nullable: bool = False,
        is_dynamic: bool = False,
    ) -> Field: ...
    @property
    def name(self) -> str:
        """The field's name."""

@final
class Packer:
    """Packs record batches for one collection. Immutable, usable from any thread.

    A batch has exactly one column for each field, in any order. ``pack_insert`` and ``pack_upsert`` raise
    ``CellError`` for the first refused cell (the row counts within the given batch) and ``SchemaError`` for columns
    that do not fit their fields.

    Args:
        fields: The fields, in the order in which they are written.
        collection_name: The collection; not empty.
        db_name: The database; empty for the connection's own.
        partition_name: The partition; empty for the default one.
        declared: Fields that are declared but not sent, whose names the dynamic field's keys must not have.

    Raises:
        SchemaError: If there is no collection name or no field, or a field stands twice.
    """

    def __new__(
        cls,
        fields: Sequence[Field],
        *,
        collection_name: str,
        db_name: str = "",
        partition_name: str = "",
        declared: Sequence[str] = ...,
    ) -> Packer: ...
    def pack_insert(self, batch: _ArrowArray, *, schema_timestamp: int = 0) -> bytes:
        """The bytes of an ``InsertRequest``. A ``schema_timestamp`` of 0 is left out."""

    def pack_upsert(self, batch: _ArrowArray, *, schema_timestamp: int = 0, partial_update: bool = False) -> bytes:
        """The bytes of an ``UpsertRequest``; without ``partial_update`` those of ``pack_insert``."""

    def encoded_len(self, batch: _ArrowArray) -> int:
        """The exact length of ``pack_insert(batch)``, without packing."""

    def fit(self, batch: _ArrowArray, offset: int, max_bytes: int) -> int:
        """How many rows from ``offset`` make a request of at most ``max_bytes``.

        Room for any schema timestamp and the flag of a partial update is included. At least 1 where rows remain
        (a single row may be larger than ``max_bytes``), 0 where none do.
        """

    def check(self, batch: _ArrowArray) -> list[tuple[int, str, str, str, str]]:
        """``(row, field, expected, found, remedy)`` for the first refused cell of each refused row, rows ascending."""

def pack_field(field: Field, column: _ArrowArray) -> bytes:
    """One serialized ``schema.FieldData``. Raises as :class:`Packer` does."""

def decode_columns(message: bytes, path: Sequence[int]) -> tuple[list[_DecodedColumn], bytes]:
    """The FieldData under the field numbers ``path`` in a message, and the message without them.

    Buffers are those of Arrow arrays: elements of one width; int32 offsets and bytes of texts; int32 offsets, uint32
    indices and float32 values of sparse vectors; int32 offsets of arrays. Bools are a byte each.

    Raises:
        TransportError: If the bytes are no such message, or a column contradicts itself.
    """

def float_lists(column: _ArrowArray) -> list[list[float]]:
    """Vectors of float32 (a fixed-size list) as lists of Python floats; Python's collector does not run meanwhile.

    Raises:
        SchemaError: If it is no Arrow array.
        TypeError: If it holds anything else.
    """

def float_rows(rows: list[Any], dim: int) -> bytes | None:
    """Lists of ``dim`` Python numbers as rows of little-endian float32, each rounded to the nearest.

    None where a row is no list of so many floats and ints, an int is above 2^24, or a float is beyond float32.
    """

def build_info() -> dict[str, str]:
    """``version``, ``profile`` (``"release"`` or ``"debug"``), ``target`` and the ``arrow`` crates' version."""
