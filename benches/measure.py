"""What the benches share: sources that take turns, thread CPU time, a machine's description, results that are kept.

Other processes of the machine then cost caches and memory bandwidth, but no turns, and what is compared meets them
alike.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from math import comb
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from headrace import _core

#: Where results are kept. ``benches.check`` has its own go elsewhere.
RESULTS = Path(os.environ.get("BENCH_RESULTS") or Path(__file__).parent / "results")
SOURCES = 8


def timed(call: Callable[[], Any]) -> float:
    """Seconds of CPU that this thread spends in `call`."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


@contextmanager
def without_collector() -> Iterator[None]:
    """The garbage collector would look at the sources in the middle of a turn."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def in_turn(calls: Sequence[Callable[[int], Any]], turns: int) -> list[list[float]]:
    """The seconds of each call in each turn; who comes first changes, and each call gets the number of its source."""
    spent: list[list[float]] = [[] for _ in calls]
    with without_collector():
        for turn in range(turns):
            # Who comes second finds the memory that the first has just given back.
            for offset in range(len(calls)):
                which = (turn + offset) % len(calls)
                spent[which].append(timed(lambda which=which, turn=turn: calls[which](turn % SOURCES)))
    return spent


def copies_of(size: int) -> list[memoryview]:
    """Sources of `size` bytes for a memcpy. From numpy, as those of the packer are: the same kind of pages."""
    return [memoryview(np.full(size, at, dtype=np.uint8)) for at in range(SOURCES)]


def require_release_build() -> None:
    """Figures of a debug build say nothing."""
    if _core.build_info()["profile"] != "release":
        raise SystemExit("headrace._core is a debug build; run `make build` first")


def environment() -> str:
    """Versions and machine."""
    info = _core.build_info()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pyarrow", "protobuf", "pymilvus"))
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.processor())
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return (
        f"headrace {info['version']} ({info['profile']} build, {info['target']}, arrow {info['arrow']}); Python "
        f"{platform.python_version()}, {libraries}; {cpu}, {os.cpu_count()} cores{load}."
    )


def keep(name: str, title: str, text: str, ratios: Mapping[str, Sequence[float]] | None = None) -> None:
    """Print the result, and write it to ``benches/results``: for people as Markdown, for ``benches.check`` as JSON.

    Args:
        name: The bench's module.
        title: What was measured.
        text: The table, with what a reader has to know.
        ratios: What may not fall, by name: the ratio of each pair of turns; the larger the better. None where the
            figures are not about headrace.
    """
    text = f"# {title}\n\nMade by `python -m benches.{name}`.\n\n{text}\n"
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    if ratios is not None:
        figures = {figure: _kept(values) for figure, values in ratios.items()}
        (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _kept(ratios: Sequence[float]) -> dict[str, float]:
    low, high = tenths(ratios)
    return {"median": round(median(ratios), 4), "low": round(low, 4), "high": round(high, 4), "pairs": len(ratios)}


def lower_bound(ratios: Sequence[float], confidence: float = 0.9) -> float:
    """What the median exceeds with this confidence, whatever the distribution: one of the ordered ratios.

    The median is below the k-th of n where fewer than k fall below it, which is as likely as so few heads of n coins.
    """
    ordered, count = sorted(ratios), len(ratios)
    below, rank = 0.0, 0
    while rank < count and below + comb(count, rank) / 2**count <= 1 - confidence:
        below += comb(count, rank) / 2**count
        rank += 1
    return ordered[max(0, rank - 1)]


def tenths(ratios: Sequence[float]) -> tuple[float, float]:
    """The lowest and the highest tenth."""
    ordered = sorted(ratios)
    return ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10]
