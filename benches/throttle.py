"""Draws what the throttle does over time, model by model: ``docs/throttle.svg``.

    python -m benches.throttle

Everything is simulated (``tests/simulation``), so that the picture is the same on every machine.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from tests.simulation.loads import MIB, ROOM, run
from tests.simulation.servers import MB, MODELS, ROW, far
from tests.simulation.sweep import GRID

OUTPUT = Path(__file__).parents[1] / "docs" / "throttle.svg"
SEED = 4
#: Seconds of a point of the curves.
STEP = 4.0
#: Model, seconds, loads, and what to say about it.
PICTURES = (
    ("collapsing", 400.0, 1, "Milvus 2.3.5 on two cores: two in flight are best, eight are worse"),
    ("workers", 400.0, 1, "twelve workers: throughput grows with requests in flight up to twelve"),
    ("saturating", 400.0, 1, "more in flight is always a little better"),
    ("far away", 400.0, 1, "50 ms of network"),
    ("rate limited", 120.0, 1, "a quota of 16 MB/s that punishes whoever goes beyond it"),
    ("growing", 600.0, 1, "after 200 s the server can do three times as much"),
    ("leaking", 600.0, 1, "its memory runs out, it gets slower and slower"),
    ("collapsing", 900.0, 4, "four loads on the first server, one after the other"),
)
#: Round trips and sizes of the loads to far servers.
FAR_SECONDS, FAR_MEGABYTES = (0.005, 0.05, 0.1), (200, 1_000)
COLOURS = ("#1f6fb2", "#d1495b", "#2e8b57", "#8a5fbf")
WIDTH, HEIGHT, LEFT, TOP, CURVE = 520, 300, 64, 44, 150


def thousands(load, until):
    """Thousand rows per second, one number per step."""
    steps = int(until / STEP)
    counts = [0.0] * steps
    for time, size in load.stored:
        if time < until:
            counts[min(steps - 1, int(time / STEP))] += size / ROW / STEP / 1e3
    return [((step + 0.5) * STEP, count) for step, count in enumerate(counts)]


def settings(load, until):
    """Requests in flight as a step curve."""
    points = []
    for time, limit, _ in load.trace:
        if points:
            points.append((time, points[-1][1]))
        points.append((time, limit))
    return [*points, (until, points[-1][1])]


def polyline(points, until, most, *, height, top, colour):
    scale = (WIDTH - LEFT - 12) / until
    text = " ".join(f"{LEFT + x * scale:.1f},{top + height * (1 - min(y / most, 1)):.1f}" for x, y in points)
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def axis(name, most, top, height):
    return [
        f'<line x1="{LEFT}" y1="{top}" x2="{LEFT}" y2="{top + height}" stroke="#999"/>',
        f'<line x1="{LEFT}" y1="{top + height}" x2="{WIDTH - 12}" y2="{top + height}" stroke="#999"/>',
        f'<text x="{LEFT - 5}" y="{top + 9}" text-anchor="end">{most:g}</text>',
        f'<text x="{LEFT - 5}" y="{top + height}" text-anchor="end">0</text>',
        f'<text x="6" y="{top + height / 2 + 3}">{escape(name)}</text>',
    ]


def picture(name, until, loaders, caption):
    """One panel: throughput above, requests in flight below."""
    model = MODELS[name]
    result = run(model, seed=SEED, seconds=until, loaders=loaders, stagger=60.0 if loaders > 1 else 0.0)
    curves = [thousands(load, until) for load in result.loads]
    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(name)}</text>']
    parts.append(f'<text x="{LEFT}" y="33">{escape(caption)}</text>')
    best = None
    if model.best is not None and loaders == 1:
        fixed = run(model, seed=SEED, seconds=until, fixed=model.best)
        best = thousands(fixed.loads[0], until)
    total = [(x, sum(curve[step][1] for curve in curves)) for step, (x, _) in enumerate(curves[0])]
    most = 1.1 * max(y for _, y in [*total, *(best or [])])
    most = float(f"{most:.1g}") if float(f"{most:.1g}") >= most else float(f"{most:.2g}")
    parts += axis("k rows/s", most, TOP, CURVE)
    if best is not None:
        parts.append(polyline(best, until, most, height=CURVE, top=TOP, colour="#bbb"))
    if loaders > 1:
        parts.append(polyline(total, until, most, height=CURVE, top=TOP, colour="#444"))
    for curve, colour in zip(curves, COLOURS, strict=False):
        parts.append(polyline(curve, until, most, height=CURVE, top=TOP, colour=colour))
    lower, height = TOP + CURVE + 18, 54
    limit = max(entry[1] for load in result.loads for entry in load.trace)
    parts += axis("in flight", limit, lower, height)
    for load, colour in zip(result.loads, COLOURS, strict=False):
        points = settings(load, until)
        parts.append(polyline(points, until, limit, height=height, top=lower, colour=colour))
    parts.append(f'<text x="{WIDTH - 12}" y="{lower + height + 14}" text-anchor="end">{until:g} s</text>')
    return "\n".join(parts), result


def far_shares():
    """Lines of a table: what loads to far servers take of what the best fixed setting takes, from the first byte on."""
    yield "| round trip | " + " | ".join(f"{megabytes / 1e3:g} GB" for megabytes in FAR_MEGABYTES) + " |"
    yield "|---|" + "---|" * len(FAR_MEGABYTES)
    for rtt in FAR_SECONDS:
        shares = []
        for megabytes in FAR_MEGABYTES:
            # Fewer in flight are far from the best at these distances.
            settings = [None, *(setting for setting in GRID if setting[0] * setting[1] >= ROOM // 2)]
            ours, *others = (
                run(far(rtt), seconds=600.0, rows=megabytes * MB / ROW, fixed=fixed).loads[0].finished
                for fixed in settings
            )
            shares.append(min(others) / ours)
        yield f"| {rtt * 1e3:g} ms | " + " | ".join(f"{share:.2f}" for share in shares) + " |"


def main():
    cells = []
    for number, (name, until, loaders, caption) in enumerate(PICTURES):
        text, result = picture(name, until, loaders, caption)
        x, y = WIDTH * (number % 2), HEIGHT * (number // 2)
        cells.append(f'<g transform="translate({x},{y})">\n{text}\n</g>')
        ends = [load.throttle.settled for load in result.loads]
        settled = ", ".join(f"{end.in_flight} x {end.request_bytes / MIB:.2g} MiB" for end in ends)
        rate = result.throughput(until / 2) / MB
        print(f"{name}: {rate:.1f} MB/s in the second half, settled at {settled}")
    rows = (len(PICTURES) + 1) // 2
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{rows * HEIGHT}" '
    head += 'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>'
    OUTPUT.write_text(head + "\n" + "\n".join(cells) + "\n</svg>\n")
    print(f"written: {OUTPUT}", *far_shares(), sep="\n")


if __name__ == "__main__":
    main()
