"""What goes to standard error: numbers, lines and tables as text for a person, or JSON lines for a log.

Standard output belongs to the one JSON document of a command; nothing here writes to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Literal, TextIO

__all__ = ["Console", "LogFormat", "count", "duration", "size", "table"]

LogFormat = Literal["text", "json"]

_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(number: float) -> str:
    """``1234567`` as ``1,234,567``."""
    return f"{number:,.0f}"


def size(number: float) -> str:
    """Bytes in decimal units: ``4194304`` as ``4.2 MB``."""
    for unit in _UNITS[:-1]:
        if abs(number) < 999.5:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.0f} {_UNITS[-1]}"


def duration(seconds: float) -> str:
    """``0.42 s``, ``12.3 s``, ``2 min 05 s``, ``3 h 02 min``, ``8 d 03 h``."""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes // 60 % 24:02d} h"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = 0, numbers: Sequence[int] = ()) -> str:
    """Rows under a header, columns aligned; what does not fit into ``width`` is cut from the last column.

    Args:
        header: A title per column.
        rows: Texts, as many per row as the header has; line breaks in them become spaces.
        width: Characters per line; 0 for no limit.
        numbers: Columns that are aligned to the right.
    """
    cells = [[" ".join(cell.split()) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    if width:
        widths[-1] = max(8, min(widths[-1], width - sum(widths[:-1]) - 2 * (len(widths) - 1)))
    lines = []
    for row in cells:
        texts = [_cut(cell, widths[column]) for column, cell in enumerate(row)]
        aligned = [t.rjust(widths[c]) if c in numbers else t.ljust(widths[c]) for c, t in enumerate(texts)]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


class Console:
    """Standard error: lines for a person or JSON objects for a log; silent with ``quiet``, except for errors.

    Args:
        quiet: Whether only errors are written.
        stream: Where to; None for standard error.
        log_format: ``"text"``, or ``"json"`` for an object a line with ``time`` (seconds since the epoch) and
            ``event``: ``"line"`` and ``"error"`` with a ``message``, and what :meth:`event` is given.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        log_format: LogFormat = "text",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.quiet = quiet
        self.log_format = log_format
        self._clock = clock
        self.stream = sys.stderr if stream is None else stream

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches a terminal that can move its cursor."""
        return (
            self.log_format == "text"
            and self.stream is not None
            and self.stream.isatty()
            and os.environ.get("TERM") != "dumb"
        )

    @property
    def width(self) -> int:
        """Characters per line: the terminal's, else 120."""
        return shutil.get_terminal_size((120, 24)).columns if self.is_terminal else 120

    def line(self, text: str = "") -> None:
        """Print a line, unless quiet."""
        if self.quiet:
            return
        if self.log_format == "text":
            self._write(text)
        elif text:
            self.event("line", message=text)

    def error(self, text: str) -> None:
        """Print what went wrong, quiet or not, on one line, and below it each of several findings on its own.

        Findings are the lines of ``text`` that are indented; other line breaks are a server's and become spaces.
        """
        if self.log_format == "json":
            self.event("error", message=" ".join(text.split()))
        else:
            lines = [" ".join(line.split()) for line in re.split(r"\n(?=[ \t]+\S)", text)]
            self._write("\n  ".join([f"headrace: {lines[0]}", *lines[1:]]))

    def event(self, event: str, **values: object) -> None:
        """Write a JSON object, quiet or not."""
        self._write(json.dumps({"time": round(self._clock(), 3), "event": event, **values}, ensure_ascii=False))

    def shown(self, text: str) -> str:
        """``text`` with the numbers of the characters that the stream cannot show in their place."""
        encoding = (self.stream.encoding if self.stream is not None else None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _write(self, text: str) -> None:
        if self.stream is None:
            return
        # Nobody reads any more; the report and the exit status say everything all the same.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(self.shown(text) + "\n")
            self.stream.flush()
