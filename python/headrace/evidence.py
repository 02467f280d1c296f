"""What is kept of the rows that are sent, so that they can be proven at the end."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from headrace.batching import Placed
from headrace.config import VerifyLevel
from headrace.distinct import MOST_KEPT, DistinctKeys
from headrace.keyfilter import Codes
from headrace.sampling import Samples

__all__ = ["Evidence", "sample_rows"]

#: Rows that a sampling verification reads back: of all, and of each partition where a column names it.
_SAMPLE_ROWS, _OF_EACH = 200, 20


def sample_rows(partition_column: str | None) -> int:
    """How many rows of each partition a sampling verification reads back."""
    return _SAMPLE_ROWS if partition_column is None else _OF_EACH


class Evidence:
    """A sample of the rows, and how many distinct keys they have. Thread-safe.

    Args:
        level: What is to be proven; for ``"none"`` no rows are kept.
        key: The key column, where rows carry one.
        counting: Whether distinct keys are counted all the same.
        size: Rows of each partition's sample.
    """

    def __init__(
        self, level: VerifyLevel, key: str | None, *, counting: bool = False, size: int = _SAMPLE_ROWS
    ) -> None:
        self.sample = Samples(size, key=key)
        self._distinct: dict[str, DistinctKeys] = {}
        self._rows = 0
        self._level = level
        self._key = key if counting or level != "none" else None
        self._lock = threading.Lock()

    def add(self, rows: Placed, codes: Codes | None) -> None:
        """Note conformed rows, in the order in which they are sent; what is kept of them is copied.

        Args:
            rows: The rows.
            codes: Their keys' codes, ascending, which nobody changes any more; None where rows carry no key.
        """
        with self._lock:
            if self._key is not None and codes is not None:
                self._rows += len(codes)
                found = self._distinct.setdefault(rows.partition, DistinctKeys())
                found.add(rows.batch.column(self._key), codes, keep=self._rows <= MOST_KEPT)
            if self._level == "sample":
                self.sample.add(rows)

    def distinct(self, without: Mapping[str, Collection[object]]) -> int | None:
        """The distinct keys of each partition that are not among its of ``without``; None where that is not known."""
        with self._lock:
            counts = [keys.count(without.get(name, ())) for name, keys in self._distinct.items()]
        return None if None in counts else sum(count for count in counts if count is not None)
