"""Makes the report of a session that has ended."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from headrace.errors import SourceError
from headrace.journal_records import JOURNAL
from headrace.quantities import number_of
from headrace.report import Guarantee, LoadReport, Progress, Verdict
from headrace.state import write_private

if TYPE_CHECKING:
    from headrace.config import LoadOptions
    from headrace.conform import ColumnMapping
    from headrace.plans import PlanPart
    from headrace.session import LoadSession

__all__ = ["close_report", "look_at", "progress_of"]

#: What a dry run packs and does not send.
_WITHHELD = ("rows", "requests", "bytes")


def progress_of(session: LoadSession) -> Progress:
    """A look at ``session`` now."""
    account, measured = session.ledger.account, session.ledger.measurements
    return Progress(
        phase=session.phase,
        rows_total=session.rows_total,
        rows_read=account.rows_read(),
        rows_settled=account.rows_settled(),
        rows_stored=account.rows(Verdict.STORED),
        rows_resumed=session.ledger.journal.rows_resumed(),
        rows_rejected=account.rows(Verdict.REJECTED),
        bytes_sent=measured.bytes_sent,
        in_flight=session.in_flight,
        in_flight_bytes=session.window.used,
        retries=measured.retries.total(),
        throttled_seconds=session.throttle.throttled_seconds,
        seconds=time.monotonic() - session.began,
    )


def look_at(session: LoadSession) -> dict[str, float]:
    """What :class:`~headrace.tracing.Trace` keeps of ``session`` now."""
    ledger, throttle = session.ledger, session.throttle
    account, measured = ledger.account, ledger.measurements
    return {
        "seconds": time.monotonic() - session.began,
        "rows_stored": account.rows(Verdict.STORED) - ledger.journal.rows_resumed(),
        "bytes_sent": measured.bytes_sent,
        "batches": measured.batches,
        "latency_seconds": measured.latency_seconds,
        "retries": measured.retries.total(),
        "rows_rejected": account.rows(Verdict.REJECTED),
        "throttled_seconds": throttle.throttled_seconds,
        "in_flight": session.in_flight,
        "in_flight_limit": throttle.limit,
        "request_bytes": throttle.request_bytes,
    }


def close_report(session: LoadSession, *, source_exhausted: bool) -> LoadReport:
    """The account of ``session``, proven to add up, and kept as ``report.json`` in its state directory.

    A dry run leaves that of a load there, which :func:`headrace.merge_reports` may still need.

    Raises:
        InternalError: If it does not add up.
    """
    rejects = session.ledger.rejects
    rejects.close()
    session.fail(rejects.failure)
    if session.resumption is not None:
        status = _status(session, source_exhausted=source_exhausted)
        session.resumption.close(status=status, rejects=rejects, keys=_keys_stored(session))
    report = _build(session, source_exhausted=source_exhausted)
    if session.options.dry_run and (session.state_dir / JOURNAL).exists():
        return replace(report, notes=[*report.notes, "this report was not kept: that of a load is there"])
    try:
        write_private(session.state_dir / "report.json", report.to_json())
    except OSError as error:
        # The account must not be lost with the disk.
        return replace(report, notes=[*report.notes, f"this report could not be kept: {error}"])
    return report


def _keys_stored(session: LoadSession) -> int | None:
    """How many different keys the rows have that this load stored, where that is known."""
    account = session.ledger.account
    left = account.rows(Verdict.UNSENT) + account.rows(Verdict.UNKNOWN)
    # A refused row may have the key of one that is stored.
    if session.key is None or left or session.ledger.refused_keys:
        return None
    return session.evidence.distinct({})


def _build(session: LoadSession, *, source_exhausted: bool) -> LoadReport:
    account, measured, target = session.ledger.account, session.ledger.measurements, session.target
    plan = session.parts.plan if session.prepared else None
    account.check()
    seconds = time.monotonic() - session.began
    stored, resumed = account.rows(Verdict.STORED), session.ledger.journal.rows_resumed()
    resumption = session.resumption
    rejects = [*(() if resumption is None else resumption.rejects), *session.ledger.rejects.paths]
    return LoadReport(
        collection=session.collection,
        uri=session.endpoint.uri,
        database=session.endpoint.db_name,
        status=_status(session, source_exhausted=source_exhausted),
        rows_read=account.rows_read(),
        rows_stored=stored,
        rows_superseded=account.rows(Verdict.SUPERSEDED),
        rows_skipped=account.rows(Verdict.SKIPPED),
        rows_rejected=account.rows(Verdict.REJECTED),
        rows_unknown=account.rows(Verdict.UNKNOWN),
        rows_unsent=account.rows(Verdict.UNSENT),
        rows_resumed=resumed,
        rows_possibly_duplicated=measured.possibly_duplicated + session.ledger.journal.rows_doubled(),
        rows_total=session.rows_total,
        source_exhausted=source_exhausted,
        guarantee=_guarantee(session),
        mode="insert" if target is None else target.mode,
        mode_reason="nothing was sent" if target is None else target.mode_reason,
        created=target is not None and target.created and not session.options.dry_run,
        dry_run=session.options.dry_run,
        batches=measured.batches,
        bytes_sent=measured.bytes_sent,
        retries=dict(measured.retries),
        throttled_seconds=round(session.throttle.throttled_seconds, 3),
        seconds=round(seconds, 3),
        rows_per_second=round((stored - resumed) / seconds, 1) if seconds > 0 else 0.0,
        client_cpu_seconds=round(time.process_time() - session.cpu_began, 3),
        peak_in_flight_bytes=session.window.peak,
        batch_rows=measured.batch_rows_summary(),
        latency_ms=measured.latency_summary(),
        files=_files(session),
        state_dir=str(session.state_dir),
        rejects_file=str(rejects[0]) if rejects else None,
        journal=None if resumption is None else str(resumption.path),
        already_complete=source_exhausted and resumption is not None and resumption.complete,
        verify=None if session.verification is None else session.verification.to_dict(),
        concurrency={**asdict(session.throttle.settled), "request_rows": measured.recent_rows()},
        interrupted=session.interrupted,
        failure=None if session.failure is None else str(session.failure),
        unreadable=session.failure.source if isinstance(session.failure, SourceError) else None,
        mapping=[] if plan is None else [_mapping_line(line) for line in plan.mapping],
        partitions=dict(session.ledger.stored_in) if session.options.partition_column is not None else {},
        notes=[*_notes(session), *(f"more refused rows are in {path}" for path in rejects[1:])],
        part=None if session.part is None else _part_line(session.part),
        would_store={name: measured.withheld[name] for name in _WITHHELD} if session.options.dry_run else {},
        reject_reasons=session.ledger.rejects.reasons(),
        trace=session.finish_trace(),
    )


def _notes(session: LoadSession) -> list[str]:
    """What a person should know."""
    notes = [*session.notes, *(session.parts.plan.notes if session.prepared else ())]
    notes += [] if session.resumption is None else session.resumption.notes
    if session.target is not None and not session.target.created:
        notes += _ignored(session.options)
    return notes + [f"{rows:,} {text}" for text, rows in session.ledger.notes.items()]


def _files(session: LoadSession) -> list[dict[str, object]]:
    """A line per source: what became of its rows, and what was found of those that were read back."""
    found = {} if session.verification is None else session.verification.files
    lines = session.ledger.journal.files()
    return [{**line, **found[label].to_dict()} if (label := str(line["source"])) in found else line for line in lines]


def _guarantee(session: LoadSession) -> Guarantee:
    """What holds if this load is run again."""
    forced = session.options.mode == "insert" and session.resumption is None
    unclear = session.ledger.account.rows(Verdict.UNKNOWN) > 0
    return "at-least-once" if session.key is None or forced or unclear else "effectively-once"


def _part_line(part: PlanPart) -> dict[str, Any]:
    return {"plan": part.plan, "part": part.part, "of": part.of, "rows": part.rows}


def _mapping_line(line: ColumnMapping) -> dict[str, str]:
    return {
        "source": line.source,
        "field": line.field,
        "source_type": line.source_type,
        "field_type": line.field_type,
        "note": line.note,
    }


def _ignored(options: LoadOptions) -> list[str]:
    """A note for each option that is for created collections only, where this one existed."""
    asked = {
        "metric": options.metric,
        "num_shards": options.num_shards,
        "dim": options.dim,
        "partition_key": options.partition_key,
        "dynamic": options.dynamic or None,
        "consistency": options.consistency,
    }
    return [f"{name}={value!r} is for a new collection; this one exists" for name, value in asked.items() if value]


def _status(session: LoadSession, *, source_exhausted: bool) -> str:
    account = session.ledger.account
    left = account.rows(Verdict.UNSENT) + account.rows(Verdict.UNKNOWN)
    if session.interrupted is not None:
        return f"stopped by {session.interrupted}"
    if session.failure is not None:
        return f"{'dry run ' if session.options.dry_run else ''}ended early: {session.failure}"
    if left or not source_exhausted:
        return f"ended early: {number_of(left, 'row')} unsent or unknown"
    if session.verification is not None and session.verification.status == "mismatch":
        return "finished, but what was read back differs"
    rejected = account.rows(Verdict.REJECTED)
    if session.options.dry_run and rejected:
        return f"dry run: nothing was sent; {number_of(rejected, 'row')} would be rejected"
    if rejected:
        return f"finished, {number_of(rejected, 'row')} rejected"
    if session.options.dry_run:
        return "dry run: nothing was sent"
    if session.verification is not None and session.verification.status == "not applicable":
        return f"done, but not proven: {session.verification.note}"
    if session.resumption is not None and session.resumption.complete:
        return "already complete"
    return "done"
