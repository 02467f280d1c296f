"""Models of servers. Work is measured in bytes; a request of ``size`` bytes is ``size / efficiency(size)`` of work.

Requests in service share the capacity evenly (processor sharing), so a curve ``capacity(n)`` is the throughput with
``n`` requests in flight. Noise is seeded: each request's work is log-normal, the capacity wanders (an
Ornstein-Uhlenbeck process of its logarithm), and each run has a factor of its own, as equal runs of Milvus 2.3.5 do.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from dataclasses import dataclass, replace

__all__ = ["MB", "MODELS", "ROW", "Bucket", "Model", "Server", "curve", "far"]

MB = 1e6
#: Bytes of a row: a key and 384 float32.
ROW = 1_550.0
#: Seconds between two steps of the wandering capacity.
TICK = 0.25


def curve(points):
    """Capacity by concurrency through the given points, straight in the logarithm of both."""
    marks = [(math.log(n), math.log(rate)) for n, rate in points]

    def capacity(n, _time):
        x = math.log(max(n, 1))
        for (x0, y0), (x1, y1) in itertools.pairwise(marks):
            if x <= x1:
                return math.exp(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        return math.exp(marks[-1][1])

    return capacity


def flat(_size):
    """Every size of request is as good as any other."""
    return 1.0


def milvus_sizes(size):
    """10,000-row requests run at half the speed of 4,000-row ones; small ones pay for each request."""
    rows = size / ROW
    falling = 1.0 if rows <= 4_000 else max(0.4, 1.0 - 0.5 * math.log(rows / 4_000) / math.log(2.5))
    return falling * rows / (rows + 150.0)


@dataclass(frozen=True)
class Bucket:
    """Milvus's limiter: a request passes while there are tokens, and may leave a debt that refuses all others."""

    rate: float
    depth_seconds: float = 1.0


@dataclass(frozen=True)
class Model:
    """A server and the way to it.

    Attributes:
        capacity: Bytes per second for (requests in service, time).
        efficiency: Part of the capacity that a request of a size uses.
        overhead: Seconds of each request that no other request shares.
        rtt: Seconds for a message there and back.
        bucket: The server's rate limit.
        pauses: Mean seconds between pauses of the server, and mean length of one; None for none.
        client: Bytes per second that the client's CPU can pack and send.
        bandwidth: Bytes per second of the line to the server, which requests take one after the other.
        work_noise: Sigma of the logarithm of a request's work.
        drift_noise: Sigma of the logarithm of the wandering capacity; ``drift_seconds`` its memory.
        run_noise: Sigma of the logarithm of a run's factor.
        queue: Requests that the server takes at once; others are refused as too many. None for any number.
        down: From when to when the server cannot be reached; None for never.
        best: The best fixed requests in flight and request size (:func:`tests.simulation.sweep.sweep` finds it);
            None where there is none, because the server changes.
    """

    capacity: object
    efficiency: object = flat
    overhead: float = 0.002
    rtt: float = 0.0005
    bucket: Bucket | None = None
    pauses: tuple[float, float] | None = None
    client: float = 1_000 * MB
    bandwidth: float = math.inf
    work_noise: float = 0.3
    drift_noise: float = 0.15
    drift_seconds: float = 8.0
    run_noise: float = 0.3
    queue: int | None = None
    down: tuple[float, float] | None = None
    best: tuple[int, int] | None = None

    def quiet(self):
        """The same without noise."""
        return replace(self, work_noise=0.0, drift_noise=0.0, run_noise=0.0)


MILVUS = curve([(1, 36_800 * ROW), (2, 59_900 * ROW), (8, 43_300 * ROW), (32, 32_200 * ROW)])


def _saturating(n, _time):
    return 90 * MB * (1.0 - math.exp(-n / 3.0)) / (1.0 - math.exp(-6.0))


def _workers(n, _time):
    return 15 * MB * min(n, 12)


def _warming(n, time):
    return MILVUS(n, time) * min(1.0, 0.15 + time / 30.0)


def _leaking(n, time):
    # Memory runs out: slower with time, and the sooner the more is in flight.
    left = max(0.35, 1.0 - time / 900.0)
    return MILVUS(n, time) * left * (1.0 if n <= 2 else left**0.5)


def _small(n):
    return 25 * MB * min(n, 2)


def _large(n):
    return 25 * MB * min(n, 6) * (1.0 if n <= 6 else (6 / n) ** 0.2)


#: When a server of a changing model changes.
CHANGE = 200.0
MIB = 1 << 20

