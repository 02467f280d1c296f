"""The opening of a load: requests in flight are doubled each round, as long as the server takes more for it.

As TCP's slow start does, and for the same reason: where an answer takes long for reasons other than work (the way to
the server, a log that is written at intervals), in flight is what counts, the knee may be at many times the first
setting, and a load of seconds has no time for trials. A round is as many answers as requests were added. By Little's
law what is in flight over how long it takes is the throughput, so that the first answers of a round tell, and requests
of the setting before need not have been answered. A server that works at its capacity answers twice as many requests
after twice the time; the opening is over then, and has cost a round of a few requests. Where answers come within
milliseconds, a round is more of them: so short a time says little by itself.
"""

from __future__ import annotations

import math

__all__ = ["Opening"]

#: The power of what is in flight by which the throughput must grow. A load that joins others on a server sees its own
#: share grow; where they are not many, that is less.
GAIN = 0.6
#: Answers of the first round, and seconds that a round takes at least.
ANSWERS, ROUND_SECONDS = 2, 0.03
#: How many times as many answers a round has where more than half of a request's time is not the way's. It may be work
#: then, which takes once more and once less, and several loads that open on a server at its capacity take from others.
DOUBTFUL = 2


class Opening:
    """Doubles the requests in flight until it no longer pays. Pure: it is told of answers and does nothing by itself.

    Args:
        in_flight: Requests in flight at first.
        most: The most that there may be.
        round_trip: Seconds there and back, without any work.
        longest: Seconds that the first requests may take; where they take longer, no more of them are tried.
    """

    def __init__(self, in_flight: int, most: int, *, round_trip: float, longest: float) -> None:
        self._most = most
        self._round_trip = round_trip
        self._longest = longest
        self._in_flight = in_flight
        #: The requests in flight of the round before, and how long they took; 0 in the first round.
        self._before, self._trip = 0, 0.0
        #: Number of the first request of the round. Connections, caches and new collections make the first ones slow.
        self._first = in_flight
        self._wanted = ANSWERS
        self._answers, self._seconds = 0, 0.0

    def answered(self, number: int, sent: int, seconds: float) -> int | None:
        """Request ``number`` of ``sent`` was stored after ``seconds``, with all places taken until then.

        Returns the requests in flight from now on, or None while the round goes on. Where they are no more than before,
        the opening is over.
        """
        if number < self._first:
            return None
        self._answers += 1
        self._seconds += seconds
        trip = self._seconds / self._answers
        wanted = self._wanted * (DOUBTFUL if trip > 2 * self._round_trip else 1)
        # So many requests take their seconds side by side.
        if self._answers < wanted or self._seconds < self._in_flight * ROUND_SECONDS:
            return None
        if not self._before and trip > self._longest:
            return self._in_flight
        if self._before:
            more = self._in_flight / self._before
            if math.log(more * self._trip / trip) < GAIN * math.log(more):
                return self._before
        self._before, self._trip = self._in_flight, trip
        self._in_flight = min(2 * self._before, self._most)
        self._wanted = self._in_flight - self._before + 1
        self._first = sent
        self._answers, self._seconds = 0, 0.0
        return self._in_flight
