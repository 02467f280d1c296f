"""SIGINT and SIGTERM for a command: the first stops it in order, the second leaves at once."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from headrace.console import LogFormat

__all__ = ["Interrupted", "Signals"]

_SHOW_CURSOR = b"\x1b[?25h"


class Interrupted(BaseException):
    """A signal came where nothing has to be brought to an end first; ``exit_status`` is 128 plus its number.

    Like KeyboardInterrupt not an Exception, so that nothing on the way takes it for an error of its own.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        self.exit_status = 128 + signal.Signals[name].value


class Signals:
    """Handles SIGINT and SIGTERM of this process while it is entered; in the main thread only.

    While :attr:`stop` is None the first signal raises :class:`Interrupted` in the main thread. While it is set, the
    first signal calls it with the signal's name, and whoever set it brings its work to an end. A second signal of
    either kind ends the process at once with status 130 or 143.
    """

    def __init__(self, *, quiet: bool = False, log_format: LogFormat = "text") -> None:
        self.stop: Callable[[str], None] | None = None
        self.quiet = quiet
        self._log_format = log_format
        self._stopping = False
        self._before: list[tuple[signal.Signals, Callable[[int, FrameType | None], object] | int | None]] = []

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before.append((number, signal.signal(number, self._handle)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._stopping:
            if sys.stderr.isatty():
                os.write(2, _SHOW_CURSOR)
            # No cleanup on purpose: it is what hangs.
            os._exit(128 + number)
        self._stopping = True
        if self.stop is None:
            raise Interrupted(name)
        self.stop(name)
        if not self.quiet:
            # Not print: the handler may interrupt a print.
            text = f"{name}: finishing what is in flight; once more to leave at once"
            if self._log_format == "json":
                line = json.dumps({"time": round(time.time(), 3), "event": "line", "message": text}) + "\n"
            else:
                line = f"\nheadrace: {text}\n"
            os.write(2, line.encode())
