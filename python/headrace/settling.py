"""Late writes: an attempt that was given up may still be applied, and then stands beside its own repeat.

Seen on Milvus 2.3.5: an insert that the network held back until its deadline had passed landed after its repeat, and
``count(*)`` showed every row twice; a query hides that. So the rows of a request with such an attempt are not settled
by the repeat's acknowledgement: they stay locked until every attempt's deadline has passed, and then a strongly
consistent count over their keys has to be the number of keys. Where nothing can be counted, because the collection is
not in memory or the role may not read, the request is sent once more instead, after everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from headrace import operations as ops
from headrace.attempts import RawTransport, Request, WriteTarget, rows_of
from headrace.calls import Operation, drive_async
from headrace.errors import MilvusException, TransportError
from headrace.ledger import Ledger
from headrace.report import Verdict
from headrace.traffic import Traffic

__all__ = ["LateWrites"]

#: Part of a deadline that passes after a repeat, and after the last deadline, before the keys are counted: what lands
#: at that moment is seen.
GRACE = 1 / 30
#: How often a request is sent again because the count of its keys is wrong.
MOST_PROOFS = 3
#: Keys, and bytes of keys, of one count.
_COUNT_KEYS, _COUNT_BYTES = 4096, 1 << 20
#: merr.ErrCollectionNotLoaded.
_NOT_LOADED = 101

REPEATED = "rows of unanswered requests were sent again at the end, because their keys could not be counted"
NEVER_RIGHT = (
    "rows were sent again and again, and the count of their keys is still wrong: another writer may be at work"
)


class LateWrites:
    """Settles acknowledged requests of which an earlier attempt may still be applied.

    Args:
        transport: Where to ask.
        target: The collection; rows carry keys.
        traffic: Whom to let pass meanwhile.
        ledger: Where notes go.
        clock: Seconds, monotonic.
        patience: Seconds to wait for a server that cannot count just now.
        sleep: Passes time between two questions.
    """

    def __init__(
        self,
        transport: RawTransport,
        target: WriteTarget,
        traffic: Traffic,
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        patience: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._transport = transport
        self._target = target
        self._traffic = traffic
        self._ledger = ledger
        self._clock = clock
        self._patience = patience
        self._sleep = sleep

    async def settle(self, request: Request, *, timeout: float) -> Verdict | None:
        """The verdict of a request that was acknowledged just now; None where it has to be sent once more.

        Args:
            request: A request with ``may_land_until``.
            timeout: The deadline of an attempt, in seconds.
        """
        if request.uncountable:
            self._ledger.note(REPEATED, request.rows)
            return Verdict.STORED
        await self._traffic.rest(max(request.may_land_until or 0.0, self._clock()) + GRACE * timeout)
        if self._traffic.stopped():
            return Verdict.UNKNOWN
        if request.replaces:
            request.replaces = False
            return None
        counted = await self._count(request)
        if counted == request.rows:
            return Verdict.STORED
        if counted is None:
            request.uncountable = True
            await self._traffic.rest(self._clock() + timeout, unless=lambda: self._traffic.idle)
            return Verdict.UNKNOWN if self._traffic.stopped() else None
        request.proofs += 1
        if request.proofs <= MOST_PROOFS:
            return None
        self._ledger.note(NEVER_RIGHT, request.rows)
        return Verdict.UNKNOWN

    async def _count(self, request: Request) -> int | None:
        """How many rows are stored under the request's keys; None where that cannot be known."""
        batch = await rows_of(request)
        keys = batch.column(self._target.key).to_pylist()
        size = max(1, batch.column(self._target.key).nbytes // len(keys))
        step = max(1, min(_COUNT_KEYS, _COUNT_BYTES // size))
        try:
            if not await self._ask(ops.is_loaded(self._target.name)):
                return None
            counts: list[int] = [
                await self._ask(
                    ops.patiently(
                        lambda part=keys[start : start + step]: self._count_of(part, request.partition),  # type: ignore[misc]
                        budget=self._patience,
                        clock=self._clock,
                    )
                )
                for start in range(0, len(keys), step)
            ]
        except (MilvusException, TransportError):
            return None
        return sum(counts)

    def _count_of(self, keys: list[Any], partition: str) -> Operation[int]:
        partitions = [partition] if partition else []
        filter_ = ops.keys_filter(self._target.key or "", keys)
        return ops.count(self._target.name, filter_, partition_names=partitions)

    async def _ask(self, operation: Operation[Any]) -> Any:
        return await drive_async(self._transport, operation, sleep=self._sleep)
