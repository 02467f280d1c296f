"""What a journal says, read from its file.

A *target* is one life of a collection: dropped and made again it is another one. A *mark* is written, and on the disk,
before the first of its rows is sent; what is marked and not settled may or may not be stored.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headrace.errors import JournalError, explain
from headrace.intervals import IntervalSet
from headrace.report import Verdict
from headrace.sources.identity import FileIdentity

__all__ = [
    "APPLICATION",
    "FORMAT",
    "JOURNAL",
    "FileRecord",
    "JournalReader",
    "Key",
    "KeyRange",
    "Place",
    "TargetRecord",
    "distinct_keys",
    "explained",
]

Key = int | str

#: The journal's name in its directory.
JOURNAL = "journal.sqlite"
#: ``PRAGMA user_version``: another number is another layout.
FORMAT = 4
#: ``PRAGMA application_id``: "hrjl".
APPLICATION = 0x68726A6C


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows go.

    Attributes:
        uri: The server, or the embedded database's path.
        database: The database; empty for the server's default.
        collection: The collection's real name.
        partition: The partition; empty for the default one.
        identity: What tells this life of the collection from another one.
    """

    uri: str
    database: str
    collection: str
    partition: str
    identity: str


_PLACE = tuple(item.name for item in fields(Place))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecord:
    """One life of a collection, and what a journal knows of it.

    Attributes:
        id: Its number in the journal.
        place: Where it is.
        rows_before: Its rows before the first run, where they could be counted.
        began: When the first run began, in seconds since the epoch.
        rows_again: Rows that may have been stored before their file, unchanged, was loaded again as a whole.
        rows_replaced: The same of files that had changed.
        highest: The highest code (:mod:`headrace.keyfilter`) of the keys of stored rows, or None.
    """

    id: int
    place: Place
    rows_before: int | None
    began: float
    rows_again: int = 0
    rows_replaced: int = 0
    highest: int | None = None


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Between which keys those of some rows lie, which are all different.

    Attributes:
        start: The first row.
        stop: The row after the last one.
        low: The smallest key; None where that is not known, or not that all keys are different.
        high: The largest key, or None.
    """

    start: int
    stop: int
    low: Key | None
    high: Key | None

    def joined(self, after: KeyRange) -> KeyRange:
        """What is known of these rows and of those right after them."""
        low, high = None, None
        if self.apart(after):
            low, high = min(self.low, after.low), max(self.high, after.high)  # type: ignore[type-var]
        return KeyRange(self.start, after.stop, low, high)

    def apart(self, other: KeyRange) -> bool:
        """Whether it is certain that no key is among both."""
        if None in (self.low, self.high, other.low, other.high):
            return False
        return bool(self.high < other.low or other.high < self.low)  # type: ignore[operator]


@dataclass(slots=True, kw_only=True)
class FileRecord:
    """One file, and what became of its rows.

    Attributes:
        id: Its number in the journal.
        identity: The file as it was when its load began.
        plan: Digest of how its columns became fields.
        rows: How many rows it has, where that is known.
        settled: Rows by verdict.
        open: Rows that were marked and not settled: they may be stored.
        doubled: Rows that were sent again though they may have been stored, under a second key of the server's.
        wanted: How many of its rows are to be loaded; None for all.
        before: Rows that may be stored of what was loaded under its path before; nobody knows their keys any more.
        keys: What is known of the keys of its stored rows.
    """

    id: int
    identity: FileIdentity
    plan: str
    rows: int | None
    wanted: int | None = None
    before: int = 0
    settled: dict[Verdict, IntervalSet] = field(default_factory=dict)
    open: IntervalSet = field(default_factory=IntervalSet)
    doubled: IntervalSet = field(default_factory=IntervalSet)
    keys: list[KeyRange] = field(default_factory=list)

    @property
    def replaces(self) -> bool:
        """Whether rows of it that are still to be sent may be stored already, from under its path before."""
        return self.before > 0 and not self.finished

    @property
    def finished(self) -> bool:
        """Whether every row of it that is to be loaded is settled."""
        wanted = self.rows if self.wanted is None else self.wanted
        return wanted is not None and sum(len(rows) for rows in self.settled.values()) >= wanted


def distinct_keys(files: Sequence[FileRecord], runs: Sequence[Mapping[str, Any]] = ()) -> int | None:
    """How many different keys the stored rows of a target have, where that is certain.

    Either one run stored all of them and counted, or their keys lie in ranges apart from each other: then as many as
    they are rows.

    Args:
        files: All its files.
        runs: All its runs, oldest first.
    """
    last = next((run for run in reversed(runs) if run["ended"] is None or run["stored"]), None)
    total = sum(len(file.settled.get(Verdict.STORED, ())) for file in files)
    if last is not None and last["ended"] is not None and last["stored"] == total and last["keys"] is not None:
        return int(last["keys"])
    return _in_ranges(files)


def _in_ranges(files: Sequence[FileRecord]) -> int | None:
    stored, ranges = 0, []
    for file in files:
        rows, known = file.settled.get(Verdict.STORED, IntervalSet()), IntervalSet()
        for found in file.keys:
            # A row that was stored once more has the key that it had.
            if not known.covers(found.start, found.stop):
                known.add(found.start, found.stop)
                ranges.append(found)
        if not all(known.covers(start, stop) for start, stop in rows.intervals()):
            return None
        stored += len(rows)
    if any(found.low is None for found in ranges):
        return None
    ranges.sort(key=lambda found: found.low)  # type: ignore[arg-type, return-value]
    return stored if all(a.apart(b) for a, b in itertools.pairwise(ranges)) else None


class JournalReader:
    """A journal that is open for reading, while whoever has it goes on.

    Args:
        directory: Where it is.

    Raises:
        JournalError: If it is damaged or cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / JOURNAL
        with explained(self.path):
            self._connection = self._connect()
            try:
                self._check()
                self._connection.row_factory = sqlite3.Row
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the journal; twice does no harm."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        # Without a log nobody writes, and looking leaves no files behind.
        quiet = not self.path.with_name(f"{JOURNAL}-wal").exists()
        return sqlite3.connect(f"{uri}&immutable=1" if quiet else uri, uri=True)

    def _check(self) -> None:
        version, application = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
        )
        if (version, application) != (FORMAT, APPLICATION):
            found = f"format {version}" if application == APPLICATION else "a database of something else"
            expected, remedy = f"a journal of format {FORMAT}", "give another --state-dir"
            raise JournalError(explain(str(self.path), expected, found, remedy), path=str(self.path))
        if (damage := self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(damage)

    def targets(self) -> list[TargetRecord]:
        """Every target, oldest first."""
        found = [dict(row) for row in self._read("SELECT * FROM target ORDER BY id")]
        return [TargetRecord(place=Place(**{name: row.pop(name) for name in _PLACE}), **row) for row in found]

    def files(self, target: int) -> list[FileRecord]:
        """The files of a target, in the order in which they were begun.

        A rejected row of a run that never ended is as if it had not been read: its rejects file cannot be opened.
        """
        records = {
            row["id"]: FileRecord(**{**dict(row), "identity": FileIdentity(**json.loads(row["identity"]))})
            for row in self._read(
                "SELECT id, identity, plan, rows, wanted, before FROM file WHERE target = ? ORDER BY id", target
            )
        }
        for file, start, stop in self._intervals("mark", target):
            records[file].open.add(start, stop)
        for file, start, stop in self._intervals("doubled", target):
            records[file].doubled.add(start, stop)
        for file, start, stop, verdict, ended in self._read(
            "SELECT settled.file, start, stop, verdict, run.ended FROM settled JOIN file ON file.id = settled.file "
            "LEFT JOIN run ON run.id = settled.run WHERE file.target = ? ORDER BY settled.rowid",
            target,
        ):
            for rows in (records[file].open, *records[file].settled.values()):
                rows.remove(start, stop)
            if verdict != Verdict.REJECTED.value or ended is not None:
                records[file].settled.setdefault(Verdict(verdict), IntervalSet()).add(start, stop)
        for file, *known in self._read(
            "SELECT keys.* FROM keys JOIN file ON file.id = keys.file WHERE file.target = ? ORDER BY keys.rowid", target
        ):
            records[file].keys.append(KeyRange(*known))
        return list(records.values())

    def sampled(self, target: int) -> list[tuple[int, int, int, int | str]]:
        """``(slot, file, row, key)`` of the rows whose keys were kept."""
        return self._read("SELECT slot, file, row, key FROM sample WHERE target = ?", target)

    def runs(self, target: int) -> list[dict[str, Any]]:
        """The runs of a target, oldest first, with ``began`` and ``ended`` (or None) and what was noted at the end."""
        query = "SELECT began, ended, status, rejects, stored, keys FROM run WHERE target = ? ORDER BY id"
        return [{**dict(row), "rejects": json.loads(row["rejects"])} for row in self._read(query, target)]

    def _intervals(self, table: str, target: int) -> list[tuple[int, int, int]]:
        query = f"SELECT {table}.* FROM {table} JOIN file ON file.id = {table}.file WHERE file.target = ?"  # noqa: S608 - constant names
        return self._read(query, target)

    def _read(self, query: str, *values: object) -> list[Any]:
        with explained(self.path):
            return self._connection.execute(query, values).fetchall()


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """What SQLite and the file system say about a journal becomes a JournalError that says what to do."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise JournalError(_explanation(path, error), path=str(path)) from error


def _explanation(path: Path, error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    found = getattr(error, "strerror", None) or str(error)
    if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        remedy = "free space there and run the same command again; what was sent and not noted is sent once more"
        return explain(str(path), "a journal that can be written", found, remedy)
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM) or code is None:
        return explain(str(path), "a journal that can be written", found, "allow it, or give another --state-dir")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return explain(str(path), "a journal for this loader alone", found, "end whatever else has it open")
    remedy = "bring the file back from a copy, or remove it: everything is then sent again"
    return explain(str(path), "a whole journal", f"damage ({found})", remedy)
