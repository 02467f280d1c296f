"""Shows a running load: a live line in a terminal, a line every ten seconds elsewhere, or a JSON object in its place.

Views are context managers that are called with each :class:`~headrace.report.Progress`, from any thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from headrace.console import Console, count, duration, size

if TYPE_CHECKING:
    from rich.progress import TaskID

    from headrace.report import FileProgress, Progress

__all__ = ["JsonView", "LineView", "QuietView", "Rate", "TerminalView", "View", "describe", "describe_file", "view"]

#: Seconds between two lines where there is no terminal.
LINE_INTERVAL = 10.0
#: Seconds that the shown rates look back over, and the remaining time, which should not jump with every lull.
RATE_WINDOW, REMAINING_WINDOW = 30.0, 180.0


class View(Protocol):
    """Something that shows a load while it runs."""

    files: Callable[[], Sequence[FileProgress]] | None

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, progress: Progress, /) -> None:
        """Take a look at the load; returns quickly."""

    def line(self, text: str, /) -> None:
        """Show a line that stays."""


class Rate:
    """Rows and bytes per second over the last seconds of looks at a load, without the rows of earlier runs."""

    def __init__(self) -> None:
        self._recent, self._longer = _Looks(RATE_WINDOW), _Looks(REMAINING_WINDOW)
        self.rows = 0.0
        self.bytes = 0.0

    def update(self, progress: Progress) -> None:
        """Take a look into account; looks come in the order of their time."""
        look = (progress.seconds, progress.rows_stored - progress.rows_resumed, progress.bytes_sent)
        self.rows, self.bytes = self._recent.add(look)
        self._longer.add(look)

    def remaining(self, progress: Progress) -> float | None:
        """Seconds until the last row is stored at the rate of the last minutes; None where nobody can say."""
        if progress.rows_total is None or self._longer.rows <= 0 or progress.phase not in ("sending", "reading"):
            return None
        return max(0, progress.rows_total - progress.rows_stored - progress.rows_rejected) / self._longer.rows


class _Looks:
    """Looks of the last ``window`` seconds, and the rows and bytes per second between the first and the last."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._looks: deque[tuple[float, int, int]] = deque()
        self.rows = 0.0
        self.bytes = 0.0

    def add(self, look: tuple[float, int, int]) -> tuple[float, float]:
        self._looks.append(look)
        while len(self._looks) > 2 and look[0] - self._looks[0][0] > self._window:
            self._looks.popleft()
        first = self._looks[0]
        elapsed = look[0] - first[0]
        if elapsed > 0:
            self.rows, self.bytes = (look[1] - first[1]) / elapsed, (look[2] - first[2]) / elapsed
        return self.rows, self.bytes


def describe(progress: Progress, rate: Rate) -> str:
    """A look at a load in one line."""
    of_total = "" if progress.rows_total is None else f" of {count(progress.rows_total)}"
    done = "read" if progress.phase == "reading" else "stored"
    parts = [f"{progress.phase}: {count(progress.rows_stored)}{of_total} rows {done}"]
    if progress.phase in ("sending", "reading"):
        parts += [f"{count(rate.rows)} rows/s", f"{size(rate.bytes)}/s"]
    if progress.phase == "sending":
        parts.append(f"{progress.in_flight} in flight")
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


def describe_file(file: FileProgress) -> str:
    """A look at a file of a load in one line."""
    of_rows = "" if file.rows is None else f" of {count(file.rows)}"
    return f"{file.source}: {count(file.settled)}{of_rows} rows"


class QuietView:
    """Shows nothing.

    Attributes:
        files: Tells which files are being loaded, where they are to be shown, too.
    """

    files: Callable[[], Sequence[FileProgress]] | None = None

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
        self.show(progress)

    def show(self, progress: Progress) -> None:
        """Print what is seen."""
        self.line("headrace: " + describe(progress, self._rate))
        for file in self.files() if self.files is not None else ():
            self.line(f"headrace:   {describe_file(file)}")

    def line(self, text: str, /) -> None:
        """Print a line."""
        self._console.line(text)


class JsonView(LineView):
    """An object every ten seconds: a look at the load, its rates, and ``seconds_left``."""

    def show(self, progress: Progress) -> None:
        """Write an object."""
        remaining = self._rate.remaining(progress)
        self._console.event(
            "progress",
            **asdict(progress),
            rows_per_second=round(self._rate.rows, 1),
            bytes_per_second=round(self._rate.bytes, 1),
            seconds_left=None if remaining is None else round(remaining, 1),
            **({} if self.files is None else {"files": [asdict(file) for file in self.files()]}),
        )


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
        self._file_tasks: dict[str, TaskID] = {}

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
        total = progress.rows_total if progress.phase in ("sending", "reading") else None
        settled = progress.rows_stored + progress.rows_rejected
        self._bar.update(self._task, total=total, completed=settled, description=describe(progress, self._rate))
        if self.files is not None:
            self._show_files(self.files())

    def _show_files(self, files: Sequence[FileProgress]) -> None:
        """A bar per file that is being loaded; one that is finished goes away."""
        for source in self._file_tasks.keys() - {file.source for file in files}:
            self._bar.remove_task(self._file_tasks.pop(source))
        for file in files:
            if file.source not in self._file_tasks:
                self._file_tasks[file.source] = self._bar.add_task("", total=file.rows)
            task = self._file_tasks[file.source]
            self._bar.update(task, total=file.rows, completed=file.settled, description=describe_file(file))

    def line(self, text: str, /) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


def view(console: Console) -> View:
    """The view that fits where standard error goes."""
    if console.quiet:
        return QuietView()
    if console.log_format == "json":
        return JsonView(console)
    return TerminalView(console) if console.is_terminal else LineView(console)
