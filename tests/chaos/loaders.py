"""The loaders that faults are tried on, each as a process of its own, because that is what a kill ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["LOADERS", "Loader", "Loading"]

#: Seconds that a load may take in all.
PATIENCE = 900.0


def _headrace(uri, collection, case):
    command = [sys.executable, "-m", "headrace", "load", str(case.path), "--collection", collection, "--uri", uri]
    return [*command, "--create", "--state-dir", str(case.path.parent / "state"), *case.options]


def _pymilvus(retries):
    def command(uri, collection, case):
        return [sys.executable, "-m", "tests.chaos.pymilvus_loop", uri, collection, str(case.path), str(retries)]

    return command


@dataclass(frozen=True)
class Loader:
    """One way to load a file.

    Attributes:
        command: The command line, of ``(uri, collection, case)``.
        plain: Whether it takes plain cases only.
    """

    command: Callable
    plain: bool

    def start(self, uri, collection, case):
        """Begin a load of ``case``, which goes on where an earlier one ended if this loader can."""
        return Loading(self.command(uri, collection, case), case.path.parent)


LOADERS = {
    "headrace": Loader(_headrace, plain=False),
    "pymilvus": Loader(_pymilvus(0), plain=True),
    "pymilvus-retry": Loader(_pymilvus(5), plain=True),
}


class Loading:
    """A load that goes on; as a context manager it leaves no process behind."""

    def __init__(self, command, directory):
        environ = {key: value for key, value in os.environ.items() if not key.startswith("MILVUS_")}
        self._out, self._err = directory / "out", directory / "err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = subprocess.Popen(command, env=environ, stdout=out, stderr=err)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.kill()

    @property
    def ended(self):
        """Whether the process has ended."""
        return self._process.poll() is not None

    def stop(self):
        """Let it do nothing from now on, for instance read an answer; what is under way arrives."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self):
        """Kill -9."""
        self._process.kill()
        self._process.wait()

    def wait(self, seconds):
        """Return when it has ended, or after so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def finish(self):
        """Wait for its end; returns the exit status.

        Raises:
            TimeoutError: If it does not come.
        """
        self.wait(PATIENCE)
        if not self.ended:
            raise TimeoutError(f"the load did not end: {self._err.read_text()[-2000:]}")
        return self._process.returncode

    @property
    def report(self):
        """The report on its standard output; None where there is none."""
        text = self._out.read_text()
        return json.loads(text) if text.startswith("{") else None

    @property
    def said(self):
        """The end of what it wrote for people."""
        return self._err.read_text()[-1000:]
