"""What tells a file from what it was when a load began."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import pyarrow.fs as pafs

from headrace.errors import SourceError, explain
from headrace.sources.paths import READ_ERRORS, FileRef, damaged

__all__ = ["FileIdentity", "changed_while_read", "identify"]

#: The end of a file that is read: the footer of a Parquet or Arrow IPC file lies in it, wholly or to a good part.
_END_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """One state of one file; any difference means that its rows may be others.

    Attributes:
        path: The absolute path with links resolved, or the URI.
        size: Its bytes.
        modified: When it was written, in nanoseconds since the epoch; None where the file system does not say.
        tag: The store's own tag of its content (``ETag``), or empty.
        digest: SHA-256 of its last 64 KiB, where columnar files have their footer; where others lie beside it, of
            their states too.
    """

    path: str
    size: int
    modified: int | None
    tag: str
    digest: str

    def to_dict(self) -> dict[str, str | int | None]:
        """The attributes as plain values."""
        return asdict(self)

    def beside(self, others: Sequence[FileIdentity]) -> FileIdentity:
        """The state of this file together with those whose columns lie beside its own."""
        if not others:
            return self
        digest = hashlib.sha256(self.digest.encode())
        for other in others:
            digest.update(json.dumps(other.to_dict()).encode())
        return replace(self, digest=digest.hexdigest())

    def difference(self, other: FileIdentity) -> str:
        """How ``other``, a later state of the same file, differs, in words; empty where it does not."""
        if self.size != other.size:
            return f"{other.size} bytes instead of {self.size}"
        if self.digest != other.digest:
            return "another end of the file"
        if self.tag != other.tag:
            return "another ETag"
        return "another time of writing" if self.modified != other.modified else ""


def identify(ref: FileRef) -> FileIdentity:
    """The state in which a file is now. Its end is read, nothing else.

    Raises:
        SourceError: If it cannot be read, or has another size than when it was found: where its rows lie was read of
            another file then.
    """
    local = isinstance(ref.filesystem, pafs.LocalFileSystem)
    try:
        with ref.filesystem.open_input_file(ref.path) as file:
            size = int(file.size())
            tag = bytes((file.metadata() or {}).get("ETag", b"")).decode("utf-8", "replace")
            file.seek(max(0, size - _END_BYTES))
            digest = hashlib.sha256(file.read(_END_BYTES)).hexdigest()
        modified = ref.filesystem.get_file_info(ref.path).mtime_ns
    except READ_ERRORS as error:
        raise damaged(ref, "a file that can be read", error, None) from error
    if size != ref.size:
        raise changed_while_read(ref.label, f"{size} bytes instead of {ref.size}")
    path = os.path.realpath(ref.path) if local else ref.label
    return FileIdentity(path, size, modified, tag, digest)


def changed_while_read(label: str, difference: str) -> SourceError:
    """The refusal of a file that somebody writes to."""
    expected, remedy = "a file that stays as it is while it is loaded", "load it again once nobody writes to it"
    return SourceError(explain(label, expected, difference, remedy), source=label)
