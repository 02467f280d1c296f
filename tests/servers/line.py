"""One connection through the proxy: two ways of frames, each with its delays, and the calls that they make up."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from tests.servers.frames import DATA, GOAWAY, HEADERS, PING, RST_STREAM, Frames
from tests.servers.relay import CHUNK

__all__ = ["WRITE_BYTES", "Exchange", "Held", "Line"]

#: A request of at least so many bytes is a write: whatever else a loader asks is shorter.
WRITE_BYTES = 4096
#: Frames on their way in one direction of a connection. HTTP/2 itself bounds their bytes.
_ON_THE_WAY = 64
#: What precedes a message of gRPC: whether it is compressed, and its length.
_MESSAGE_HEADER = 5


@dataclass(eq=False)
class Exchange:
    """One call, as the proxy sees it.

    Attributes:
        data: The bytes of its request so far, as read from the client.
        asked: Whether these are all.
        replied: Whether the server has answered.
        waits: Whether its client waits for the answer.
        writes: Whether it is a write, as far as its size tells.
    """

    data: bytearray = field(default_factory=bytearray)
    asked: bool = False
    replied: bool = False
    waits: bool = True
    writes: bool = False

    @property
    def message(self):
        """The serialised request, as far as it was read."""
        return bytes(self.data[_MESSAGE_HEADER:])


@dataclass(eq=False)
class Held:
    """A write that the network keeps, and everything that its client said on that connection since.

    Attributes:
        line: Its connection.
        exchange: The write.
        frames: What is kept.
        pings: Whether pings are kept as well, so that the client finds the connection dead.
        repeated_by: Tells of another exchange whether it sends the same rows again.
        delivered: Whether it was let through.
    """

    line: Line
    exchange: Exchange
    frames: list
    pings: bool
    repeated_by: object
    delivered: bool = False

    async def deliver(self):
        """Let it through, without what would have told the server that nobody waits for it any more.

        Returns when the server has answered every request that was kept, or the connection has ended.
        """
        self.delivered = True
        kept = [it for it in self.line.exchanges.values() if it.asked and not it.replied]
        while self.frames:
            frame = self.frames.pop(0)
            if frame.kind not in (RST_STREAM, GOAWAY):
                await self.line.forward(frame)
        self.line.held = None
        self.line.proxy.notify()
        await self.line.proxy.until(lambda: all(it.replied for it in kept) or self.line.ended)


class Line:
    """One connection; :meth:`run` it inside the proxy's loop.

    What the client sent whole is delivered and answered, also where the client has gone meanwhile.

    Args:
        proxy: The weather, and who wants to know what happens.
        client: The client's socket.
        server: The server's.
    """

    def __init__(self, proxy, client, server):
        self.proxy = proxy
        self.exchanges = {}
        self.held = None
        self.ended = False
        #: Directions ("up" to the server, "down" to the client) in which nothing arrives any more.
        self.dead = set()
        self._client = client
        self._server = server
        self._pending = None
        self._loop = asyncio.get_running_loop()

    async def run(self):
        """Pass frames until the server has closed the connection, or the client has and is owed nothing."""
        up, down = asyncio.Queue(_ON_THE_WAY), asyncio.Queue(_ON_THE_WAY)
        ups = [self._read(self._client, up, self._asked), self._write(up, "up", self._pass_up)]
        downs = [self._read(self._server, down, self._replied), self._write(down, "down", self._pass_down)]
        tasks = [asyncio.ensure_future(it) for it in (*ups, *downs)]
        owed = asyncio.ensure_future(self._owed(tasks[1]))
        try:
            await asyncio.wait({tasks[3], owed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.ended = True
            self._lose()
            for task in (*tasks, owed):
                task.cancel()
            await asyncio.gather(*tasks, owed, return_exceptions=True)

    def _lose(self):
        """Nobody waits for answers any more, or none will come."""
        for exchange in self.exchanges.values():
            if exchange.waits:
                self._no_longer_waits(exchange)
                self.proxy.lost += exchange.writes

    def _no_longer_waits(self, exchange):
        exchange.waits = False
        self.proxy.waiting -= 1
        self.proxy.unanswered -= exchange.writes

    async def _owed(self, sending):
        await asyncio.wait({sending})
        self._lose()
        await self.proxy.until(lambda: all(it.replied for it in self.exchanges.values() if it.asked))

    # -- both ways ---------------------------------------------------------------------------------------------------

    async def _read(self, source, queue, note):
        frames = Frames(client=source is self._client)
        with contextlib.suppress(OSError):
            while data := await self._loop.sock_recv(source, CHUNK):
                for frame in frames.feed(data):
                    note(frame)
                    await queue.put((self._loop.time() + self.proxy.latency, frame))
                self.proxy.notify()
        await queue.put(None)

    async def _write(self, queue, direction, pass_on):
        while (item := await queue.get()) is not None:
            due, frame = item
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await self.proxy.passable.wait()
            if direction not in self.dead:
                await self.proxy.transmit(direction, len(frame.raw))
                await pass_on(frame)

    # -- to the server -----------------------------------------------------------------------------------------------

    def _asked(self, frame):
        if frame.kind == HEADERS:
            self.exchanges[frame.stream] = Exchange()
            self.proxy.calls += 1
            self.proxy.waiting += 1
        elif frame.kind == DATA and frame.stream in self.exchanges:
            exchange = self.exchanges[frame.stream]
            exchange.data += frame.payload
            if exchange.waits and not exchange.writes and len(exchange.data) >= WRITE_BYTES:
                exchange.writes = True
                self.proxy.unanswered += 1
        if frame.ends and frame.stream in self.exchanges:
            self.exchanges[frame.stream].asked = True

    async def _pass_up(self, frame):
        if self.held is not None:
            if frame.kind in (HEADERS, DATA, RST_STREAM, GOAWAY) or (self.held.pings and frame.kind == PING):
                self.held.frames.append(frame)
            else:
                await self.forward(frame)
            return
        pending, self._pending = self._pending, None
        if pending is not None and frame.kind not in (HEADERS, DATA):
            # Only headers have an order among themselves; what they open is not known before their data.
            self._pending = pending
        elif pending is not None:
            if frame.stream == pending.stream and len(frame.raw) >= WRITE_BYTES:
                self.held = self.proxy.hold_here(self, self.exchanges[frame.stream], [pending, frame])
            if self.held is not None:
                return
            await self.forward(pending)
        if frame.kind == HEADERS and self.proxy.wants_to_hold:
            self._pending = frame
        else:
            await self.forward(frame)

    async def forward(self, frame):
        """Send a frame to the server, or as much of it as may pass before the connection is cut."""
        raw = frame.raw
        passing = self.proxy.passing(len(raw))
        # A server that has gone is noticed by who reads from it.
        with contextlib.suppress(OSError):
            await self._loop.sock_sendall(self._server, raw[:passing])
        if passing < len(raw):
            self.dead.add("up")
            self.proxy.end(self)

    # -- to the client -----------------------------------------------------------------------------------------------

    def _replied(self, frame):
        if (frame.ends or frame.kind == RST_STREAM) and frame.stream in self.exchanges:
            self.exchanges[frame.stream].replied = True

    async def _pass_down(self, frame):
        exchange = self.exchanges.get(frame.stream)
        ends = exchange is not None and (frame.ends or frame.kind == RST_STREAM)
        if ends:
            await self.proxy.before_answer(exchange)
            if exchange.waits:
                self._no_longer_waits(exchange)
            del self.exchanges[frame.stream]
            self.proxy.notify()
        # Where the client has gone, its other calls are passed on all the same.
        with contextlib.suppress(OSError):
            await self._loop.sock_sendall(self._client, frame.raw)
