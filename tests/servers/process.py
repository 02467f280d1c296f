"""A server as a process of its own, with its data in a temporary directory that goes with it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from tests.servers.guard import Guard

__all__ = ["PortTakenError", "ServerFailedError", "ServerProcess", "clean_environment"]

#: Seconds until a server must answer.
PATIENCE = 180.0
#: Fresh ports are tried so often, each time somebody else was faster.
ATTEMPTS = 5


class ServerFailedError(RuntimeError):
    """The server did not start, or ended by itself; the message has the end of its log."""


class PortTakenError(Exception):
    """Somebody else listens on one of the ports that were chosen."""


class ServerProcess:
    """A server; entering starts it, leaving ends it and removes its data, also where the tests are killed.

    A subclass says how: :meth:`_configure`, :meth:`_command` and :meth:`_is_ready`.

    Attributes:
        directory: Its data, configuration and log; None while there is none.
    """

    #: What its directory's name begins with.
    name = "server"

    def __init__(self):
        self._process = None
        self._guard = None
        self._lock = threading.Lock()
        self.directory = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc_info):
        self.stop()

    # -- what a subclass says ----------------------------------------------------------------------------------------

    @property
    def address(self):
        """``host:port``."""
        raise NotImplementedError

    def _configure(self):
        """Choose free ports and write what the server reads at its start.

        Raises:
            PortTakenError: If a port is found not to be free.
        """
        raise NotImplementedError

    def _command(self):
        """The command line and the environment."""
        raise NotImplementedError

    def _is_ready(self):
        """Whether the server answers; asked again and again while it starts.

        Raises:
            PortTakenError: If it never will.
        """
        raise NotImplementedError

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def uri(self):
        """The address as headrace and pymilvus take it."""
        return f"http://{self.address}"

    @property
    def pid(self):
        """The server's process id."""
        return self._process.pid

    @property
    def running(self):
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def tail(self, lines=40):
        """The end of the server's log."""
        with self._log.open(errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    # -- its life ----------------------------------------------------------------------------------------------------

    def start(self):
        """Start on fresh data and free ports; returns when the server answers.

        Raises:
            ServerFailedError: If it does not within three minutes.
        """
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self._guard = Guard(self.directory)
        try:
            self._start_somewhere()
        except BaseException:
            self.stop()
            raise

    def kill(self):
        """Kill -9: nothing is finished, nothing is flushed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self):
        """Kill it if it runs, and start it again on the same data and ports; returns when it answers.

        Raises:
            ServerFailedError: If it does not within three minutes.
        """
        self.kill()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._run()
            except PortTakenError:
                if time.monotonic() > deadline:
                    raise ServerFailedError(f"a port of {self.address} stays taken:\n{self.tail()}") from None

    def stop(self):
        """End it and remove its data; twice does no harm."""
        with self._lock:
            self.kill()
            self._process = None
            guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()
        self.directory = None

    # -- how ---------------------------------------------------------------------------------------------------------

    @property
    def _log(self):
        return self.directory / "server.log"

    def _start_somewhere(self):
        for _ in range(ATTEMPTS):
            try:
                self._configure()
                return self._run()
            except PortTakenError:
                continue
        raise ServerFailedError(f"ports were taken {ATTEMPTS} times in a row")

    def _run(self):
        command, environ = self._command()
        with self._log.open("a") as log:
            began = log.tell()
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)
        try:
            self._wait(began)
        except BaseException:
            self.kill()
            raise

    def _wait(self, began):
        """Return when the server is ready."""
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            try:
                # As good a pause as any, and it ends with the process.
                status = self._process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    raise ServerFailedError(f"no answer within {PATIENCE:g} s:\n{self.tail()}") from None
            else:
                if b"address already in use" in self._log_since(began).lower():
                    raise PortTakenError
                raise ServerFailedError(f"ended with status {status} while starting:\n{self.tail()}")

    def _log_since(self, began):
        with self._log.open("rb") as log:
            log.seek(began)
            return log.read()


def clean_environment():
    """Servers take variables for settings, so they get none by accident."""
    return {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
