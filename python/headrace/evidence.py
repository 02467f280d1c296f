"""What is kept of the rows that are sent, so that they can be proven at the end."""

from __future__ import annotations

import threading

from headrace.batching import Placed
from headrace.config import VerifyLevel
from headrace.distinct import DistinctKeys
from headrace.keyfilter import Codes
from headrace.sampling import Reservoir

__all__ = ["SAMPLE_ROWS", "Evidence"]

#: Rows that a sampling verification reads back.
SAMPLE_ROWS = 200


class Evidence:
    """A sample of the rows, and how many distinct keys they have. Thread-safe.

    Args:
        level: What is to be proven; for ``"none"`` no rows are kept.
        key: The key column, where rows carry one.
        counting: Whether distinct keys are counted all the same.
    """

    def __init__(self, level: VerifyLevel, key: str | None, *, counting: bool = False) -> None:
        self.sample = Reservoir(SAMPLE_ROWS, key=key)
        self.distinct = DistinctKeys()
        self._level = level
        self._key = key if counting or level != "none" else None
        self._lock = threading.Lock()

    def add(self, rows: Placed, codes: Codes | None) -> None:
        """Note conformed rows, in the order in which they are sent; what is kept of them is copied.

        Args:
            rows: The rows.
            codes: Their keys' codes, in any order, which nobody changes any more; None where rows carry no key.
        """
        with self._lock:
            if self._key is not None and codes is not None:
                self.distinct.add(rows.batch.column(self._key), codes)
            if self._level == "sample":
                self.sample.add(rows)
