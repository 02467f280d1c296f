"""Loads in a simulation: a client with one CPU, a short queue of packed requests, and a throttle."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field

from headrace.batching import Aim
from headrace.breaker import Circuit
from headrace.retry import AnswerClass, Backoff
from headrace.throttle import Limits, Throttle
from headrace.trials import Setting
from tests.simulation.events import Events
from tests.simulation.servers import ROW, Server

__all__ = ["MIB", "ROOM", "Fixed", "Load", "Run", "run"]

MIB = 1 << 20
#: Bytes that may be in flight.
ROOM = 44 * MIB
#: Bytes of a source batch: requests are cut from these, or joined of them.
BATCH = 4 * MIB
#: A request may be this much larger than asked for.
TOLERANCE = 1.125
#: Requests that are packed ahead.
AHEAD = 3
ANSWERS = {
    "stored": AnswerClass.STORED,
    "lost": AnswerClass.RETRY,
    "rate": AnswerClass.THROTTLE,
    "queue": AnswerClass.THROTTLE,
}


class Fixed:
    """A throttle that never changes its mind: what the adaptive one is compared with."""

    #: Seconds without a request after a refusal.
    BACKOFF = 0.1
    circuit = Circuit.CLOSED
    spares_copies = True

    def __init__(self, in_flight, request_bytes, *, clock):
        self.settled = Setting(in_flight, request_bytes)
        self.limit, self.request_bytes, self.aim = in_flight, request_bytes, Aim(request_bytes)
        self.throttled_seconds = 0.0
        self._open = 0
        self._held = -math.inf
        self._clock = clock

    def wait(self, size):
        if self._clock() < self._held:
            return self._held - self._clock()
        return math.inf if self._open >= self.limit else 0.0

    def sent(self, size, rows, aim=None):
        self._open += 1

    def written(self, attempt):
        pass

    def answered(self, attempt, answer, rate=None, expired=False):
        self._open -= 1
        if answer is not AnswerClass.STORED:
            self._held = self._clock() + self.BACKOFF


@dataclass
class Load:
    """What one load did."""

    # stored: (time, bytes); trace: (time, requests in flight, request size); in_flight: bytes, at each sending
    events: Events
    server: Server
    throttle: object
    begins: float = 0.0
    rows: float = math.inf
    source: float = math.inf
    stored: list = field(default_factory=list)
    trace: list = field(default_factory=list)
    in_flight: list = field(default_factory=list)
    sent: int = 0
    refused: int = 0
    finished: float | None = None

    def __post_init__(self):
        self._ready = deque()
        self._packing = False
        self._left = self.rows
        self._open = self._open_bytes = 0
        self._waking = None
        self.events.after(self.begins, self._pump)

    def throughput(self, since, until):
        """Bytes per second that were acknowledged in that time."""
        return sum(size for time, size in self.stored if since <= time < until) / (until - since)

    def _size(self):
        aim = self.throttle.aim
        aim = TOLERANCE * (aim.size if aim.rows is None else min(aim.size, aim.rows * ROW))
        size = BATCH * max(1, int(aim // BATCH)) if aim >= BATCH else BATCH / math.ceil(BATCH / aim)
        return min(size, self._left * ROW)

    def _pack(self):
        if self._packing or len(self._ready) >= AHEAD or self._left <= 0:
            return
        self._packing = True
        aim, size = self.throttle.request_bytes, self._size()
        self._left -= size / ROW

        def packed():
            self._packing = False
            self._ready.append((size, aim))
            self._pump()

        self.events.after(size / min(self.server.model.client, self.source), packed)

    def _pump(self):
        self._pack()
        while self._ready:
            size, aim = self._ready[0]
            wait = self.throttle.wait(size)
            if wait > 0.0:
                if wait < math.inf and self._waking is None:
                    self._waking = self.events.after(wait, self._wake)
                return
            self._ready.popleft()
            self._send(size, aim)
            self._pack()

    def _wake(self):
        self._waking = None
        self._pump()

    def _send(self, size, aim):
        model = self.server.model
        self.sent += 1
        self._open += 1
        self._open_bytes += size
        self.in_flight.append(self._open_bytes)
        attempt = self.throttle.sent(size, size / ROW, aim=aim)
        setting = (self.events.now, self.throttle.limit, self.throttle.request_bytes)
        if not self.trace or self.trace[-1][1:] != setting[1:]:
            self.trace.append(setting)

        def done(answer):
            self.events.after(model.rtt / 2, lambda: self._answered(attempt, size, aim, answer))

        # The copy into the socket is the client's work too.
        seconds = self.server.carry(size) + size / (4 * model.client)
        self.events.after(seconds, lambda: self._written(attempt))
        self.events.after(seconds + model.rtt / 2, lambda: self.server.receive(size, done))

    def _written(self, attempt):
        self.throttle.written(attempt)
        self._pump()

    def _answered(self, attempt, size, aim, answer):
        self._open -= 1
        self._open_bytes -= size
        bucket = self.server.model.bucket
        self.throttle.answered(attempt, ANSWERS[answer], rate=bucket.rate if answer == "rate" else None)
        if answer == "stored":
            self.stored.append((self.events.now, size))
            if self._left <= 0 and not self._ready and not self._packing and not self._open:
                self.finished = self.events.now
        else:
            self.refused += 1
            self._ready.appendleft((size, aim))
        self._pump()


@dataclass
class Run:
    """A finished simulation."""

    loads: list
    seconds: float

    def throughput(self, since=0.0, until=None):
        """Bytes per second of all loads together."""
        return sum(load.throughput(since, self.seconds if until is None else until) for load in self.loads)


def adaptive(events, seed, round_trip, skew=0.0, **limits):
    """The real throttle on simulated time."""
    return Throttle(
        Limits(**limits),
        backoff=Backoff(),
        clock=lambda: events.now,
        rng=random.Random(f"{seed} jitter"),
        round_trip=round_trip,
        wall_clock_offset=1_000_000.0 + skew,
    )


def run(
    model,
    *,
    seed=0,
    seconds=120.0,
    fixed=None,
    loaders=1,
    stagger=0.0,
    rows=math.inf,
    source=math.inf,
    skew=0.0,
    each=lambda number: {},
    **limits,
):
    """Run ``loaders`` loads for ``seconds``.

    Args:
        model: The server.
        seed: Seed of all noise.
        seconds: When the simulation ends.
        fixed: Requests in flight and request size that do not change; None for the adaptive throttle.
        loaders: How many loads.
        stagger: Seconds between their beginnings.
        rows: Rows of each.
        source: Bytes per second that each source gives.
        skew: Seconds by which clocks are off, at most.
        each: More limits, by the number of the load.
        **limits: As for :class:`headrace.throttle.Limits`.
    """
    events = Events()
    server = Server(events, model, seed)
    skews = random.Random(f"{seed} skew")
    loads = []
    for number in range(loaders):
        if fixed is None:
            caps = {**limits, **each(number)}
            throttle = adaptive(events, f"{seed} {number}", model.rtt, skews.uniform(-skew, skew), **caps)
        else:
            throttle = Fixed(*fixed, clock=lambda: events.now)
        loads.append(Load(events, server, throttle, begins=number * stagger, rows=rows, source=source))
    events.run(seconds)
    return Run(loads, seconds)
