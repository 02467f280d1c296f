"""A uniform random sample of rows, taken while they pass by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.batching import Placed, Span, locate

__all__ = ["Reservoir", "Samples"]


class Reservoir:
    """A uniform random sample of at most ``size`` of the rows added, each as it was added last.

    A row whose key is in the sample replaces the sampled one, as it does in the collection. Rows that are kept are
    copied. Not thread-safe: one caller at a time.

    Args:
        size: Most rows in the sample.
        key: The key column; None where rows carry no key.
        seed: Makes the choice repeatable.
    """

    def __init__(self, size: int, *, key: str | None, seed: int | None = None) -> None:
        self._size = size
        self._key = key
        self._random = np.random.default_rng(seed)
        self._seen = 0
        self._slots: list[tuple[pa.RecordBatch, int, Span]] = []
        self._slot_keys: list[Any] = []

    def add(self, rows: Placed) -> None:
        """Let conformed rows take their chance, in the order in which they are stored."""
        batch = rows.batch
        keys = None if self._key is None else batch.column(self._key)
        wanted = self._choose(batch.num_rows)
        if keys is None:
            self._keep(rows, wanted)
            return
        present = self._holds(keys)
        chosen: dict[int, int] = {}
        fresh: dict[Any, int] = {}
        for slot, row in sorted(wanted.items()):
            key = keys[row].as_py()
            if not present[row] and key not in fresh:
                # A key that was drawn twice left a place empty: the next one takes it.
                place = min(slot, len(self._slot_keys))
                self._slot_keys[place : place + 1] = [key]
                fresh[key] = place
                chosen[place] = row
        # A later row of this batch with a sampled key has replaced the sampled one.
        slot_of = {key: slot for slot, key in enumerate(self._slot_keys)}
        for row in np.flatnonzero(self._holds(keys)).tolist():
            chosen[slot_of[keys[row].as_py()]] = row
        self._keep(rows, chosen)

    def batches(self) -> list[Placed]:
        """The sample as batches, one per Arrow schema that was added."""
        groups: list[tuple[list[pa.RecordBatch], list[Span]]] = []
        for batch, row, span in self._slots:
            one = batch.slice(row, 1)
            group = next((g for g in groups if g[0][0].schema.equals(one.schema)), None)
            if group is None:
                groups.append(([one], [span]))
            else:
                group[0].append(one)
                group[1].append(span)
        tables = [(pa.Table.from_batches(batches).combine_chunks(), spans) for batches, spans in groups]
        return [Placed(table.to_batches()[0], tuple(spans)) for table, spans in tables]

    def _choose(self, rows: int) -> dict[int, int]:
        """Slots and the rows that take them (Vitter's algorithm R: row t takes a place with probability size / t)."""
        first = self._seen
        self._seen += rows
        filling = min(rows, max(0, self._size - first))
        chosen = {first + row: row for row in range(filling)}
        positions = np.arange(first + filling, first + rows)
        slots = self._random.integers(0, positions + 1) if len(positions) else positions
        for index in np.flatnonzero(slots < self._size).tolist():
            chosen[int(slots[index])] = filling + index
        return chosen

    def _holds(self, keys: pa.Array) -> npt.NDArray[np.bool_]:
        if not self._slot_keys:
            return np.zeros(len(keys), dtype=np.bool_)
        mask: npt.NDArray[np.bool_] = pc.is_in(keys, value_set=pa.array(self._slot_keys, keys.type)).to_numpy(
            zero_copy_only=False
        )
        return mask

    def _keep(self, given: Placed, chosen: dict[int, int]) -> None:
        if not chosen:
            return
        rows = sorted(set(chosen.values()))
        # One copy of the chosen rows; a slice would hold on to the whole batch.
        kept = given.batch.take(pa.array(rows, pa.int64()))
        for slot in sorted(chosen):
            entry = (kept, rows.index(chosen[slot]), Span(*locate(given.spans, chosen[slot]), 1))
            if slot < len(self._slots):
                self._slots[slot] = entry
            else:
                self._slots.append(entry)


class Samples:
    """A :class:`Reservoir` for each partition that rows go to, because a key is one row in each. Arguments as there."""

    def __init__(self, size: int, *, key: str | None) -> None:
        self._size = size
        self._key = key
        self._of: dict[str, Reservoir] = {}

    def add(self, rows: Placed) -> None:
        """Let conformed rows take their chance, in the order in which they are stored."""
        found = self._of.get(rows.partition)
        if found is None:
            found = self._of[rows.partition] = Reservoir(self._size, key=self._key)
        found.add(rows)

    def batches(self) -> list[Placed]:
        """The samples as batches."""
        return [replace(rows, partition=name) for name, sample in self._of.items() for rows in sample.batches()]
