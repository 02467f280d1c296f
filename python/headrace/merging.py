"""One account of several loads: the parts of a plan, or the workers of a cluster."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headrace.errors import ConfigError, explain
from headrace.quantities import number_of
from headrace.report import (
    EXIT_DIFFERENT,
    EXIT_DONE,
    EXIT_REJECTED,
    EXIT_UNEXPECTED,
    EXIT_UNSENT,
    Guarantee,
    LoadReport,
    Verdict,
)

__all__ = ["MergedReport", "merge_reports"]

_VERDICTS = tuple(f"rows_{verdict.value}" for verdict in Verdict)
_SUMS = ("rows_read", *_VERDICTS, "rows_resumed", "rows_possibly_duplicated", "batches", "bytes_sent")
#: Of a part's report what stands in its line.
_LINE = ("status", "exit_status", "rows_read", "rows_stored", "rows_rejected", "rows_resumed", "seconds", "state_dir")
#: Where several apply the first of these is the whole's exit status; 130 and 143 count as unsent.
_WORST_FIRST = (EXIT_UNSENT, EXIT_UNEXPECTED, EXIT_DIFFERENT, EXIT_REJECTED)


@dataclass(frozen=True, kw_only=True)
class MergedReport:
    """The account of several loads into one collection.

    ``rows_read == rows_stored + rows_superseded + rows_skipped + rows_rejected + rows_unknown + rows_unsent`` holds
    over the sum, as it does in each.

    Attributes:
        collection: The collection's name.
        database: The database; empty for the server's default.
        status: How the whole ended, in words.
        plan: The plan's id; empty where the loads are no parts of one.
        missing: Numbers of the plan's parts that no report is about.
        parts: A line per report: ``part`` (None where it is none), ``status``, ``exit_status``, rows, ``state_dir`` ...
        rows_read, rows_stored, rows_superseded, rows_skipped, rows_rejected, rows_unknown, rows_unsent, rows_resumed,
            rows_possibly_duplicated, batches, bytes_sent: Sums of what the reports say.
        guarantee: The weakest of the reports'.
        retries: Requests sent again, by the class of the answer.
        seconds: Of the longest load.
        rejects_files: The files of refused rows.
        exit_status: The worst of the reports'; 4 where parts are missing.
        notes: What a person should know, each note once.
    """

    collection: str
    database: str
    status: str
    plan: str
    missing: list[int]
    parts: list[dict[str, Any]]
    rows_read: int
    rows_stored: int
    rows_superseded: int
    rows_skipped: int
    rows_rejected: int
    rows_unknown: int
    rows_unsent: int
    rows_resumed: int
    rows_possibly_duplicated: int
    batches: int
    bytes_sent: int
    guarantee: Guarantee
    retries: dict[str, int]
    seconds: float
    rejects_files: list[str]
    exit_status: int
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every row of every part is stored."""
        return self.exit_status == EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)

    def to_json(self) -> str:
        """Everything as one JSON document."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def sentence(self) -> str:
        """The outcome in one line."""
        return f"{self.status}: {self.rows_stored:,} of {number_of(self.rows_read, 'row')} in {self.collection}"


def merge_reports(reports: Iterable[LoadReport | Mapping[str, Any] | str | os.PathLike[str]]) -> MergedReport:
    """Join the accounts of several loads into one; it adds up because each of them does.

    Args:
        reports: Reports: as objects, as the dicts that ``to_dict`` makes of them, or as files (or directories with a
            ``report.json``). Parts of one plan, each once, or loads that are no parts.

    Returns:
        The account of all of them.

    Raises:
        ConfigError: If a report cannot be read or does not add up, a part is there twice, or they do not belong
            together.
    """
    found = [_document(report) for report in reports]
    if not found:
        raise ConfigError(explain("reports", "at least one report", "none", "name the reports, or their directories"))
    for document in found:
        _check_sum(document)
    _check_together(found)
    parts = [document["part"] for document in found if document.get("part")]
    missing = sorted({*range(1, parts[0]["of"] + 1)} - {it["part"] for it in parts}) if parts else []
    sums = {name: sum(document[name] for document in found) for name in _SUMS}
    statuses = {document["exit_status"] for document in found} | ({EXIT_UNSENT} if missing else set())
    weak = any(document["guarantee"] == "at-least-once" for document in found)
    return MergedReport(
        collection=found[0]["collection"],
        database=found[0]["database"],
        status=_status(sums, found, missing),
        plan=parts[0]["plan"] if parts else "",
        missing=missing,
        parts=sorted(map(_line, found), key=lambda line: line["part"] or 0),
        **sums,
        guarantee="at-least-once" if weak else "effectively-once",
        retries=dict(sum((Counter(document["retries"]) for document in found), Counter())),
        seconds=max(document["seconds"] for document in found),
        rejects_files=[document["rejects_file"] for document in found if document["rejects_file"]],
        exit_status=_worst(statuses),
        notes=list(dict.fromkeys(note for document in found for note in document["notes"])),
    )


def _document(report: LoadReport | Mapping[str, Any] | str | os.PathLike[str]) -> Mapping[str, Any]:
    if isinstance(report, LoadReport):
        return report.to_dict()
    where, document = "report", report
    if isinstance(report, str | os.PathLike):
        path = Path(report)
        path = path / "report.json" if path.is_dir() else path
        where = str(path)
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            remedy = "name a report.json, or the directory that it is in"
            raise ConfigError(explain(where, "the report of a load", str(error), remedy)) from error
    needed = (*_SUMS, *_LINE, "collection", "database", "guarantee", "retries", "rejects_file", "notes")
    lacking = [name for name in needed if name not in document] if isinstance(document, Mapping) else needed
    if lacking or not isinstance(document, Mapping):
        found = f"a document without {', '.join(lacking[:3])}"
        raise ConfigError(explain(where, "the report of a load", found, "give what `headrace load` printed"))
    return document


def _check_sum(document: Mapping[str, Any]) -> None:
    total = sum(document[name] for name in _VERDICTS)
    if total != document["rows_read"]:
        found = f"verdicts for {total:,} of {number_of(document['rows_read'], 'row')}"
        raise ConfigError(explain(_name(document), "a report that adds up", found, "take the report as it was written"))


def _check_together(found: list[Mapping[str, Any]]) -> None:
    first, seen = found[0], set()
    for document in found:
        for name, one, other in (
            ("collection", first["collection"], document["collection"]),
            ("database", first["database"], document["database"]),
            ("plan", (first.get("part") or {}).get("plan"), (document.get("part") or {}).get("plan")),
        ):
            if one != other:
                remedy = "merge the reports of one plan, or of one collection"
                raise ConfigError(explain(_name(document), f"{name} {one!r}, as of the others", repr(other), remedy))
        number = (document.get("part") or {}).get("part")
        if number is not None and number in seen:
            remedy = "give the last one of each part"
            raise ConfigError(explain(_name(document), "each part once", f"a second report of part {number}", remedy))
        seen.add(number)


def _name(document: Mapping[str, Any]) -> str:
    part = document.get("part")
    return f"report of {document['collection']}" + (f", part {part['part']} of {part['of']}" if part else "")


def _line(document: Mapping[str, Any]) -> dict[str, Any]:
    part = document.get("part")
    return {"part": part["part"] if part else None, **{name: document[name] for name in _LINE}}


def _worst(statuses: set[int]) -> int:
    statuses = {EXIT_UNSENT if status > EXIT_DIFFERENT else status for status in statuses}
    return next((status for status in _WORST_FIRST if status in statuses), EXIT_DONE)


def _status(sums: Mapping[str, int], found: list[Mapping[str, Any]], missing: list[int]) -> str:
    if missing:
        return f"not complete: no report of part {', '.join(map(str, missing))}"
    unfinished = [document for document in found if document["exit_status"] not in (EXIT_DONE, EXIT_REJECTED)]
    if unfinished:
        return f"ended early: {len(unfinished):,} of {number_of(len(found), 'load')} not complete"
    return f"finished, {number_of(sums['rows_rejected'], 'row')} rejected" if sums["rows_rejected"] else "done"
