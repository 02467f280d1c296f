"""What packing takes where few or many requests are kept: memory of theirs is in a cache, or in none.

A request is packed, and as many as are kept are given back in the order in which they were packed, as a load does with
those that wait, are sent and are answered. The rows are read once, from memory that no cache holds. Medians of the
thread's CPU time.

    python -m benches.rotation [--turns 5] [--megabytes 500]
"""

from __future__ import annotations

import argparse
from collections import deque
from statistics import median

from benches.measure import environment, keep, require_release_build, timed, without_collector
from benches.sources import SOURCES
from headrace.packing import make_packer

#: Megabytes of a request, and how many are kept.
SIZES, KEPT = (1, 2, 3, 4, 6, 8), (0, 1, 3, 5, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=500)
    arguments = parser.parse_args()
    require_release_build()
    source = SOURCES[0]
    rows = source.rows(arguments.megabytes)
    packer = make_packer(rows.schema, collection_name="bench")
    gigabytes = rows.count * source.row_bytes() / 1e9
    spent: dict[tuple[int, int], list[float]] = {(size, kept): [] for size in SIZES for kept in KEPT}
    batches = {size: list(rows.batches(int(size * 1e6 / source.row_bytes()))) for size in SIZES}

    def pack_all(size: int, kept: int) -> None:
        requests: deque[bytes] = deque(maxlen=kept)
        for batch in batches[size]:
            requests.append(packer.pack_insert(batch))

    with without_collector():
        for _ in range(arguments.turns):
            for (size, kept), turns in spent.items():
                turns.append(timed(lambda size=size, kept=kept: pack_all(size, kept)))
    lines = ["| MB a request, GB/s with so many kept | " + " | ".join(map(str, KEPT)) + " |"]
    lines.append("|---|" + "---|" * len(KEPT))
    for size in SIZES:
        rates = " | ".join(f"{gigabytes / median(spent[size, kept]):.1f}" for kept in KEPT)
        lines.append(f"| {size} | {rates} |")
    how = f"Dense float32, 768-d; medians of {arguments.turns} turns of {arguments.megabytes:g} MB."
    keep("rotation", "Packing into memory that is taken in turn", f"{environment()} {how}\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
