"""The end of a load: the collection is made searchable, and what was sent is read back and compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace import operations as ops
from headrace._core import Packer
from headrace.batching import Placed, Span, split_rows, take_spans
from headrace.calls import Operation
from headrace.collection_messages import CollectionInfo
from headrace.config import VerifyLevel
from headrace.conform import ConformPlan
from headrace.errors import HeadraceError
from headrace.evidence import sample_rows
from headrace.identity import changed_error, identity_of
from headrace.quantities import number_of
from headrace.readback import (
    DOUBLED_NAMED,
    Findings,
    VerifyResult,
    last_rows,
    verify_count,
    verify_key_counts,
    verify_rows,
    watched,
)
from headrace.report import Verdict
from headrace.sampling import Samples
from headrace.session import LoadSession
from headrace.sources import SourceBatch
from headrace.target import Target, finish_target

__all__ = ["complete", "conformed_batches", "prove_count", "prove_rows"]


def complete(session: LoadSession, reread: Callable[[], Iterator[Placed]] | None) -> None:
    """After the last row: load the collection where that was asked for, and verify.

    Does nothing for a load that ended early or sent nothing. What fails here is the session's ``failure``: the rows
    are stored all the same.

    Args:
        session: A session whose rows are all settled.
        reread: Gives the rows as they were sent once more, for a full verification.
    """
    account, target, options = session.ledger.account, session.target, session.options
    if target is None or options.dry_run:
        return
    _check_identity(session, target)
    left = account.rows(Verdict.UNSENT) + account.rows(Verdict.UNKNOWN)
    if left or session.failure is not None:
        return
    try:
        session.phase = "loading"
        session.run(finish_target(target, options))
        if options.verify != "none":
            session.phase = "verifying"
            session.verification = _verify(session, target, reread)
    except HeadraceError as error:
        session.fail(error)
    session.phase = "done"


def _check_identity(session: LoadSession, target: Target) -> None:
    """Rows that were stored in a collection that is gone are not stored: where it is another one, they are unknown."""
    try:
        found = session.run(ops.describe_collection(target.info.name))
    except HeadraceError:
        return  # a server that is away, or a load that was stopped: the next run looks first
    if found is None or identity_of(found) != identity_of(target.info):
        session.fail(changed_error(target.info.name))
        session.disown()


def _verify(session: LoadSession, target: Target, reread: Callable[[], Iterator[Placed]] | None) -> VerifyResult:
    counted = _count(session, target)
    level = session.options.verify

    def proven(level: VerifyLevel, batches: Iterable[Placed]) -> VerifyResult:
        return session.run(watched(target.info, prove_rows(target.info, level, batches)))

    if counted.status != "mismatch":
        if level == "count" or not target.keyed:
            # Rows without a key of their own cannot be looked up; what the count says stands.
            return counted
        found = proven(level, _rows(session, level, reread))
        return counted if found.status == "not applicable" else found
    if not target.keyed or reread is None:
        return counted
    # A count tells this load's rows from another writer's as little as doubled ones: the rows themselves decide.
    found = proven("full" if level == "full" else "count", reread())
    if found.status == "ok" and level == "sample":
        found = proven(level, _rows(session, level, reread))
    return _in_view_of(counted, replace(found, level=level))


def _count(session: LoadSession, target: Target) -> VerifyResult:
    # What earlier runs stored was there when this one began to count.
    stored = session.ledger.account.rows(Verdict.STORED) - session.ledger.journal.rows_resumed()
    distinct = session.evidence.distinct(session.ledger.refused_keys)
    doubled = session.ledger.measurements.possibly_duplicated
    if session.resumption is not None and session.resumption.in_doubt and target.keyed:
        # Rows in doubt may have replaced themselves.
        target = replace(target, mode="upsert")
    # A server that was restarted during the load cannot count at first.
    return session.run(
        ops.patiently(
            lambda: prove_count(target, stored=stored, distinct=distinct, doubled=doubled),
            budget=session.options.give_up_after,
        )
    )


def _rows(session: LoadSession, level: VerifyLevel, reread: Callable[[], Iterator[Placed]] | None) -> Iterable[Placed]:
    """The rows to look up: all of them, or a sample."""
    if level == "full" and reread is not None:
        return reread()
    if reread is not None and session.ledger.journal.rows_resumed():
        # What earlier runs stored has passed nobody by who could have kept a sample.
        samples = Samples(sample_rows(session.options.partition_column), key=session.key)
        for rows in reread():
            samples.add(rows)
        return samples.batches()
    refused = session.ledger.refused_keys
    return [without_keys(rows, session.key, refused) for rows in session.evidence.sample.batches()]


def _in_view_of(counted: VerifyResult, found: VerifyResult) -> VerifyResult:
    """What is to be said of rows after a count that was not the expected one."""
    (difference,) = counted.mismatches
    numbers = f"{difference['found']} where {difference['expected']} were expected"
    if found.status == "ok":
        note = f"count(*) found {numbers}, but every row of this load is there once: another writer may be at work"
        return replace(found, note="; ".join(part for part in (note, found.note) if part))
    return replace(found, mismatches=[difference, *found.mismatches])


def conformed_batches(
    source: Iterable[SourceBatch],
    plan: ConformPlan,
    packer: Packer,
    *,
    key: str | None = None,
    refused: Mapping[str, Collection[object]] = MappingProxyType({}),
) -> Iterator[Placed]:
    """The rows of a source as they are sent: cells that cannot be packed are left out with their rows.

    Args:
        source: Batches to conform.
        plan: How source columns become fields.
        packer: Says which cells cannot be packed.
        key: The key column, where rows carry one.
        refused: Of each partition the keys of rows that the server refused, to be left out too.
    """
    for found in source:
        conformed = plan.apply(found.batch)
        spans: tuple[Span, ...] = (Span(found.source, found.first_row, found.batch.num_rows),)
        taken = spans if conformed.kept is None else take_spans(spans, conformed.kept)
        for rows in split_rows(Placed(conformed.batch, taken, plan.partition_name), conformed.partitions):
            keep = np.ones(rows.batch.num_rows, np.bool_)
            keep[[row for row, *_ in packer.check(rows.batch)]] = False
            left = without_keys(_only(rows, keep), key, refused)
            if left.batch.num_rows:
                yield left


def without_keys(rows: Placed, key: str | None, refused: Mapping[str, Collection[object]]) -> Placed:
    """``rows`` without those whose key is among the refused ones of their partition."""
    keys = refused.get(rows.partition)
    if key is None or not keys:
        return rows
    column = rows.batch.column(key)
    among = pc.is_in(column, value_set=pa.array(list(keys), column.type))
    return _only(rows, ~np.asarray(among.to_numpy(zero_copy_only=False), np.bool_))


def _only(rows: Placed, keep: npt.NDArray[np.bool_]) -> Placed:
    if keep.all():
        return rows
    kept = np.flatnonzero(keep).astype(np.int64, copy=False)
    return replace(rows, batch=rows.batch.filter(pa.array(keep)), spans=take_spans(rows.spans, kept))


def prove_count(target: Target, *, stored: int, distinct: int | None, doubled: int = 0) -> Operation[VerifyResult]:
    """Whether a strongly consistent count fits what was there before and what was stored.

    Args:
        target: The collection, with its count before the load.
        stored: Rows that were stored.
        distinct: Distinct keys among them; None where that is not known, or the server makes the keys.
        doubled: Rows that were sent again with new keys after an unclear answer.
    """
    info, before, upsert = target.info, target.rows_before, target.mode == "upsert"
    if before is None:
        note = "the collection could not be counted before the load"
        return VerifyResult(level="count", status="not applicable", checked=0, mismatches=[], note=note)
    if not target.keyed:
        result = yield from verify_count(info, before=before, sent=stored, replaced_possible=False)
        more = result.checked - before - stored
        if 0 < more <= doubled:
            note = f"{number_of(more, 'row')} more, of the {doubled:,} that were sent again after an unclear answer"
            return replace(result, note=note)
        return result
    result = yield from verify_count(info, before=before, sent=distinct or stored, replaced_possible=upsert)
    if distinct is None and result.status == "mismatch" and before <= result.checked < before + stored:
        note = "keys may occur more than once in the source, and they are too many to be counted"
        return VerifyResult(level="count", status="not applicable", checked=result.checked, mismatches=[], note=note)
    return result


def prove_rows(
    info: CollectionInfo,
    level: VerifyLevel,
    batches: Iterable[Placed],
    *,
    doubles: int = DOUBLED_NAMED,
) -> Operation[VerifyResult]:
    """Look the rows of ``batches`` up by key.

    Args:
        info: The collection.
        level: ``"count"``: every key is there once. ``"full"``: every value, too. ``"sample"``: each row is also found
            by its own vectors.
        batches: Conformed rows, looked up in their partition; those without a key of their own are passed over.
        doubles: How many doubled keys of each 4,096 are named; the others are counted.
    """
    key = info.schema.primary_key.name
    findings = Findings(level, key)
    for found in batches:
        if key not in found.batch.schema.names:
            continue
        rows = last_rows(found, key)
        if level == "count":
            keys = rows.batch.column(key)
            looking = verify_key_counts(info, keys, partition_name=rows.partition, doubles=doubles)
        else:
            searched = level == "sample"
            looking = verify_rows(info, rows.batch, search=searched, partition_name=rows.partition, doubles=doubles)
        mismatches = yield from looking
        findings.add(rows, mismatches)
    return findings.result()
