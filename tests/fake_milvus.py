"""A Milvus server for tests: in this process on a thread of its own, or as its own process.

In a test::

    with FakeMilvus() as server:
        server.script("Insert", ok, refuse(8, "rate limit exceeded"), stall)   # then as usual
        ...
        assert server.calls_of("Insert")[0].num_rows == 100
        assert server.collections["docs"].keys() == Counter(...)

As a process (``--null`` answers writes without decoding them): ``python -m tests.fake_milvus [--port N] [--null]``
prints the port on its first line and serves until its standard input ends.

Connections go through a relay that can cut them as a dying machine would; ``relay=False`` does without.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import sys
import threading
from collections import deque

import grpc
import grpc.aio

from headrace._proto import milvus_pb2
from headrace.decoding import decode_request
from tests.fake.answers import METHODS, WRITES, answer
from tests.fake.behaviours import ok, refusal
from tests.fake.store import Refused
from tests.servers.relay import Relay

__all__ = ["Call", "FakeMilvus"]

_PREFIX = "/milvus.proto.milvus.MilvusService/"


def rows_of(raw):
    """``num_rows`` of a write request, found by skipping over its columns."""
    position, rows = 0, 0
    while position < len(raw):
        tag, position = _varint(raw, position)
        value, position = _varint(raw, position)
        if tag & 7 == 2:
            position += value
        elif tag == 7 << 3:
            rows = value
    return rows


def _varint(raw, position):
    value = shift = 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


class Call:
    """One call as the server received it, and what a behaviour may do about it."""

    def __init__(self, server, method, raw, context):
        self.server = server
        self.method = method
        self.raw = raw
        self.context = context
        self.metadata = {key: value for key, value in context.invocation_metadata() if not key.startswith("grpc-")}
        self.peer = context.peer()
        self.deadline = context.time_remaining()
        self.ended = False

    def __repr__(self):
        return f"Call({self.method}, {len(self.raw)} bytes)"

    @property
    def num_rows(self):
        return rows_of(self.raw) if self.method in WRITES else 0

    @property
    def request(self):
        """The parsed request."""
        return (WRITES.get(self.method) or METHODS[self.method][0]).FromString(self.raw)

    def batch(self):
        """The rows of a write, decoded."""
        return decode_request(self.raw)

    def apply(self, take=None):
        """Do what a server does and return its answer; ``take(row number)`` chooses the rows of a write to store."""
        if self.server.null and self.method in WRITES:
            return self.server.null_answer(self.num_rows)
        try:
            return answer(self.server, self.method, self.raw, take=take)
        except Refused as error:
            return refusal(self.method, code=error.code, legacy=error.legacy, reason=error.reason, rows=self.num_rows)

    async def released(self):
        """Wait for ``server.release()``."""
        await self.server.gate.wait()


class FakeMilvus(grpc.GenericRpcHandler):
    """The server. Start it as a context manager, or with :meth:`start` and :meth:`stop`.

    Args:
        version: What GetVersion and Connect say.
        token: ``user:password`` that every call must carry; None for no authentication.
        null: Whether writes are counted and thrown away undecoded.
        max_message: The largest request in bytes; -1 for any.
        relay: Whether connections can be cut (:meth:`cut`, :meth:`die`).
        port: The port to listen on; 0 for a free one.
        credentials: ``grpc.ServerCredentials`` for TLS.
    """

    def __init__(
        self, *, version="v2.6.2", token=None, null=False, max_message=-1, relay=True, port=0, credentials=None
    ):
        self.version = version
        self.null = null
        self.collections = {}
        self.calls = []
        self.clock = 1000
        self.open_writes = 0
        self.open_bytes = 0
        self.peak_writes = 0
        self.peak_bytes = 0
        self.rows_sunk = 0
        self.gate = None
        self._authorization = None if token is None else base64.b64encode(token.encode()).decode()
        self._max_message = max_message
        self._wanted_port = port
        self._credentials = credentials
        self._relay = Relay() if relay else None
        self._scripts = {}
        self._defaults = {}
        self._null_answers = {}
        self._later = set()
        self._pending = []
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._thread = None
        self._failure = None

    # -- life ---------------------------------------------------------------------------------------------------

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()

    def start(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fake-milvus", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self):
        if self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self):
        return f"{'https' if self._credentials else 'http'}://{self.address}"

    async def _serve(self):
        try:
            self._loop = asyncio.get_running_loop()
            self._stopping = asyncio.Event()
            self.gate = asyncio.Event()
            server = grpc.aio.server(
                options=[
                    ("grpc.max_receive_message_length", self._max_message),
                    ("grpc.so_reuseport", 0),
                    # As Milvus: pymilvus, which pings idle connections, would be sent away else.
                    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
                    ("grpc.keepalive_permit_without_calls", 1),
                ]
            )
            server.add_generic_rpc_handlers((self,))
            address = f"127.0.0.1:{0 if self._relay else self._wanted_port}"
            if self._credentials:
                port = server.add_secure_port(address, self._credentials)
            else:
                port = server.add_insecure_port(address)
            await server.start()
            self.port = await self._relay.start(port, self._wanted_port) if self._relay else port
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._ready.set()
        await self._stopping.wait()
        for task in self._later:
            task.cancel()
        if self._relay:
            await self._relay.stop()
        await server.stop(None)

    # -- script -------------------------------------------------------------------------------------------------

    def script(self, method, *behaviours):
        """What the next calls of ``method`` meet, one each; after them its default."""
        self._scripts.setdefault(method, deque()).extend(behaviours)

    def always(self, method, behaviour):
        """What calls of ``method`` meet once its script is over."""
        self._defaults[method] = behaviour

    def release(self):
        """Let every stalled call go on, and those that stall later."""
        self._loop.call_soon_threadsafe(self.gate.set)

    def hold(self):
        """Make stalling calls wait again after :meth:`release`."""
        self._loop.call_soon_threadsafe(self.gate.clear)

    def apply_later(self, call):
        """Apply a call after :meth:`release`, whatever becomes of its caller."""

        async def land():
            await self.gate.wait()
            call.apply()
            with self._changed:
                self._changed.notify_all()

        task = asyncio.ensure_future(land())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def apply_once(self, call, condition):
        """Apply a call as soon as ``condition()`` holds, which is asked whenever a call comes or ends."""
        self._pending.append((call, condition))

    def cut(self):
        """Reset every connection; new ones are accepted."""
        self._loop.call_soon_threadsafe(self._relay.cut)

    def die(self):
        """Reset every connection and refuse new ones until :meth:`revive`."""
        self._loop.call_soon_threadsafe(self._relay.close)

    def revive(self):
        """Accept connections again, on the same port; returns once it listens."""
        asyncio.run_coroutine_threadsafe(self._relay.open(), self._loop).result()

    # -- what happened ------------------------------------------------------------------------------------------

    def calls_of(self, *methods):
        """The calls of these methods so far, in order of arrival."""
        with self._changed:
            return [call for call in self.calls if call.method in methods]

    def wait_for(self, condition, timeout=100.0):
        """Wait until ``condition()`` holds; it is asked again whenever a call comes or ends."""
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"not within {timeout} s; calls so far: {self.calls}")

    @property
    def connections(self):
        """How many connections the relay has accepted so far."""
        return self._relay.accepted

    def null_answer(self, rows):
        self.rows_sunk += rows
        if rows not in self._null_answers:
            message = milvus_pb2.MutationResult(succ_index=range(rows), insert_cnt=rows, timestamp=1 << 18)
            self._null_answers[rows] = message.SerializeToString()
        return self._null_answers[rows]

    # -- calls --------------------------------------------------------------------------------------------------

    def service(self, handler_call_details):
        method = handler_call_details.method.removeprefix(_PREFIX)
        if method not in METHODS and method not in WRITES:
            return None

        async def handle(raw, context):
            return await self._handle(method, raw, context)

        return grpc.unary_unary_rpc_method_handler(handle)

    async def _handle(self, method, raw, context):
        call = Call(self, method, raw, context)
        if self._authorization is not None and call.metadata.get("authorization") != self._authorization:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check username and password"
            )
        weight = len(raw) if method in WRITES else 0
        with self._changed:
            script = self._scripts.get(method)
            behaviour = script.popleft() if script else self._defaults.get(method, ok)
            if not self.null:
                self.calls.append(call)
            self.open_writes += weight > 0
            self.open_bytes += weight
            self.peak_writes = max(self.peak_writes, self.open_writes)
            self.peak_bytes = max(self.peak_bytes, self.open_bytes)
            self._changed.notify_all()
        self._land()
        try:
            return await behaviour(call)
        finally:
            with self._changed:
                call.ended = True
                self.open_writes -= weight > 0
                self.open_bytes -= weight
                self._changed.notify_all()
            self._land()

    def _land(self):
        landing = [call for call, condition in self._pending if condition()]
        self._pending = [(call, condition) for call, condition in self._pending if call not in landing]
        for call in landing:
            call.apply()


def main():
    parser = argparse.ArgumentParser(description="A fake Milvus server; serves until its standard input ends.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--null", action="store_true", help="answer writes without decoding them")
    parser.add_argument("--version", default="v2.6.2")
    arguments = parser.parse_args()
    with FakeMilvus(port=arguments.port, null=arguments.null, version=arguments.version, relay=False) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()


if __name__ == "__main__":
    main()
