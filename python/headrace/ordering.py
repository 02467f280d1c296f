"""Order per key: inside one load the later row of the source wins.

Rows enter in the order of the source. A :class:`KeyOrder` says which of them have a key that an earlier row may have,
so that those can wait their turn, and hands out a :class:`Claim` for the keys of every request: until it ends, no
later request with one of these keys is sent. Everything is done on whole columns of codes
(:func:`headrace.keyfilter.key_codes`); two keys with one code cost a wait or an upsert, never a wrong row.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.batching import Span
from headrace.keyfilter import Codes, KeyFilter, Probe, key_codes

__all__ = ["Claim", "KeyOrder", "last_of_each_key", "sorted_codes"]

#: Ranges of consecutive keys that are kept as ranges; more than that go into the filter.
_MOST_RANGES = 1024


@dataclass(slots=True, eq=False)
class Claim:
    """The keys of one request, locked until its rows are settled.

    Attributes:
        codes: Its keys' codes, ascending.
        order: What gave it out.
        after: The claims that have to end first.
        ended: Whether every row of it is settled.
        stuck: Whether a row of it ended unsent or unknown; its keys then stay locked for the rest of the load.
        replaced: Rows that its rows superseded in pieces with some that an earlier run may have sent, and that may
            still land; see :meth:`headrace.journal.Journal.confirm`.
    """

    codes: Codes
    order: KeyOrder
    after: tuple[Claim, ...] = ()
    ended: bool = False
    stuck: bool = False
    replaced: tuple[Span, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether its request may be sent."""
        return all(claim.ended for claim in self.after)

    @property
    def barred(self) -> bool:
        """Whether its request must not be sent at all, because an earlier row's fate is open."""
        return any(claim.stuck for claim in self.after)

    def end(self, *, settled: bool) -> None:
        """The request is over; see :meth:`KeyOrder.end`."""
        self.order.end(self, settled=settled)

    def meets(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Which of ``codes`` are among its own."""
        if not len(self.codes) or not len(codes):
            return np.zeros(len(codes), np.bool_)
        found = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        met: npt.NDArray[np.bool_] = self.codes[found] == codes
        return met


@dataclass(slots=True)
class _Ranges:
    """Disjoint ranges of consecutive integers, exact and almost free."""

    starts: list[int] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)

    def add(self, first: int, last: int) -> bool:
        """Add ``first`` to ``last``, none of which is in it; False where there are too many ranges."""
        at = bisect_right(self.starts, first)
        if at < len(self.starts) and self.starts[at] == last + 1:
            last = self.stops.pop(at)
            del self.starts[at]
        if at and self.stops[at - 1] == first - 1:
            self.stops[at - 1] = last
            return True
        if len(self.starts) >= _MOST_RANGES:
            return False
        self.starts.insert(at, first)
        self.stops.insert(at, last)
        return True

    def test(self, codes: Codes) -> npt.NDArray[np.bool_]:
        if not self.starts:
            return np.zeros(len(codes), np.bool_)
        at = np.searchsorted(np.array(self.starts, np.int64), codes, side="right") - 1
        held: npt.NDArray[np.bool_] = (at >= 0) & (codes <= np.array(self.stops, np.int64)[at])
        return held


class KeyOrder:
    """Which keys of one partition were seen, and which are locked. Thread-safe.

    Keys above every earlier one are new without a look; other keys are looked up in exact ranges of consecutive
    keys and in a :class:`~headrace.keyfilter.KeyFilter`.

    Args:
        upsert: Whether all rows are upserted: then only a key that is locked matters. Otherwise (rows are inserted)
            every key that was seen does, because an insert does not replace.
        before: The highest code of the keys that an earlier run stored, any of which may come again; None for none.
        partition: The partition's name.
        seen: The filter for the keys, which several partitions may share; None for one of its own.
    """

    def __init__(
        self, *, upsert: bool, before: int | None = None, partition: str = "", seen: KeyFilter | None = None
    ) -> None:
        self._upsert = upsert
        self._before = self._highest = before
        self._ranges = _Ranges()
        self._filter = KeyFilter() if seen is None else seen
        # Keys of several partitions stand in one filter as other ones.
        self._salt = key_codes(pa.array([partition])) if partition else None
        self._locked: list[Claim] = []
        self._waiting: list[Codes] = []
        self._lock = threading.Lock()

    def repeated(self, codes: Codes, ordered: Codes) -> npt.NDArray[np.bool_] | None:
        """Which of the next rows have to wait their turn, as a mask; None where none has to.

        They are remembered as seen. The rows of the mask count as locked until :meth:`lane_enters`.

        Args:
            codes: The codes of their keys, none of which may stand there twice.
            ordered: The same, ascending.
        """
        if not len(codes):
            return None
        low, high = int(ordered[0]), int(ordered[-1])
        if self._highest is None or low > self._highest:
            self._remember(codes, low=low, high=high)
            return None
        probe = self._probe(codes)
        seen = self._ranges.test(codes) | self._filter.test(probe)
        if self._before is not None:
            seen |= codes <= self._before
        if not seen.any():
            self._remember(codes, low=low, high=high)
            return None
        self._highest = max(self._highest, high)
        if not seen.all():
            self._filter.add(probe.where(~seen))
        if self._upsert:
            seen[seen] = self._is_locked(codes[seen])
        if not seen.any():
            return None
        self._waiting.append(codes[seen])
        return seen

    def enter(self, codes: Codes, *, late: bool) -> Claim:
        """Lock the keys of a request that is handed over now; requests enter in the order of their rows.

        Args:
            codes: Its keys' codes, ascending; kept.
            late: Whether rows of it have to wait their turn (:meth:`repeated`); others have no one to wait for.
        """
        claim = Claim(codes, self)
        with self._lock:
            if late:
                claim.after = tuple(other for other in self._locked if _share(other, claim))
            self._locked.append(claim)
        return claim

    def lane_enters(self) -> None:
        """Every row that had to wait its turn has entered, or never will."""
        self._waiting.clear()

    def end(self, claim: Claim, *, settled: bool) -> None:
        """The request is over. Unless every row of it is ``settled``, its keys stay locked."""
        with self._lock:
            claim.ended = settled
            claim.stuck = not settled
            if settled:
                self._locked.remove(claim)
                claim.after = ()

    def _remember(self, codes: Codes, *, low: int, high: int) -> None:
        self._highest = high if self._highest is None else max(self._highest, high)
        # All different, so that as many as lie between the ends are all that lie there, in whatever order they stand.
        consecutive = high - low == len(codes) - 1
        if not (consecutive and self._ranges.add(low, high)):
            self._filter.add(self._probe(codes))

    def _probe(self, codes: Codes) -> Probe:
        return self._filter.probe(codes if self._salt is None else codes ^ self._salt)

    def _is_locked(self, codes: Codes) -> npt.NDArray[np.bool_]:
        locked = np.zeros(len(codes), np.bool_)
        with self._lock:
            claims = list(self._locked)
        for claim in claims:
            locked |= claim.meets(codes)
        for waiting in self._waiting:
            locked |= np.isin(codes, waiting)
        return locked


def _share(one: Claim, other: Claim) -> bool:
    if not len(one.codes) or not len(other.codes):
        return False
    if one.codes[-1] < other.codes[0] or other.codes[-1] < one.codes[0]:
        return False
    few, many = (one, other) if len(one.codes) < len(other.codes) else (other, one)
    return bool(many.meets(few.codes).any())


def sorted_codes(codes: Codes) -> tuple[Codes, bool]:
    """A copy in ascending order, and whether no code stands in it twice."""
    # Most sources are in order already, and a look is cheaper than a sort.
    if (codes[1:] > codes[:-1]).all():
        return codes.copy(), True
    ordered = np.sort(codes)
    return ordered, bool((ordered[1:] != ordered[:-1]).all())


def last_of_each_key(keys: pa.Array, codes: Codes, ordered: Codes) -> npt.NDArray[np.int64]:
    """The ascending positions of the last row of each key.

    Args:
        keys: The keys.
        codes: Their codes.
        ordered: The codes in ascending order.
    """
    order = np.argsort(codes, kind="stable")
    last = np.append(ordered[1:] != ordered[:-1], True)
    if not pa.types.is_int64(keys.type):
        # Equal codes of different texts are next to impossible, but a row must not be lost to them.
        winners = order[np.flatnonzero(last)[np.cumsum(last) - last]]
        if not pc.all(pc.equal(keys.take(pa.array(order)), keys.take(pa.array(winners)))).as_py():
            return np.array(sorted({key: row for row, key in enumerate(keys.to_pylist())}.values()), np.int64)
    return np.sort(order[last]).astype(np.int64, copy=False)
