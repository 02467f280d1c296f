"""What goes to standard error: lines and tables as text for a person, or JSON lines for a log.

Standard output belongs to the one JSON document of a command; nothing here writes to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Literal, TextIO

__all__ = ["Console", "LogFormat", "table", "wrap"]

LogFormat = Literal["text", "json"]

#: A last column with less room than this goes below its row, so far from the left.
_NARROW, _BELOW = 24, 4


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = 0, numbers: Sequence[int] = ()) -> str:
    """Rows under a header, columns aligned; nothing is cut.

    What does not fit into ``width`` goes on in the next line of the last column, or below its row where that column
    would be too narrow.

    Args:
        header: A title per column.
        rows: Texts, as many per row as the header has; line breaks in them become spaces.
        width: Characters per line; 0 for no limit.
        numbers: Columns that are aligned to the right.
    """
    cells = [[" ".join(cell.split()) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)
    if width and width < indent + widths[-1]:
        blocks = _wrapped(cells, widths, indent, width, numbers)
    else:
        blocks = [[_aligned(row, widths, numbers)] for row in cells]
    blocks.insert(1, ["  ".join("-" * w for w in widths)[: width or None].rstrip()])
    return "\n".join(line for block in blocks for line in block)


def wrap(text: str, *, width: int = 0, indent: int = 0) -> list[str]:
    """The lines of ``text``, each behind ``indent`` spaces and none beyond ``width``, except for a longer word.

    ``width`` 0 is for no limit. Line breaks in the text become spaces; an empty one has no lines.
    """
    margin, whole = " " * indent, " ".join(text.split())
    if not width:
        return [margin + whole] if whole else []
    return textwrap.wrap(
        whole,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _wrapped(
    cells: Sequence[Sequence[str]], widths: Sequence[int], indent: int, width: int, numbers: Sequence[int]
) -> list[list[str]]:
    """The lines of each row, none of whose last column goes beyond ``width``."""
    below = width - indent < _NARROW
    indent = _BELOW if below else indent
    blocks = []
    for *row, last in cells:
        lines = [" " * indent + line for line in textwrap.wrap(last, width - indent, break_on_hyphens=False)]
        start = _aligned(row, widths, numbers)
        blocks.append([start, *lines] if below or not lines else [start.ljust(indent) + lines[0].lstrip(), *lines[1:]])
    return blocks


def _aligned(row: Sequence[str], widths: Sequence[int], numbers: Sequence[int]) -> str:
    cells = zip(row, widths, strict=False)
    return "  ".join(t.rjust(w) if c in numbers else t.ljust(w) for c, (t, w) in enumerate(cells)).rstrip()


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
        """Characters per line of the terminal; 0, for no limit, where there is none."""
        if not self.is_terminal or self.stream is None:
            return 0
        own = 80, 24
        # Standard output, which others ask, is often no terminal: the document goes into a file.
        with contextlib.suppress(OSError, ValueError):
            own = os.get_terminal_size(self.stream.fileno())
        return shutil.get_terminal_size(own).columns

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
