"""One request from its first attempt to the last verdict of its rows."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

import pyarrow as pa

from headrace.attempts import Answer, RawTransport, Request, WriteTarget, attempt
from headrace.dividing import divided, repacked, set_aside
from headrace.errors import HeadraceError, JournalError, MilvusException, SchemaError, TransportError
from headrace.freshness import LiveSchema
from headrace.ledger import Ledger
from headrace.report import Verdict
from headrace.retry import AnswerClass, Deadline
from headrace.settling import LateWrites
from headrace.throttle import Throttle
from headrace.traffic import Traffic

__all__ = ["Delivery"]

#: How often one status may come without an explanation before the rows are taken to be its reason.
MOST_UNEXPLAINED = 3
#: Into how many parts a request is cut whose bytes may have been too many for the time that it had, and how few bytes
#: are never too many.
SLOWER, SMALL = 4, 256 << 10

_UPSERT_DENIED = "rows could not be sent again, or in their turn, because the role may not upsert"
_ONCE = "rows were not sent again after an unclear answer (at most once)"
_POISON = "rows are in the rejects file, because the server became unreachable whenever they were sent alone"

#: What comes of trying: a verdict, or the requests that are to be delivered instead (itself: later, after the others).
Outcome = Verdict | list[Request]


class Delivery:
    """Delivers requests, each in a task of its caller's.

    Args:
        transport: Where to send.
        target: Facts about the collection.
        schema: What rows are packed for.
        ledger: Where verdicts go.
        traffic: Who else is on the way, and whether the load goes on.
        throttle: Told of every attempt.
        budget: Seconds without a stored request after which the load gives up.
        deadline: How long an attempt may take.
        stop: Ends the load.
        limit: Told the largest request in bytes that the server takes.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        transport: RawTransport,
        target: WriteTarget,
        schema: LiveSchema,
        ledger: Ledger,
        traffic: Traffic,
        *,
        throttle: Throttle,
        budget: float,
        deadline: Deadline,
        stop: Callable[[HeadraceError], None],
        limit: Callable[[int], None],
        clock: Callable[[], float],
    ) -> None:
        self._transport = transport
        self._target = target
        self._schema = schema
        self._ledger = ledger
        self._traffic = traffic
        self._throttle = throttle
        self._budget = budget
        self._deadline = deadline
        self._stop = stop
        self._limit = limit
        self._clock = clock
        self._late = LateWrites(transport, target, traffic, ledger, clock=clock, patience=budget)
        self._channels = itertools.count()
        self._largest: int | None = None
        self._largest_stored = 0

    async def deliver(self, request: Request) -> bool:
        """Return with every row of ``request`` settled once, cancelled or not; whether none is unsent or unknown."""
        waiting, final = deque([request]), True
        try:
            while waiting:
                outcome = await self._resolve(waiting[0], others=len(waiting) > 1)
                part = waiting.popleft()
                if isinstance(outcome, Verdict):
                    self._settle(part, outcome)
                    final = final and outcome not in (Verdict.UNKNOWN, Verdict.UNSENT)
                elif outcome == [part]:
                    waiting.append(part)
                else:
                    waiting.extendleft(reversed(outcome))
        except BaseException:
            for part in waiting:
                self._settle(part, undelivered(part))
            raise
        return final

    def _settle(self, request: Request, verdict: Verdict) -> None:
        keys = request.key_ranges if verdict is Verdict.STORED else ()
        if verdict is Verdict.STORED:
            self._ledger.stored_in[request.partition] += request.rows
            if request.claim is not None:
                self._ledger.journal.reach_key(int(request.claim.codes[-1]))
        if request.claim is not None and verdict in (Verdict.STORED, Verdict.REJECTED):
            self._ledger.journal.confirm(request.claim.replaced)
        self._ledger.settle(request.spans, request.rows, verdict, keys)
        if verdict is Verdict.REJECTED and (too_many := self._ledger.too_many_rejects()) is not None:
            self._stop(HeadraceError(too_many))

    async def _resolve(self, request: Request, *, others: bool) -> Outcome:
        """Send ``request`` until its fate, or what has to be sent in its place, is known."""
        while True:
            if self._largest is not None and len(request.payload) > self._largest and request.rows > 1:
                return await divided(request, self._schema, parts=-(-len(request.payload) // self._largest))
            if request.timestamp != self._schema.timestamp:
                await repacked(request, self._schema)
            timeout = self._deadline.seconds(request.expired)
            answer = await self._attempt(request, timeout) if await self._announced(request, timeout) else None
            if answer is None:
                return undelivered(request)
            outcome = await self._judge(request, answer, others=others)
            if outcome is not None and outcome != [request]:
                return outcome
            if answer.kind is AnswerClass.STORED:
                continue  # once more, to be sure
            if self._clock() - self._traffic.last_progress >= self._budget:
                idle = f"no request succeeded for {self._budget:g} s"
                self._stop(TransportError(f"{idle}; the last answer: {answer.reason}"))
                return undelivered(request)
            self._ledger.measurements.retries[answer.kind.value] += 1
            if outcome is not None:
                return outcome

    async def _announced(self, request: Request, timeout: float) -> bool:
        """Have the next run know what may be stored of this attempt, and until when; False where none is to be made."""
        journal = self._ledger.journal
        if self._traffic.stopped():
            return False
        try:
            await journal.cover(request.spans)
            await journal.reach(timeout)
        except JournalError as error:
            self._stop(error)
            return False
        return True

    async def _attempt(self, request: Request, timeout: float) -> Answer | None:
        """Send it once, alone where it is suspected of what others must not suffer; None where the load has stopped."""
        alone = request.lost > 0
        if alone and self._traffic.probing and self._traffic.others:
            # A suspect proves nothing about a server that may be down: let another one find out first.
            await self._traffic.rest(unless=lambda: not self._traffic.probing or self._traffic.idle)
        async with self._traffic.sending(len(request.payload), alone=alone):
            if self._traffic.stopped():
                return None
            channel = next(self._channels) % min(self._transport.channels, max(2, self._throttle.limit))
            # Nor is it alone to blame for the end of a server that was not well.
            accompanied = self._traffic.calls > 1 or (self._traffic.probing and not alone)
            before, began = self._traffic.begun, self._clock()
            # Should this be cancelled, nobody knows.
            doubtful, request.doubtful = request.doubtful, True
            self._ledger.measurements.bytes_sent += len(request.payload)
            sent = self._throttle.sent(len(request.payload), request.rows, aim=request.aim)
            give_copy_back = self._traffic.copied(self._ledger.window, len(request.payload), sent)
            try:
                answer = await attempt(
                    self._transport,
                    request,
                    lite=self._target.lite,
                    timeout=timeout,
                    channel=channel,
                    written=None
                    if doubtful or not self._throttle.spares_copies
                    else give_copy_back,  # a repeat says why
                )
            except BaseException:
                self._throttle.answered(sent, None)
                raise
            finally:
                give_copy_back()
            expired = answer.status == "DEADLINE_EXCEEDED"
            self._throttle.answered(sent, answer.kind, rate=answer.rate, expired=expired)
            request.doubtful = doubtful
            # Who was lost at the same moment may have been told first.
            accompanied = accompanied or self._traffic.begun > before
        if answer.may_land and self._target.key is not None:
            request.may_land_until = max(request.may_land_until or 0.0, began + timeout)
            request.uncountable = False
        if answer.may_land and not answer.unreachable:
            # What the network still holds of it must not come after its repeat; and a path that lost one connection
            # without a word may have lost the others with it.
            for each in range(self._transport.channels):
                self._transport.renew(each)
        request.expired += expired
        if answer.unreachable:
            request.lost += 1
            request.lost_alone += not accompanied
        if answer.kind is AnswerClass.STORED:
            self._largest_stored = max(self._largest_stored, len(request.payload))
            self._deadline.answered(self._clock() - began)
            self._traffic.progress()
            self._ledger.measurements.stored(request.rows, self._clock() - began)
        return answer

    async def _judge(self, request: Request, answer: Answer, *, others: bool) -> Outcome | None:
        """What an answer means for a request; None where it is to be sent again."""
        kind = answer.kind
        if kind is AnswerClass.STORED:
            request.unexplained.clear()
            if request.may_land_until is None:
                return Verdict.STORED
            return await self._late.settle(request, timeout=self._deadline.seconds(request.expired))
        if kind is AnswerClass.SPLIT:
            return await self._too_large(request, answer)
        if kind is AnswerClass.REJECT:
            return await self._refused(request, answer)
        if kind is AnswerClass.FATAL:
            return self._fatal(request, answer)
        if kind is AnswerClass.SCHEMA:
            return await self._outdated(request, answer)
        if kind is AnswerClass.AMBIGUOUS:
            return await self._unclear(request, answer, others=others)
        return None

    async def _too_large(self, request: Request, answer: Answer) -> Outcome:
        if request.rows == 1:
            return await self._refused(request, answer)
        # Without a number in the answer half of it is tried, and half of that.
        known = answer.largest if answer.largest is not None else len(request.payload) // 2
        largest = self._at_most(known)
        self._ledger.measurements.retries[answer.kind.value] += 1
        return await divided(request, self._schema, parts=max(2, -(-len(request.payload) // max(largest, 1))))

    def _at_most(self, size: int) -> int:
        """Send no larger requests from now on; returns how large they may be."""
        self._largest = size if self._largest is None else min(size, self._largest)
        self._limit(self._largest)
        return self._largest

    async def _refused(self, request: Request, answer: Answer) -> Outcome:
        """Halve a refused request, or set its only row aside."""
        if request.rows > 1:
            self._ledger.measurements.retries[answer.kind.value] += 1
            return await divided(request, self._schema)
        why = {"expected": "a row that the server accepts", "remedy": "mend the row and load it again"}
        batch = await self._set_aside(request, answer, **why)
        if batch is None:
            return undelivered(request)
        if self._target.key is not None:
            self._ledger.refused_keys[request.partition].add(batch.column(self._target.key)[0].as_py())
        return Verdict.REJECTED

    def _fatal(self, request: Request, answer: Answer) -> Verdict:
        if answer.not_permitted and request.upsert and not self._target.upsert:
            # Rows are inserted, and only this repeat (or a repeated key) needs more than the role has.
            self._ledger.note(_UPSERT_DENIED, request.rows)
        else:
            self._stop(HeadraceError(f"the server refuses this load: {answer.reason}"))
        return undelivered(request)

    async def _outdated(self, request: Request, answer: Answer) -> Outcome | None:
        """The collection's schema changed: follow it. Some shards may have taken the rows already."""
        if (given_up := self._doubt(request)) is not None:
            return given_up
        request.unexplained[answer.status] += 1
        try:
            changed = await self._schema.renew(self._transport, stale=request.timestamp)
        except SchemaError as error:
            self._stop(HeadraceError(f"the collection's schema changed while loading: {error}"))
        except (MilvusException, TransportError):
            return None
        else:
            if changed:
                request.unexplained.clear()
            elif request.unexplained[answer.status] >= MOST_UNEXPLAINED:
                self._stop(
                    HeadraceError(f"the server finds the schema outdated that it described itself: {answer.reason}")
                )
        return undelivered(request) if self._traffic.stopped() else None

    async def _unclear(self, request: Request, answer: Answer, *, others: bool) -> Outcome | None:
        """The rows may be there already, wholly or in part."""
        if (given_up := self._doubt(request)) is not None:
            return given_up
        if (answer.unreachable or answer.unexplained) and request.stored_before is None:
            request.stored_before = self._traffic.stored
        if answer.unreachable:
            return await self._suspected(request, answer)
        if answer.status == "DEADLINE_EXCEEDED" and self._may_be_slow(request):
            return await self._smaller(request, answer)
        if not answer.unexplained:
            return None
        request.unexplained[answer.status] += 1
        if request.unexplained[answer.status] < MOST_UNEXPLAINED:
            return None
        if request.rows > 1:
            self._ledger.measurements.retries["reject"] += 1
            parts = await divided(request, self._schema)
            for part in parts:
                part.unexplained[answer.status] = MOST_UNEXPLAINED - 1
            return parts
        if self._traffic.stored > (request.stored_before or 0):
            return await self._refused(request, answer)
        # Nothing was stored since: it may be the server. The other rows of the batch may tell.
        return [request] if others else None

    def _may_be_slow(self, request: Request) -> bool:
        """Whether it may have expired because its bytes take so long: nothing of its size was ever stored."""
        tried = self._clock() - self._traffic.last_progress
        size = len(request.payload)
        return request.rows > 1 and size > max(SMALL, 2 * self._largest_stored) and tried < self._budget

    async def _smaller(self, request: Request, answer: Answer) -> Outcome:
        """Parts of a request, each with the time that the whole would have had next."""
        self._at_most(max(SMALL, len(request.payload) // SLOWER))
        self._ledger.measurements.retries[answer.kind.value] += 1
        parts = await divided(request, self._schema, parts=SLOWER)
        for part in parts:
            part.expired = request.expired
        return parts

    def _doubt(self, request: Request) -> Verdict | None:
        """A repeat replaces rows that are there by their key, or may double them where the server makes keys."""
        if self._target.key is not None:
            request.upsert = True
        elif self._target.at_most_once:
            request.doubtful = True
            self._ledger.note(_ONCE, request.rows)
            return Verdict.UNKNOWN
        elif not request.doubled:
            request.doubled = True
            # Those of an earlier run were counted when they were taken.
            _, others = self._ledger.journal.in_doubt(request.spans)
            self._ledger.double(others)
        request.doubtful = True
        return None

    async def _suspected(self, request: Request, answer: Answer) -> Outcome | None:
        """The server became unreachable under it. A server that dies of a request gets it at most twice whole."""
        if request.lost < 2:
            return None
        if request.lost_alone < 2 and request.rows > 1:
            return await self._apart(request)
        stored = request.stored_before or 0
        await self._traffic.rest(unless=lambda: self._traffic.stored > stored or self._traffic.idle)
        if self._traffic.stopped():
            return Verdict.UNKNOWN
        if self._target.bisect_poison and request.rows > 1:
            return await self._apart(request)
        remedy = "look into the server's log, then load this file again, or use --bisect-poison"
        why = {"expected": "a request that the server survives", "remedy": remedy, "verdict": "unknown"}
        if await self._set_aside(request, answer, **why) is not None:
            self._ledger.note(_POISON, request.rows)
        return Verdict.UNKNOWN

    async def _set_aside(self, request: Request, answer: Answer, **why: str) -> pa.RecordBatch | None:
        """The rows of a request, once they are in the rejects file; None where they cannot be kept: the load stops."""
        try:
            return await set_aside(request, self._target, self._ledger.rejects, found=answer.reason, **why)
        except HeadraceError as error:
            self._stop(error)
            return None

    async def _apart(self, request: Request) -> list[Request]:
        """Halves, each of which is sent alone and once."""
        parts = await divided(request, self._schema)
        for part in parts:
            part.lost = part.lost_alone = 1
        return parts


def undelivered(request: Request) -> Verdict:
    """The verdict of a request that is given up: nobody knows, or certainly nothing was stored."""
    return Verdict.UNKNOWN if request.doubtful else Verdict.UNSENT
