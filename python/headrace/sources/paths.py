"""Which files a path, glob, directory or URI means, and errors about them.

Everything is read through :mod:`pyarrow.fs`. Paths without a scheme and ``file://`` are local; other schemes are
whatever this pyarrow knows (``s3://``, ``gs://``).
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs

from headrace.errors import SourceError, explain
from headrace.sources.ahead import ReadAheadFile, at_once
from headrace.sources.filesystems import Storage
from headrace.sources.globs import MAGIC, PLACE, as_glob, matcher, split_pattern

__all__ = ["READ_ERRORS", "FileRef", "damaged", "find_files"]

#: What pyarrow raises for files that are missing, damaged or not what they seem.
READ_ERRORS = (OSError, pa.ArrowException, ValueError, KeyError)
#: A line of a list file that is no path.
_COMMENT = "#"
_LOCAL = pafs.LocalFileSystem()


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file.

    Attributes:
        label: The path or URI for messages and the journal.
        filesystem: Where it is.
        path: Its path there.
        size: Its bytes.
        below: Its path below the directory or glob that was searched for it; empty where it was named itself.
    """

    label: str
    filesystem: pafs.FileSystem
    path: str
    size: int
    below: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine's own file system."""
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def open(self, stop: int | None = None) -> pa.NativeFile:
        """Open it; one that is far away is read ahead, up to ``stop``.

        Raises:
            OSError: If that cannot be done.
        """
        file = self.filesystem.open_input_file(self.path)
        return file if self.is_local else pa.PythonFile(ReadAheadFile(file, stop), mode="r")


def damaged(ref: FileRef, expected: str, error: BaseException, position: str | None) -> SourceError:
    """The error for a file that cannot be opened or read; ``error`` is what the reader said."""
    where = ref.label if position is None else f"{ref.label}, {position}"
    if isinstance(error, PermissionError):
        found, remedy = "no permission", "allow this user to read it"
    elif isinstance(error, FileNotFoundError):
        found, remedy = "no such file", "load files that nobody removes"
    else:
        lines = str(error).strip().splitlines()
        found = f"damage ({lines[0].rstrip('. ')})" if lines else f"damage ({type(error).__name__})"
        remedy = "write the file again or leave it out"
    return SourceError(explain(where, expected, found, remedy), source=ref.label, position=position)


def find_files(
    paths: Sequence[str | os.PathLike[str]], storage: Storage | None = None
) -> tuple[list[FileRef], list[str]]:
    """The files that the paths name, in the order of the paths, and those that were left out.

    Inside a directory (read with all below it) and among the matches of a glob, files sort by path; empty files and
    names that start with ``_`` or ``.`` are left out there, as markers and remains of other programs. ``@list.txt`` are
    the paths, globs and URIs in that text file, one a line; ``{part}`` is ``*`` with a name.

    Raises:
        SourceError: If a path names nothing, cannot be read, or a file is named twice.
        ConfigError: If an option of ``storage`` cannot be used.
    """
    storage = storage or Storage()
    found: list[FileRef] = []
    skipped: list[str] = []
    for path in _listed_paths(paths):
        files, left_out = _expand(path, storage)
        found += files
        skipped += left_out
    seen: set[tuple[str, str]] = set()
    for ref in found:
        local = isinstance(ref.filesystem, pafs.LocalFileSystem)
        key = (ref.filesystem.type_name, os.path.realpath(ref.path) if local else ref.path)
        if key in seen:
            raise SourceError(
                explain(ref.label, "each file once", "a file that is named twice", "name it once"), source=ref.label
            )
        seen.add(key)
    return found, skipped


def _at_home(path: str) -> str:
    """The path with ``~`` as a shell reads it, which nobody did for a quoted glob or in Python."""
    return str(Path(path).expanduser()) if path.startswith("~/") and not Path("~").exists() else path


