"""HTTP/2 frames (RFC 9113, section 4.1), cut out of a stream of bytes that comes in pieces of any size."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DATA", "GOAWAY", "HEADERS", "PING", "PREFACE", "RST_STREAM", "Frame", "Frames"]

DATA, HEADERS, RST_STREAM, PING, GOAWAY = 0x0, 0x1, 0x3, 0x6, 0x7
#: Not a frame: what a client sends first.
PREFACE = -1

_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER = 9
_END_STREAM = 0x1


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, or a client's preface.

    Attributes:
        kind: The type of the frame.
        stream: The stream's number; 0 for the connection itself.
        ends: Whether its sender has nothing more to say on this stream.
        raw: The bytes, header included.
    """

    kind: int
    stream: int
    ends: bool
    raw: bytes

    @property
    def payload(self):
        """The bytes behind the header; gRPC pads nothing."""
        return self.raw[_HEADER:]


class Frames:
    """Cuts what one side of a connection sends.

    Args:
        client: Whether that side is the client, whose first bytes are the preface.
    """

    def __init__(self, *, client):
        self._rest = bytearray()
        self._greeted = not client

    def feed(self, data):
        """The frames that ``data`` completes."""
        self._rest += data
        found = []
        while (size := self._size()) <= len(self._rest):
            raw = bytes(self._rest[:size])
            del self._rest[:size]
            found.append(self._frame(raw))
        return found

    def _size(self):
        """Bytes of the next frame, as far as they can be known."""
        if not self._greeted:
            return len(_HELLO)
        if len(self._rest) < _HEADER:
            return _HEADER
        return _HEADER + int.from_bytes(self._rest[:3])

    def _frame(self, raw):
        if not self._greeted:
            self._greeted = True
            return Frame(PREFACE, 0, False, raw)
        kind, flags = raw[3], raw[4]
        # The first bit of a stream's number is reserved.
        stream = int.from_bytes(raw[5:9]) & 0x7FFF_FFFF
        return Frame(kind, stream, kind in (DATA, HEADERS) and bool(flags & _END_STREAM), raw)
