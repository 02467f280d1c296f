"""What to do about requests that take long: send less at a time, unless their time is not work."""

from __future__ import annotations

from headrace.trials import Bounds, Setting

__all__ = ["LONGEST_TRIP", "Haste"]

#: Seconds that a request should take at most. Where it takes longer in slots of so many seconds in all, requests of
#: more than these bytes are halved, and where more than these are in flight there will be fewer.
LONGEST_TRIP, LONG_SECONDS, PATIENT_BYTES, PATIENT_IN_FLIGHT = 1.0, 4.0, 1 << 20, 4
#: Where less has not made requests quicker by this factor, they wait for something else.
QUICKER = 0.9


class Haste:
    """Says after each slot whether requests take too long, and what to do then. Pure: it has neither clock nor I/O.

    Requests that take so long teach little, and their deadlines come near. A server that answers everything a second
    later, however little it was, takes more the more is in flight: there what was taken is given back, for good.
    """

    def __init__(self) -> None:
        #: Seconds for which requests have taken too long.
        self._long = 0.0
        #: The setting from which less was taken last, and the seconds that its requests took; None before that, and
        #: once it has helped.
        self._before: tuple[Setting, float] | None = None
        #: Whether requests take their time whatever they are.
        self.patient = False

    def wanted(self, best: Setting, bounds: Bounds, *, slot: float, trip: float, usual: float) -> Setting | None:
        """The setting to go on with after a slot; None for the one that there is.

        Args:
            best: That one, which the slot was measured at.
            bounds: What may be chosen.
            slot: Seconds of the slot.
            trip: Seconds that its requests took.
            usual: Seconds that requests take, of this slot and those before.
        """
        if usual <= LONGEST_TRIP:
            self._long = 0.0
            if self._before is not None and trip <= QUICKER * self._before[1]:
                self._before = None  # less was of use; whatever takes long after this has a reason of its own
            return None
        self._long += slot
        if self._long < LONG_SECONDS or self.patient:
            return None
        self._long = 0.0
        if self._before is not None and trip > QUICKER * self._before[1]:
            self.patient = True
            return self._before[0]
        if best.request_bytes > max(PATIENT_BYTES, bounds.smallest):
            less = Setting(best.in_flight, best.request_bytes // 2)
        elif best.in_flight > PATIENT_IN_FLIGHT:
            less = Setting(max(PATIENT_IN_FLIGHT, best.in_flight * 2 // 3), best.request_bytes)
        else:
            return None
        self._before = best, trip
        return less
