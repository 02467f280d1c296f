"""Two lanes of rows: most go straight on, those whose key an earlier row may have follow once that row is settled.

Milvus's insert keeps rows with equal keys side by side, and requests in flight overtake each other. So a row with a
key that came before is upserted, in a request that is not sent before the earlier row is settled; inside one request
only the last row of a key is sent, the others are superseded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace._core import Packer
from headrace.batching import Aim, Batcher, Piece, Span, take_rows, take_spans
from headrace.keyfilter import Codes, key_codes
from headrace.ledger import Ledger
from headrace.ordering import Claim, KeyOrder, last_of_each_key, sorted_codes
from headrace.report import Verdict

__all__ = ["Lanes", "Outgoing"]

#: Pieces after which rows that wait to be joined with others of their kind are sent, so that their keys do not stay
#: locked, and their place in the source unsettled, for the whole load.
_MOST_PIECES = 32


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A piece that is to be sent now.

    Attributes:
        piece: The rows.
        upsert: Whether they go as an upsert.
        late: Whether they go after the earlier rows of their keys, instead of at once.
        ordered: Their keys' codes, ascending, where they were looked at already.
    """

    piece: Piece
    upsert: bool
    late: bool
    ordered: Codes | None = None


class Lanes:
    """Sorts pieces, which come in the order of the source, into what goes now and what goes later.

    Args:
        key: The key column's name; None where rows carry no key: then everything goes straight on.
        packer: Measures encoded sizes, and finds the rows that cannot be sent and so replace nothing.
        ledger: Where superseded rows are settled.
        order: Knows which keys came before.
        upsert: Whether all rows are upserted.
        aim: Says what a request should be.
        copy_waiting: Whether rows that wait are copied first.
    """

    def __init__(
        self,
        key: str | None,
        packer: Packer,
        ledger: Ledger,
        order: KeyOrder,
        *,
        upsert: bool,
        aim: Callable[[], Aim],
        copy_waiting: bool,
    ) -> None:
        self._key = key
        self._packer = packer
        self._ledger = ledger
        self._order = order
        self._upsert = upsert
        self._later = Batcher(packer, aim=aim, copy_waiting=copy_waiting)
        self._since = 0
        #: What was superseded in pieces with rows in doubt: codes of the keys, the rows, and the spans of the piece.
        self._replaced: list[tuple[Codes, npt.NDArray[np.int64], tuple[Span, ...]]] = []

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be joined with others of their kind."""
        return self._later.waiting_rows

    @property
    def waiting_bytes(self) -> int:
        """Encoded bytes of these."""
        return self._later.waiting_bytes

    def limit(self, size: int) -> None:
        """Make requests of at most ``size`` bytes from now on."""
        self._later.limit(size)

    def take(self, piece: Piece) -> list[Outgoing]:
        """What is to be sent now that ``piece`` has come, in order."""
        if self._key is None:
            return [Outgoing(piece, self._upsert, late=False)]
        piece, codes, ordered = self._collapsed(piece)
        repeated = self._order.repeated(codes, ordered)
        self._since += self._later.waiting_rows > 0
        later: list[Piece] = []
        if repeated is None:
            straight = [Outgoing(piece, self._upsert, late=False, ordered=ordered)]
        elif repeated.all():
            straight, later = [], self._later.add(piece)
        else:
            straight = [Outgoing(self._rows(piece, ~repeated), self._upsert, late=False)]
            later = self._later.add(self._rows(piece, repeated))
        if self._since > _MOST_PIECES:
            later += self._later.flush()
        return straight + self._late(later)

    def flush(self) -> list[Outgoing]:
        """Everything that waits."""
        return self._late(self._later.flush())

    def enter(self, batch: pa.RecordBatch, *, late: bool, ordered: Codes | None = None) -> Claim | None:
        """Lock the keys of rows that are handed over now; ``ordered`` are their codes, where they are known."""
        if self._key is None:
            return None
        if ordered is None:
            ordered, _ = sorted_codes(key_codes(batch.column(self._key)))
        claim = self._order.enter(ordered, late=late)
        for codes, rows, spans in self._replaced:
            claim.replaced += take_spans(spans, rows[claim.meets(codes)])
        return claim

    def handed_over(self) -> None:
        """Everything that was to be sent has entered."""
        if not self._later.waiting_rows:
            self._order.lane_enters()

    def _late(self, pieces: list[Piece]) -> list[Outgoing]:
        if pieces and not self._later.waiting_rows:
            self._since = 0
        found = [self._collapsed(piece) for piece in pieces]
        return [Outgoing(piece, upsert=True, late=True, ordered=ordered) for piece, _, ordered in found]

    def _collapsed(self, piece: Piece) -> tuple[Piece, Codes, Codes]:
        """The last row of each key, the others being superseded; their codes as they stand, and ascending."""
        keys = piece.batch.column(self._key)
        codes = key_codes(keys)
        ordered, distinct = sorted_codes(codes)
        last = None if distinct else last_of_each_key(keys, codes, ordered)
        if last is None:
            return piece, codes, ordered
        # A row that cannot be sent replaces nothing: its own refusal comes when it is packed.
        bad = np.array([row for row, *_ in self._packer.check(piece.batch)], np.int64)
        if len(bad):
            good = np.setdiff1d(np.arange(piece.batch.num_rows, dtype=np.int64), bad, assume_unique=True)
            among = self._last(keys.take(pa.array(good)))
            last = np.union1d(good if among is None else good[among], bad)
        superseded = np.setdiff1d(np.arange(piece.batch.num_rows, dtype=np.int64), last, assume_unique=True)
        kept = self._rows(piece, np.isin(np.arange(piece.batch.num_rows), last))
        spans = take_spans(piece.spans, superseded)
        if self._ledger.journal.in_doubt(spans)[0]:
            self._replaced.append((codes[superseded], superseded, piece.spans))
        self._ledger.settle(spans, len(superseded), Verdict.SUPERSEDED)
        codes = codes[last]
        return kept, codes, sorted_codes(codes)[0]

    def _last(self, keys: pa.Array) -> npt.NDArray[np.int64] | None:
        codes = key_codes(keys)
        ordered, distinct = sorted_codes(codes)
        return None if distinct else last_of_each_key(keys, codes, ordered)

    def _rows(self, piece: Piece, mask: npt.NDArray[np.bool_]) -> Piece:
        rows = np.flatnonzero(mask).astype(np.int64, copy=False)
        batch = take_rows(piece.batch, rows)
        return Piece(batch, take_spans(piece.spans, rows), self._packer.encoded_len(batch), piece.aim)
