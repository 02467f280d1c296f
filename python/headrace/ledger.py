"""Where verdicts go."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from headrace.batching import Span, span_rows
from headrace.journal import Journal
from headrace.journal_records import KeyRange
from headrace.rejects import Reject, RejectLimit, RejectsFile
from headrace.report import Account, Measurements, Verdict
from headrace.window import Window

__all__ = ["Ledger"]


@dataclass(frozen=True)
class Ledger:
    """Where verdicts go: the counters, the rows of each source, the refused rows, the measurements.

    ``refused_keys`` are, of each partition, the keys of rows that the server refused; they are not to be expected when
    reading back. ``stored_in`` are the rows stored in each partition.
    ``notes`` are sentences for the report.
    """

    account: Account
    journal: Journal
    rejects: RejectsFile
    reject_limit: RejectLimit
    window: Window
    measurements: Measurements = field(default_factory=Measurements)
    refused_keys: defaultdict[str, set[object]] = field(default_factory=lambda: defaultdict(set))
    stored_in: Counter[str] = field(default_factory=Counter)
    notes: dict[str, int] = field(default_factory=dict)

    def settle(self, spans: Sequence[Span], rows: int, verdict: Verdict, keys: Sequence[KeyRange | None] = ()) -> None:
        """Give ``rows`` rows their one verdict; ``keys`` is what is known of the keys of each span."""
        self.account.add(verdict, rows)
        self.journal.settle(spans, verdict, keys)

    def refuse(self, batch: pa.RecordBatch, rejects: list[Reject]) -> None:
        """Write refused rows to the rejects file and settle them."""
        self.rejects.add(batch, rejects)
        for reject in rejects:
            self.settle((Span(reject.source, reject.row, 1),), 1, Verdict.REJECTED)

    def double(self, spans: Sequence[Span]) -> None:
        """Count rows that are sent though they may be stored, under another key of the server's."""
        self.measurements.double(span_rows(spans))
        self.journal.double(spans)

    def note(self, text: str, rows: int) -> None:
        """Have the report say ``text`` of ``rows`` rows (more)."""
        self.notes[text] = self.notes.get(text, 0) + rows

    def too_many_rejects(self) -> str | None:
        """Why the load must stop because of refused rows, or None."""
        return self.reject_limit.exceeded(self.account.rows(Verdict.REJECTED), self.account.rows_read())
