"""Free ports for servers that are told where to listen."""

from __future__ import annotations

import contextlib
import random
import socket

__all__ = ["free_ports"]

#: Below the range (32768 and up) that Linux takes the ports of outgoing connections from, so that none of those takes
#: a server's port while it is down for a restart.
_RANGE = range(20000, 32000)


def free_ports(count):
    """``count`` different ports that nobody listens on now; somebody may before they are used."""
    with contextlib.ExitStack() as stack:
        found = []
        for port in random.sample(_RANGE, len(_RANGE)):
            listener = stack.enter_context(socket.socket())
            try:
                listener.bind(("", port))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")
