"""Where a load's CPU goes: seconds of this process per gigabyte of requests, by part of the work.

Every part is the CPU time of the thread that does it, without what it calls of other parts; threads that gRPC and Arrow
start are told apart by their names, and what neither they nor headrace's own spent is gRPC's. The parts of a kind of
rows come from the load with the median sum. Loads go to a sink in a process of its own, and take turns.

    python -m benches.parts [--turns 5] [--megabytes 300]

Writes ``benches/results/parts.svg`` and ``parts.md``.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any

import grpc.aio._call

from benches.files import DICTS, FORMATS, load
from benches.measure import RESULTS, environment, keep, require_release_build, without_collector
from benches.sink import Sink
from benches.sources import SOURCES, Rows, Source
from benches.ways import packed, sent_packed
from headrace.conform import ConformPlan
from headrace.feeding import Feeder
from headrace.freshness import LiveSchema
from headrace.journal import Journal
from headrace.lanes import Lanes
from headrace.sources import Part
from headrace.tracks import Tracks

#: Parts of the work in the order of the picture, with their colours.
PARTS = {
    "read": "#4477aa",
    "conform": "#66ccee",
    "cut, order of keys": "#228833",
    "pack": "#ccbb44",
    "gRPC": "#ee6677",
    "send, account": "#aa3377",
    "journal": "#bbbbbb",
    "rest": "#555555",
}
#: What a thread does where it does nothing of the parts below.
THREADS = {"headrace-reading": "read", "headrace-sending": "send, account", "headrace-journal": "journal"}
CALLS = (
    (ConformPlan, "apply", "conform"),
    (Tracks, "cut", "cut, order of keys"),
    (Lanes, "take", "cut, order of keys"),
    (Lanes, "enter", "cut, order of keys"),
    (LiveSchema, "pack", "pack"),
    (Feeder, "_measured", "pack"),
    (Journal, "settle", "journal"),
    (Journal, "sample", "journal"),
    (Journal, "key_ranges", "journal"),
)
#: Slower sources are given less: dicts, and bytes that have to be parsed.
FEW_MEGABYTES = 10
LEFT, WIDTH, BAR, GAP = 190, 760, 20, 10


class Meter:
    """CPU seconds by part. A part's time stops while another one runs inside of it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._here = threading.local()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """The time of a part in this thread."""
        stack = self._here.__dict__.setdefault("stack", [])
        self._charge(stack)
        stack.append(name)
        try:
            yield
        finally:
            self._charge(stack)
            stack.pop()

    def _charge(self, stack: list[str]) -> None:
        now = time.thread_time()
        if stack:
            with self._lock:
                self.seconds[stack[-1]] += now - self._here.since
        self._here.since = now

    def call(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time is the part's."""

        @wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            with self.part(name):
                return function(*given, **named)

        return timed

    def steps(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The generator function, each of whose steps is a part's time."""

        @wraps(function)
        def timed(*given: Any, **named: Any) -> Iterator[Any]:
            running, sent = function(*given, **named), None
            while True:
                with self.part(name):
                    try:
                        item = running.send(sent)
                    except StopIteration as end:
                        return end.value
                sent = yield item

        return timed


def instrument(meter: Meter) -> None:
    """Have every part tell the meter."""
    for owner, name, part in CALLS:
        setattr(owner, name, meter.call(part, getattr(owner, name)))
    setattr(Part, "batches", meter.steps("read", Part.batches))  # noqa: B010 - methods are not assigned to
    calls = grpc.aio._call  # noqa: SLF001 - what writes a request is no part of the interface
    for owner, name in ((calls.UnaryUnaryCall, "_invoke"), (calls.StreamUnaryCall, "write")):
        setattr(owner, name, types.coroutine(meter.steps("gRPC", getattr(owner, name))))
    run = threading.Thread.run

    def timed_run(thread: threading.Thread) -> None:
        with meter.part(THREADS.get(thread.name, "rest")):
            run(thread)

    setattr(threading.Thread, "run", timed_run)  # noqa: B010


def arrow_threads() -> float:
    """CPU seconds of the threads that have this process's name and are none of Python's: Arrow's pool."""
    python = {thread.native_id for thread in threading.enumerate()}
    found = 0.0
    own = Path("/proc/self/comm").read_text()
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) not in python and (task / "comm").read_text() == own:
            found += int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def measured(meter: Meter, run: Callable[[], object], gigabytes: float) -> dict[str, float]:
    """Seconds per gigabyte of each part of one load."""
    meter.seconds.clear()
    arrow, total = arrow_threads(), time.process_time()
    with meter.part("rest"):
        run()
    arrow, total = arrow_threads() - arrow, time.process_time() - total
    parts = dict(meter.seconds)
    parts["read"] = parts.get("read", 0.0) + arrow
    parts["gRPC"] = parts.get("gRPC", 0.0) + max(0.0, total - sum(parts.values()))
    return {name: parts.get(name, 0.0) / gigabytes for name in PARTS}


def kinds(directory: Path, megabytes: float) -> Iterator[tuple[str, Source, Rows, object]]:
    """What is loaded: its name, its rows, and the form in which they are given."""
    for source in SOURCES:
        rows = source.rows(megabytes)
        yield f"{source.name}, in memory", source, rows, rows.given
    for form in FORMATS:
        rows = form.source.rows(megabytes if form.part == 1 else FEW_MEGABYTES)
        path = directory / f"{len(list(directory.iterdir()))}.{form.suffix}"
        form.write(path, rows)
        yield form.name, form.source, rows, path
    for name, (source, dicts) in DICTS.items():
        rows = source.rows(FEW_MEGABYTES)
        yield name, source, rows, dicts(rows)


def drawn(bars: dict[str, dict[str, float]]) -> str:
    """The parts of each bar side by side, as SVG."""
    most = max(sum(parts.values()) for parts in bars.values())
    scale = (WIDTH - LEFT - 60) / most
    height = 40 + (BAR + GAP) * len(bars)
    text = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
        'font-size="11">\n<rect width="100%" height="100%" fill="white"/>'
    ]
    across = 8.0
    for name, colour in PARTS.items():
        text.append(f'<rect x="{across}" y="8" width="10" height="10" fill="{colour}"/>')
        text.append(f'<text x="{across + 14}" y="17">{escape(name)}</text>')
        across += 30 + 6.2 * len(name)
    for number, (name, parts) in enumerate(bars.items()):
        top, across = 32 + (BAR + GAP) * number, float(LEFT)
        text.append(f'<text x="{LEFT - 6}" y="{top + 14}" text-anchor="end">{escape(name)}</text>')
        for part, seconds in parts.items():
            place = f'x="{across:.1f}" y="{top}" width="{seconds * scale:.1f}" height="{BAR}"'
            text.append(f'<rect {place} fill="{PARTS[part]}"><title>{escape(part)}: {seconds:.2f} s</title></rect>')
            across += seconds * scale
        text.append(f'<text x="{across + 5:.1f}" y="{top + 14}">{sum(parts.values()):.2f}</text>')
    return "\n".join([*text, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=300)
    arguments = parser.parse_args()
    require_release_build()
    meter = Meter()
    instrument(meter)
    bars: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory, Sink() as sink, without_collector():
        bytes_only = packed(SOURCES[0], arguments.megabytes, 4.0)
        gigabytes = bytes_only.rows * SOURCES[0].row_bytes() / 1e9
        ways: dict[str, tuple[Callable[[], object], float]] = {
            "packed bytes, for comparison": (
                lambda: sent_packed(sink.uri, bytes_only, channels=2, in_flight=2),
                gigabytes,
            )
        }
        for at, (name, source, rows, given) in enumerate(kinds(Path(directory), arguments.megabytes)):

            def run(given: object = given, rows: Rows = rows, at: int = at) -> None:
                with tempfile.TemporaryDirectory() as state:
                    load(sink.uri, given, rows, f"{state}/{at}")

            ways[name] = run, rows.count * source.row_bytes() / 1e9
            run()
        turns: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for _ in range(arguments.turns):
            for name, (way, size) in ways.items():
                turns[name].append(measured(meter, way, size))
    for name, found in turns.items():
        bars[name] = sorted(found, key=lambda parts: sum(parts.values()))[len(found) // 2]
    (RESULTS / "parts.svg").write_text(drawn(bars), encoding="utf-8")
    lines = ["| CPU seconds per GB | sum | " + " | ".join(PARTS) + " |", "|---|---|" + "---|" * len(PARTS)]
    for name, parts in bars.items():
        cells = " | ".join(f"{seconds:.2f}" for seconds in parts.values())
        lines.append(f"| {name} | {sum(parts.values()):.2f} | {cells} |")
    how = f"Medians of {arguments.turns} turns of {arguments.megabytes:g} MB ({FEW_MEGABYTES} MB of dicts and JSON)."
    keep("parts", "Where a load's CPU goes", f"{environment()} {how}\n\n![](parts.svg)\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
