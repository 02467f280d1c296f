"""The account of a load in a few lines for a person; the whole of it is the JSON report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from headrace.console import table, wrap
from headrace.quantities import count, duration, number_of, size

if TYPE_CHECKING:
    from headrace.config import LoadOptions
    from headrace.conform import ConformPlan
    from headrace.journals import JournalState
    from headrace.recounting import Recount
    from headrace.report import LoadReport
    from headrace.target import Target
    from headrace.verifying import Verification

__all__ = [
    "created_text",
    "existing_text",
    "file_lines",
    "journal_lines",
    "mapping_table",
    "mismatch_lines",
    "plan_text",
    "recount_lines",
    "report_lines",
    "verification_lines",
]

#: Mismatches that are named here; the report has more of them.
NAMED = 5
#: Files that have a line here, the worst ones first; the report has all of them.
FILES = 10
#: What a file's line says besides its rows, in this order.
_VERDICTS = ("stored", "superseded", "skipped", "rejected", "refused", "unknown", "unsent")
_FOUND = ("verified", "missing", "doubled", "different")
#: Of these, what brings a file to the top.
_TROUBLE = ("rejected", "refused", "unknown", "unsent", "unclear", "missing", "doubled", "different")
#: Characters of a column's type in a table; nested ones are long.
TYPE_WIDTH = 48


def report_lines(report: LoadReport) -> list[str]:
    """What became of the rows, how fast, what was proven, and what to do next."""
    where = f"{report.collection} at {report.uri}" + (f", database {report.database}" if report.database else "")
    done, verb = (report.would_store["rows"], "would go to") if report.dry_run else (report.rows_stored, "in")
    lines = [
        f"headrace: {_outcome(report)}: {count(done)} {_of_all(report)} {verb} {where}",
        _entry("rows", f"{_verdicts(report)}{_unread(report)}"),
        _entry("speed", _speed(report)),
        _entry("delivery", f"{report.guarantee}; {report.mode}: {report.mode_reason}"),
    ]
    if report.dry_run:
        would = report.would_store
        requests = number_of(would["requests"], "request")
        text = f"{number_of(would['rows'], 'row')} in {requests} of {size(would['bytes'])} in all"
        lines.append(_entry("requests", text))
    if report.rows_resumed:
        lines.append(_entry("resumed", f"{number_of(report.rows_resumed, 'row')} that earlier runs had stored"))
    if report.retries or report.throttled_seconds >= 0.05:
        lines.append(_entry("retries", _retries(report)))
    if report.rows_possibly_duplicated:
        doubled = f"{number_of(report.rows_possibly_duplicated, 'row')} sent again after an unclear answer"
        lines.append(_entry("doubles", doubled))
    if report.rejects_file is not None:
        lines.append(
            _entry("rejects", f"{number_of(report.rows_rejected, 'row')} with their reasons in {report.rejects_file}")
        )
    lines += file_lines(report.files, dry_run=report.dry_run, unreadable=report.unreadable)
    if report.verify is not None:
        lines.append(_entry("verified", _verified(report.verify)))
        lines += mismatch_lines(report.verify["mismatches"])
    lines += [_entry("note", note) for note in report.notes]
    if report.failure is not None:
        lines.append(_entry("stopped", " ".join(report.failure.split())))
    lines.append(_entry("state", report.state_dir))
    advice = _advice(report)
    return lines if advice is None else [*lines, _entry("next", advice)]


def file_lines(
    files: Sequence[Mapping[str, Any]], *, dry_run: bool = False, unreadable: str | None = None
) -> list[str]:
    """A line per file where there are several, the worst first, and how many more there are.

    Args:
        files: What became of the rows of each, as in a report.
        dry_run: Whether nothing was sent on purpose.
        unreadable: The file of which the rest could not be read.
    """
    if len(files) < 2:
        return []

    def trouble(file: Mapping[str, Any]) -> tuple[bool, int]:
        return file["source"] == unreadable, sum(file.get(name, 0) for name in _TROUBLE)

    worst = sorted(files, key=trouble, reverse=True)
    troubled = sum(any(trouble(file)) for file in files)
    lines = [_entry("files", f"{count(len(files))}, {count(troubled)} of them with rows to look into")]
    for file in worst[:FILES]:
        rest = "; the rest could not be read" if file["source"] == unreadable else ""
        lines.append(f"             {_file_line(file, dry_run=dry_run)}{rest}")
    if len(files) > FILES:
        more = max(0, troubled - FILES)
        lines.append(
            f"             and {count(len(files) - FILES)} more in the report, {count(more)} of them with such rows"
        )
    return lines


def _file_line(file: Mapping[str, Any], *, dry_run: bool) -> str:
    # The rows of a file that a dry run packed are not told from those that an option leaves out.
    words = {"skipped": "not sent"} if dry_run else {}
    verdicts = " + ".join(f"{count(file[name])} {words.get(name, name)}" for name in _VERDICTS if file.get(name))
    found = ", ".join(f"{count(file[name])} {name}" for name in _FOUND if name in file)
    rows = f"{count(file['rows'])} read" + (f" = {verdicts}" if verdicts else "")
    return f"{file['source']}: {rows}" + (f"; {found}" if found else "")


def verification_lines(found: Verification) -> list[str]:
    """What a verification found, and what was done about it."""
    lines: list[str] = []
    if found.repair is not None:
        before = found.repair.before
        lines.append(f"headrace: verify {before.level}: {before.status} ({before.note}); sent again:")
        lines += mismatch_lines(before.mismatches)
        lines += report_lines(found.repair.report)
    lines.append(f"headrace: {found.sentence()}")
    lines += file_lines(found.files)
    return lines + mismatch_lines(found.result.mismatches)


def recount_lines(found: Recount) -> list[str]:
    """What a journal proved of a collection, and what it left open."""
    lines = [f"headrace: {found.sentence()}"]
    lines += [_entry("proven", sentence) for sentence in found.proven]
    lines += [_entry("open", sentence) for sentence in found.open]
    lines += file_lines(found.files)
    return lines + mismatch_lines(found.result.mismatches) + [_entry("journal", found.journal)]


def journal_lines(journals: Sequence[JournalState], *, files: bool = False, width: int = 0) -> list[str]:
    """A few lines per journal, and one for each of its files where that is wanted.

    Args:
        journals: The journals.
        files: Whether each file has a line.
        width: Characters per line, 0 for no limit. Paths are never broken, to be copied.
    """
    if not journals:
        return ["headrace: no journals"]
    lines = [f"headrace: {number_of(len(journals), 'journal')}"]
    for journal in journals:
        lines += ["", _journal_place(journal), f"  {journal.directory}"]
        for text in (_journal_state(journal), _journal_trouble(journal)):
            lines += wrap(text, width=width, indent=2)
        for file in journal.files if files else ():
            lines += [f"  {file.path}", f"    {_file_state(file.finished)}: {_tally(file.verdicts)}"]
    return lines


def _journal_place(journal: JournalState) -> str:
    if not journal.collection:
        return "no collection"
    parts = {"database": journal.database, "partition": journal.partition}
    inside = "".join(f", {name} {value}" for name, value in parts.items() if value)
    return f"{journal.collection} at {journal.uri}{inside}"


def _journal_state(journal: JournalState) -> str:
    state = _file_state(journal.finished) if journal.runs else "empty"
    if journal.problem is not None:
        state = "not readable"
    if journal.running is not None:
        state = f"running ({journal.running})"
    runs = f" in {number_of(journal.runs, 'run')}" if journal.runs else ""
    rows = f": {_tally(journal.verdicts)}{runs}" if journal.collection else ""
    return f"{state}{rows}; last written to {duration(journal.age)} ago"


def _journal_trouble(journal: JournalState) -> str:
    """What is wrong with the journal, else how the last run ended where files are left."""
    if journal.problem is not None:
        return journal.problem
    return "" if journal.finished or journal.running or not journal.status else f"the last run: {journal.status}"


def _file_state(finished: bool) -> str:
    return "finished" if finished else "unfinished"


def _tally(verdicts: dict[str, int]) -> str:
    return ", ".join(f"{count(rows)} {verdict}" for verdict, rows in verdicts.items()) or "no rows"


def plan_text(plan: ConformPlan, target: Target, *, options: LoadOptions, width: int = 0) -> str:
    """The collection of a load, and which column becomes which of its fields, and why."""
    name, key = target.info.name, target.info.schema.primary_key.name
    line = existing_text(name, target.rows_before, key)
    if target.created:
        verb = "would be" if options.dry_run else "is"
        metrics = {index.field_name: index.metric_type for index in target.indexes}
        line = f"collection {name!r} {verb} created {created_text(key, metrics)}"
    return f"headrace: {line}\n{mapping_table([asdict(entry) for entry in plan.mapping], width)}"


def existing_text(name: str | None, rows: int | None, key: str | None) -> str:
    """What a collection is that exists."""
    holds = "" if rows is None else f" and holds {number_of(rows, 'row')}"
    return f"collection {name!r} exists{holds}; its key is {key!r}"


def created_text(key: str | None, metrics: Mapping[str, str]) -> str:
    """What a new collection has: its key, and the metrics of its indexes by field."""
    indexed = ", ".join(f"{field} ({metric})" for field, metric in metrics.items())
    return f"with the key {key!r}" + (f", indexed: {indexed}" if indexed else "")


def mapping_table(mapping: list[dict[str, str]], width: int = 0) -> str:
    """Which column became which field, and why."""
    header = ("column", "type", "field", "type", "note")
    rows = [
        [it["source"], _short(it["source_type"]), it["field"], _short(it["field_type"]), it["note"]] for it in mapping
    ]
    return table(header, rows, width=width)


def _short(text: str) -> str:
    return text if len(text) <= TYPE_WIDTH else text[: TYPE_WIDTH - 3] + "..."


def mismatch_lines(mismatches: list[dict[str, Any]]) -> list[str]:
    """The first few cells that differ."""
    lines = [
        f"             key {m['key']!r}, field {m['field']!r}: expected {m['expected']}, found {m['found']}"
        for m in mismatches[:NAMED]
    ]
    if len(mismatches) > NAMED:
        lines.append(f"             and {len(mismatches) - NAMED} more in the report")
    return lines


def _entry(name: str, text: str) -> str:
    return f"  {name:<9}  {text}"


def _outcome(report: LoadReport) -> str:
    """The status without the reason, which has a line of its own."""
    status = report.status if report.failure is None else report.status.removesuffix(report.failure)
    return " ".join(status.split()).rstrip(": ")


def _of_all(report: LoadReport) -> str:
    """The rows of which some are stored; how many a source has that was not read to its end may be unknown."""
    if report.source_exhausted:
        return f"of {number_of(report.rows_read, 'row')}"
    if report.rows_total is None:
        return f"of {number_of(report.rows_read, 'row')} (the rest was not read)"
    return f"of {number_of(report.rows_total, 'row')} ({count(report.rows_read)} read)"


def _unread(report: LoadReport) -> str:
    if report.source_exhausted:
        return ""
    if report.unreadable is not None:
        return f"; the rest of {report.unreadable} could not be read"
    return "; the rest was not read" if report.rows_total != report.rows_read else ""


def _verdicts(report: LoadReport) -> str:
    verdicts = ("stored", "superseded", "skipped", "rejected", "unknown", "unsent")
    numbers = {verdict: getattr(report, f"rows_{verdict}") for verdict in verdicts}
    if report.dry_run:
        packed = report.would_store["rows"]
        numbers = {"to be stored": packed, **numbers, "skipped": report.rows_skipped - packed}
        del numbers["stored"]
    first = next(iter(numbers))
    parts = [f"{count(number)} {verdict}" for verdict, number in numbers.items() if number or verdict == first]
    return f"{count(report.rows_read)} read = {' + '.join(parts)}"


def _speed(report: LoadReport) -> str:
    if report.dry_run:
        checked = report.rows_read / report.seconds if report.seconds else 0.0
        return f"{duration(report.seconds)}, {count(checked)} rows/s checked"
    if not report.bytes_sent:
        return f"{duration(report.seconds)}, nothing was sent"
    sent = f"{size(report.bytes_sent)} sent in {number_of(report.batches, 'request')}"
    return f"{duration(report.seconds)}, {count(report.rows_per_second)} rows/s, {sent}"


def _retries(report: LoadReport) -> str:
    reasons = ", ".join(f"{reason} {count(number)}" for reason, number in sorted(report.retries.items()))
    waited = f"throttled for {duration(report.throttled_seconds)}" if report.throttled_seconds >= 0.05 else ""
    return "; ".join(part for part in (reasons, waited) if part)


def _verified(verify: dict[str, Any]) -> str:
    note = f" ({verify['note']})" if verify.get("note") else ""
    return f"{verify['level']}: {verify['status']}, {number_of(verify['checked'], 'row')} checked{note}"


def _advice(report: LoadReport) -> str | None:
    status = report.exit_status
    if report.unreadable is not None:
        again = "check again" if report.dry_run else "run the same command again; a mended file needs --changed reload"
        return f"mend {report.unreadable}, or leave it out, and {again}"
    if report.dry_run and report.rows_rejected:
        without = "" if report.failure else ", or load without them: they go to the rejects file"
        return f"mend the rows that would be rejected{without}"
    if report.dry_run and status == 4:
        return "see to what stopped it, and check again"
    if status == 3:
        return "mend the rejected rows and load them again"
    if status == 4 or status >= 128:
        resumed = " to resume; a file that had to be mended needs --changed reload"
        return "run the same command again" + ("" if report.journal is None else resumed)
    if status == 5:
        return "mend what differs with headrace verify --repair, and look for another writer"
    return None
