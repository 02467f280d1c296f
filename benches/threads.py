"""Two threads that pack, next to two threads that copy: ``python -m benches.threads``.

A thread packs its own sources a few times; so does a second one at the same time. In turn with that, two threads copy
as much memory with ``numpy.copyto``, which releases the GIL as the packer does. If the packer held it, or took it
often, two packing threads would take longer than two that copy. Wall-clock time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from benches.columns import Case, csr, dense
from benches.measure import SOURCES, environment, keep, require_release_build, without_collector
from headrace.columns import to_batch
from headrace.packing import make_packer

TURNS = 60
REPEATS = 12


def seconds_of(work: Callable[[int], Any], threads: int) -> float:
    """Wall-clock seconds until `threads` threads have done their work, begun together."""
    began = threading.Barrier(threads + 1)

    def run(number: int) -> None:
        began.wait()
        for repeat in range(REPEATS):
            work((number * SOURCES // 2 + repeat) % SOURCES)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    began.wait()
    start = time.perf_counter()
    for thread in running:
        thread.join()
    return time.perf_counter() - start


def run(case: Case) -> tuple[str, list[float]]:
    """A row of the table, and how much faster two packers are than two copiers in each turn."""
    packer = make_packer(case.schema, collection_name="bench")
    batches = [to_batch(source, case.schema) for source in case.sources]
    size = len(packer.pack_insert(batches[0]))
    copies = [np.full(size, at, dtype=np.uint8) for at in range(SOURCES)]

    def copy(at: int) -> None:
        np.copyto(np.empty(size, dtype=np.uint8), copies[at])

    works = [lambda at: packer.pack_insert(batches[at]), copy]
    spent: dict[tuple[int, int], list[float]] = {(which, threads): [] for which in (0, 1) for threads in (1, 2)}
    with without_collector():
        for turn in range(TURNS):
            order = sorted(spent, reverse=bool(turn % 2))
            for which, threads in order:
                spent[which, threads].append(seconds_of(works[which], threads))

    def ratio(over: tuple[int, int], under: tuple[int, int]) -> float:
        return median(a / b for a, b in zip(spent[over], spent[under], strict=True))

    slowing = [ratio((which, 2), (which, 1)) for which in (0, 1)]
    alone, together = ratio((0, 1), (1, 1)), ratio((0, 2), (1, 2))
    return (
        f"| {case.name} | {alone:.2f} | {together:.2f} | {slowing[0]:.2f} | {slowing[1]:.2f} "
        f"| {slowing[0] / slowing[1]:.2f} |"
    ), [theirs / ours for ours, theirs in zip(spent[0, 2], spent[1, 2], strict=True)]


def main() -> None:
    require_release_build()
    random = np.random.default_rng(1)
    lines = [
        "| request of 8 MB | one packer by one copier | two packers by two copiers | two packers by one "
        "| two copiers by one | of the last two, the first by the second |",
        "|---|---|---|---|---|---|",
    ]
    ratios = {}
    for make in (dense, csr):
        case = make(random)
        line, ratios[f"{case.name}: two copiers by two packers"] = run(case)
        lines.append(line)
    how = f"Time of {REPEATS} requests a thread, {SOURCES} sources, {TURNS} turns, medians of their ratios. Wall clock."
    keep("threads", "Two threads", f"{environment()} {how}\n\n" + "\n".join(lines), ratios)


if __name__ == "__main__":
    main()
