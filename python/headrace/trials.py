"""What may be sent at a time, which rival of a setting is tried when, and when a trial has been decided."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["FIRST", "Bounds", "Direction", "Setting", "Trial", "find_rival", "scheduled", "threshold"]

#: Slots of a window, in which one direction may be tried; windows of a cycle.
WINDOW, WINDOWS = 8, 4
#: Pairs of slots after which a trial is decided, clear or not.
PAIRS = 4
#: A median this many standard errors from the threshold decides a trial earlier.
CLEAR = 1.3
#: Pairs without a result after which a trial is given up.
VOIDS = 2
#: A ratio counts for at most this much, as a logarithm.
MOST = 1.0
#: The power of the concurrency by which the throughput must grow: for a setting to be kept, for a load that searches
#: on its own, and for a load that is to stay well below the knee.
GAIN, FIRST_GAIN, NICE_GAIN = 0.05, 0.3, 0.85
#: At the floor, more is kept even if it costs this much (as a logarithm): a load that shares its server with larger
#: ones gains nothing by rising, but they will then fall.
RISE = -0.03
#: What a size must bring, as a logarithm. The first one is known to be good, so that returning to it is easier.
LARGER_GAIN, SMALLER_GAIN = 0.0, 0.04


class Direction(Enum):
    """What a trial changes."""

    TWICE = "twice as many in flight"
    MORE = "more in flight"
    FEWER = "fewer in flight"
    LARGER = "larger requests"
    SMALLER = "smaller requests"


#: What a load tries as soon as it begins.
FIRST = (Direction.TWICE, Direction.MORE, Direction.SMALLER)
#: Which window of a cycle is for which direction; sizes take turns from cycle to cycle. The last one is for work.
_SCHEDULE = ((Direction.MORE,) * 2, (Direction.FEWER,) * 2, (Direction.LARGER, Direction.SMALLER), (None,) * 2)
_SIZES = (Direction.LARGER, Direction.SMALLER)


def scheduled(index: int) -> tuple[int, Direction | None]:
    """The window that slot number ``index`` lies in, and what is tried in it."""
    window = index // WINDOW
    return window, _SCHEDULE[window % WINDOWS][window // WINDOWS % 2]


@dataclass(frozen=True, slots=True)
class Setting:
    """Most requests in flight, and the aim of a request's size in bytes."""

    in_flight: int
    request_bytes: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a setting may be.

    Attributes:
        in_flight: Most requests in flight.
        bytes_in_flight: Most bytes of them together.
        smallest: Least aim of a request's size.
        largest: Largest aim of a request's size.
    """

    in_flight: int
    bytes_in_flight: int
    smallest: int
    largest: int

    def fit(self, in_flight: int, request_bytes: int) -> Setting:
        """The setting with that concurrency, or the nearest that is allowed; the size gives way to it.

        It does so by halves, because source batches are cut into even pieces.
        """
        in_flight = max(1, min(in_flight, self.in_flight, self.bytes_in_flight // self.smallest))
        most = min(self.largest, self.bytes_in_flight // in_flight)
        while request_bytes > most and request_bytes > self.smallest:
            request_bytes //= 2
        return Setting(in_flight, max(request_bytes, self.smallest))


def find_rival(direction: Direction, best: Setting, request_bytes: int, bounds: Bounds) -> Setting | None:
    """The next setting in that direction, or None where there is none.

    Args:
        direction: What to change.
        best: The setting to change.
        request_bytes: The size that is wanted where nothing forces a smaller one.
        bounds: What is allowed.
    """
    if direction in (Direction.TWICE, Direction.MORE):
        more = best.in_flight if direction is Direction.TWICE else max(1, best.in_flight // 2)
        rival = bounds.fit(best.in_flight + more, request_bytes)
        # Where the memory for requests in flight is used up, more of them are smaller ones, not fewer bytes.
        as_many_bytes = best.in_flight * best.request_bytes // rival.request_bytes
        rival = bounds.fit(max(rival.in_flight, as_many_bytes), rival.request_bytes)
    elif direction is Direction.FEWER:
        rival = bounds.fit(best.in_flight - max(1, best.in_flight // 3), request_bytes)
    elif direction is Direction.LARGER:
        rival = bounds.fit(best.in_flight, 2 * best.request_bytes)
    else:
        rival = bounds.fit(best.in_flight, best.request_bytes // 2)
    return None if rival == best else rival


def threshold(direction: Direction, best: Setting, rival: Setting, *, alone: bool, nice: bool) -> float:
    """What the logarithm of the rival's throughput over the best one's must exceed.

    Args:
        direction: What the rival changes.
        best: The setting so far.
        rival: The setting on trial.
        alone: Whether this load searches on its own, when others on the server do not.
        nice: Whether it is to stay well below the knee.
    """
    if direction in _SIZES:
        return LARGER_GAIN if direction is Direction.LARGER else SMALLER_GAIN
    more = math.log(rival.in_flight / best.in_flight)
    if nice:
        return NICE_GAIN * more
    if direction is Direction.FEWER:
        return GAIN * more
    if alone:
        return FIRST_GAIN * more
    return RISE if best.in_flight == 1 else GAIN * more


@dataclass(slots=True)
class Trial:
    """A rival of the best setting, and how it did in pairs of neighbouring slots."""

    direction: Direction
    rival: Setting
    threshold: float
    ratios: list[float] = field(default_factory=list)
    voids: int = 0

    def add(self, rival: float | None, best: float | None) -> None:
        """A pair of slots is over, with these throughputs; None where one could not be measured."""
        if rival is None or best is None:
            self.voids += 1
        else:
            self.ratios.append(max(-MOST, min(MOST, math.log(rival / best))))

    def verdict(self, spread: float) -> bool | None:
        """Whether the rival has won; None while that is open.

        Args:
            spread: Standard deviation of the logarithm of one slot's throughput.
        """
        if self.voids >= VOIDS:
            return False
        if not self.ratios:
            return None
        pairs = len(self.ratios)
        # The median, for a server that pauses makes a slot or two meaningless.
        level, doubt = statistics.median(self.ratios), CLEAR * spread * math.sqrt(2.0 / pairs)
        if pairs >= PAIRS:
            return level > self.threshold
        if level < self.threshold - doubt:
            return False
        enough = pairs > 1 or self.direction is Direction.TWICE
        won = enough and level > self.threshold + doubt and min(self.ratios) > self.threshold
        return True if won else None
