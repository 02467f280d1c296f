"""A network between a client and a Milvus that is as bad as a test wants it to be.

In a test::

    with Proxy(server.address) as network:
        load = ...                       # to network.uri
        network.wait_for(lambda: network.carried > 100_000 and network.unanswered)
        network.reset()

It cuts HTTP/2 into its frames, so it knows which calls are answered, and can hold one of them.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time

from tests.servers.line import Held, Line
from tests.servers.relay import Relay

__all__ = ["Proxy"]


class Proxy:
    """A TCP proxy in front of the server at ``host:port``, on a thread of its own; use it as a context manager.

    Attributes:
        latency: Seconds that everything takes in each direction.
        bandwidth: Bytes per second in each direction, over all connections together; infinite where nothing limits it.
        carried: Bytes that have left for the server.
        calls: Calls that have begun.
        waiting: Those of them whose clients wait for an answer.
        unanswered: Writes that have begun, and whose clients wait for an answer.
        lost: Writes that had no answer when their connection ended.
        held: The writes that were kept so far, those that are delivered included.
    """

    def __init__(self, address):
        self._backend = int(address.rpartition(":")[2])
        self.latency = 0.0
        self.bandwidth = math.inf
        self.carried = 0
        self.calls = 0
        self.waiting = 0
        self.unanswered = 0
        self.lost = 0
        self.held = []
        self._lines = set()
        self._wanted = None
        self._cut_at = math.inf
        self._free_at = {"up": 0.0, "down": 0.0}
        self._waiters = set()
        self._changed = threading.Condition()
        self._relay = Relay(self._carry)
        self._ready = threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxy", daemon=True)
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exc_info):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    @property
    def address(self):
        """``host:port`` for clients."""
        return f"127.0.0.1:{self._port}"

    @property
    def connections(self):
        """How many connections there are that reach the server."""
        return len(self._lines)

    @property
    def uri(self):
        """The address as headrace and pymilvus take it."""
        return f"http://{self.address}"

    # -- what a test does --------------------------------------------------------------------------------------------

    def reset(self):
        """Reset every connection; new ones are accepted. Returns how many writes were unanswered."""
        return self._do(self._relay.cut)

    def half_open(self, direction):
        """Let nothing arrive any more over the connections that there are, ``"up"`` (to the server) or ``"down"``.

        Returns how many writes were unanswered.
        """
        return self._do(lambda: [line.dead.add(direction) for line in self._lines])

    def black_hole(self):
        """Let nothing pass, over any connection, until :meth:`heal`; then everything arrives that was sent.

        Returns how many writes were unanswered.
        """
        return self._do(self.passable.clear)

    def heal(self):
        """End the black hole."""
        self._do(self.passable.set)

    def cut_after(self, size):
        """Reset the connection over which the ``size``-th byte from now goes to the server, right behind that byte."""
        self._do(lambda: setattr(self, "_cut_at", self.carried + size))

    def hold(self, *, pings=False, repeated_by=None):
        """Keep the next write that begins, and all that its client sends behind it over the same connection.

        It is let through, by itself, when the server has answered a write of the same rows that went by another
        connection, and before that answer is passed on: no client can know more about its fate at that moment. That
        also happens where its client has closed the connection, or died.

        Args:
            pings: Whether pings are kept as well: the client then finds the connection dead.
            repeated_by: ``(held, other)``: whether the exchange ``other`` sends the rows of ``held`` again; None where
                it has to be the same bytes.
        """
        self._do(lambda: setattr(self, "_wanted", (pings, repeated_by or _same_bytes)))

    def wait_for(self, condition, timeout=120.0, *, unless=lambda: False):
        """Wait until ``condition()`` holds, asked again whenever bytes passed; whether it did before ``unless()``.

        Raises:
            TimeoutError: If neither holds within ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while not (fulfilled := condition()) and not unless():
                if time.monotonic() > end:
                    raise TimeoutError(f"not within {timeout} s; {self.carried} bytes, {self.unanswered} unanswered")
                # What `unless` asks after, such as the end of a process, may come without a byte.
                self._changed.wait(0.1)
            return fulfilled

    # -- what a line asks --------------------------------------------------------------------------------------------

    @property
    def wants_to_hold(self):
        """Whether the next write is to be kept."""
        return self._wanted is not None

    def hold_here(self, line, exchange, frames):
        """Keep a write, unless another one was faster."""
        if self._wanted is None:
            return None
        (pings, repeated_by), self._wanted = self._wanted, None
        self.held.append(Held(line, exchange, frames, pings, repeated_by))
        self.notify()
        return self.held[-1]

    async def before_answer(self, exchange):
        """Let what was kept through, if ``exchange`` has brought the same rows."""
        for held in self.held:
            if not held.delivered and held.exchange is not exchange and held.repeated_by(held.exchange, exchange):
                await held.deliver()

    async def transmit(self, direction, size):
        """Return when ``size`` bytes have passed a link of this bandwidth."""
        if self.bandwidth < math.inf:
            now = self._loop.time()
            self._free_at[direction] = max(now, self._free_at[direction]) + size / self.bandwidth
            await asyncio.sleep(self._free_at[direction] - now)

    def passing(self, size):
        """How many of ``size`` bytes may leave for the server; counts them."""
        passing = min(size, max(0, self._cut_at - self.carried))
        self.carried += passing
        return passing

    def end(self, line):
        """Reset the connection that reached the byte of :meth:`cut_after`."""
        self._cut_at = math.inf
        line.task.cancel()

    def notify(self):
        """Wake everyone who waits for a change."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        with self._changed:
            self._changed.notify_all()

    async def until(self, condition):
        """Return once ``condition()`` holds."""
        while not condition():
            waiter = self._loop.create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    # -- how ---------------------------------------------------------------------------------------------------------

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.passable = asyncio.Event()
        self.passable.set()
        self._port = await self._relay.start(self._backend)
        self._ready.set()
        await self._stopping.wait()
        await self._relay.stop()

    async def _carry(self, client, server):
        line = Line(self, client, server)
        line.task = asyncio.current_task()
        self._lines.add(line)
        try:
            await line.run()
        finally:
            self._lines.discard(line)
            self.notify()

    def _do(self, action):
        async def act():
            unanswered = self.unanswered
            action()
            self.notify()
            return unanswered

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result()


def _same_bytes(held, other):
    return other.asked and other.data == held.data
