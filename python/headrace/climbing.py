"""Finds the requests in flight and the request size at which a server takes most: hill-climbing by paired trials.

Time is cut into slots. Even slots run at the best setting so far, odd ones, while something is on trial, at its rival;
the ratio of neighbouring slots is what counts, so that a server that is slower today, or is getting slower, changes
nothing. Nothing is measured before the last request of the slot before has been answered.

The slots are cut by the wall clock, and so is what is tried when. Loaders that share a server therefore try the same
thing at the same time, and each sees what the server does when all of them do it. Alone, each would only see its own
share grow with every request that it adds, and together they would push the server over its knee. Only when it begins
does a loader search on its own, and then it asks for a larger gain. Loaders whose clocks disagree by a good part of a
slot lose the fair share, and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from headrace.haste import LONGEST_TRIP, Haste
from headrace.opening import Opening
from headrace.trials import FIRST, Bounds, Direction, Setting, Trial, find_rival, scheduled, threshold

__all__ = ["Climber"]

#: A slot should be this many round trips long.
SLOT_TRIPS = 6.0
#: Seconds of a slot. A load that searches on its own takes the next power of two; then all loaders take the first of
#: these that will do, and one that is too short by no more than the misfit will do: neighbours should agree on it.
SHORTEST_SLOT, SLOTS, SLOT_MISFIT = 0.25, (4.0, 16.0, 64.0), 2.25
#: Seconds after which a load begins to search on its own, and after which it stops: a short load needs no search.
FIRST_AFTER, FIRST_SECONDS = 3.0, 45.0
#: Seconds that the first requests may be with the server for twice as many to be tried at once. Those that are longer
#: wait for others' requests, or for work: what a load then gets by having more in flight, it takes from others.
OPENING_WAIT = 0.08
#: Answers that a slot needs to count, and the part of it that they must span.
ANSWERS, SPAN = 3, 0.3
#: Part of the time that all places must be taken for a slot to say anything about the server.
BUSY = 0.25
#: Weight of a new slot in what is normal; the spread of slots that is assumed at first, and the least.
NEWS, FIRST_SPREAD, LEAST_SPREAD = 0.2, 0.12, 0.02
#: So many slots in a row with so much less throughput (as a logarithm) and so many times the latency: requests in
#: flight are halved.
FALLEN, RISEN, CROWDED_SLOTS = 0.45, 2.0, 3


@dataclass(slots=True, eq=False)
class _Epoch:
    """What is measured under one setting.

    Attributes:
        setting: The setting in force.
        first: Number of the first request that was sent under it.
        began: When the last request from before was answered; None until then.
        last: When the last request that counts was answered.
        answers: Acknowledged requests since it began; ``size`` their bytes, ``latency`` their seconds.
        busy: Seconds since it began in which all places were taken.
    """

    setting: Setting
    first: int
    began: float | None
    last: float = 0.0
    answers: int = 0
    size: int = 0
    latency: float = 0.0
    busy: float = 0.0

    def throughput(self, slot: float) -> float | None:
        """Acknowledged bytes per second, or None where too little was answered in ``slot`` seconds to tell."""
        if self.began is None or self.answers < ANSWERS or self.last - self.began < SPAN * slot:
            return None
        return self.size / (self.last - self.began)


class Climber:
    """Chooses the setting. Pure: it is told the time with every event and does nothing by itself.

    Args:
        start: The first setting.
        bounds: What may be chosen.
        near: Most bytes in flight where the opening has not shown that more of them pay. More requests are smaller ones
            then, and more is learnt of them in a slot.
        round_trip: Seconds to the server and back, without any work there.
        nice: Whether to stay well below the knee.
        offset: What to add to the time of events for the wall clock.
    """

    def __init__(
        self,
        start: Setting,
        bounds: Bounds,
        *,
        near: int,
        round_trip: float = 0.0,
        nice: bool = False,
        offset: float = 0.0,
    ) -> None:
        first = start.in_flight * start.request_bytes
        self._far = bounds
        self._near = replace(bounds, bytes_in_flight=min(bounds.bytes_in_flight, max(near, first)))
        self._bounds = self._near
        self._nice = nice
        self._offset = offset
        self._size = start.request_bytes
        self._best = bounds.fit(start.in_flight, start.request_bytes)
        # What is in flight, and what is measured.
        self._sent = 0
        self._began = 0.0
        most = min(bounds.in_flight, bounds.bytes_in_flight // self._best.request_bytes)
        self._opening: Opening | None = None
        if self._best.in_flight < most and not nice:
            self._opening = Opening(
                self._best.in_flight, most, round_trip=round_trip, longest=round_trip + OPENING_WAIT
            )
        self._open: dict[int, float] = {}
        self._open_bytes = 0
        self._looked = 0.0
        self._epoch = _Epoch(self._best, 0, None)
        # Slots and trials.
        self._slot = SHORTEST_SLOT
        self._index: int | None = None
        self._window: int | None = None
        self._first = list(FIRST)
        self._start = self._best.in_flight
        self._grown = False
        self._trial: Trial | None = None
        # The last slot at the best setting, the one before it, and what is normal there.
        self._here: float | None = None
        self._before: float | None = None
        self._spread = FIRST_SPREAD
        self._trip = 0.0
        self._haste = Haste()
        self._normal: tuple[float, float] | None = None
        self._crowded = 0
        self._shrunk_at = -math.inf

    @property
    def setting(self) -> Setting:
        """The setting in force."""
        return self._epoch.setting

    @property
    def best(self) -> Setting:
        """The best setting so far."""
        return self._best

    @property
    def room(self) -> int:
        """Most bytes in flight."""
        return self._bounds.bytes_in_flight

    @property
    def opening(self) -> bool:
        """Whether the requests in flight may still be doubled at any answer."""
        return self._opening is not None

    # -- events ------------------------------------------------------------------------------------------------------

    def sent(self, now: float, size: int, *, stale: bool = False) -> int:
        """A request leaves; ``stale``: it was cut for another setting's size. Returns its number."""
        if not self._sent:
            self._began = now
        self._advance(now)
        number = self._sent
        self._sent += 1
        self._open[number] = now
        self._open_bytes += size
        if stale:
            self._epoch = _Epoch(self.setting, self._sent, None)  # what counts comes after it
        else:
            self._begin(now)
        return number

    def answered(self, now: float, number: int, size: int, *, stored: bool) -> None:
        """Request ``number`` of ``size`` bytes was answered, or is lost."""
        self._look(now)
        sent_at = self._open.pop(number)
        self._open_bytes -= size
        epoch = self._epoch
        if epoch.began is None:
            self._begin(now)
        elif stored and number >= epoch.first:
            epoch.answers += 1
            epoch.size += size
            epoch.latency += now - sent_at
            epoch.last = now
        if self._opening is not None and stored and len(self._open) + 1 >= epoch.setting.in_flight:
            self._open_up(self._opening, now, number, now - sent_at)
        self._advance(now)

    def shrink(self, now: float, sent_at: float) -> bool:
        """What was in flight at ``sent_at`` was too much: halve it, once per occasion.

        Returns whether there was anything to halve.
        """
        if sent_at <= self._shrunk_at:
            return True
        self._opening = None
        if self._trial is not None and self.setting.in_flight > self._best.in_flight:
            self._reject()  # not the best setting was too much, but its rival
        elif self._best.in_flight == 1:
            return False
        else:
            self._move(self._bounds.fit(self._best.in_flight // 2, self._size))
        self._shrunk_at = now
        self._enter(now, self._best)
        return True

    def _open_up(self, opening: Opening, now: float, number: int, seconds: float) -> None:
        """A request was stored with all places taken: is it time for more of them?"""
        if now > self._began + FIRST_AFTER:
            self._opening = None  # rounds that take so long are for trials
            return
        in_flight = opening.answered(number, self._sent, seconds)
        if in_flight is None:
            return
        if in_flight <= self._best.in_flight:
            self._opening = None
            if in_flight > self._start:
                self._first.insert(0, Direction.FEWER)  # the first answers may have been slow for their own reasons
        self._bounds = self._far if in_flight > self._start else self._near
        self._move(self._bounds.fit(in_flight, self._size))
        self._enter(now, self._best)

    def _begin(self, now: float) -> None:
        """Begin to measure, unless something is in flight that was sent before."""
        epoch = self._epoch
        if epoch.began is None and next(iter(self._open), self._sent) >= epoch.first:
            epoch.began = now

    def _look(self, now: float) -> None:
        """Account the time since the last event: were all places taken?"""
        epoch = self._epoch
        full = len(self._open) >= epoch.setting.in_flight
        full = full or self._open_bytes + epoch.setting.request_bytes > self._bounds.bytes_in_flight
        if full and epoch.began is not None:
            epoch.busy += now - max(self._looked, epoch.began)
        self._looked = now

    # -- slots -------------------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        """Go on to the slot that ``now`` lies in."""
        self._look(now)
        index = self._slot_at(now)
        if index == self._index:
            return
        if self._index is None or index != self._index + 1:
            self._here = None  # nothing was sent for a while: no neighbours
        self._index = index
        self._close(now)
        if self._first and now > self._began + FIRST_SECONDS:
            self._first.clear()
            self._trial = None
        if self._trial is None or not self._trial.ratios:
            self._fit_slot(now)
            self._index = index = self._slot_at(now)
        if index % 2 == 0:
            self._choose_trial(now, index)
        on_trial = index % 2 == 1 and self._trial is not None and self._here is not None
        self._enter(now, self._trial.rival if on_trial and self._trial is not None else self._best)

    def _slot_at(self, now: float) -> int:
        return math.floor((now + self._offset) / self._slot)

    def _enter(self, now: float, setting: Setting) -> None:
        before = self._epoch
        if setting == before.setting and before.began is not None:
            # Nothing changes, so whatever is in flight counts.
            self._epoch = _Epoch(setting, before.first, before.last if before.answers else now)
        else:
            self._epoch = _Epoch(setting, self._sent, None if self._open else now)

    def _close(self, now: float) -> None:
        """A slot is over: what does it say?"""
        epoch = self._epoch
        found = epoch.throughput(self._slot)
        if self._trial is not None and epoch.setting == self._trial.rival:
            self._judge(self._trial, found)
            return
        self._here = None
        if found is None:
            return
        if epoch.busy < BUSY * (epoch.last - (epoch.began or 0.0)):
            self._before = None
            return  # the source is slower than the server
        self._here = found
        if self._before is not None:
            step = math.log(found / self._before)
            self._spread = max(LEAST_SPREAD, math.sqrt((1.0 - NEWS) * self._spread**2 + NEWS * step**2 / 2.0))
        self._before = found
        trip = epoch.latency / epoch.answers
        self._trip += (trip - self._trip) / (2.0 if self._trip else 1.0)
        wanted = self._haste.wanted(self._best, self._bounds, slot=self._slot, trip=trip, usual=self._trip)
        if wanted is not None:
            self._hasten(wanted)
        self._watch(now, found, trip)

    def _hasten(self, wanted: Setting) -> None:
        """Requests take long: less of them, or as much as before where that did not help."""
        if self._haste.patient:
            self._bounds = self._far
        if wanted.request_bytes != self._best.request_bytes:
            self._size = wanted.request_bytes
        self._move(self._bounds.fit(wanted.in_flight, self._size))

    def _watch(self, now: float, found: float, trip: float) -> None:
        """Have others come?"""
        if self._normal is None:
            self._normal = found, trip
            return
        throughput, latency = self._normal
        away = math.log(found / throughput)
        if away < -max(FALLEN, 3.0 * self._spread) and trip > RISEN * latency:
            self._crowded += 1
            if self._crowded >= CROWDED_SLOTS:
                self._normal = None
                self.shrink(now, now)
            return
        self._crowded = 0
        self._normal = throughput * math.exp(NEWS * away), latency + NEWS * (trip - latency)

    def _fit_slot(self, now: float) -> None:
        """Make slots as long as a few round trips."""
        epoch = self._epoch
        if epoch.answers:
            wanted = SLOT_TRIPS * epoch.latency / epoch.answers
        elif self._open:
            wanted = SLOT_TRIPS * (now - next(iter(self._open.values())))
        else:
            return
        if self._first:
            slot = 2.0 ** math.ceil(math.log2(max(SHORTEST_SLOT, min(SLOTS[0], wanted))))
            keep = self._slot / 4.0 < slot <= self._slot
        else:
            slot = next((slot for slot in SLOTS if wanted <= SLOT_MISFIT * slot), SLOTS[-1])
            keep = slot == self._slot or (slot < self._slot and wanted > slot)
        if not keep:
            self._slot = slot
            self._here = self._before = None

    # -- trials ------------------------------------------------------------------------------------------------------

    def _choose_trial(self, now: float, index: int) -> None:
        """A pair of slots begins: go on with the trial, or take what is due."""
        window, direction = scheduled(index)
        if self._trial is not None and not self._first and window != self._window:
            self._trial = None  # its window is over
        if self._trial is not None or now < self._began + FIRST_AFTER:
            return
        if self._first:
            self._trial = self._rival(self._first[0])
            while self._trial is None and self._first:
                self._first.pop(0)
                self._trial = self._rival(self._first[0]) if self._first else None
        elif direction is not None and window != self._window:
            self._window = window
            self._trial = self._rival(direction)

    def _rival(self, direction: Direction) -> Trial | None:
        if direction is Direction.LARGER and 2.0 * self._trip > LONGEST_TRIP:
            return None
        rival = find_rival(direction, self._best, self._size, self._bounds)
        if rival is None:
            return None
        alone = bool(self._first)
        return Trial(direction, rival, threshold(direction, self._best, rival, alone=alone, nice=self._nice))

    def _judge(self, trial: Trial, found: float | None) -> None:
        trial.add(found, self._here)
        won = trial.verdict(self._spread)
        if won is None:
            return
        if not won:
            self._reject()
            return
        if trial.direction in (Direction.LARGER, Direction.SMALLER):
            self._size = trial.rival.request_bytes
        self._grown = True
        self._move(trial.rival)
        self._trial = self._rival(trial.direction)
        if self._trial is None:
            self._reject()

    def _reject(self) -> None:
        self._trial = None
        tried = self._first.pop(0) if self._first else None
        if (tried is Direction.TWICE and not self._grown) or (tried is Direction.FEWER and self._grown):
            self._first.clear()  # a little more will not do where twice as many lost, nor will more where fewer won

    def _move(self, setting: Setting) -> None:
        """Another setting is the best one now; what is known of the last one is no longer of use."""
        self._best = setting
        self._trial = None
        self._here = self._before = self._normal = None
        self._crowded = 0
