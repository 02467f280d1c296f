"""Ends a server and removes its directory when the tests that started it have gone, kill -9 included.

Run as a program: ``guard.py DIRECTORY``. A line with a process id on standard input names the process to end; it is
answered with a line once it is held by a descriptor, so that no later process of that id can be meant. The end of
standard input is the end of whoever holds it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys

__all__ = ["Guard"]


class Guard:
    """A guard for one directory and, at any time, one process."""

    def __init__(self, directory):
        # A session of its own: an interrupt at the terminal must not end the guard before its work.
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def watch(self, pid):
        """Guard the process ``pid``, which its parent must not have waited for yet."""
        self._process.stdin.write(f"{pid}\n")
        self._process.stdin.flush()
        self._process.stdout.readline()

    def close(self):
        """End the process and remove the directory; returns when it is done."""
        self._process.communicate()


def _main(directory):
    # Whoever ends all processes of a test run must not end this one before its work.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    held = None
    for line in sys.stdin:
        if held is not None:
            os.close(held)
        held = os.pidfd_open(int(line))
        sys.stdout.write("watching\n")
        sys.stdout.flush()
    if held is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(held, signal.SIGKILL)
    # What a dying process still creates may defeat the first attempt.
    for _ in range(100):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):  # noqa: PTH110 - starts faster without pathlib
            return


if __name__ == "__main__":
    _main(sys.argv[1])
