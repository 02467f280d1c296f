"""A TCP relay in front of the fake server, which can cut connections as a dying machine does."""

from __future__ import annotations

import asyncio
import contextlib

_CHUNK = 1 << 18


class Relay:
    """Passes bytes between clients and a local port; use it inside one event loop."""

    def __init__(self):
        self.accepted = 0
        self._writers = set()
        self._tasks = set()
        self._server = None
        self._port = 0

    async def start(self, backend, port=0):
        self._backend = backend
        self._port = port
        await self.open()
        return self._port

    async def open(self):
        """Listen, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    def cut(self):
        """Reset every connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def close(self):
        """Stop listening and reset every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    async def stop(self):
        self.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader, writer):
        self.accepted += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError):
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._backend)
            self._writers |= {writer, back_writer}
            try:
                await asyncio.gather(self._pump(reader, back_writer), self._pump(back_reader, writer))
            finally:
                self._writers -= {writer, back_writer}
                back_writer.transport.abort()
        writer.transport.abort()

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
