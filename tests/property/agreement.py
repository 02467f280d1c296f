"""When our bytes are the message that pymilvus makes."""

from __future__ import annotations

from typing import Any


def assert_same(ours: bytes, theirs: Any) -> None:
    """Fail unless ``ours`` are a message like ``theirs``, of a class of pymilvus's.

    What is free is the order of fields. Floats compare as bits: 0.0 and -0.0 are different, NaN is itself.
    """
    kind = type(theirs)
    wanted = _canonical(theirs.SerializeToString(), kind)
    if _canonical(ours, kind) != wanted:
        assert str(kind.FromString(ours)) == str(kind.FromString(wanted))
        raise AssertionError(f"{ours.hex()} is not {wanted.hex()}")


def _canonical(packed: bytes, kind: type) -> bytes:
    message = kind.FromString(packed)
    if hasattr(message, "fields_data"):
        columns = sorted(message.fields_data, key=lambda data: data.field_name)
        del message.fields_data[:]
        message.fields_data.extend(columns)
    return message.SerializeToString(deterministic=True)
