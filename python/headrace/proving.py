"""The end of a load: the collection is made searchable, and what was sent is read back and compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace import operations as ops
from headrace._core import Packer
from headrace.calls import Operation
from headrace.config import VerifyLevel
from headrace.conform import ConformPlan
from headrace.errors import HeadraceError
from headrace.evidence import SAMPLE_ROWS
from headrace.identity import changed_error, identity_of
from headrace.protocol import CollectionInfo
from headrace.report import Verdict
from headrace.sampling import Reservoir
from headrace.session import LoadSession
from headrace.sources import SourceBatch
from headrace.target import Target, finish_target
from headrace.readback import Findings, VerifyResult, verify_count, verify_rows

__all__ = ["complete", "conformed_batches", "prove_count", "prove_rows"]


def complete(session: LoadSession, reread: Callable[[], Iterator[pa.RecordBatch]] | None) -> None:
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
        session.failure = error
    session.phase = "done"


def _check_identity(session: LoadSession, target: Target) -> None:
    """Rows that were stored in a collection that is gone are not stored: where it is another one, they are unknown."""
    try:
        found = session.run(ops.describe_collection(target.info.name))
    except HeadraceError:
        return  # a server that is away, or a load that was stopped: the next run looks first
    if found is None or identity_of(found) != identity_of(target.info):
        session.failure = session.failure or changed_error(target.info.name)
        session.disown()


def _verify(
    session: LoadSession, target: Target, reread: Callable[[], Iterator[pa.RecordBatch]] | None
) -> VerifyResult:
    # What earlier runs stored was there when this one began to count.
    resumed = session.ledger.journal.rows_resumed()
    stored = session.ledger.account.rows(Verdict.STORED) - resumed
    distinct = session.evidence.distinct.count(without=session.ledger.refused_keys)
    doubled = session.ledger.measurements.possibly_duplicated
    if session.resumption is not None and session.resumption.in_doubt and target.keyed:
        # Rows in doubt may have replaced themselves.
        target = replace(target, mode="upsert")
    # A server that was restarted during the load cannot count at first.
    counted = session.run(
        ops.patiently(
            lambda: prove_count(target, stored=stored, distinct=distinct, doubled=doubled),
            budget=session.options.give_up_after,
        )
    )
    level, partition = session.options.verify, session.options.partition_name
    if level == "count" or counted.status == "mismatch":
        return counted
    if level == "sample" and resumed and reread is not None:
        reservoir = Reservoir(SAMPLE_ROWS, key=session.key)
        for batch in reread():
            reservoir.add(batch)
        batches = iter(reservoir.batches())
    elif level == "sample" or reread is None:
        refused = session.ledger.refused_keys
        batches = iter([without_keys(batch, session.key, refused) for batch in session.evidence.sample.batches()])
    else:
        batches = reread()
    proven = session.run(prove_rows(target.info, level, batches, partition_name=partition))
    # Rows without a key of their own cannot be looked up; what the count says stands.
    return counted if proven.status == "not applicable" else proven


def conformed_batches(
    source: Iterable[SourceBatch],
    plan: ConformPlan,
    packer: Packer,
    *,
    key: str | None = None,
    refused: Collection[object] = (),
) -> Iterator[pa.RecordBatch]:
    """The rows of a source as they are sent: cells that cannot be packed are left out with their rows.

    Args:
        source: Batches to conform.
        plan: How source columns become fields.
        packer: Says which cells cannot be packed.
        key: The key column, where rows carry one.
        refused: Keys of rows that the server refused, to be left out too.
    """
    for found in source:
        batch = plan.apply(found.batch).batch
        bad = [row for row, *_ in packer.check(batch)]
        keep = np.ones(batch.num_rows, np.bool_)
        keep[bad] = False
        if key is not None:
            keep &= ~_among(batch, key, refused)
        if not keep.all():
            batch = batch.filter(pa.array(keep))
        if batch.num_rows:
            yield batch


def without_keys(batch: pa.RecordBatch, key: str | None, refused: Collection[object]) -> pa.RecordBatch:
    """``batch`` without the rows whose key is among ``refused``."""
    if key is None or not refused:
        return batch
    return batch.filter(pa.array(~_among(batch, key, refused)))


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
            note = f"{more} rows more, of the {doubled} that were sent again after an unclear answer"
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
    batches: Iterable[pa.RecordBatch],
    *,
    partition_name: str = "",
) -> Operation[VerifyResult]:
    """Read the rows of ``batches`` back by key and compare every value; a sample is also searched for."""
    findings = Findings(level)
    key = info.schema.primary_key.name
    for batch in batches:
        if key not in batch.schema.names:
            continue
        mismatches = yield from verify_rows(info, batch, search=level == "sample", partition_name=partition_name)
        findings.add(batch.column(key), mismatches)
    return findings.result()


def _among(batch: pa.RecordBatch, key: str, keys: Collection[object]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    column = batch.column(key)
    if not keys:
        return np.zeros(batch.num_rows, np.bool_)
    found = pc.is_in(column, value_set=pa.array(list(keys), column.type))
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)
