"""The parts of a source that workers load apart: a plan that is a JSON document, and one part of it as a source.

A plan pins the files it was made of. Its parts hold every row of them exactly once.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from headrace.config import LoadOptions
from headrace.errors import ConfigError, SourceError, explain
from headrace.sources import (
    FileIdentity,
    Part,
    RowRange,
    Source,
    divide,
    identify_all,
    keyed_by_row,
    open_source,
    ranged,
)
from headrace.sources.rowkeys import ROW

__all__ = ["Plan", "PlanPart", "PlannedFile", "choose_source", "open_part", "plan"]

#: What a document of ours says; another number is another layout.
FORMAT = 1
#: A part that is lost with its journal is loaded again as a whole: so large it is at most, where rows are known ...
PART_ROWS = 1_000_000
#: ... and where they are not.
PART_BYTES = 1 << 30
#: Airflow maps a task to 1,024 values at most, unless it is configured otherwise.
MOST_PARTS = 1_000

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file as it was when the plan was made.

    Attributes:
        path: Its path or URI, as messages name it.
        rows: How many rows it has; None where only reading tells.
        identity: In which state it was.
    """

    path: str
    rows: int | None
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class PlanPart:
    """One part of a plan, with everything that a worker needs to load it: give it to :func:`headrace.load`.

    Attributes:
        plan: The plan's id.
        part: Its number, from 1.
        of: How many parts the plan has.
        rows: How many rows it has; None where only reading tells.
        bytes: About how many bytes of the files.
        files: The files it has rows of (one file at least).
        ranges: Its rows.
    """

    plan: str
    part: int
    of: int
    rows: int | None
    bytes: int
    files: tuple[PlannedFile, ...]
    ranges: tuple[RowRange, ...]

    @property
    def name(self) -> str:
        """``part-2-of-3``."""
        return f"part-{self.part}-of-{self.of}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        lists = {"files": [asdict(file) for file in self.files], "ranges": [asdict(wanted) for wanted in self.ranges]}
        return {"headrace_plan": FORMAT, **asdict(self), **lists}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The part that :meth:`to_dict` made a document of.

        Raises:
            ConfigError: If it is no such document.
        """
        with _Reading("part"):
            values = _versioned(document)
            files = tuple(_file(entry) for entry in values.pop("files"))
            ranges = tuple(RowRange(**entry) for entry in values.pop("ranges"))
            return cls(**values, files=files, ranges=ranges)


@dataclass(frozen=True, slots=True)
class Plan:
    """A source's files, pinned, and its parts, which hold every row of them exactly once.

    Attributes:
        id: What tells it from other plans, also of the same source.
        source: The paths that it was made of, as given.
        files: Its files.
        parts: Its parts.
    """

    id: str
    source: tuple[str, ...]
    files: tuple[PlannedFile, ...]
    parts: tuple[PlanPart, ...]

    @property
    def rows(self) -> int | None:
        """How many rows it has; None where only reading tells."""
        rows = [file.rows for file in self.files]
        return None if None in rows else sum(count or 0 for count in rows)

    def part(self, number: int) -> PlanPart:
        """The part of this number, from 1.

        Raises:
            ConfigError: If there is none.
        """
        if not 1 <= number <= len(self.parts):
            raise ConfigError(explain("part", f"a number from 1 to {len(self.parts)}", repr(number), "choose one"))
        return self.parts[number - 1]

    def to_json(self) -> str:
        """The plan as one JSON document."""
        document = {
            "headrace_plan": FORMAT,
            "id": self.id,
            "source": list(self.source),
            "rows": self.rows,
            "bytes": sum(file.identity.size for file in self.files),
            "files": [asdict(file) for file in self.files],
            "parts": [
                {
                    "part": part.part,
                    "rows": part.rows,
                    "bytes": part.bytes,
                    "ranges": [asdict(wanted) for wanted in part.ranges],
                }
                for part in self.parts
            ],
        }
        return json.dumps(document, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The plan that :meth:`to_json` made a document of.

        Raises:
            ConfigError: If it is no such document.
        """
        with _Reading("plan"):
            document = _versioned(json.loads(text))
            files = tuple(_file(entry) for entry in document["files"])
            ranges = [tuple(RowRange(**it) for it in entry["ranges"]) for entry in document["parts"]]
            parts = _parts(document["id"], files, ranges, [entry["bytes"] for entry in document["parts"]])
            return cls(document["id"], tuple(document["source"]), files, parts)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The plan in a file.

        Raises:
            ConfigError: If it cannot be read, or is no plan.
        """
        try:
            return cls.from_json(Path(path).read_bytes())
        except OSError as error:
            found = error.strerror or str(error)
            raise ConfigError(explain(f"plan {os.fspath(path)}", "a file", found, "check the path")) from error


def plan(source: Paths, *, parts: int | None = None, rows_per_part: int | None = None, **options: Any) -> Plan:
    """Divide files into parts that workers can load apart; heads and footers are read, and the end of each file.

    Args:
        source: A path, glob, directory, URI or list of them.
        parts: How many parts; by default as few as there can be with at most ``rows_per_part`` rows each (where only
            reading tells how many rows there are, 1 GiB), and 1,000 at most.
        rows_per_part: Most rows of a part; 1,000,000 by default.
        **options: Fields of :class:`headrace.LoadOptions`; those about files count.

    Returns:
        The plan. Parts are of about equal bytes, and empty where there are fewer rows than parts.

    Raises:
        ConfigError: If ``source`` names no files, or a number cannot be used.
        SourceError: If a file cannot be read.
    """
    if parts is not None and rows_per_part is not None:
        raise ConfigError(explain("parts", "a number of parts or of rows a part", "both", "give one of them"))
    for name, value in (("parts", parts), ("rows_per_part", rows_per_part)):
        if value is not None and value < 1:
            raise ConfigError(explain(name, "a number of at least 1", repr(value), "give a positive number"))
    return _divided(source, parts, rows_per_part or PART_ROWS, secrets.token_hex(8), LoadOptions(**options))


def _divided(source: object, count: int | None, rows: int, name: str | None, options: LoadOptions) -> Plan:
    paths = _paths(source)
    with _open(paths, options) as opened:
        identities = identify_all(opened.files)
        files = tuple(PlannedFile(file.label, file.rows, identities[file.label]) for file in opened.files)
        sizes = {file.path: file.identity.size for file in files}
        if count is None:
            known = [file.rows for file in files]
            by_bytes = math.ceil(sum(sizes.values()) / PART_BYTES)
            by_rows = math.ceil(sum(it or 0 for it in known) / rows)
            count = min(MOST_PARTS, max(1, by_rows, by_bytes if None in known else 1))
        ranges = divide(opened, sizes, count)
    if name is None:
        # Every machine that divides the same files into as many parts gives it the same name.
        key = json.dumps([count, [file.identity.path for file in files]])
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
    shares = [sum(_bytes(wanted, files) for wanted in group) for group in ranges]
    return Plan(name, tuple(paths), files, _parts(name, files, ranges, shares))


def choose_source(source: object, part: str | int | None, options: LoadOptions | None = None) -> object:
    """What is meant by ``part``: a part of a plan by its number, ``"2/3"`` of files, or the source itself by None.

    Raises:
        ConfigError: If it means none.
        SourceError: If a file cannot be read.
    """
    if part is None and not isinstance(source, Plan):
        return source
    if isinstance(source, Plan):
        if isinstance(part, str) and part.isdecimal():
            part = int(part)
        if isinstance(part, bool) or not isinstance(part, int):
            remedy = "give its number, or the source instead of the plan"
            raise ConfigError(explain("part", f"a number from 1 to {len(source.parts)}", repr(part), remedy))
        return source.part(part)
    found = re.fullmatch(r"(\d+)/(\d+)", part) if isinstance(part, str) else None
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        remedy = "write such as 2/3, or give a plan"
        raise ConfigError(explain("part", "NUMBER/PARTS", repr(part), remedy))
    return _divided(source, int(found[2]), PART_ROWS, None, options or LoadOptions()).part(int(found[1]))


def open_part(part: PlanPart, options: LoadOptions) -> Source:
    """The rows of a part as a source; they have the numbers and the ``@row`` keys that they have in the whole.

    Raises:
        SourceError: If a file is not as it was when the plan was made.
        ConfigError: If rows are to be numbered that have no numbers.
    """
    opened = _open([file.path for file in part.files], options)
    now = identify_all(opened.files)
    for file in part.files:
        difference = "another name" if file.path not in now else file.identity.difference(now[file.path])
        if difference:
            expected, remedy = "the file as it was when the plan was made", "make the plan anew"
            raise SourceError(explain(file.path, expected, difference, remedy), source=file.path)
    numbers = {wanted: wanted.number for wanted in part.ranges}
    if options.key == ROW and None in numbers.values():
        expected, found = "files that know how many rows they have", "rows before it that only reading counts"
        raise ConfigError(explain(f"--key {ROW} of {part.name}", expected, found, "use --key @file_row"))

    def first_number(piece: Part) -> int:
        for wanted in part.ranges:
            if wanted.file == piece.label and wanted.first_row <= piece.first_row < wanted.first_row + (
                wanted.rows or 0
            ):
                return (wanted.number or 0) + piece.first_row - wanted.first_row
        return 0

    return keyed_by_row(ranged(opened, part.ranges), options.key, first_number)


def _open(paths: Sequence[str], options: LoadOptions) -> Source:
    # Keys made of row numbers need the numbers of the whole.
    return open_source(list(paths), options=replace(options, key=None))


def _paths(source: object) -> list[str]:
    given = [source] if isinstance(source, str | os.PathLike) else source
    if isinstance(given, list | tuple) and given and all(isinstance(it, str | os.PathLike) for it in given):
        return [os.fspath(it) for it in given]
    expected, found = "a path, glob, directory, URI or a list of them", type(source).__name__
    raise ConfigError(explain("source of parts", expected, found, "write the rows into files"))


def _parts(
    name: str, files: Sequence[PlannedFile], ranges: Sequence[tuple[RowRange, ...]], shares: Sequence[int]
) -> tuple[PlanPart, ...]:
    by_path = {file.path: file for file in files}
    found = []
    for number, (group, share) in enumerate(zip(ranges, shares, strict=True), 1):
        rows = [wanted.rows for wanted in group]
        paths = list(dict.fromkeys(wanted.file for wanted in group)) or [files[0].path]
        found.append(
            PlanPart(
                plan=name,
                part=number,
                of=len(ranges),
                rows=None if None in rows else sum(it or 0 for it in rows),
                bytes=share,
                files=tuple(by_path[path] for path in paths),
                ranges=group,
            )
        )
    return tuple(found)


def _bytes(wanted: RowRange, files: Sequence[PlannedFile]) -> int:
    file = next(it for it in files if it.path == wanted.file)
    if wanted.rows is None or not file.rows:
        return file.identity.size
    return file.identity.size * wanted.rows // file.rows


def _file(entry: Mapping[str, Any]) -> PlannedFile:
    return PlannedFile(entry["path"], entry["rows"], FileIdentity(**entry["identity"]))


def _versioned(document: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(document)
    if values.pop("headrace_plan") != FORMAT:
        raise ValueError(f"not of format {FORMAT}")
    return values


class _Reading:
    """What goes wrong with a document's shape becomes a ConfigError."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, LookupError | TypeError | ValueError | AttributeError):
            found, remedy = f"another document ({type(error).__name__}: {error})", "give what `headrace plan` printed"
            raise ConfigError(explain(self._what, "a plan of headrace's", found, remedy)) from error
