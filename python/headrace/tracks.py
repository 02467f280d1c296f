"""One track for each partition that rows go to: what waits there to be joined, and which keys went before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from headrace.batching import Aim, Batcher, Piece
from headrace.freshness import LiveSchema
from headrace.lanes import Lanes
from headrace.ledger import Ledger
from headrace.ordering import KeyOrder
from headrace.report import Verdict

__all__ = ["Cut", "Track", "Tracks"]


@dataclass(slots=True)
class Track:
    """The rows of one partition on their way.

    Attributes:
        partition: Its name; empty for the default one.
        batcher: What waits to be joined.
        lanes: What goes at once, and what after earlier rows.
        schema: The Arrow schema of what waits: joined pieces must have one, and a source may change it (lists of dicts
            do).
    """

    partition: str
    batcher: Batcher
    lanes: Lanes
    schema: pa.Schema | None = None

    @property
    def waiting_rows(self) -> int:
        """Rows that wait."""
        return self.batcher.waiting_rows + self.lanes.waiting_rows

    @property
    def waiting_bytes(self) -> int:
        """Their encoded bytes."""
        return self.batcher.waiting_bytes + self.lanes.waiting_bytes

    def add(self, piece: Piece) -> list[Piece | None]:
        """The pieces that are ready now that ``piece`` has come; None where everything else has to go first."""
        before, self.schema = self.schema, piece.batch.schema
        if before is None or before.equals(self.schema):
            return [*self.batcher.add(piece)]
        return [*self.flush(), *self.batcher.add(piece)]

    def flush(self) -> list[Piece | None]:
        """Everything that waits."""
        return [*self.batcher.flush(), None]

    def abandon(self) -> list[Piece]:
        """Everything that waits, of both lanes."""
        return [*self.batcher.flush(), *(outgoing.piece for outgoing in self.lanes.flush())]


#: A piece of a track that goes now; None: what waits in the track's lanes.
Cut = tuple[Track, Piece | None]


class Tracks:
    """The tracks of one load. Not thread-safe: one caller at a time.

    Args:
        schema: What rows are packed for.
        ledger: As for :class:`headrace.lanes.Lanes`; so are ``key``, ``upsert``, ``aim`` and ``copy_waiting``.
        order: Makes what knows, of a partition, which keys came before.
        most_waiting: Encoded bytes of all tracks that may wait, where there are several.
    """

    def __init__(
        self,
        schema: LiveSchema,
        ledger: Ledger,
        *,
        key: str | None,
        order: Callable[[str], KeyOrder],
        upsert: bool,
        aim: Callable[[], Aim],
        copy_waiting: bool,
        most_waiting: int,
    ) -> None:
        self._live = schema
        self._ledger = ledger
        self._key = key
        self._order = order
        self._upsert = upsert
        self._aim = aim
        self._copy_waiting = copy_waiting
        self._most_waiting = most_waiting
        self._limit: int | None = None
        self._all: dict[str, Track] = {}

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be joined with later ones."""
        return sum(track.waiting_rows for track in list(self._all.values()))

    def limit(self, size: int) -> None:
        """Make requests of at most ``size`` bytes from now on."""
        self._limit = size if self._limit is None else min(size, self._limit)
        for track in list(self._all.values()):
            track.batcher.limit(size)
            track.lanes.limit(size)

    def cut(self, pieces: Sequence[tuple[str, Piece]]) -> list[Cut]:
        """What goes now that these pieces have come, each of a partition. An error settles all of them as unsent."""
        left, ready = deque(pieces), list[Cut]()
        try:
            while left:
                partition, piece = left[0]
                track = self._track(partition)
                ready += [(track, part) for part in track.add(piece)]
                left.popleft()
            ready += self._overflow()
        except BaseException:
            for unsent in (*(piece for _, piece in left), *(piece for _, piece in ready if piece is not None)):
                self._ledger.settle(unsent.spans, unsent.batch.num_rows, Verdict.UNSENT)
            raise
        return ready

    def flush(self) -> list[Cut]:
        """Everything that waits."""
        return [(track, piece) for track in self._all.values() for piece in track.flush()]

    def abandon(self) -> list[Piece]:
        """Everything that waits, to be given up."""
        return [piece for track in self._all.values() for piece in track.abandon()]

    def _overflow(self) -> list[Cut]:
        """What goes although it could wait, the most of one partition first: many of them wait for ever."""
        if len(self._all) < 2:
            return []
        found: list[Cut] = []
        waiting = {name: track.waiting_bytes for name, track in self._all.items()}
        while sum(waiting.values()) > self._most_waiting:
            name = max(waiting, key=waiting.__getitem__)
            del waiting[name]
            found += [(self._all[name], piece) for piece in self._all[name].flush()]
        return found

    def _track(self, partition: str) -> Track:
        track = self._all.get(partition)
        if track is None:
            packer, aim, copying = self._live.packer_of(partition), self._aim, self._copy_waiting
            lanes = Lanes(
                self._key,
                packer,
                self._ledger,
                self._order(partition),
                upsert=self._upsert,
                aim=aim,
                copy_waiting=copying,
            )
            track = self._all[partition] = Track(partition, Batcher(packer, aim=aim, copy_waiting=copying), lanes)
            if self._limit is not None:
                track.batcher.limit(self._limit)
                track.lanes.limit(self._limit)
        return track
