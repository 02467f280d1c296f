"""Shows a running load: a live line in a terminal, a line every ten seconds elsewhere, or a JSON object in its place.

Views are context managers that are called with each :class:`~headrace.report.Progress`, from any thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from headrace.console import Console
from headrace.quantities import count, duration, size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from headrace.report import FileProgress, Progress

__all__ = ["JsonView", "LineView", "QuietView", "Rate", "TerminalView", "View", "describe", "view"]

#: Seconds between two lines where there is no terminal.
LINE_INTERVAL = 10.0
#: Phases in which rows pass, and what becomes of them there, where they are not stored.
_COUNTED = ("sending", "checking", "reading")
_DONE = {"checking": "checked", "reading": "read"}
#: Seconds that the shown rates look back over, and the remaining time, which should not jump with every lull.
RATE_WINDOW, REMAINING_WINDOW = 30.0, 180.0
#: How often a second the terminal is renewed.
REFRESHES = 4
#: Characters before the numbers, as wide as the spinner; of the bar, and of what stands beside it: the longest phase,
#: the share and the time that is left; below that many it is left out.
INDENT, BAR_WIDTH, BESIDE_BAR, LEAST_BAR = 2, 40, 38, 8


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
    """Rows and bytes per second over the last seconds of looks at a load, without the rows of earlier runs.

    Attributes:
        rows: Rows stored per second, or checked in a dry run.
        bytes: Bytes sent per second.
    """

    def __init__(self) -> None:
        # A load begins with no row stored: what the first look sees took its time, too.
        self._recent, self._longer = _Looks(RATE_WINDOW, (0.0, 0, 0)), _Looks(REMAINING_WINDOW, (0.0, 0, 0))
        self.rows = 0.0
        self.bytes = 0.0

    def update(self, progress: Progress) -> None:
        """Take a look into account; looks come in the order of their time."""
        seconds, settled = progress.seconds, progress.rows_settled - progress.rows_resumed
        done = settled if progress.phase == "checking" else progress.rows_stored - progress.rows_resumed
        self.rows, self.bytes = self._recent.add((seconds, done, progress.bytes_sent))
        self._longer.add((seconds, settled, progress.bytes_sent))

    def remaining(self, progress: Progress) -> float | None:
        """Seconds until the last row has its verdict at the rate of the last minutes; None where nobody can say."""
        if progress.rows_total is None or self._longer.rows <= 0 or progress.phase not in _COUNTED:
            return None
        return max(0, progress.rows_total - progress.rows_settled) / self._longer.rows


class _Looks:
    """Looks of the last ``window`` seconds, and the rows and bytes per second between the first and the last."""

    def __init__(self, window: float, *looks: tuple[float, int, int]) -> None:
        self._window = window
        self._looks: deque[tuple[float, int, int]] = deque(looks)
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


class _FileRates:
    """A look at each file of a load in one line, with the time that is left by its own rate of the last minutes."""

    def __init__(self) -> None:
        self._looks: dict[str, _Looks] = {}

    def describe(self, seconds: float, files: Sequence[FileProgress]) -> list[tuple[str, str]]:
        """The name of each file, and where its rows stand; ``files`` are all that are being loaded."""
        self._looks = {file.source: self._looks.get(file.source) or _Looks(REMAINING_WINDOW) for file in files}
        return [(file.source, self._state(seconds, file)) for file in files]

    def _state(self, seconds: float, file: FileProgress) -> str:
        rows, _ = self._looks[file.source].add((seconds, file.settled, 0))
        of_rows = "" if file.rows is None else f" of {count(file.rows)}"
        left = f", {duration((file.rows - file.settled) / rows)} left" if file.rows is not None and rows > 0 else ""
        return f"{count(file.settled)}{of_rows} rows{left}"


def describe(progress: Progress, rate: Rate) -> str:
    """A look at a load in one line."""
    rows, *others = _numbers(progress, rate)
    remaining = _left(progress, rate)
    # What a person waits for stands where no log cuts it off.
    return f"{progress.phase}: " + ", ".join([rows, *others[:1], *remaining, *others[1:]])


def _numbers(progress: Progress, rate: Rate) -> list[str]:
    """What there is to say of a load besides its phase and the time that is left, the most important first."""
    of_total = "" if progress.rows_total is None else f" of {count(progress.rows_total)}"
    done = progress.rows_settled if progress.phase == "checking" else progress.rows_stored
    parts = [f"{count(done)}{of_total} rows {_DONE.get(progress.phase, 'stored')}"]
    if progress.phase in _COUNTED:
        parts.append(f"{count(rate.rows)} rows/s")
    if progress.rows_rejected:
        parts.append(f"{count(progress.rows_rejected)} rejected")
    if progress.retries:
        parts.append(f"{count(progress.retries)} retries")
    if progress.throttled_seconds >= 0.05:
        parts.append(f"throttled {duration(progress.throttled_seconds)}")
    if progress.phase in ("sending", "reading"):
        parts.append(f"{size(rate.bytes)}/s")
    if progress.phase == "sending":
        parts.append(f"{progress.in_flight} in flight")
    return parts


def _left(progress: Progress, rate: Rate) -> list[str]:
    remaining = rate.remaining(progress)
    return [] if remaining is None else [f"{duration(remaining)} left"]


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
        self._file_rates = _FileRates()
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
        for source, state in self._file_rates.describe(progress.seconds, self.files()) if self.files else ():
            self.line(f"headrace:   {source}: {state}")

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
    """A bar and lines of numbers that renew themselves; gone when the load ends.

    The phase, the bar, the share and the time that is left stand on the first line, everything else below it, on as
    many lines as the terminal's width needs: nothing is cut off, but for the first directories of a long path.
    """

    def __init__(self, console: Console) -> None:
        from rich.console import Console as RichConsole
        from rich.live import Live
        from rich.spinner import Spinner

        self._rate = Rate()
        self._file_rates = _FileRates()
        self._look = _Look("connecting")
        self._shown = console.shown
        self._console = RichConsole(file=console.stream, highlight=False)
        dots = "line" if self._console.options.ascii_only else "dots"
        self._spinner = Spinner(dots, style="progress.spinner")
        self._live = Live(
            get_renderable=self._render, console=self._console, transient=True, refresh_per_second=REFRESHES
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, progress: Progress, /) -> None:
        """Renew the bar."""
        self._rate.update(progress)
        # After the last row nobody knows how long the server takes.
        total = progress.rows_total if progress.phase in _COUNTED else None
        self._look = _Look(
            progress.phase,
            share=min(1.0, progress.rows_settled / total) if total else None,
            left=_left(progress, self._rate),
            numbers=_numbers(progress, self._rate),
            files=self._file_rates.describe(progress.seconds, self.files()) if self.files is not None else [],
        )

    def line(self, text: str, /) -> None:
        """Print a line above the bar."""
        self._console.print(self._shown(text), markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        """The lines at the terminal's present width; called by the thread that renews them."""
        from rich.console import Group
        from rich.text import Text

        look, width = self._look, self._console.width - INDENT
        lines = [*_wrapped(look.numbers, width), *(_fitted(*file, width) for file in look.files)]
        return Group(self._head(look), *(Text(" " * INDENT + self._shown(line)) for line in lines))

    def _head(self, look: _Look) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        head = Table.grid(padding=(0, 1, 0, 0))
        cells: list[RenderableType] = [self._spinner, look.phase]
        # Of the width alone, so that the bar does not tremble with the numbers beside it.
        width = min(BAR_WIDTH, self._console.width - BESIDE_BAR)
        if width >= LEAST_BAR:
            total = None if look.share is None else 1.0
            cells.append(ProgressBar(total, look.share or 0.0, width=width, pulse=look.share is None))
        share = [] if look.share is None else [f"{int(100 * look.share)} %"]
        head.add_row(*cells, ", ".join([*share, *look.left]))
        return head


@dataclass(frozen=True)
class _Look:
    """What the bar's thread is to show.

    Attributes:
        phase: What the load is doing.
        share: Rows that have their verdict by all rows; None where nobody knows how many there are.
        left: The time that is left, where it is known.
        numbers: Everything else in words.
        files: The name of each file that is being loaded, and where its rows stand.
    """

    phase: str
    share: float | None = None
    left: Sequence[str] = ()
    numbers: Sequence[str] = ()
    files: Sequence[tuple[str, str]] = ()


def _wrapped(parts: Sequence[str], width: int) -> list[str]:
    """``parts`` with commas between them, on as few lines of ``width`` characters as hold them whole."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return lines


def _fitted(source: str, state: str, width: int) -> str:
    """A file's line in ``width`` characters; of a long path the end, which tells files apart."""
    room = max(4, width - len(state) - 2)
    return f"{source if len(source) <= room else '...' + source[len(source) - room + 3 :]}: {state}"


def view(console: Console) -> View:
    """The view that fits where standard error goes."""
    if console.quiet:
        return QuietView()
    if console.log_format == "json":
        return JsonView(console)
    return TerminalView(console) if console.is_terminal else LineView(console)
