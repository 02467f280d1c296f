"""Milvus's messages and headrace's values, one into the other: status, key-value pairs, write answers.

Collections are :mod:`headrace.collection_messages`', columns of data :mod:`headrace.decoding`'s. Everything here is
pure: no I/O, no state. Facts about what servers answer are those of milvus-proto (master, August 2026), Milvus 2.3.5
and Milvus Lite 3.2.2.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from headrace._proto import common_pb2, milvus_pb2, schema_pb2
from headrace.errors import MilvusException, TransportError, explain

__all__ = [
    "MutationReply",
    "ReplyStatus",
    "is_missing_collection",
    "key_values",
    "mapping",
    "mutation_reply",
    "parse",
    "property_pairs",
    "reply_status",
    "status_error",
    "status_in",
]

M = TypeVar("M", bound=Message)

#: ``Status.code`` of a missing collection (merr.ErrCollectionNotFound).
COLLECTION_NOT_FOUND = 100
#: Field 1, length-delimited: what every answer but a bare Status begins with, whose own first field is a number.
_STATUS_TAG = b"\x0a"
#: Bits of the longest varint.
_LONGEST_VARINT = 64
#: ``ErrorCode.CollectionNotExists`` of the legacy enum.
_LEGACY_COLLECTION_NOT_FOUND = 4


@dataclass(frozen=True)
class ReplyStatus:
    """``common.Status`` as a value.

    Attributes:
        code: ``Status.code``.
        legacy_code: ``Status.error_code``, the enum that old servers set alone.
        reason: The server's own text.
        retriable: The server's flag; it cannot be trusted in either direction (2.3.5 says false on a rate limit).
        extra_info: ``is_input_error`` and the like (Milvus 2.4).
    """

    code: int = 0
    legacy_code: int = 0
    reason: str = ""
    retriable: bool = False
    extra_info: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Success is both codes zero."""
        return self.code == 0 and self.legacy_code == 0

    @property
    def effective_code(self) -> int:
        """The code, or the legacy one where a server sets only that."""
        return self.code or self.legacy_code

    @property
    def is_input_error(self) -> bool:
        """Whether the server marks the refusal as the caller's fault."""
        return self.extra_info.get("is_input_error") == "true"


@dataclass(frozen=True)
class MutationReply:
    """The answer to Insert, Upsert or Delete.

    Attributes:
        status: What became of the request.
        insert_count, upsert_count, delete_count: The server's counters; an upsert sets all three on 2.3.5, only
            its own on Milvus Lite.
        succeeded: How many rows ``succ_index`` lists.
        failed: How many rows ``err_index`` lists; on a refusal that is every row, so it never tells which was bad.
        timestamp: Hybrid timestamp of the write; 0 on Milvus Lite.
    """

    status: ReplyStatus
    insert_count: int
    upsert_count: int
    delete_count: int
    succeeded: int
    failed: int
    timestamp: int
    _ids: schema_pb2.IDs = field(repr=False, compare=False)

    @property
    def ids(self) -> list[int] | list[str]:
        """Keys in request order; the generated ones where the server makes them."""
        if self._ids.WhichOneof("id_field") == "str_id":
            return list(self._ids.str_id.data)
        return list(self._ids.int_id.data)


def parse(message_class: type[M], raw: bytes, *, method: str) -> M:
    """Parse an answer.

    Raises:
        TransportError: If the bytes are not that message (something other than Milvus answered).
    """
    message = message_class()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise TransportError(
            explain(
                method, f"a {message_class.__name__}", f"{len(raw)} bytes that are none", "check what answers there"
            )
        ) from error
    return message


def reply_status(status: common_pb2.Status) -> ReplyStatus:
    """``common.Status`` as a value."""
    return ReplyStatus(
        code=status.code,
        legacy_code=status.error_code,
        reason=status.reason,
        retriable=status.retriable,
        extra_info=dict(status.extra_info),
    )


def status_error(status: common_pb2.Status, method: str = "") -> MilvusException | None:
    """The refusal that a status stands for, or None for success (both codes zero)."""
    if status.code == 0 and status.error_code == 0:
        return None
    reason = status.reason or status.detail or "no reason given"
    return MilvusException(reason, code=status.code or status.error_code, method=method)


def status_in(raw: bytes) -> ReplyStatus:
    """The status at the head of an answer, which may be long, or that is one; success where there is none.

    In every answer that has a status it is the first field, and servers write fields in order.
    """
    if raw[:1] == _STATUS_TAG:
        length, start, shift = 0, 1, 0
        while start < len(raw) and shift < _LONGEST_VARINT:
            byte = raw[start]
            length |= (byte & 0x7F) << shift
            start, shift = start + 1, shift + 7
            if byte < 0x80:
                break
        raw = raw[start : start + length]
    try:
        return reply_status(common_pb2.Status.FromString(raw))
    except DecodeError:
        return ReplyStatus()


def is_missing_collection(status: common_pb2.Status) -> bool:
    """Whether DescribeCollection's status means that there is no such collection.

    2.3.5 answers code 100 with the legacy code 1, newer servers and Milvus Lite code 100 with legacy 4; before
    2.3 there was only the legacy code, or its text.
    """
    return (
        status.code == COLLECTION_NOT_FOUND
        or status.error_code == _LEGACY_COLLECTION_NOT_FOUND
        or (status.error_code == 1 and "can't find collection" in status.reason)
    )


def mutation_reply(raw: bytes, method: str) -> MutationReply:
    """Read the answer to Insert, Upsert or Delete.

    Raises:
        TransportError: If the bytes are not a MutationResult.
    """
    message = parse(milvus_pb2.MutationResult, raw, method=method)
    return MutationReply(
        status=reply_status(message.status),
        insert_count=message.insert_cnt,
        upsert_count=message.upsert_cnt,
        delete_count=message.delete_cnt,
        succeeded=len(message.succ_index),
        failed=len(message.err_index),
        timestamp=message.timestamp,
        _ids=message.IDs,
    )


def key_values(values: Mapping[str, Any]) -> list[common_pb2.KeyValuePair]:
    """A mapping as KeyValuePairs: texts as they are, everything else as JSON text, as pymilvus writes it."""
    return [
        common_pb2.KeyValuePair(key=key, value=value if isinstance(value, str) else json.dumps(value))
        for key, value in values.items()
    ]


def property_pairs(values: Mapping[str, Any]) -> list[common_pb2.KeyValuePair]:
    """Properties and build parameters as KeyValuePairs: dicts and lists as JSON, the rest as Python's text.

    pymilvus writes ``True`` for a property and ``true`` for a type parameter; servers show what they were told.
    """
    return [
        common_pb2.KeyValuePair(key=key, value=json.dumps(value) if isinstance(value, dict | list) else str(value))
        for key, value in values.items()
    ]


def mapping(pairs: Iterable[common_pb2.KeyValuePair]) -> dict[str, str]:
    """KeyValuePairs as a dict, in their order."""
    return {pair.key: pair.value for pair in pairs}
