"""UUIDs as Arrow columns, also for versions of pyarrow that have no type for them."""

from __future__ import annotations

import pyarrow as pa


class UuidType(pa.ExtensionType):
    """Arrow's canonical extension, which older versions of pyarrow do not bring."""

    def __init__(self):
        super().__init__(pa.binary(16), "arrow.uuid")

    def __hash__(self):
        return hash(self.extension_name)

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, _storage, _serialized):
        return cls()


def uuids(values):
    """The values in Arrow's canonical extension; None is null."""
    storage = pa.array([None if value is None else value.bytes for value in values], pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid() if hasattr(pa, "uuid") else UuidType(), storage)
