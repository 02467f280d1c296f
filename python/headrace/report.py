"""The account of a load: a counter for every verdict, and the report made of them.

Every row that was read ends in exactly one verdict. Each verdict has a counter of its own, and the sum is checked
against the rows read before a report leaves this module.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Literal

import numpy as np

from headrace.errors import InternalError

__all__ = ["Account", "FileProgress", "LoadReport", "Measurements", "Phase", "Progress", "Verdict"]

Phase = Literal["preparing", "sending", "checking", "indexing", "loading", "verifying", "done", "reading"]
Guarantee = Literal["effectively-once", "at-least-once"]

#: Exit statuses that more than one module names.
EXIT_DONE, EXIT_UNEXPECTED, EXIT_REJECTED, EXIT_UNSENT, EXIT_DIFFERENT = 0, 1, 3, 4, 5
EXIT_SIGNAL = {"SIGINT": 130, "SIGTERM": 143}

#: Requests of which the median is where a load has settled.
RECENT = 20
#: A list of numbers in indented JSON; a text in JSON has no line break.
_NUMBERS = re.compile(r"\[\n([-+.,\deE\s]+)\]")


class Verdict(Enum):
    """How a row ended."""

    STORED = "stored"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    UNSENT = "unsent"


class Account:
    """Counts rows by verdict. Thread-safe."""

    def __init__(self) -> None:
        self._read = 0
        self._counts: Counter[Verdict] = Counter()
        self._lock = threading.Lock()

    def read(self, rows: int) -> None:
        """``rows`` more rows came from the source."""
        with self._lock:
            self._read += rows

    def add(self, verdict: Verdict, rows: int) -> None:
        """``rows`` rows ended with ``verdict``."""
        with self._lock:
            self._counts[verdict] += rows

    def rows_read(self) -> int:
        """Rows that came from the source so far."""
        return self._read

    def rows(self, verdict: Verdict) -> int:
        """Rows that ended with ``verdict`` so far."""
        return self._counts[verdict]

    def rows_settled(self) -> int:
        """Rows that have their verdict, whatever it is."""
        with self._lock:
            return self._counts.total()

    def adds_up(self) -> bool:
        """Whether every row read has its verdict."""
        with self._lock:
            return self._counts.total() == self._read

    def move(self, before: Verdict, after: Verdict) -> None:
        """All rows that ended with ``before`` are found to have ended with ``after``."""
        with self._lock:
            self._counts[after] += self._counts.pop(before, 0)

    def check(self) -> None:
        """Prove the invariant: every row read has exactly one verdict.

        Raises:
            InternalError: If the sum of the verdicts is not the number of rows read.
        """
        with self._lock:
            total = self._counts.total()
            if total != self._read:
                counts = {verdict.value: self._counts[verdict] for verdict in Verdict}
                raise InternalError(
                    f"account: expected verdicts for {self._read} rows, found {total} ({counts}); please report this"
                )


@dataclass
class Measurements:
    """What sending measures; written by the sending loop only."""

    batches: int = 0
    bytes_sent: int = 0
    batch_rows: list[int] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    latency_seconds: float = 0.0
    retries: Counter[str] = field(default_factory=Counter)
    possibly_duplicated: int = 0
    withheld: Counter[str] = field(default_factory=Counter)

    def stored(self, rows: int, seconds: float) -> None:
        """A request of ``rows`` rows was acknowledged ``seconds`` after its last attempt began."""
        self.batches += 1
        self.batch_rows.append(rows)
        self.latencies.append(seconds)
        self.latency_seconds += seconds

    def withhold(self, rows: int, size: int) -> None:
        """A request of ``size`` bytes was packed and, in a dry run, not sent."""
        self.withheld.update(rows=rows, requests=1, bytes=size)

    def double(self, rows: int) -> None:
        """``rows`` rows with server-made keys are sent though they may be stored."""
        self.possibly_duplicated += rows

    def lost(self) -> int:
        """Requests whose answer never came."""
        return self.retries["ambiguous"] + self.retries["retry"]

    def recent_rows(self) -> int:
        """Rows of the median one of the last acknowledged requests; 0 where there was none."""
        return int(np.median(self.batch_rows[-RECENT:])) if self.batch_rows else 0

    def batch_rows_summary(self) -> dict[str, int]:
        """Rows of the smallest, median and largest acknowledged request."""
        if not self.batch_rows:
            return {}
        return {
            "smallest": min(self.batch_rows),
            "median": int(np.median(self.batch_rows)),
            "largest": max(self.batch_rows),
        }

    def latency_summary(self) -> dict[str, float]:
        """Milliseconds from sending a request to its acknowledgement."""
        if not self.latencies:
            return {}
        p50, p95, p99 = np.percentile(self.latencies, [50, 95, 99]) * 1000.0
        return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "p99": round(float(p99), 1)}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A look at a load that runs.

    Attributes:
        phase: What the load is doing; ``"checking"`` is a dry run that reads and packs.
        rows_total: Rows of the source, where known.
        rows_read: Rows that came from the source.
        rows_settled: Rows that have their verdict, whatever it is; of a dry run those that were checked.
        rows_stored: Rows that the server acknowledged.
        rows_resumed: Rows that an earlier run had stored (part of ``rows_stored``).
        rows_rejected: Rows refused so far.
        bytes_sent: Bytes of all requests sent, repeated ones counted again.
        in_flight: Requests that wait for an answer.
        in_flight_bytes: Bytes reserved in the window.
        retries: Requests sent again.
        throttled_seconds: Seconds that the server's answers made the load wait.
        seconds: Seconds since the load began.
    """

    phase: Phase
    rows_total: int | None
    rows_read: int
    rows_settled: int
    rows_stored: int
    rows_resumed: int
    rows_rejected: int
    bytes_sent: int
    in_flight: int
    in_flight_bytes: int
    retries: int
    throttled_seconds: float
    seconds: float


