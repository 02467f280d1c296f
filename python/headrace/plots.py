"""Line plots as SVG text: no script, no network, colours from the page's style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Line", "Plot", "clock", "ticks"]

WIDTH, HEIGHT = 560, 190
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 18, 24
#: Characters of a phase's name that fit above its band, by width in pixels.
_LETTER = 6.2


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot.

    Attributes:
        values: A value per time; None where there is none, which is a gap.
        name: What it is, for the legend and for whoever cannot see it.
        style: Its class in the page's style: ``"main"``, ``"second"`` or ``"alarm"``.
        steps: Whether a value holds until the next one, so that the line has corners.
    """

    values: Sequence[float | None]
    name: str
    style: str = "main"
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over the seconds of a load.

    Attributes:
        title: What is plotted, with its unit.
        times: Seconds, growing, one per value.
        lines: At least one.
        phases: When each phase began, in order; the last one ends with the plot.
        label: The text of a value at the axis.
    """

    title: str
    times: Sequence[float]
    lines: Sequence[Line]
    phases: Sequence[tuple[str, float]]
    label: Callable[[float], str]

    def svg(self) -> str:
        """The plot as an ``svg`` element."""
        last = self.times[-1] or 1.0
        most = max((value for line in self.lines for value in line.values if value is not None), default=0.0)
        levels = ticks(most or 1.0)
        top = levels[-1]

        def x(seconds: float) -> float:
            return LEFT + (WIDTH - LEFT - RIGHT) * seconds / last

        def y(value: float) -> float:
            return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

        names = ", ".join(line.name for line in self.lines)
        parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{self.title}: {names}")}">',
            *self._bands(x, last),
        ]
        for level in levels:
            height = y(level)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{height + 3.5:.1f}" class="left">{escape(self.label(level))}</text>')
        for second in ticks(last, over=False):
            across = x(second)
            anchor = "first" if second == 0 else "left" if across > WIDTH - 2 * RIGHT else "middle"
            place = f'x="{across:.1f}" y="{HEIGHT - 7}"'
            parts.append(f'<text {place} class="{anchor}">{escape(clock(second))}</text>')
        for line in self.lines:
            parts += _drawn(line, self.times, x, y)
        return "".join([*parts, "</svg>"])

    def _bands(self, x: Callable[[float], float], last: float) -> list[str]:
        """Every second phase on a shade, each under its name where that fits."""
        parts = []
        ends = [*(began for _, began in self.phases[1:]), last]
        for number, ((name, began), end) in enumerate(zip(self.phases, ends, strict=False)):
            left, width = x(min(began, last)), x(min(end, last)) - x(min(began, last))
            if number % 2:
                place = f'x="{left:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}"'
                parts.append(f'<rect class="band" {place}/>')
            if width > _LETTER * len(name):
                parts.append(f'<text class="phase" x="{left + width / 2:.1f}" y="{TOP - 6}">{escape(name)}</text>')
        return parts


def ticks(most: float, *, over: bool = True) -> list[float]:
    """Round numbers from 0, some four of them.

    Args:
        most: The largest value that is to be shown; positive.
        over: Whether the last one is at least ``most``, else none exceeds it.
    """
    step = 10.0 ** math.floor(math.log10(most / 4))
    if not over and most >= 240:
        # Times are read in minutes, hours and days.
        step = next((s for s in (60, 300, 900, 3600, 4 * 3600, 86_400) if most / s <= 6), 86_400.0 * (most // 518_400))
    else:
        step *= next(factor for factor in (1, 2, 5, 10) if most / (step * factor) <= 5)
    number = math.ceil(most / step - 1e-9) if over else math.floor(most / step + 1e-9)
    return [step * index for index in range(number + 1)]


def clock(seconds: float) -> str:
    """A time at an axis: ``0``, ``2.5 s``, ``90 s``, ``5 min``, ``1:30 h``, ``2 d``."""
    if seconds == 0:
        return "0"
    if seconds < 240 and seconds % 60:
        return f"{seconds:g} s"
    if seconds < 3600:
        return f"{seconds / 60:g} min"
    if seconds % 86_400 == 0:
        return f"{seconds / 86_400:g} d"
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d} h"


def _drawn(line: Line, times: Sequence[float], x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    """The pieces of a line between its gaps; the main line with its area."""
    parts, floor = [], y(0)
    for piece in _pieces(line.values):
        points = [(x(times[i]), y(line.values[i] or 0.0)) for i in piece]
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for across, up in points[1:]:
            path += f"H{across:.1f}V{up:.1f}" if line.steps else f"L{across:.1f} {up:.1f}"
        if len(points) == 1:
            parts.append(f'<circle class="{line.style}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2"/>')
        elif line.style == "main":
            area = f"{path}V{floor:.1f}H{points[0][0]:.1f}Z"
            parts.append(f'<path class="area" d="{area}"/>')
        parts.append(f'<path class="{line.style}" d="{path}"/>')
    return parts


def _pieces(values: Sequence[float | None]) -> list[list[int]]:
    pieces: list[list[int]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(index)
    return [piece for piece in pieces if piece]
