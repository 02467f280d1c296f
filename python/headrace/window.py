"""How much memory a load may hold: a window of bytes that every batch passes through.

Source batches, packed requests and gRPC's own copies are all charged to it. Whoever wants to read or pack more
reserves first and waits while the window is full; that is the whole of headrace's backpressure. gRPC copies a request
when it is sent, and sending must not wait: room for those copies is kept free as headroom.

Requests that wait to be sent help where a source stalls, and cost where it does not: memory that many requests take in
turn is in no cache when it is packed, copied and sent. So there the window can be told to have few of them ready.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future

__all__ = ["Window"]


class Window:
    """A counter of bytes with a limit, shared by threads and event loops.

    Reservations are granted in the order they were asked for. One that is larger than the whole limit is granted
    when nothing sent is outstanding, so that a single huge row passes alone instead of waiting for ever.

    Args:
        limit: The most bytes to hold at once.
        headroom: How many of them are kept for :meth:`lend`.
    """

    def __init__(self, limit: int, *, headroom: int = 0) -> None:
        self._limit = limit - headroom
        self._lent = 0
        self._used = 0
        self._outstanding = 0
        self._ready = 0
        self._most_ready: int | None = None
        self._peak = 0
        self._waiters: deque[tuple[int, bool, Future[None]]] = deque()
        self._closed: BaseException | None = None
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes reserved or lent now."""
        return self._used + self._lent

    @property
    def peak(self) -> int:
        """The most bytes that were ever reserved and lent at once."""
        return self._peak

    @property
    def waiting(self) -> int:
        """How many reservations wait."""
        return len(self._waiters)

    def keep_ready(self, size: int) -> None:
        """From now on grant no further request while ``size`` bytes of them wait to be sent.

        Where three times as many are on their way it is a third of these, so that answers that come together find the
        requests that take their places.
        """
        self._most_ready = size

    def reserve(self, size: int, *, outgoing: bool) -> Future[None]:
        """Ask for ``size`` bytes; the future is done when they are granted, and every grant must be released.

        ``outgoing`` bytes belong to a request, which will certainly be released by its answer; others belong to
        source batches, which are released once they are packed. Cancelling a future that waits withdraws it.

        Raises:
            HeadraceError: (from the future) What :meth:`close` was given, if the window was closed.
        """
        future: Future[None] = Future()
        with self._lock:
            if self._closed is not None:
                future.set_exception(self._closed)
            else:
                self._waiters.append((size, outgoing, future))
        self._grant()
        return future

    def take(self, size: int, *, outgoing: bool) -> bool:
        """Reserve ``size`` bytes where they are free and nobody waits for some; whether they are granted."""
        with self._lock:
            if self._closed is not None or self._waiters or not self._fits(size, outgoing=outgoing):
                return False
            self._charge(size, outgoing=outgoing)
        return True

    def leave(self, size: int) -> None:
        """Note that a request of ``size`` granted bytes no longer waits to be sent."""
        with self._lock:
            self._ready -= size
        self._grant()

    def release(self, size: int, *, outgoing: bool, left: bool = False) -> None:
        """Give ``size`` granted bytes back; ``left`` says that :meth:`leave` was called for them."""
        with self._lock:
            self._used -= size
            if outgoing:
                self._outstanding -= size
                self._ready -= 0 if left else size
        self._grant()

    def lend(self, size: int) -> None:
        """Charge ``size`` bytes without waiting, for a copy that gRPC makes; give them back with a negative size."""
        with self._lock:
            self._lent += size
            self._peak = max(self._peak, self.used)

    def withdraw(self, future: Future[None], size: int, *, outgoing: bool) -> None:
        """Undo a reservation whose waiter gave up: cancel it, or release it where it was granted meanwhile."""
        if future.cancel():
            return

        def give_back(done: Future[None]) -> None:
            if done.exception() is None:
                self.release(size, outgoing=outgoing)

        future.add_done_callback(give_back)

    def close(self, error: BaseException) -> None:
        """Fail every waiting reservation, and every later one, with ``error``."""
        with self._lock:
            self._closed = error
            waiters, self._waiters = self._waiters, deque()
        for _, _, future in waiters:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)

    def _fits(self, size: int, *, outgoing: bool) -> bool:
        if outgoing and self._most_ready is not None:
            on_their_way = self._outstanding - self._ready
            if self._ready >= max(self._most_ready, on_their_way // 3):
                return False
        return self._used + size <= self._limit or not self._outstanding

    def _charge(self, size: int, *, outgoing: bool) -> None:
        self._used += size
        if outgoing:
            self._outstanding += size
            self._ready += size
        self._peak = max(self._peak, self.used)

    def _grant(self) -> None:
        while True:
            with self._lock:
                if not self._waiters:
                    return
                size, outgoing, future = self._waiters[0]
                if not self._fits(size, outgoing=outgoing) and not future.cancelled():
                    return
                self._waiters.popleft()
                # A cancelled future is dropped here; from now on it can no longer be cancelled.
                if not future.set_running_or_notify_cancel():
                    continue
                self._charge(size, outgoing=outgoing)
            # Outside the lock: done-callbacks may call back into the window.
            future.set_result(None)