def _listed_paths(paths: Sequence[str | os.PathLike[str]]) -> Iterable[str]:
    for path in [_at_home(os.fspath(given)) for given in paths]:
        if not path.startswith("@") or Path(path).exists():
            yield path
            continue
        try:
            lines = Path(path[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(path, error) from error
        listed = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith(_COMMENT)]
        if not listed:
            raise SourceError(
                explain(path, "a text file with a path a line", "no path in it", "write the paths into it"), source=path
            )
        yield from listed


def _expand(path: str, storage: Storage) -> tuple[list[FileRef], list[str]]:
    scheme, separator, _ = path.partition("://")
    if storage.filesystem is None and (not separator or scheme == "file"):
        return _expand_local(path)
    prefix, pattern = split_pattern(as_glob(path))
    try:
        if storage.filesystem is not None:
            filesystem, base = storage.filesystem, prefix
        else:
            filesystem, base = storage.find(prefix)
        info = filesystem.get_file_info(base)
    except READ_ERRORS as error:
        raise _unusable(path, error) from error
    if storage.filesystem is not None:
        root = ""
    else:
        root = prefix[: len(prefix) - len(base)] if prefix.endswith(base) else f"{scheme}://"
    if pattern:
        return _matching(path, root, filesystem, base, pattern)
    return _named(path, root, filesystem, info)


def _expand_local(path: str) -> tuple[list[FileRef], list[str]]:
    plain = unquote(path.removeprefix("file://")) if path.startswith("file:///") else path
    plain = os.path.expanduser(plain)  # noqa: PTH111 - Path() would normalise what the user wrote
    if (MAGIC.search(plain) or PLACE.search(plain)) and not Path(plain).exists():
        return _matching_local(path, as_glob(plain), _LOCAL)
    try:
        info = _LOCAL.get_file_info(plain)
    except READ_ERRORS as error:
        raise _unusable(path, error) from error
    return _named(path, "", _LOCAL, info)


def _matching_local(path: str, pattern: str, filesystem: pafs.FileSystem) -> tuple[list[FileRef], list[str]]:
    prefix = split_pattern(pattern)[0]
    files: list[FileRef] = []
    skipped: list[str] = []
    for match in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 - the pattern may be absolute
        info = filesystem.get_file_info(match)
        if info.type == pafs.FileType.File:
            below = match[len(prefix) :]
            _sort_in(FileRef(match, filesystem, match, int(info.size or 0), below), below, files, skipped)
        elif info.type == pafs.FileType.Directory and "**" not in pattern:
            # "**" matches directories and what is in them.
            if _is_marked(match[len(prefix) :]):
                skipped.append(match)
            else:
                more, left_out = _listed(match, "", filesystem, match, above=match[len(prefix) :])
                files += more
                skipped += left_out
    if not files:
        raise _nothing(path, _none_but(skipped, "no file matches"))
    return files, skipped


def _sort_in(ref: FileRef, below: str, files: list[FileRef], skipped: list[str]) -> None:
    """Take a file that was not named itself, or leave it out; ``below`` is its path in what was searched."""
    if ref.size == 0 or _is_marked(below):
        skipped.append(ref.label)
    else:
        files.append(ref)


def _is_marked(below: str) -> bool:
    return any(name.startswith(("_", ".")) for name in below.split("/"))


def _none_but(skipped: list[str], nothing: str) -> str:
    return f"only files that are left out ({', '.join(map(repr, skipped[:3]))})" if skipped else nothing


def _named(path: str, root: str, filesystem: pafs.FileSystem, info: pafs.FileInfo) -> tuple[list[FileRef], list[str]]:
    if info.type == pafs.FileType.Directory:
        return _inside(path, root, filesystem, info.path)
    if info.type != pafs.FileType.File:
        found = (
            "no such file" if info.type == pafs.FileType.NotFound else "something that is neither file nor directory"
        )
        raise _nothing(path, found)
    return [FileRef(path if root else info.path, filesystem, info.path, int(info.size or 0))], []


def _inside(path: str, root: str, filesystem: pafs.FileSystem, base: str) -> tuple[list[FileRef], list[str]]:
    files, skipped = _listed(path, root, filesystem, base)
    if not files:
        found = _none_but(skipped, "none")
        raise SourceError(
            explain(path, "a directory with files to load", found, "check the directory or name the files"), source=path
        )
    return files, skipped


def _listed(
    path: str, root: str, filesystem: pafs.FileSystem, base: str, *, above: str = ""
) -> tuple[list[FileRef], list[str]]:
    files: list[FileRef] = []
    skipped: list[str] = []
    try:
        infos = _all_in(filesystem, pafs.FileSelector(base, recursive=True))
    except READ_ERRORS as error:
        raise _unusable(path, error) from error
    for info in sorted(infos, key=lambda info: info.path):
        if info.type == pafs.FileType.File:
            below = above + info.path[len(base) :]
            ref = FileRef(root + info.path, filesystem, info.path, int(info.size or 0), below)
            _sort_in(ref, below, files, skipped)
    return files, skipped


def _all_in(filesystem: pafs.FileSystem, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
    """What a directory holds. Listings of web servers have no sizes: then each file is asked for its own."""

    def sized(info: pafs.FileInfo) -> pafs.FileInfo:
        return info if not info.is_file or info.size is not None else filesystem.get_file_info(info.path)

    return at_once(sized, filesystem.get_file_info(selector))


def _matching(
    path: str, root: str, filesystem: pafs.FileSystem, base: str, pattern: str
) -> tuple[list[FileRef], list[str]]:
    wanted = matcher(pattern)
    try:
        selector = pafs.FileSelector(base, allow_not_found=True, recursive="/" in pattern or "**" in pattern)
        infos = _all_in(filesystem, selector)
    except READ_ERRORS as error:
        raise _unusable(path, error) from error
    files: list[FileRef] = []
    skipped: list[str] = []
    for info in sorted(infos, key=lambda info: info.path):
        below = info.path[len(base) :].strip("/")
        if info.type == pafs.FileType.File and wanted.match(below):
            ref = FileRef(root + info.path, filesystem, info.path, int(info.size or 0), below)
            _sort_in(ref, below, files, skipped)
    if not files:
        raise _nothing(path, _none_but(skipped, "no file matches"))
    return files, skipped


def _nothing(path: str, found: str) -> SourceError:
    return SourceError(
        explain(path, "a file, directory or glob with files", found, "check the path, and quote a glob in the shell"),
        source=path,
    )


def _unusable(path: str, error: BaseException) -> SourceError:
    if isinstance(error, PermissionError):
        found, remedy = "no permission", "allow this user to read it"
    else:
        lines = str(error).strip().splitlines()
        found = lines[0].rstrip(". ") if lines else type(error).__name__
        remedy = "check the address, or load a local copy"
    return SourceError(explain(path, "a path or URI that can be read", found, remedy), source=path)
