"""Columns that not every pyarrow makes which is supported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["arrow_array", "canonical"]


class _Canonical(pa.ExtensionType):
    """What an older pyarrow has no class for."""

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> _Canonical:
        raise NotImplementedError


def canonical(name: str, storage: pa.Array) -> pa.Array:
    """``storage`` as the canonical extension type of this name without parameters: bool8, json or uuid."""
    make = getattr(pa, {"json": "json_"}.get(name, name), None)
    kind = _Canonical(storage.type, f"arrow.{name}") if make is None else make()
    return pa.ExtensionArray.from_storage(kind, storage)


def arrow_array(values: Any, kind: pa.DataType) -> pa.Array:
    """``pa.array``; pyarrow 18 and older take only numpy's float16 for one."""
    return pa.array([_halved(value, kind) for value in values], kind)


def _halved(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_float16(kind):
        return np.float16(value)
    if isinstance(value, list | tuple) and hasattr(kind, "value_type"):
        return [_halved(item, kind.value_type) for item in value]
    return value
