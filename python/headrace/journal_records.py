"""What a journal says, read from its file.

A *target* is one life of a collection: dropped and made again it is another one. A *mark* is written, and on the disk,
before the first of its rows is sent; what is marked and not settled may or may not be stored.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headrace.errors import JournalError, explain
from headrace.intervals import IntervalSet
from headrace.report import Verdict
from headrace.sources.identity import FileIdentity

__all__ = ["APPLICATION", "FORMAT", "JOURNAL", "FileRecord", "JournalReader", "Place", "TargetRecord", "explained"]

#: The journal's name in its directory.
JOURNAL = "journal.sqlite"
#: ``PRAGMA user_version``: another number is another layout.
FORMAT = 2
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


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """One life of a collection, and what a journal knows of it.

    Attributes:
        id: Its number in the journal.
        place: Where it is.
        rows_before: Its rows before the first run, where they could be counted.
        began: When the first run began, in seconds since the epoch.
        highest: The highest code (:mod:`headrace.keyfilter`) of the keys of stored rows, or None.
    """

    id: int
    place: Place
    rows_before: int | None
    began: float
    highest: int | None = None


@dataclass(slots=True)
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
    """

    id: int
    identity: FileIdentity
    plan: str
    rows: int | None
    wanted: int | None = None
    settled: dict[Verdict, IntervalSet] = field(default_factory=dict)
    open: IntervalSet = field(default_factory=IntervalSet)
    doubled: IntervalSet = field(default_factory=IntervalSet)

    @property
    def finished(self) -> bool:
        """Whether every row of it that is to be loaded is settled."""
        wanted = self.rows if self.wanted is None else self.wanted
        return wanted is not None and sum(len(rows) for rows in self.settled.values()) >= wanted


class JournalReader:
    """A journal that is open for reading, while whoever has it goes on.

    Args:
        directory: Where it is.

    :raises JournalError: if it is damaged or cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / JOURNAL
        with explained(self.path):
            self._connection = self._connect()
            try:
                self._check()
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
        columns = "uri, database, collection, partition, identity, id, rows_before, began, highest"
        rows = self._read(f"SELECT {columns} FROM target ORDER BY id")  # noqa: S608 - constant names
        return [
            TargetRecord(number, Place(*place), before, began, highest)
            for *place, number, before, began, highest in rows
        ]

    def files(self, target: int) -> list[FileRecord]:
        """The files of a target, in the order in which they were begun.

        A rejected row of a run that never ended is as if it had not been read: its rejects file cannot be opened.
        """
        records = {
            number: FileRecord(number, FileIdentity(**json.loads(identity)), plan, rows, wanted)
            for number, identity, plan, rows, wanted in self._read(
                "SELECT id, identity, plan, rows, wanted FROM file WHERE target = ? ORDER BY id", target
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
        return list(records.values())

    def sampled(self, target: int) -> list[tuple[int, int, int, int | str]]:
        """``(slot, file, row, key)`` of the rows whose keys were kept."""
        return self._read("SELECT slot, file, row, key FROM sample WHERE target = ?", target)

    def runs(self, target: int) -> list[dict[str, Any]]:
        """The runs of a target, oldest first: ``began``, ``ended`` (or None), ``status``, ``rejects``."""
        rows = self._read("SELECT began, ended, status, rejects FROM run WHERE target = ? ORDER BY id", target)
        return [
            {"began": began, "ended": ended, "status": status, "rejects": json.loads(rejects)}
            for began, ended, status, rejects in rows
        ]

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
