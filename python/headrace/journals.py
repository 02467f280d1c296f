"""The journals of this machine: what ``headrace status`` lists, shows and removes."""

from __future__ import annotations

import contextlib
import errno
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from headrace.errors import ConfigError, JournalError, explain
from headrace.journal_records import JOURNAL, JournalReader, TargetRecord
from headrace.report import Verdict
from headrace.state import StateLock, state_home

__all__ = ["FileState", "JournalState", "find_journals", "journals_json", "remove_journals"]

#: What a load leaves in its directory, beside its lock.
_OURS = (JOURNAL, f"{JOURNAL}-*", "report.json", "rejects.parquet", "rejects-*.parquet")


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a journal.

    Attributes:
        path: The file.
        rows: How many rows it has, where that is known.
        verdicts: Its rows by verdict; ``"unclear"`` are those that may be stored.
        finished: Whether every row is settled.
    """

    path: str
    rows: int | None
    verdicts: dict[str, int]
    finished: bool


@dataclass(frozen=True)
class JournalState:
    """One journal, or one collection that it knows.

    Attributes:
        directory: Where it is.
        collection, uri, database, partition: Where its rows went; empty where the journal cannot be read.
        verdicts: Rows by verdict; ``"unclear"`` are those that may be stored.
        files: Its files.
        finished: Whether every row of every file is settled.
        began: When the first run began, in seconds since the epoch.
        age: Seconds since anything was written to it.
        runs: How many runs it has seen.
        status: How the last run ended, in words; ``"interrupted"`` where it did not come to its end.
        running: Who is at work on it, or None.
        problem: Why it cannot be read, or None.
    """

    directory: str
    collection: str = ""
    uri: str = ""
    database: str = ""
    partition: str = ""
    verdicts: dict[str, int] = field(default_factory=dict)
    files: list[FileState] = field(default_factory=list)
    finished: bool = False
    began: float | None = None
    age: float = 0.0
    runs: int = 0
    status: str = ""
    running: str | None = None
    problem: str | None = None


def find_journals(
    names: Sequence[str] = (), *, older_than: float = 0.0, clock: Callable[[], float] = time.time
) -> list[JournalState]:
    """The journals that the names mean, the latest first.

    Args:
        names: Directories with a journal, or names of collections; none for every journal of this user.
        older_than: Only those that were not written to for so many seconds.
        clock: Seconds since the epoch.

    Raises:
        ConfigError: If a name means no journal.
    """
    directories = list(dict.fromkeys(path for name in names or [""] for path in _directories(name)))
    found = [state for path in directories for state in _read(path, clock())]
    return sorted((state for state in found if state.age >= older_than), key=lambda state: state.age)


def journals_json(journals: Sequence[JournalState], removed: Sequence[str] = ()) -> str:
    """The journals as one JSON document."""
    document = {"journals": [asdict(state) for state in journals], "removed": list(removed)}
    return json.dumps(document, indent=2, ensure_ascii=False)


def remove_journals(journals: Sequence[JournalState]) -> tuple[list[str], list[str]]:
    """Remove journals with the rejects and the report beside them; other files stay.

    Returns:
        The directories, and why others could not be removed: a loader at work there, or no permission.
    """
    removed, refusals = [], []
    for directory in dict.fromkeys(state.directory for state in journals):
        try:
            _remove(Path(directory))
        except JournalError as error:
            refusals.append(str(error))
        else:
            removed.append(directory)
    return removed, refusals


def _remove(directory: Path) -> None:
    lock = StateLock(directory)
    try:
        lock.clear(*_OURS)
        directory.rmdir()
    except OSError as error:
        # Other files stay, as those of a loader that came meanwhile do.
        if error.errno in (errno.ENOTEMPTY, errno.ENOENT):
            return
        found = error.strerror or str(error)
        message = explain(str(directory), "files that can be removed", found, "remove them by hand")
        raise JournalError(message, path=str(directory)) from error
    finally:
        lock.release()


def _directories(name: str) -> Iterator[Path]:
    if name and (Path(name) / JOURNAL).is_file():
        yield Path(name)
        return
    home = state_home()
    found = sorted(path.parent for path in home.glob(f"*/{JOURNAL}"))
    named = [path for path in found if not name or path.name == name or path.name.rpartition("-")[0] == name]
    if name and not named:
        known = ", ".join(path.name for path in found) or "none"
        remedy = "name a collection or a state directory"
        raise ConfigError(explain(f"journal {name!r}", f"one of those in {home}", known, remedy))
    yield from named


def _read(directory: Path, now: float) -> list[JournalState]:
    running, age = StateLock.holder(directory), max(0.0, now - _written(directory))
    try:
        with JournalReader(directory) as store:
            states = [
                _state(store, target, directory=directory, running=running, age=age) for target in store.targets()
            ]
    except JournalError as error:
        if not (directory / JOURNAL).exists():
            # Whoever had it ended with nothing to keep.
            return []
        return [JournalState(str(directory), age=age, running=running, problem=str(error))]
    return states or [JournalState(str(directory), age=age, running=running)]


def _written(directory: Path) -> float:
    """When anything was written to a journal, in seconds since the epoch; a loader that ends removes files of it."""
    times = [0.0]
    for name in (JOURNAL, f"{JOURNAL}-wal"):
        with contextlib.suppress(FileNotFoundError):
            found = (directory / name).stat()
            # A log that is empty was left by somebody who looked.
            if found.st_size or name == JOURNAL:
                times.append(found.st_mtime)
    return max(times)


def _state(
    store: JournalReader, target: TargetRecord, *, directory: Path, running: str | None, age: float
) -> JournalState:
    files = []
    for record in store.files(target.id):
        verdicts = {verdict.value: len(record.settled.get(verdict, ())) for verdict in Verdict}
        verdicts["unclear"] = len(record.open)
        verdicts = {name: rows for name, rows in verdicts.items() if rows}
        files.append(FileState(record.identity.path, record.rows, verdicts, record.finished))
    runs = store.runs(target.id)
    totals: Counter[str] = Counter()
    for file in files:
        totals.update(file.verdicts)
    return JournalState(
        directory=str(directory),
        collection=target.place.collection,
        uri=target.place.uri,
        database=target.place.database,
        partition=target.place.partition,
        verdicts=dict(totals),
        files=files,
        finished=bool(files) and all(file.finished for file in files),
        began=target.began,
        age=age,
        runs=len(runs),
        status=(runs[-1]["status"] or "interrupted") if runs else "",
        running=running,
    )