MODELS = {
    # Two requests at a time are all that it can use.
    "steady": Model(lambda n, _time: 30 * MB * min(n, 2), overhead=0.01, best=(6, 3 * MIB)),
    # More in flight is always a little better.
    "saturating": Model(_saturating, overhead=0.005, best=(24, MIB // 2)),
    # Twelve workers, each of which takes one request.
    "workers": Model(lambda n, _time: 15 * MB * min(n, 12), overhead=0.005, best=(24, MIB // 2)),
    # Milvus 2.3.5 on two cores.
    "collapsing": Model(MILVUS, milvus_sizes, best=(2, 6 * MIB)),
    "rate limited": Model(MILVUS, milvus_sizes, bucket=Bucket(16 * MB), best=(2, 6 * MIB)),
    "bursty pauses": Model(MILVUS, milvus_sizes, pauses=(12.0, 0.8), best=(2, 6 * MIB)),
    # Warms up for half a minute.
    "slow start": Model(_warming, milvus_sizes, best=(2, 6 * MIB)),
    # Its memory runs out.
    "leaking": Model(_leaking, milvus_sizes, best=(2, 6 * MIB)),
    # 50 ms of network.
    "far away": Model(
        curve([(1, 60 * MB), (2, 100 * MB), (64, 100 * MB)]), overhead=0.005, rtt=0.05, best=(32, MIB // 2)
    ),
    # The client's CPU is the limit.
    "fast server": Model(
        lambda n, _time: 500 * MB * min(n, 4), overhead=0.0005, client=400 * MB, best=(6, 3 * MIB // 2)
    ),
    # Refuses more than four requests at a time.
    "full queue": Model(_saturating, overhead=0.005, queue=4, best=(12, MIB)),
    "growing": Model(lambda n, time: _small(n) if time < CHANGE else _large(n), overhead=0.005),
    "shrinking": Model(lambda n, time: _large(n) if time < CHANGE else _small(n), overhead=0.005),
    "away for a while": Model(MILVUS, milvus_sizes, down=(60.0, 90.0)),
}


def far(rtt, *, bandwidth=1_000 * MB, wait=0.001):
    """A server that takes whatever the line carries, but answers each request ``wait`` seconds later."""
    return Model(
        lambda _n, _time: 1_000 * MB,
        overhead=wait,
        rtt=rtt,
        bandwidth=bandwidth,
        client=1_200 * MB,
        work_noise=0.1,
        drift_noise=0.05,
        run_noise=0.0,
    )


class Server:
    """One server in a simulation.

    Args:
        events: The clock.
        model: What it is like.
        seed: Seed of its noise.
    """

    def __init__(self, events, model, seed):
        self.model = model
        self._events = events
        self._rng = random.Random(f"{seed} work")
        self._weather = random.Random(f"{seed} weather")
        self._factor = math.exp(self._weather.gauss(0.0, model.run_noise) if model.run_noise else 0.0)
        self._drift = 0.0
        self._paused = False
        self._heap = []
        self._number = 0
        self._virtual = 0.0
        self._looked = 0.0
        self._next = None
        self._line_free = 0.0
        self._tokens = 0.0 if model.bucket is None else model.bucket.rate * model.bucket.depth_seconds
        self._tokens_at = 0.0
        self.refused = 0
        events.after(TICK, self._tick)
        if model.pauses is not None:
            events.after(self._weather.expovariate(1.0 / model.pauses[0]), self._pause)

    def carry(self, size):
        """Seconds until the line has taken a request that is given to it now."""
        self._line_free = max(self._line_free, self._events.now) + size / self.model.bandwidth
        return self._line_free - self._events.now

    def receive(self, size, done):
        """A request arrives; ``done`` gets ``"stored"``, ``"lost"``, ``"rate"`` (above it) or ``"queue"`` (full)."""
        down = self.model.down
        if down is not None and down[0] <= self._events.now < down[1]:
            done("lost")
            return
        if not self._admitted(size):
            self.refused += 1
            done("rate")
            return
        if self.model.queue is not None and len(self._heap) >= self.model.queue:
            self.refused += 1
            done("queue")
            return
        self._events.after(self.model.overhead, lambda: self._serve(size, done))

    def _admitted(self, size):
        bucket, now = self.model.bucket, self._events.now
        if bucket is None:
            return True
        earned = bucket.rate * (now - self._tokens_at)
        self._tokens = min(self._tokens + earned, bucket.rate * bucket.depth_seconds)
        self._tokens_at = now
        if self._tokens <= 0.0:
            return False
        self._tokens -= size
        return True

    def _serve(self, size, done):
        noise = math.exp(self._rng.gauss(0.0, self.model.work_noise)) if self.model.work_noise else 1.0
        work = size / self.model.efficiency(size) * noise * math.exp(-(self.model.work_noise**2) / 2)
        self._look()
        self._number += 1
        heapq.heappush(self._heap, (self._virtual + work, self._number, done))
        self._schedule()

    def _rate(self):
        if self._paused or not self._heap:
            return 0.0
        n = len(self._heap)
        return self.model.capacity(n, self._events.now) * self._factor * math.exp(self._drift) / n

    def _look(self):
        now = self._events.now
        self._virtual += self._rate() * (now - self._looked)
        self._looked = now

    def _schedule(self):
        if self._next is not None:
            self._events.cancel(self._next)
            self._next = None
        rate = self._rate()
        if rate > 0.0:
            self._next = self._events.after((self._heap[0][0] - self._virtual) / rate, self._finish)

    def _finish(self):
        self._next = None
        self._look()
        done = heapq.heappop(self._heap)[2]
        self._schedule()
        done("stored")

    def _tick(self):
        self._look()
        if self.model.drift_noise:
            keep = math.exp(-TICK / self.model.drift_seconds)
            spread = self.model.drift_noise * math.sqrt(1.0 - keep**2)
            self._drift = self._drift * keep + self._weather.gauss(0.0, spread)
        self._schedule()
        self._events.after(TICK, self._tick)

    def _pause(self):
        self._look()
        self._paused = not self._paused
        self._schedule()
        mean = self.model.pauses[1 if self._paused else 0]
        self._events.after(self._weather.expovariate(1.0 / mean), self._pause)
