"""Shows a running load to a person: a live line in a terminal, a line every ten seconds elsewhere.

Views are context managers that are called with each :class:`~headrace.report.Progress`, from any thread.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from headrace.console import Console, count, duration, size

if TYPE_CHECKING:
    from headrace.report import Progress

__all__ = ["LineView", "QuietView", "Rate", "TerminalView", "View", "describe", "view"]

#: Seconds between two lines where there is no terminal.
LINE_INTERVAL = 10.0
#: Seconds that the shown rates and the remaining time look back over.
RATE_WINDOW = 30.0


class View(Protocol):
    """Something that shows a load while it runs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, progress: Progress, /) -> None:
        """Take a look at the load; returns quickly."""

    def line(self, text: str, /) -> None:
        """Show a line that stays."""


class Rate:
    """Rows and bytes per second over the last :data:`RATE_WINDOW` seconds of looks at a load."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, int]] = deque()
        self.rows = 0.0
        self.bytes = 0.0

    def update(self, progress: Progress) -> None:
        """Take a look into account; looks come in the order of their time."""
        self._looks.append((progress.seconds, progress.rows_stored, progress.bytes_sent))
        while len(self._looks) > 2 and progress.seconds - self._looks[0][0] > RATE_WINDOW:
            self._looks.popleft()
        seconds, rows, sent = self._looks[0]
        elapsed = progress.seconds - seconds
        if elapsed > 0:
            self.rows = (progress.rows_stored - rows) / elapsed
            self.bytes = (progress.bytes_sent - sent) / elapsed

    def remaining(self, progress: Progress) -> float | None:
        """Seconds until the last row is stored at this rate; None where nobody can say."""
        if progress.rows_total is None or self.rows <= 0 or progress.phase != "sending":
            return None
        return max(0, progress.rows_total - progress.rows_stored - progress.rows_rejected) / self.rows


def describe(progress: Progress, rate: Rate) -> str:
    """A look at a load in one line."""
    of_total = "" if progress.rows_total is None else f" of {count(progress.rows_total)}"
    parts = [f"{progress.phase}: {count(progress.rows_stored)}{of_total} rows stored"]
    if progress.phase == "sending":
        parts += [f"{count(rate.rows)} rows/s", f"{size(rate.bytes)}/s", f"{progress.in_flight} in flight"]
    if progress.retries:
        parts.append(f"{count(progress.retries)} retries")
    if progress.throttled_seconds >= 0.05:
        parts.append(f"throttled {duration(progress.throttled_seconds)}")
    if progress.rows_rejected:
        parts.append(f"{count(progress.rows_rejected)} rejected")
    remaining = rate.remaining(progress)
    if remaining is not None:
        parts.append(f"{duration(remaining)} left")
    return ", ".join(parts)


class QuietView:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def __call__(self, _progress: Progress, /) -> None:
        """Show nothing."""

    def line(self, _text: str, /) -> None:
        """Show nothing."""


class LineView(QuietView):
    """A line every ten seconds of the load's own clock, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rate = Rate()
        self._next = LINE_INTERVAL

    def __call__(self, progress: Progress, /) -> None:
        """Print a line where it is time for one."""
        self._rate.update(progress)
        if progress.seconds < self._next:
            return
        self._next = progress.seconds + LINE_INTERVAL
        self.line("headrace: " + describe(progress, self._rate))

    def line(self, text: str, /) -> None:
        """Print a line."""
        self._console.line(text)


class TerminalView(QuietView):
    """A bar and a line of numbers that renew themselves; gone when the load ends."""

    def __init__(self, console: Console) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
        from rich.table import Column

        self._rate = Rate()
        numbers = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            numbers,
            console=RichConsole(file=console.stream, highlight=False),
            transient=True,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("connecting", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress, /) -> None:
        """Renew the bar."""
        self._rate.update(progress)
        # Without a total the bar pulses; after the last row nobody knows how long the server takes.
        total = progress.rows_total if progress.phase == "sending" else None
        settled = progress.rows_stored + progress.rows_rejected
        self._bar.update(self._task, total=total, completed=settled, description=describe(progress, self._rate))

    def line(self, text: str, /) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


def view(console: Console) -> View:
    """The view that fits where standard error goes."""
    if console.quiet:
        return QuietView()
    return TerminalView(console) if console.is_terminal else LineView(console)
