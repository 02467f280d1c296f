"""Directories and globs with files of several kinds: how to name those of one kind."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from headrace.errors import SourceError
from headrace.sources.bigann import NAMES as BIGANN_NAMES
from headrace.sources.paths import FileRef

__all__ = ["naming_one_kind"]

#: Names of files of rows; .json may be anything.
_ROWS = frozenset(
    {".parquet", ".arrow", ".feather", ".ipc", ".npy", ".npz", ".jsonl", ".ndjson", ".csv", ".tsv", ".tab", ".h5"}
    | {".hdf5", *BIGANN_NAMES}
)
_PACKED = re.compile(r"(\.\w+)?\.(gz|gzip|zst|zstd)$", re.IGNORECASE)


@contextmanager
def naming_one_kind(refs: Sequence[FileRef], *, comparing: bool = False) -> Iterator[None]:
    """Add to the refusal of a file that nobody named itself how to load only the files of rows that lie beside it.

    Args:
        refs: The files that were found.
        comparing: Whether files are compared with each other; else the refused file is the one that is wrong.

    Raises:
        SourceError: The one that was raised, with that advice where there is some.
    """
    try:
        yield
    except SourceError as error:
        refused = next((ref for ref in refs if ref.label == error.source and ref.below), None)
        found = None if refused is None else _one_kind(refused, refs, comparing=comparing)
        if found is None:
            raise
        message = f"{error}; to load only the files of one kind name them: {found!r}"
        raise SourceError(message, source=error.source, position=error.position) from error


def _one_kind(refused: FileRef, refs: Sequence[FileRef], *, comparing: bool) -> str | None:
    """A glob for the files that are of the same kind as most beside the refused one; None where that is no advice."""
    top = refused.label.removesuffix(refused.below)
    beside = [ref for ref in refs if ref.below and ref.label.removesuffix(ref.below) == top]
    kinds = Counter(kind for ref in beside if _is_rows(kind := _kind(ref)))
    if not kinds or len({_kind(ref) for ref in beside}) == 1:
        return None
    kind = kinds.most_common(1)[0][0]
    if kind == _kind(refused) and not comparing:
        return None
    places = {posixpath.dirname(ref.label) for ref in beside if _kind(ref) == kind}
    place = places.pop() if len(places) == 1 else posixpath.join(top, "**")
    return posixpath.join(place, f"*{kind}")


def _kind(ref: FileRef) -> str:
    """The end of the file's name by which its kind is known."""
    packed = _PACKED.search(ref.path)
    return packed[0] if packed is not None else PurePosixPath(ref.path).suffix


def _is_rows(kind: str) -> bool:
    return _PACKED.sub(r"\1", kind).lower() in _ROWS
