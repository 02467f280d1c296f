"""Packing over the size of a request, 64 KB to 32 MB, for all types: ``benches/results/sizes.svg``.

    python -m benches.sizes [--turns 30]

The columns are those of ``benches.packing``, cut or joined to each size; every turn packs one of eight sources and
copies as many bytes, as there. Small requests are in a cache, and large ones are in fresh memory, for both.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa

from benches.columns import Case, all_cases
from benches.measure import RESULTS, SOURCES, copies_of, environment, in_turn, keep, require_release_build
from headrace.columns import to_batch
from headrace.packing import make_packer
from headrace.plots import ticks

PICTURE = "sizes.svg"
SIZES_KB = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
#: Sizes of which the results show the ratio.
SHOWN_KB = (64, 1024, 8192, 32768)
WIDTH, HEIGHT, LEFT, TOP, CURVE, ACROSS = 300, 190, 40, 30, 120, 4
COLOURS = {"packed": "#1f6fb2", "copied": "#999"}

#: Gigabytes per second by size, of packing and of memcpy.
Rates = dict[str, list[float]]


def run(case: Case, turns: int) -> tuple[Rates, dict[int, list[float]]]:
    """The rates of one kind of request, and its ratios to memcpy by size in KB."""
    packer = make_packer(case.schema, collection_name="bench", columns=list(case.sources[0]))
    batches = [to_batch(source, case.schema) for source in case.sources]
    row_bytes = packer.encoded_len(batches[0]) / batches[0].num_rows
    rates: Rates = {"packed": [], "copied": []}
    ratios = {}
    for size in SIZES_KB:
        rows = max(1, int(size * 1024 / row_bytes))
        sources = [_rows(batches, at, rows) for at in range(SOURCES)]
        length = len(packer.pack_insert(sources[0]))
        copies = copies_of(length)
        calls = [lambda at, s=sources: packer.pack_insert(s[at]), lambda at, c=copies: bytes(c[at])]
        packed, copied = in_turn(calls, turns)
        for name, seconds in zip(rates, (packed, copied), strict=True):
            rates[name].append(length / median(seconds) / 1e9)
        ratios[size] = [theirs / ours for ours, theirs in zip(packed, copied, strict=True)]
    return rates, ratios


def _rows(batches: Sequence[pa.RecordBatch], at: int, rows: int) -> pa.RecordBatch:
    """So many rows of a source, and of those after it where it has too few."""
    if rows <= batches[at].num_rows:
        return batches[at].slice(0, rows)
    times = -(-rows // batches[at].num_rows)
    table = pa.Table.from_batches([batches[(at + more) % len(batches)] for more in range(times)])
    return table.slice(0, rows).combine_chunks().to_batches()[0]


def panel(name: str, rates: Rates) -> str:
    """One kind of request: GB/s over the size, each size as far from the next."""
    levels = ticks(max(map(max, rates.values())))
    step = (WIDTH - LEFT - 14) / (len(SIZES_KB) - 1)
    parts = [f'<text x="{LEFT}" y="16" font-weight="bold">{escape(name)}</text>']
    for level in levels:
        y = TOP + CURVE * (1 - level / levels[-1])
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - 14}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{level:g}</text>')
    for at, size in enumerate(SIZES_KB):
        if size in SHOWN_KB:
            label = f"{size} KB" if size < 1024 else f"{size // 1024} MB"
            parts.append(f'<text x="{LEFT + at * step:.1f}" y="{TOP + CURVE + 15}" text-anchor="middle">{label}</text>')
    for kind, values in rates.items():
        points = " ".join(
            f"{LEFT + at * step:.1f},{TOP + CURVE * (1 - value / levels[-1]):.1f}" for at, value in enumerate(values)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[kind]}" stroke-width="1.5"/>')
    return "\n".join(parts)


def draw(found: dict[str, Rates]) -> str:
    """All panels as one picture."""
    down = -(-len(found) // ACROSS)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * ACROSS}" height="{HEIGHT * down}" '
    parts = [f'{head}font-family="sans-serif" font-size="10">\n<rect width="100%" height="100%" fill="white"/>']
    for number, (name, rates) in enumerate(found.items()):
        x, y = WIDTH * (number % ACROSS), HEIGHT * (number // ACROSS)
        parts.append(f'<g transform="translate({x},{y})">\n{panel(name, rates)}\n</g>')
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=30)
    turns = parser.parse_args().turns
    require_release_build()
    found: dict[str, Rates] = {}
    kept: dict[str, list[float]] = {}
    shown = [f"{size} KB" if size < 1024 else f"{size // 1024} MB" for size in SHOWN_KB]
    lines = [f"| of memcpy | {' | '.join(shown)} |", f"|---|{'---|' * len(shown)}"]
    for make in all_cases(np.random.default_rng(1)):
        for case in make():
            name = case.name.partition(", ")[0] if case.name.endswith("rows") else case.name
            found[name], ratios = run(case, turns)
            kept |= {f"{name}, {label}: of memcpy": ratios[size] for label, size in zip(shown, SHOWN_KB, strict=True)}
            lines.append(f"| {name} | {' | '.join(f'{median(ratios[size]):.2f}' for size in SHOWN_KB)} |")
    (RESULTS / PICTURE).write_text(draw(found), encoding="utf-8")
    how = f"{SOURCES} rotating sources, {turns} turns, CPU time of the thread; GB/s for every size: {PICTURE}."
    keep("sizes", "Packing over the size of a request", f"{environment()} {how}\n\n" + "\n".join(lines), kept)


if __name__ == "__main__":
    main()