@dataclass(frozen=True)
class FileProgress:
    """A look at a file of a load that runs.

    Attributes:
        source: The file.
        settled: Rows of it that have their verdict.
        rows: Rows of it, where known.
    """

    source: str
    settled: int
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """The account of one load.

    ``rows_read == rows_stored + rows_superseded + rows_skipped + rows_rejected + rows_unknown + rows_unsent``, each
    from a counter of its own.

    Attributes:
        collection: The collection's name.
        uri: The server's address, or the embedded database's path.
        database: The database; empty for the server's default.
        status: How the load ended, in words.
        rows_read: Rows that came from the source.
        rows_stored: Rows that the server acknowledged.
        rows_superseded: Rows that a later row with the same key replaced before sending.
        rows_skipped: Rows left out because an option said so.
        rows_rejected: Rows refused; they are in ``rejects_file``.
        rows_unknown: Rows that were sent and whose answer never came or settles nothing.
        rows_unsent: Rows that were read and certainly not stored, because the load ended early.
        rows_resumed: Rows that an earlier run had stored (part of ``rows_stored``).
        rows_possibly_duplicated: Rows with server-made keys that were sent again after an unclear answer.
        rows_total: Rows of the source (at most the limit), where known.
        source_exhausted: Whether the source was read to its end, or to the limit.
        guarantee: ``"effectively-once"`` or ``"at-least-once"``: what holds if this load is run again.
        mode: ``"insert"`` or ``"upsert"``; ``mode_reason`` says why.
        mode_reason: Why that mode was chosen.
        created: Whether this load created the collection.
        dry_run: Whether nothing was sent on purpose; ``rows_skipped`` then counts what would have been.
        batches: Acknowledged requests.
        bytes_sent: Bytes of all requests sent, repeated ones counted again.
        retries: Requests sent again, by the class of the answer.
        throttled_seconds: Seconds that the server's answers made the load wait.
        seconds: Wall-clock seconds of the whole load.
        rows_per_second: Rows that this run stored, by its seconds; those of earlier runs are not among them.
        client_cpu_seconds: CPU seconds of this process during the load.
        peak_in_flight_bytes: The most bytes the window held: source batches, packed requests, gRPC's copies.
        batch_rows: Rows of the smallest, median and largest acknowledged request.
        latency_ms: Milliseconds from sending to acknowledgement: p50, p95, p99.
        files: A line per source file: its rows, those by verdict, those that were resumed, its identity; where rows
            were read back by key, how many of them are ``verified``, ``missing``, ``doubled`` and ``different``.
        state_dir: Where journal, rejects and this report are kept.
        rejects_file: The file of refused rows, or None where there are none.
        journal: The durable journal, or None where the load kept none.
        already_complete: Whether earlier runs had left nothing to do.
        verify: Level, checked, mismatches; None where nothing was asked for.
        concurrency: Where the search for the best settings ended: ``in_flight``, most requests in flight;
            ``request_bytes``, the size aimed at; ``request_rows``, the median of the last requests.
        interrupted: ``"SIGINT"`` or ``"SIGTERM"`` where a signal ended the load.
        failure: Why the load ended early, or None.
        unreadable: The file (or the label of another source) of which the rest could not be read, where that is the
            failure; else None.
        mapping: Source column, field, types and a note, per column.
        notes: What a person should know: narrowed columns, guesses.
        part: Of what the source is one part, where others are loaded elsewhere: ``plan`` (its id), ``part``, ``of``,
            ``rows``; else None.
        would_store: Of a dry run: the ``rows``, ``requests`` and ``bytes`` that a load would send; else empty.
        partitions: Where a column names each row's partition, the rows that this run stored in each.
        reject_reasons: Refused rows of this run by field and expectation; the rarest of very many reasons are together
            under ``"other reasons"``.
        trace: How the load went over time: ``columns``, lists of equal length (counters at the end of each point,
            ``rows_stored`` without those of earlier runs; gauges as means), and ``phases``, when each began. See
            :mod:`headrace.tracing`.
    """

    collection: str
    uri: str
    database: str
    status: str
    rows_read: int
    rows_stored: int
    rows_superseded: int
    rows_skipped: int
    rows_rejected: int
    rows_unknown: int
    rows_unsent: int
    rows_resumed: int
    rows_possibly_duplicated: int
    rows_total: int | None
    source_exhausted: bool
    guarantee: Guarantee
    mode: str
    mode_reason: str
    created: bool
    dry_run: bool
    batches: int
    bytes_sent: int
    retries: dict[str, int]
    throttled_seconds: float
    seconds: float
    rows_per_second: float
    client_cpu_seconds: float
    peak_in_flight_bytes: int
    batch_rows: dict[str, int]
    latency_ms: dict[str, float]
    files: list[dict[str, object]]
    state_dir: str
    rejects_file: str | None
    journal: str | None
    already_complete: bool
    verify: dict[str, Any] | None
    concurrency: dict[str, int]
    interrupted: str | None
    failure: str | None
    mapping: list[dict[str, str]]
    notes: list[str]
    part: dict[str, Any] | None = None
    would_store: dict[str, int] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    reject_reasons: dict[str, int] = field(default_factory=dict)
    trace: dict[str, Any] = field(default_factory=dict)
    unreadable: str | None = None

    @property
    def exit_status(self) -> int:
        """How a process that made this load should end.

        0 done · 1 failed after the last row · 3 rows rejected · 4 rows unsent or unknown · 5 verification differs ·
        130 and 143 a signal.
        """
        if self.interrupted is not None:
            return EXIT_SIGNAL.get(self.interrupted, EXIT_UNSENT)
        if self.rows_unsent or self.rows_unknown or not self.source_exhausted:
            return EXIT_UNSENT
        if self.failure is not None:
            return EXIT_UNEXPECTED
        if self.verify is not None and self.verify["status"] == "mismatch":
            return EXIT_DIFFERENT
        return EXIT_REJECTED if self.rows_rejected else EXIT_DONE

    @property
    def ok(self) -> bool:
        """Whether every row of the source is stored, and proven where that was asked for."""
        return self.exit_status == EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, with ``exit_status``."""
        return {**asdict(self), "exit_status": self.exit_status}

    def to_json(self) -> str:
        """The report as one JSON document, its lists of numbers on a line each."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
        return _NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text)
