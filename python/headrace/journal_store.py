"""A journal that is written: which rows of which files are settled in which collection, in SQLite.

Everything here blocks and belongs to one thread at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

from headrace.intervals import IntervalSet
from headrace.journal_records import (
    APPLICATION,
    FORMAT,
    JOURNAL,
    FileRecord,
    JournalReader,
    KeyRange,
    Place,
    TargetRecord,
    explained,
)
from headrace.report import Verdict
from headrace.sources.identity import FileIdentity
from headrace.state import StateLock, is_on_network

__all__ = ["SAMPLE_KEYS", "JournalStore"]

#: Most keys of stored rows that are kept for each target, to be read back before anything is skipped.
SAMPLE_KEYS = 256

#: Ends of the names of the files that SQLite makes beside a journal. Others, as copies of it, are somebody's own.
_BESIDE = ("-wal", "-shm", "-journal")
#: Seconds for which others may hold a journal up that they read.
_PATIENCE = 60.0

_SCHEMA = """
CREATE TABLE target (
    id INTEGER PRIMARY KEY, uri TEXT NOT NULL, database TEXT NOT NULL, collection TEXT NOT NULL,
    partition TEXT NOT NULL, identity TEXT NOT NULL, rows_before INTEGER, began REAL NOT NULL,
    rows_again INTEGER NOT NULL DEFAULT 0, rows_replaced INTEGER NOT NULL DEFAULT 0, highest INTEGER,
    UNIQUE (uri, database, collection, partition, identity)
);
CREATE TABLE run (
    id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target ON DELETE CASCADE,
    began REAL NOT NULL, ended REAL, status TEXT NOT NULL DEFAULT '', rejects TEXT NOT NULL DEFAULT '[]',
    stored INTEGER NOT NULL DEFAULT 0, keys INTEGER
);
CREATE TABLE file (
    id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target ON DELETE CASCADE, path TEXT NOT NULL,
    identity TEXT NOT NULL, plan TEXT NOT NULL, rows INTEGER, wanted INTEGER, before INTEGER NOT NULL DEFAULT 0,
    UNIQUE (target, path)
);
CREATE TABLE mark (
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE, start INTEGER NOT NULL, stop INTEGER NOT NULL
);
CREATE INDEX mark_file ON mark (file);
CREATE TABLE doubled (
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE, start INTEGER NOT NULL, stop INTEGER NOT NULL
);
CREATE INDEX doubled_file ON doubled (file);
CREATE TABLE settled (
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    verdict TEXT NOT NULL, run INTEGER
);
CREATE INDEX settled_file ON settled (file);
CREATE TABLE keys (
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    low, high
);
CREATE INDEX keys_file ON keys (file);
CREATE TABLE sample (
    target INTEGER NOT NULL REFERENCES target ON DELETE CASCADE, slot INTEGER NOT NULL,
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE, row INTEGER NOT NULL, key NOT NULL,
    PRIMARY KEY (target, slot)
);
"""


class JournalStore(JournalReader):
    """A journal that is open for one loader.

    Args:
        directory: Where it is; directory and journal are made where there are none.
        clock: Seconds since the epoch.
        network: Whether other machines share the file system; None to find out.

    Raises:
        JournalError: If another loader has it, or it is damaged or cannot be written to.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time, network: bool | None = None) -> None:
        self._clock = clock
        self._durable: bool | None = None
        self._network = is_on_network(directory) if network is None else network
        with explained(directory):
            self._lock = StateLock(directory)
        try:
            super().__init__(directory)
        except BaseException:
            self._lock.release()
            raise

    @property
    def may_land_until(self) -> float:
        """Up to when what earlier loaders sent may still be applied, in seconds since the epoch."""
        return self._lock.may_land_until

    def beat(self, reach: float) -> None:
        """Say that what this loader sends now may be applied for ``reach`` seconds.

        Raises:
            JournalError: If that cannot be written.
        """
        with explained(self.path):
            self._lock.beat(reach)

    def close(self) -> None:
        """Let go of the journal, and remove it where nothing was ever begun; twice does no harm."""
        unused = self._is_unused()
        super().close()
        if unused:
            # Where they cannot be removed, the journal stays: the next load takes it as it takes a new one.
            with contextlib.suppress(OSError):
                self._lock.clear(*(f"{JOURNAL}{end}" for end in _BESIDE), JOURNAL)
        self._lock.release()

    def _is_unused(self) -> bool:
        """Whether no load noted anything, and none has anything on the way. A forked process has no say in it."""
        if not self._lock.owned or not self._lock.at_rest:
            return False
        with contextlib.suppress(sqlite3.Error):
            return self._connection.execute("SELECT id FROM target").fetchone() is None
        return False

    def _connect(self) -> sqlite3.Connection:
        # Made first, and private: the files beside it get its permissions.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        # Where there is no write-ahead log, who reads it holds this loader up.
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE)

    def _check(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA foreign_keys=ON")
        # A write-ahead log lives in memory that processes share, which a network file system cannot give.
        execute(f"PRAGMA journal_mode={'TRUNCATE' if self._network else 'WAL'}")
        if not execute("PRAGMA user_version").fetchone()[0] and not execute("SELECT * FROM sqlite_master").fetchall():
            with self.transaction(durable=True):
                for statement in _SCHEMA.split(";\n"):
                    execute(statement)
                execute(f"PRAGMA application_id={APPLICATION}")
                execute(f"PRAGMA user_version={FORMAT}")
        super()._check()

    @contextlib.contextmanager
    def transaction(self, *, durable: bool) -> Iterator[None]:
        """All or nothing of what is written inside; where ``durable``, on the disk when it returns.

        Raises:
            JournalError: If it cannot be written.
        """
        with explained(self.path):
            if durable != self._durable:
                # Only a commit that has to outlive the machine's power waits for the disk.
                self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._durable = durable
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

    def end_run(
        self, run: int, *, status: str, rejects: Sequence[str], stored: int = 0, keys: int | None = None
    ) -> None:
        """Note that a run came to its end, however, and that its rejects files are whole.

        Args:
            run: Its number.
            status: How it ended, in words.
            rejects: Its rejects files.
            stored: Rows that it stored and no run before it.
            keys: How many different keys these have, where that is known.
        """
        self._connection.execute(
            "UPDATE run SET ended = ?, status = ?, rejects = ?, stored = ?, keys = ? WHERE id = ?",
            (self._clock(), status, json.dumps(list(rejects)), stored, keys, run),
        )

    def begin_file(
        self,
        target: int,
        identity: FileIdentity,
        plan: str,
        rows: int | None,
        *,
        wanted: int | None = None,
        former: FileRecord | None = None,
    ) -> FileRecord:
        """Note a file that is loaded from its start; of ``former``, the file before, only how many rows it may leave.

        ``wanted`` of its rows are to be loaded, or all.
        """
        before = 0
        if former is not None:
            left = len(former.settled.get(Verdict.STORED, ())) + len(former.open)
            before = former.before + left
            same = not former.identity.difference(identity) and former.plan == plan
            column = "rows_again" if same else "rows_replaced"
            self._connection.execute(
                f"UPDATE target SET {column} = {column} + ? WHERE id = ?",  # noqa: S608 - constant names
                (left, target),
            )
        self._connection.execute("DELETE FROM file WHERE target = ? AND path = ?", (target, identity.path))
        values = (target, identity.path, json.dumps(identity.to_dict()), plan, rows, wanted, before)
        number = self._insert(
            "INSERT INTO file (target, path, identity, plan, rows, wanted, before) VALUES (?, ?, ?, ?, ?, ?, ?)", values
        )
        return FileRecord(id=number, identity=identity, plan=plan, rows=rows, wanted=wanted, before=before)

    def set_rows(self, file: int, rows: int) -> None:
        """Note how many rows a file has."""
        self._connection.execute("UPDATE file SET rows = ? WHERE id = ?", (rows, file))

    def set_highest(self, target: int, code: int) -> None:
        """Note that a key of this code is stored."""
        self._connection.execute(
            "UPDATE target SET highest = max(?1, coalesce(highest, ?1)) WHERE id = ?2", (code, target)
        )

    def double(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Note rows ``(file, start, stop)`` that are sent again under a second key of the server's."""
        self._connection.executemany("INSERT INTO doubled VALUES (?, ?, ?)", rows)

    def mark(self, file: int, start: int, stop: int) -> None:
        """Note that rows are about to be sent."""
        self._connection.execute("INSERT INTO mark (file, start, stop) VALUES (?, ?, ?)", (file, start, stop))

    def settle(self, rows: Iterable[tuple[int, int, int, str, int | None]]) -> None:
        """Note rows ``(file, start, stop, verdict, run)`` that are settled."""
        self._connection.executemany("INSERT INTO settled VALUES (?, ?, ?, ?, ?)", rows)

    def keys(self, ranges: Iterable[tuple[int, KeyRange]]) -> None:
        """Note what is known of the keys of stored rows, each with its file."""
        self._connection.executemany(
            "INSERT INTO keys VALUES (?, ?, ?, ?, ?)",
            ((file, each.start, each.stop, each.low, each.high) for file, each in ranges),
        )

    def sample(self, rows: Iterable[tuple[int, int, int, int, int | str]]) -> None:
        """Keep ``(target, slot, file, row, key)``, each in the place of what was in its slot."""
        self._connection.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?, ?)", rows)

    def reopen(self, file: int, rows: IntervalSet) -> None:
        """Let rows of a file count as marked and not settled, whatever became of them before."""
        execute = self._connection.execute
        settled = execute("SELECT start, stop, verdict, run FROM settled WHERE file = ? ORDER BY rowid", (file,))
        kept = [
            (file, begin, end, verdict, run)
            for start, stop, verdict, run in settled.fetchall()
            for begin, end, reopened in rows.split(start, stop)
            if not reopened
        ]
        execute("DELETE FROM settled WHERE file = ?", (file,))
        self.settle(kept)
        for start, stop in rows.intervals():
            self.mark(file, start, stop)

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
        self._condense_keys(file)

    def _condense_keys(self, file: int) -> None:
        execute = self._connection.execute
        found = execute("SELECT start, stop, low, high FROM keys WHERE file = ? ORDER BY start, rowid", (file,))
        joined: list[KeyRange] = []
        for known in itertools.starmap(KeyRange, found.fetchall()):
            if joined and joined[-1].stop == known.start:
                joined[-1] = joined[-1].joined(known)
            elif not joined or joined[-1].stop < known.start:
                joined.append(known)
            elif joined[-1].stop < known.stop:
                # Rows that were stored twice, in requests that were cut otherwise.
                joined[-1] = KeyRange(joined[-1].start, known.stop, None, None)
        execute("DELETE FROM keys WHERE file = ?", (file,))
        self.keys((file, known) for known in joined)

    def _insert(self, statement: str, values: Sequence[object]) -> int:
        cursor = self._connection.execute(statement, values)
        if cursor.lastrowid is None:
            raise sqlite3.DatabaseError("an insert without a row")
        return cursor.lastrowid
