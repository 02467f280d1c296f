"""The journal's file: which rows of which files are settled in which collection, in SQLite.

Everything here blocks and belongs to one thread at a time. A *target* is one life of a collection: dropped and made
again it is another one. A *mark* is written, and on the disk, before the first of its rows is sent; what is marked and
not settled may or may not be stored.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headrace.errors import JournalError, explain
from headrace.intervals import IntervalSet
from headrace.report import Verdict
from headrace.sources.identity import FileIdentity
from headrace.state import StateLock, is_on_network

__all__ = ["JOURNAL", "SAMPLE_KEYS", "FileRecord", "JournalStore", "Place", "TargetRecord"]

#: The journal's name in its directory.
JOURNAL = "journal.sqlite"
#: Most keys of stored rows that are kept for each target, to be read back before anything is skipped.
SAMPLE_KEYS = 256

_FORMAT = 1
#: "hrjl", as the header of an SQLite file keeps it.
_APPLICATION = 0x68726A6C
_SCHEMA = """
CREATE TABLE target (
    id INTEGER PRIMARY KEY, uri TEXT NOT NULL, database TEXT NOT NULL, collection TEXT NOT NULL,
    partition TEXT NOT NULL, identity TEXT NOT NULL, rows_before INTEGER, began REAL NOT NULL,
    UNIQUE (uri, database, collection, partition, identity)
);
CREATE TABLE run (
    id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target ON DELETE CASCADE,
    began REAL NOT NULL, ended REAL, status TEXT NOT NULL DEFAULT '', rejects TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE file (
    id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target ON DELETE CASCADE, path TEXT NOT NULL,
    identity TEXT NOT NULL, plan TEXT NOT NULL, rows INTEGER,
    UNIQUE (target, path)
);
CREATE TABLE mark (
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE, start INTEGER NOT NULL, stop INTEGER NOT NULL
);
CREATE INDEX mark_file ON mark (file);
CREATE TABLE settled (
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    verdict TEXT NOT NULL, run INTEGER
);
CREATE INDEX settled_file ON settled (file);
CREATE TABLE sample (
    target INTEGER NOT NULL REFERENCES target ON DELETE CASCADE, slot INTEGER NOT NULL,
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE, row INTEGER NOT NULL, key NOT NULL,
    PRIMARY KEY (target, slot)
);
"""


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
    """

    id: int
    place: Place
    rows_before: int | None
    began: float


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
    """

    id: int
    identity: FileIdentity
    plan: str
    rows: int | None
    settled: dict[Verdict, IntervalSet] = field(default_factory=dict)
    open: IntervalSet = field(default_factory=IntervalSet)

    @property
    def finished(self) -> bool:
        """Whether every row of it is settled."""
        return self.rows is not None and sum(len(rows) for rows in self.settled.values()) >= self.rows


class JournalStore:
    """A journal that is open for one loader.

    Args:
        directory: An existing directory; the journal is made in it where there is none.
        clock: Seconds since the epoch.
        mounts: As for :func:`headrace.state.is_on_network`.

    :raises JournalError: if another loader has it, or it is damaged or cannot be written to.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time, mounts: Path | None = None) -> None:
        self.path = directory / JOURNAL
        self._clock = clock
        with self._explained():
            self._lock = StateLock(directory)
        try:
            with self._explained():
                # Made first, and private: the files beside it get its permissions.
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
                self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
                try:
                    network = is_on_network(directory) if mounts is None else is_on_network(directory, mounts)
                    self._prepare(network=network)
                except BaseException:
                    self._connection.close()
                    raise
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the journal; twice does no harm."""
        with contextlib.suppress(JournalError), self._explained():
            self._connection.close()
        self._lock.release()

    def _prepare(self, *, network: bool) -> None:
        execute = self._connection.execute
        execute("PRAGMA foreign_keys=ON")
        # A write-ahead log lives in memory that processes share, which a network file system cannot give.
        execute(f"PRAGMA journal_mode={'TRUNCATE' if network else 'WAL'}")
        execute("PRAGMA synchronous=NORMAL")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not execute("SELECT name FROM sqlite_master").fetchall():
            with self.transaction(durable=True):
                for statement in _SCHEMA.split(";\n"):
                    execute(statement)
                execute(f"PRAGMA application_id={_APPLICATION}")
                execute(f"PRAGMA user_version={_FORMAT}")
        elif version != _FORMAT or execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            found = f"format {version}" if version else "a database of something else"
            raise JournalError(
                explain(str(self.path), f"a journal of format {_FORMAT}", found, "give another --state-dir"),
                path=str(self.path),
            )
        elif (damage := execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(damage)

    # -- writing -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self, *, durable: bool) -> Iterator[None]:
        """All or nothing of what is written inside; where ``durable``, on the disk when it returns.

        :raises JournalError: if it cannot be written.
        """
        with self._explained():
            # Only a commit that has to outlive the machine's power waits for the disk.
            self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def begin_target(self, place: Place, rows_before: int | None) -> TargetRecord:
        """The target of this place, which is noted where it is new."""
        self._connection.execute(
            "INSERT OR IGNORE INTO target (uri, database, collection, partition, identity, rows_before, began) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*astuple(place), rows_before, self._clock()),
        )
        return next(found for found in self.targets() if found.place == place)

    def forget_target(self, target: int) -> None:
        """Everything that is known of a target is void."""
        self._connection.execute("DELETE FROM target WHERE id = ?", (target,))

    def begin_run(self, target: int) -> int:
        """Note that a run begins; returns its number."""
        values = (target, self._clock())
        return int(self._insert("INSERT INTO run (target, began) VALUES (?, ?)", values))

    def end_run(self, run: int, *, status: str, rejects: Sequence[str]) -> None:
        """Note that a run came to its end, however, and that its rejects files are whole."""
        self._connection.execute(
            "UPDATE run SET ended = ?, status = ?, rejects = ? WHERE id = ?",
            (self._clock(), status, json.dumps(list(rejects)), run),
        )

    def begin_file(self, target: int, identity: FileIdentity, plan: str, rows: int | None) -> FileRecord:
        """Note a file that nothing is known of."""
        self._connection.execute("DELETE FROM file WHERE target = ? AND path = ?", (target, identity.path))
        values = (target, identity.path, json.dumps(identity.to_dict()), plan, rows)
        number = self._insert("INSERT INTO file (target, path, identity, plan, rows) VALUES (?, ?, ?, ?, ?)", values)
        return FileRecord(number, identity, plan, rows)

    def set_rows(self, file: int, rows: int) -> None:
        """Note how many rows a file has."""
        self._connection.execute("UPDATE file SET rows = ? WHERE id = ?", (rows, file))

    def mark(self, file: int, start: int, stop: int) -> None:
        """Note that rows are about to be sent."""
        self._connection.execute("INSERT INTO mark (file, start, stop) VALUES (?, ?, ?)", (file, start, stop))

    def settle(self, rows: Iterable[tuple[int, int, int, str, int | None]]) -> None:
        """Note rows ``(file, start, stop, verdict, run)`` that are settled."""
        self._connection.executemany("INSERT INTO settled VALUES (?, ?, ?, ?, ?)", rows)

    def sample(self, rows: Iterable[tuple[int, int, int, int, int | str]]) -> None:
        """Keep ``(target, slot, file, row, key)``, each in the place of what was in its slot."""
        self._connection.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?, ?)", rows)

    def condense(self, file: int, still_open: IntervalSet) -> None:
        """Replace a file's marks by what is still open, and what is settled by as few intervals as there can be."""
        execute = self._connection.execute
        execute("DELETE FROM mark WHERE file = ?", (file,))
        self._connection.executemany(
            "INSERT INTO mark VALUES (?, ?, ?)", [(file, start, stop) for start, stop in still_open.intervals()]
        )
        grouped: dict[tuple[str, int | None], IntervalSet] = defaultdict(IntervalSet)
        for start, stop, verdict, run in execute(
            "SELECT start, stop, verdict, run FROM settled WHERE file = ?", (file,)
        ):
            # A rejected row is worth what the rejects file of its run is worth.
            grouped[verdict, run if verdict == Verdict.REJECTED.value else None].add(start, stop)
        execute("DELETE FROM settled WHERE file = ?", (file,))
        self.settle(
            (file, start, stop, verdict, run)
            for (verdict, run), rows in grouped.items()
            for start, stop in rows.intervals()
        )

    # -- reading -----------------------------------------------------------------------------------------------------

    def targets(self) -> list[TargetRecord]:
        """Every target, oldest first."""
        columns = "uri, database, collection, partition, identity, id, rows_before, began"
        rows = self._read(f"SELECT {columns} FROM target ORDER BY id")  # noqa: S608 - constant names
        return [TargetRecord(number, Place(*place), before, began) for *place, number, before, began in rows]

    def files(self, target: int) -> list[FileRecord]:
        """The files of a target, in the order in which they were begun.

        A rejected row of a run that never ended is as if it had not been read: its rejects file cannot be opened.
        """
        records = {
            number: FileRecord(number, FileIdentity(**json.loads(identity)), plan, rows)
            for number, identity, plan, rows in self._read(
                "SELECT id, identity, plan, rows FROM file WHERE target = ? ORDER BY id", target
            )
        }
        for file, start, stop in self._read(
            "SELECT mark.* FROM mark JOIN file ON file.id = mark.file WHERE file.target = ?", target
        ):
            records[file].open.add(start, stop)
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

    def _read(self, query: str, *values: object) -> list[Any]:
        with self._explained():
            return self._connection.execute(query, values).fetchall()

    def _insert(self, statement: str, values: Sequence[object]) -> int:
        cursor = self._connection.execute(statement, values)
        if cursor.lastrowid is None:
            raise sqlite3.DatabaseError("an insert without a row")
        return cursor.lastrowid

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise JournalError(_explanation(self.path, error), path=str(self.path)) from error


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
