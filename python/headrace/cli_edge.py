"""The process edge of a command: every way it can end becomes an exit status, one line and one JSON document.

This is the one place that catches every exception. A traceback is shown only with ``HEADRACE_DEBUG=1``.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from headrace.console import Console, LogFormat
from headrace.errors import HeadraceError, InternalError, LoadError, TransportError
from headrace.signals import Interrupted, Signals

__all__ = ["at_edge", "error_status", "write_document"]

EXIT_UNEXPECTED, EXIT_REFUSED, EXIT_UNSENT = 1, 2, 4


def error_status(error: BaseException) -> int:
    """The exit status of a command that ended with ``error`` before anything was sent."""
    if isinstance(error, Interrupted):
        return error.exit_status
    if isinstance(error, LoadError):
        return error.report.exit_status
    if isinstance(error, TransportError):
        # Nothing is wrong with what was asked for: the same command may succeed later.
        return EXIT_UNSENT
    if isinstance(error, HeadraceError) and not isinstance(error, InternalError):
        return EXIT_REFUSED
    return EXIT_UNEXPECTED


def write_document(text: str) -> None:
    """Write the one JSON document of this process to standard output."""
    if sys.stdout is None:
        return
    try:
        # Undecodable bytes of a path are surrogates, which UTF-8 refuses; \udcxx is how JSON writes them.
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.flush()
    except OSError:
        # Whoever read went away, or the disk is full; the exit status still says how the command ended. Python
        # flushes again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def at_edge(function: Callable[..., int]) -> Callable[..., int]:
    """Turn a function ``(console, signals, **options) -> status`` into a command that never lets an error pass.

    The command has the option ``--log-format``; ``--quiet`` is for whoever has options.
    """

    @click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="json: standard error gets an object a line, for a program to read.",
    )
    @functools.wraps(function)
    def command(*, quiet: bool, log_format: LogFormat = "text", **options: Any) -> int:
        console = Console(quiet=quiet, log_format=log_format)
        try:
            with Signals(quiet=quiet, log_format=log_format) as signals:
                return function(console, signals, **options)
        except (click.ClickException, click.Abort):
            raise
        except (Interrupted, HeadraceError) as error:
            return _failed(console, error, str(error))
        except Exception as error:  # noqa: BLE001 - the process edge
            text = f"unexpected {type(error).__name__}: {error}; please report it (HEADRACE_DEBUG=1 shows where)"
            return _failed(console, error, text)

    return command


def _failed(console: Console, error: BaseException, text: str) -> int:
    status = error_status(error)
    if isinstance(error, Interrupted):
        text = f"{error.name}: stopped before anything was sent"
    if os.environ.get("HEADRACE_DEBUG") == "1":
        traceback.print_exception(error, file=console.stream)
    console.error(text)
    document = {"status": "failed", "error": type(error).__name__, "message": text, "exit_status": status}
    write_document(json.dumps(document, indent=2))
    return status
