"""How many distinct keys a load stored, in bounded memory: what a count has to be compared with."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["DistinctKeys"]

#: Integer keys that are kept (32 MB); past that only ascending keys can be counted.
MOST_KEPT = 4_000_000


class DistinctKeys:
    """Counts distinct keys while they pass by.

    Strictly ascending keys are distinct and cost nothing. Others are kept, where they are integers, up to a limit;
    past it, and for unordered strings, the number stays unknown rather than guessed.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._ascending = True
        self._last: object = None
        self._kept: list[npt.NDArray[np.int64]] | None = []

    def add(self, keys: pa.Array) -> None:
        """Note the keys of some rows (int64 or string, without nulls), in the order in which they are sent."""
        if not len(keys):
            return
        self._rows += len(keys)
        if self._ascending:
            self._ascending = self._continues(keys)
            self._last = keys[-1].as_py()
        if not pa.types.is_int64(keys.type) or self._rows > MOST_KEPT:
            self._kept = None
        elif self._kept is not None:
            # A copy: the column may be a slice of memory that its owner overwrites.
            self._kept.append(np.array(keys.to_numpy(zero_copy_only=False), np.int64))

    def count(self, without: Collection[object] = ()) -> int | None:
        """The distinct keys noted that are not among ``without``, or None where their number is not known."""
        if self._ascending and not without:
            return self._rows
        if self._kept is None:
            return None
        found = np.unique(np.concatenate(self._kept)) if self._kept else np.empty(0, np.int64)
        return len(np.setdiff1d(found, np.array(list(without), np.int64), assume_unique=True))

    def _continues(self, keys: pa.Array) -> bool:
        if self._last is not None and not keys[0].as_py() > self._last:
            return False
        return bool(pc.all(pc.less(keys[:-1], keys[1:]), min_count=0).as_py())
