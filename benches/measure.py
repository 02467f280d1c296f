"""What the packing benches share: sources that take turns, thread CPU time, a machine's description, results as text.

Other processes of the machine then cost caches and memory bandwidth, but no turns, and what is compared meets them
alike.
"""

from __future__ import annotations

import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from headrace import _core

RESULTS = Path(__file__).parent / "results"
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


def keep(name: str, title: str, text: str) -> None:
    """Print the result and write it to ``benches/results``."""
    text = f"# {title}\n\nMade by `python -m benches.{name}`.\n\n{text}\n"
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
