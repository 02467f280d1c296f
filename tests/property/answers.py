"""Every class of answer that a server may give to a write, by name."""

from __future__ import annotations

import asyncio

from tests.fake.wire import answered, fails, land_late, lose, ok, refused, some_shards

__all__ = ["ACTIONS", "BAD"]

#: Keys that the server refuses.
BAD = {4, 23}


async def hang(wire, write):
    await asyncio.sleep(write.deadline - wire.clock())
    return await fails("DEADLINE_EXCEEDED")(wire, write)


def runs_on(share):
    """The proxy gives up waiting; its task is stored a while later."""

    async def behave(wire, write):
        wire.land(write, wire.clock() + (write.deadline - wire.clock()) * share)
        return answered(10001, "context deadline exceeded")

    return behave


async def too_large(wire, write):
    return await (ok if write.rows == 1 else refused(1102, "parameter too large"))(wire, write)


ACTIONS = {
    "ok": ok,
    "lost before": lose(apply=False),
    "lost after": lose(apply=True),
    "lost on some shards": some_shards(lose(apply=False)),
    "no connection": fails("UNAVAILABLE", "failed to connect"),
    "not ready": refused(1, "service not ready"),
    "rate limit": refused(8, "rate limit exceeded[rate=1000]", legacy=49),
    "denied": refused(9, "quota exceeded", legacy=48),
    "expired, never stored": hang,
    "expired, stored before its repeat": land_late(0.5),
    "expired, stored with its repeat": land_late(1.0),
    "expired, some shards": land_late(1.0, take=lambda key: key is None or key % 2),
    "given up, stored soon": runs_on(0.01),
    "given up, stored late": runs_on(0.99),
    "cancelled, stored": fails("CANCELLED", "", apply=True),
    "broken, stored": fails("INTERNAL", "RST_STREAM", apply=True),
    "unexpected": refused(65535, "odd"),
    "unexpected, stored": refused(65535, "odd", apply=True),
    "unexpected, some shards": some_shards(refused(65535, "odd")),
    "too large": too_large,
}
