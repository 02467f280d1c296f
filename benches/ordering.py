"""What noticing repeated keys costs: CPU of the order of a batch's keys, against packing the same batch.

Batches of about 4 MB of 768-d rows pass in turn through the packer and through the order per key, as they do in an
insert load, with sixteen requests in flight.

    python -m benches.ordering [--turns 400]
"""

from __future__ import annotations

import argparse
import statistics
from collections import deque

import numpy as np
import pyarrow as pa

import headrace
from benches.measure import environment, in_turn, keep, require_release_build
from headrace.keyfilter import key_codes
from headrace.ordering import KeyOrder, last_of_each_key, sorted_codes
from headrace.packing import make_packer

DIM, ROWS, IN_FLIGHT = 768, 1_300, 16
SCHEMA = headrace.CollectionSchema(
    [
        headrace.FieldSchema("id", headrace.DataType.INT64, is_primary=True),
        headrace.FieldSchema("v", headrace.DataType.FLOAT_VECTOR, dim=DIM),
    ]
)


def keys_of(kind, turns):
    """A column of keys for each turn."""
    rng = np.random.default_rng(0)
    numbers = np.arange(turns * ROWS)
    if kind == "every seventh number":
        numbers = numbers * 7
    if kind not in ("consecutive", "every seventh number"):
        numbers = rng.permutation(numbers)
    arrays = [pa.array(part) for part in np.split(numbers, turns)]
    if kind == "texts like UUIDs":
        arrays = [pa.array([f"{number:036x}" for number in array.to_pylist()]) for array in arrays]
    return arrays


class Ordering:
    """The keys of one load, batch by batch; tells how many rows it took for repeated."""

    def __init__(self, keys):
        self.keys, self.order, self.open, self.repeated = iter(keys), KeyOrder(upsert=False), deque(), 0

    def __call__(self, _):
        """Order the next batch."""
        keys = next(self.keys)
        codes = key_codes(keys)
        ordered, distinct = sorted_codes(codes)
        if not distinct:
            last_of_each_key(keys, codes, ordered)
        repeated = self.order.repeated(codes, ordered)
        self.repeated += 0 if repeated is None else int(repeated.sum())
        self.open.append(self.order.enter(ordered, late=False))
        if len(self.open) > IN_FLIGHT:
            self.order.end(self.open.popleft(), settled=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=400)
    turns = parser.parse_args().turns
    require_release_build()
    packer = make_packer(SCHEMA, collection_name="docs")
    rng = np.random.default_rng(1)
    vectors = [rng.standard_normal((ROWS, DIM), dtype=np.float32) for _ in range(8)]
    ids = np.arange(ROWS)
    batches = [
        pa.record_batch({"id": ids, "v": pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), DIM)})
        for part in vectors
    ]
    lines = ["| keys | CPU of the order, of packing | nanoseconds a row | taken for repeated |", "|---|---|---|---|"]
    ratios = {}
    for kind in ("consecutive", "every seventh number", "in random order", "texts like UUIDs"):
        ordering = Ordering(keys_of(kind, turns))
        packing, order = in_turn([lambda at: packer.pack_insert(batches[at]), ordering], turns)
        ratio = statistics.median(order) / statistics.median(packing)
        each = statistics.median(order) / ROWS * 1e9
        lines.append(f"| {kind} | {ratio:.3f} | {each:.0f} | {ordering.repeated / (turns * ROWS):.3%} |")
        ratios[f"{kind}: CPU of packing by the order's"] = [one / two for one, two in zip(packing, order, strict=True)]
    keep("ordering", "The order per key", f"{environment()} Medians of {turns} turns.\n\n" + "\n".join(lines), ratios)


if __name__ == "__main__":
    main()
