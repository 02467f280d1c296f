"""The faults, by name: what happens to a load, and how often it happened while a write was unanswered."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from headrace._proto import milvus_pb2

__all__ = ["FAULTS", "SERVER_FAULTS", "Trial"]

#: Bytes per second of a path on which a load takes long enough to be struck.
_SLOW = 1_000_000
#: How often a load that failed is begun again.
_RESTARTS = 3


class Trial:
    """One load and what it meets.

    Attributes:
        server: The Milvus.
        network: The proxy in front of it.
        rng: Draws every moment.
        start: Begins the load, or goes on with it; returns a :class:`tests.chaos.loaders.Loading`.
        status: The exit status of the load that ended last.
        restarts: How often one that had failed was begun again.
        strikes: What struck, in order: the bytes that had passed, and the writes that were unanswered.

    Args:
        size: About how many bytes the load has.
    """

    def __init__(self, server, network, rng, *, start, size):
        self.server = server
        self.network = network
        self.rng = rng
        self.start = start
        self.strikes = []
        self.status = None
        self.restarts = 0
        self._size = size

    def moment(self, loading, strikes=1):
        """Wait for a random moment with an unanswered write; False where the load ended before.

        Args:
            loading: The load.
            strikes: How many moments it is to have: each comes in a part of its own.
        """
        due = self.network.carried + self.rng.uniform(0.05, 1.0) * self._size / (strikes + 0.5)
        return self.network.wait_for(
            lambda: self.network.carried >= due and self.network.unanswered > 0, unless=lambda: loading.ended
        )

    def call(self, loading, most):
        """Wait for a call, one of the next ``most`` ones, to have no answer yet; False where the load ended before."""
        due = self.network.calls + self.rng.randint(1, most)
        return self.network.wait_for(
            lambda: self.network.calls >= due and self.network.waiting > 0, unless=lambda: loading.ended
        )

    def struck(self, unanswered):
        """Note a strike, which counts if writes were unanswered."""
        self.strikes.append({"bytes": self.network.carried, "unanswered": unanswered})

    def finish(self, loading):
        """Let the load end, and begin again where it fails, as whoever watches over it would; returns the last one."""
        self.status = loading.finish()
        if self.status == 0 or self.restarts == _RESTARTS:
            return loading
        self.restarts += 1
        with self.start() as again:
            return self.finish(again)

    @property
    def counted(self):
        """How many strikes hit an unanswered write."""
        return sum(strike["unanswered"] > 0 for strike in self.strikes)


def _throughout(**weather):
    """A fault that lasts as long as the load."""

    def fault(trial):
        for name, value in weather.items():
            setattr(trial.network, name, value)
        with trial.start() as loading:
            if trial.moment(loading):
                trial.struck(trial.network.unanswered)
            return trial.finish(loading)

    return fault


def _repeatedly(strike, times):
    """A fault that strikes a load several times; each counts by the writes that lost their connection with it."""

    def fault(trial):
        trial.network.bandwidth, trial.network.latency = _SLOW, 0.03
        with trial.start() as loading:
            for _ in range(times):
                if not trial.moment(loading, times):
                    break
                strike(trial, loading)
            return trial.finish(loading)

    return fault


def _reset(trial, loading):
    trial.struck(trial.network.reset())


def _cut(trial, loading):
    lost = trial.network.lost
    trial.network.cut_after(trial.rng.randrange(1, 30_000))
    trial.network.wait_for(lambda: trial.network.lost > lost, unless=lambda: loading.ended)
    trial.struck(trial.network.lost - lost)


def _half_open(direction):
    def strike(trial, loading):
        trial.struck(trial.network.half_open(direction))

    return strike


def _black_hole(trial, loading):
    trial.struck(trial.network.black_hole())
    loading.wait(trial.rng.choice([0.5, 5.0, 20.0, 40.0]))
    trial.network.heal()


def _held(trial, loading):
    before = len(trial.network.held)
    trial.network.hold(pings=trial.rng.random() < 0.5, repeated_by=same_rows)
    kept = trial.network.wait_for(
        lambda: len(trial.network.held) > before and trial.network.held[-1].exchange.asked,
        unless=lambda: loading.ended,
    )
    trial.struck(int(kept))


def _server_killed(trial, loading):
    lost = trial.network.lost
    trial.server.kill()
    trial.network.wait_for(lambda: not trial.network.connections)
    trial.struck(trial.network.lost - lost)
    trial.server.restart()


def _loader_killed(times, *, held):
    """The same command again after each kill, and at last undisturbed."""

    def fault(trial):
        trial.network.bandwidth, trial.network.latency = _SLOW, 0.03
        for _ in range(times):
            with trial.start() as loading:
                if not trial.moment(loading, times):
                    return trial.finish(loading)
                if held:
                    _held(trial, loading)
                    loading.kill()
                else:
                    # While it is stopped nothing that arrives is read any more.
                    loading.stop()
                    trial.struck(trial.network.unanswered)
                    loading.kill()
        with trial.start() as loading:
            return trial.finish(loading)

    return fault


def _reset_early(trial):
    """Connections are reset again and again from the first call on; each counts by the calls that waited."""
    trial.network.latency = 0.03
    with trial.start() as loading:
        for _ in range(5):
            if not trial.call(loading, 6):
                break
            trial.struck(trial.network.waiting)
            trial.network.reset()
        return trial.finish(loading)


def _loader_killed_early(trial):
    """The load is killed while it opens its collection, again and again; each counts by the calls that waited."""
    trial.network.latency = 0.03
    for _ in range(5):
        with trial.start() as loading:
            if not trial.call(loading, 16):
                return trial.finish(loading)
            loading.stop()
            trial.struck(trial.network.waiting)
    with trial.start() as loading:
        return trial.finish(loading)


#: Name to a function that carries out the load of a trial and returns it.
FAULTS = {
    "latency": _throughout(latency=0.4),
    "bad-line": _throughout(bandwidth=50_000, latency=0.05),
    "reset-early": _reset_early,
    "reset": _repeatedly(_reset, 3),
    "cut": _repeatedly(_cut, 3),
    "requests-lost": _repeatedly(_half_open("up"), 2),
    "answers-lost": _repeatedly(_half_open("down"), 2),
    "black-hole": _repeatedly(_black_hole, 2),
    "held": _repeatedly(_held, 2),
    "loader-killed-early": _loader_killed_early,
    "loader-killed": _loader_killed(3, held=False),
    "loader-killed-held": _loader_killed(2, held=True),
    "server-killed": _repeatedly(_server_killed, 4),
}
#: Those that end the server under every other load.
SERVER_FAULTS = frozenset({"server-killed"})


def same_rows(held, other):
    """Whether a request has rows of one that is held."""
    return other.asked and not _keys(held.message).isdisjoint(_keys(other.message))


def _keys(message):
    """The keys in a write; none where it is something else."""
    try:
        columns = milvus_pb2.InsertRequest.FromString(message).fields_data
    except DecodeError:
        return frozenset()
    return frozenset(key for column in columns if column.field_name == "id" for key in _values(column.scalars))


def _values(scalars):
    return scalars.long_data.data or scalars.string_data.data
