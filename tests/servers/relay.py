"""A TCP relay in front of a server, which can cut connections as a dying machine does.

Plain sockets on the loop: an asyncio server may lose a connection that is accepted while it closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

__all__ = ["CHUNK", "Relay"]

#: Bytes read at once.
CHUNK = 1 << 18


class Relay:
    """Passes bytes between clients and a local port; use it inside one event loop.

    Args:
        carry: ``async (client, server)`` that passes the bytes of one connection, both ends of which are reset when it
            returns; None passes them as they come.
    """

    def __init__(self, carry=None):
        self.accepted = 0
        self._carry = carry or self._copy
        self._tasks = set()
        self._listener = None
        self._port = 0

    async def start(self, backend, port=0):
        """Listen in front of the local port ``backend``; returns the port listened on."""
        self._backend = backend
        self._port = port
        await self.open()
        return self._port

    async def open(self):
        """Listen, on the same port as before."""
        if self._listener is None:
            self._loop = asyncio.get_running_loop()
            self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
            self._listener.setblocking(False)
            self._port = self._listener.getsockname()[1]
            self._loop.add_reader(self._listener, self._accept)

    def cut(self):
        """Reset every connection."""
        for task in self._tasks:
            task.cancel()

    def close(self):
        """Stop listening and reset every connection."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        self.cut()

    async def stop(self):
        """Close, and return when every connection has ended."""
        self.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self):
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            self.accepted += 1
            task = self._loop.create_task(self._relay(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            # A task that is cancelled before its first step never runs.
            task.add_done_callback(lambda _: client.close())

    async def _relay(self, client):
        with client, socket.socket() as server:
            for end in (client, server):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # Closing resets instead of saying goodbye.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                await self._loop.sock_connect(server, ("127.0.0.1", self._backend))
                await self._carry(client, server)

    async def _copy(self, client, server):
        pumps = {asyncio.ensure_future(self._pump(*ends)) for ends in ((client, server), (server, client))}
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := await self._loop.sock_recv(source, CHUNK):
                await self._loop.sock_sendall(target, data)
