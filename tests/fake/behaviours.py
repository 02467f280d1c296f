"""What the fake does with a call: a behaviour is ``async (call) -> answer bytes``, and behaviours compose.

``call.apply()`` does what a server would do and returns its answer; ``call.apply(take=...)`` stores only some rows.
"""

from __future__ import annotations

import asyncio

from headrace._proto import common_pb2, milvus_pb2

#: Methods that answer with a bare Status.
_STATUS_METHODS = frozenset({"CreateCollection", "CreateIndex", "CreatePartition", "DropCollection", "LoadCollection"})


def refusal(method, *, code=0, legacy=0, reason="", retriable=False, extra_info=None, rows=0):
    """The answer bytes of a refusal by Status."""
    status = common_pb2.Status(
        code=code, error_code=legacy, reason=reason, retriable=retriable, extra_info=extra_info or {}
    )
    if method in _STATUS_METHODS:
        return status.SerializeToString()
    # Field 1 is the status in every other answer; a failed write lists every row in err_index.
    failed = range(rows) if method in ("Insert", "Upsert") else ()
    return milvus_pb2.MutationResult(status=status, err_index=failed).SerializeToString()


async def ok(call):
    """Apply and answer."""
    return call.apply()


def refuse(code=0, reason="", *, legacy=1, retriable=False, extra_info=None):
    """Answer with a Status, without applying."""

    async def behave(call):
        return refusal(
            call.method,
            code=code,
            legacy=legacy,
            reason=reason,
            retriable=retriable,
            extra_info=extra_info,
            rows=call.num_rows,
        )

    return behave


def abort(status, details=""):
    """End the call with a gRPC status (a ``grpc.StatusCode``), without applying."""

    async def behave(call):
        await call.context.abort(status, details)

    return behave


async def stall(call):
    """Wait until the test calls ``server.release()``, then apply and answer."""
    await call.released()
    return call.apply()


async def stall_forever(call):
    """Never answer and never apply; ends with the call."""
    await asyncio.Event().wait()


async def land_late(call):
    """Never answer; apply when the test calls ``server.release()``, also where the caller has long given up."""
    call.server.apply_later(call)
    await asyncio.Event().wait()


def expire_and_land(when):
    """No answer before the deadline; stored once ``when(call)``, the deadline passed or not, whoever still waits."""

    async def behave(call):
        call.server.apply_once(call, lambda: when(call))
        await asyncio.Event().wait()

    return behave


def resent(call):
    """Whether the rows of ``call`` have come once more."""
    return sum(other.raw == call.raw for other in call.server.calls) > 1


def stored_again(call):
    """Whether the rows of ``call`` have come once more, and were answered."""
    return any(other.raw == call.raw and other.ended and other is not call for other in call.server.calls)


def after_release(behaviour):
    """Wait until the test calls ``server.release()``, then behave."""

    async def behave(call):
        await call.released()
        return await behaviour(call)

    return behave


def apply_then(behaviour):
    """Apply, throw the answer away, then behave: the row is stored and the caller does not learn it."""

    async def behave(call):
        call.apply()
        return await behaviour(call)

    return behave


def apply_some(take, behaviour):
    """Apply the rows whose number ``take`` accepts (some shards only), then behave."""

    async def behave(call):
        call.apply(take=take)
        return await behaviour(call)

    return behave


async def vanish(call):
    """Cut every connection of the server, this call's included, without an answer."""
    call.server.cut()
    await asyncio.Event().wait()


def vanish_and_die(call):
    """Cut every connection and refuse new ones, until ``server.revive()``."""
    call.server.die()
    return asyncio.Event().wait()


def refuse_rows(refuses, code=1100, reason="invalid parameter", *, legacy=5):
    """Refuse a write that holds a row (as a dict) for which ``refuses`` is true; store any other."""

    async def behave(call):
        if any(refuses(row) for row in call.batch().to_pylist()):
            return refusal(call.method, code=code, legacy=legacy, reason=reason, rows=call.num_rows)
        return call.apply()

    return behave
