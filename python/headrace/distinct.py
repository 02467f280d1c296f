"""How many distinct keys a load stored, in bounded memory: what a count has to be compared with."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.keyfilter import Codes, key_codes

__all__ = ["DistinctKeys"]

#: Keys whose codes are kept (32 MB); past that only keys that are above all earlier ones can be counted.
MOST_KEPT = 4_000_000


class DistinctKeys:
    """Counts distinct keys while they pass by.

    Rows whose keys all differ, and are above all those that came before, are distinct and cost nothing. Of others the
    codes are kept, up to a limit; past it, and for texts of which two have one code, the number stays unknown rather
    than guessed.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._ascending = True
        self._last: Any = None
        self._exact = True
        self._kept: list[Codes] | None = []

    def add(self, keys: pa.Array, codes: Codes, *, keep: bool = True) -> None:
        """Note the keys of some rows, in the order in which they are sent.

        Args:
            keys: Int64 or string, without nulls.
            codes: Their codes (:func:`headrace.keyfilter.key_codes`), ascending; kept, so nobody may change them.
            keep: Whether there is room for them, where several of these share it.
        """
        if not len(keys):
            return
        self._rows += len(keys)
        self._exact = pa.types.is_int64(keys.type)
        if self._ascending:
            self._ascending = self._continues(keys, codes)
        if self._rows > MOST_KEPT or not keep:
            self._kept = None
        elif self._kept is not None:
            self._kept.append(codes)

    def count(self, without: Collection[object] = ()) -> int | None:
        """The distinct keys noted that are not among ``without``, or None where their number is not known."""
        if self._ascending and not without:
            return self._rows
        if self._kept is None:
            return None
        found = np.unique(np.concatenate(self._kept)) if self._kept else np.empty(0, np.int64)
        if not self._exact and len(found) < self._rows:
            # Texts with one code are next to certainly equal, which is not enough.
            return None
        if not without:
            return len(found)
        return len(np.setdiff1d(found, key_codes(pa.array(list(without))), assume_unique=True))

    def _continues(self, keys: pa.Array, codes: Codes) -> bool:
        """Note the last key; whether all differ and are above the highest so far. Texts have to ascend row by row."""
        # The codes of texts are hashes, whose order is not theirs.
        last = self._last
        if self._exact:
            self._last = int(codes[-1])
            return (last is None or int(codes[0]) > last) and bool((codes[1:] > codes[:-1]).all())
        self._last = keys[-1].as_py()
        ascending = pc.all(pc.less(keys[:-1], keys[1:]), min_count=0).as_py()
        return bool(ascending) and (last is None or bool(keys[0].as_py() > last))
