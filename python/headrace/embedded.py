"""Milvus Lite for a ``.db`` URI, as a child process that ends with this one.

In this process it would import pymilvus and pandas and load ``.env`` files into the environment. One child serves
all users of a database in this process; the last one to let go ends it. The child sees the end of this process,
kill -9 included, by the end of its standard input. A ``.db`` path is Milvus Lite's data directory itself, as it is
for pymilvus: databases made by one open with the other.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

from headrace.errors import EmbeddedError, MissingExtraError, explain

__all__ = ["EmbeddedServer", "Lease", "acquire", "acquire_async"]

#: Seconds for the child to import its engine and answer. A child that fails says so at once; this bounds a hang.
START_SECONDS = 60.0
#: Seconds that a start waits for a database whose last user is just closing it.
LOCK_SECONDS = 5.0
#: Seconds for the child to close its database before it is killed.
STOP_SECONDS = 15.0
#: Lines of the child's log that are kept for an error text.
_LOG_LINES = 40
_LOG_WIDTH = 400
_LOG_PIECE = 4096

_CHILD = Path(__file__).with_name("_embedded_child.py")
_NEEDED = ("milvus_lite", "pymilvus")


class EmbeddedServer:
    """One child process serving one database. Use :func:`acquire`, which shares it.

    Attributes:
        path: The database's real path.
        address: ``127.0.0.1:port`` once started.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = ""
        self.users = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._reader: threading.Thread | None = None

    def start(self) -> str:
        """Start the child and wait until it serves; returns the address.

        Waits :data:`LOCK_SECONDS` for a database that is in use.

        Raises:
            MissingExtraError: If Milvus Lite is not installed.
            EmbeddedError: If another process holds the database, or the child did not start.
        """
        _require_engine()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        report, child_report = os.pipe()
        try:
            try:
                self._spawn(child_report)
            finally:
                os.close(child_report)
            answer = self._read_report(report)
        except BaseException:
            self.stop()
            raise
        finally:
            os.close(report)
        self.address = f"127.0.0.1:{answer['port']}"
        return self.address

    def stop(self) -> None:
        """Let the child close its database and wait for its end; kill it where that takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()

    @property
    def pid(self) -> int | None:
        """The child's process id while it is held."""
        return None if self._process is None else self._process.pid

    @property
    def ended(self) -> str:
        """What to say of a child that ended by itself; empty while it runs."""
        status = None if self._process is None else self._process.poll()
        if status is None:
            return ""
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"the embedded Milvus Lite at {self.path} ended with {how}{self._tail()}"

    def forget(self) -> None:
        """In a forked child: let go of what belongs to the parent, without ending it."""
        process, self._process = self._process, None
        if process is not None:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            # Not ours to wait for, and its destructor would warn about it.
            process.returncode = 0

    def _spawn(self, child_report: int) -> None:
        arguments = [str(self.path), str(child_report), str(os.getpid()), str(LOCK_SECONDS)]
        # -P keeps the script's own directory, which is this package, out of the child's import path. The engine
        # needs none of the MILVUS_ variables, and importing pymilvus fails where MILVUS_URI is a path.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MILVUS_")}
        if python_path := environment.get("PYTHONPATH"):
            # Relative entries would mean other directories in the child's working directory.
            entries = (str(Path(entry).absolute()) for entry in python_path.split(os.pathsep))
            environment["PYTHONPATH"] = os.pathsep.join(entries)
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Raw pipes: the lock of a buffered one, held by the reading thread, would stay locked in a forked child.
            bufsize=0,
            pass_fds=(child_report,),
            cwd=self.path.anchor,
            env=environment,
            # Ctrl-C in a terminal goes to the whole process group; the parent decides when this child ends.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_log, name="headrace-embedded-log", daemon=True)
        self._reader.start()

    def _read_log(self) -> None:
        stream = None if self._process is None else self._process.stdout
        if stream is None:
            return
        with stream:
            rest = b""
            while piece := stream.read(_LOG_PIECE):
                *lines, rest = (rest + piece).split(b"\n")
                self._log.extend(_shown(line) for line in lines)
                rest = rest[-_LOG_WIDTH:]
            if rest:
                self._log.append(_shown(rest))

    def _read_report(self, descriptor: int) -> dict[str, object]:
        deadline = time.monotonic() + START_SECONDS + LOCK_SECONDS
        received = b""
        while not received.endswith(b"\n"):
            remaining = deadline - time.monotonic()
            ready = remaining > 0 and select.select([descriptor], [], [], remaining)[0]
            if not ready:
                raise self._failed(f"no answer within {START_SECONDS:g} s", "try again on a less busy machine")
            piece = os.read(descriptor, 4096)
            if not piece:
                raise self._failed("a child process that ended", "see its output above")
            received += piece
        answer: dict[str, object] = json.loads(received)
        if answer.get("error") == "DataDirLockedError":
            raise EmbeddedError(
                explain(
                    f"database {self.path}",
                    "no other process using it",
                    "one that holds its lock",
                    "end the other process, or run a Milvus server that both can use",
                ),
                path=str(self.path),
            )
        if "port" not in answer:
            remedy = "check that the path is a Milvus Lite database or does not exist yet"
            raise self._failed(f"{answer.get('error')}: {answer.get('reason')}", remedy)
        return answer

    def _failed(self, found: str, remedy: str) -> EmbeddedError:
        # The child's last words come after its report: let them arrive.
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._reader is not None:
            self._reader.join(1.0)
        text = explain(f"database {self.path}", "Milvus Lite to start", found, remedy)
        return EmbeddedError(text + self._tail(), path=str(self.path))

    def _tail(self) -> str:
        return "".join(f"\n  | {line}" for line in self._log)


class Lease:
    """One user's hold on an embedded server; ``address`` is where it answers."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server: EmbeddedServer | None = server
        self.address = server.address

    def __repr__(self) -> str:
        return f"Lease({self.address!r})"

    @property
    def ended(self) -> str:
        """What to say of a server that ended by itself; empty while it runs."""
        return "" if self._server is None else self._server.ended

    @property
    def pid(self) -> int | None:
        """The server's process id; None after the release."""
        return None if self._server is None else self._server.pid

    def release(self) -> None:
        """Let go; the last one to do so waits until the database is closed. Does nothing the second time."""
        server, self._server = self._server, None
        if server is not None:
            _registry.release(server)


class _Registry:
    """The servers of this process by real path."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[Path, EmbeddedServer] = {}

    def acquire(self, path: Path) -> Lease:
        real = Path(os.path.realpath(path.expanduser()))
        with self._lock:
            server = self._servers.get(real)
            if server is not None and server.ended:
                # A child that died took nobody's data with it; its users see errors, new users a new child.
                del self._servers[real]
                server.stop()
                server = None
            if server is None:
                server = EmbeddedServer(real)
                server.start()
                self._servers[real] = server
            server.users += 1
            return Lease(server)

    def release(self, server: EmbeddedServer) -> None:
        with self._lock:
            server.users -= 1
            if server.users > 0 or self._servers.get(server.path) is not server:
                return
            del self._servers[server.path]
            server.stop()

    def stop_all(self) -> None:
        """At exit: close what nobody released."""
        with self._lock:
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.stop()

    def forget_all(self) -> None:
        """In a forked child: the servers are the parent's, and the lock may have been held there."""
        self._lock = threading.Lock()
        servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.forget()


_registry = _Registry()
atexit.register(_registry.stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_registry.forget_all)


def acquire(path: Path) -> Lease:
    """A hold on the server of the database at ``path``, which is started where no one in this process uses it yet.

    Blocks until it answers. The database is created where it does not exist.

    Raises:
        MissingExtraError: If Milvus Lite is not installed.
        EmbeddedError: If another process holds the database, or the child did not start.
    """
    return _registry.acquire(path)


async def acquire_async(path: Path) -> Lease:
    """:func:`acquire` without blocking the loop; a cancelled call lets go of what it was about to get.

    Raises:
        MissingExtraError: If Milvus Lite is not installed.
        EmbeddedError: If another process holds the database, or the child did not start.
    """
    start = _Start(path)
    try:
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, start.run))
    except asyncio.CancelledError:
        if lease := start.abandon():
            await asyncio.to_thread(lease.release)
        raise


class _Start:
    """One start in a worker thread, which may be abandoned while it runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._abandoned = False
        self._lease: Lease | None = None

    def run(self) -> Lease:
        lease = acquire(self._path)
        with self._lock:
            self._lease = lease
            abandoned = self._abandoned
        if abandoned:
            lease.release()
        return lease

    def abandon(self) -> Lease | None:
        """The lease to release where the start is over, else None: its thread then releases it."""
        with self._lock:
            self._abandoned = True
            return self._lease


def _shown(line: bytes) -> str:
    return line[:_LOG_WIDTH].decode(errors="replace").rstrip()


def _require_engine() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            explain(
                "embedded database",
                "the extra headrace[lite]",
                f"no package {' and '.join(missing)}",
                "run: pip install 'headrace[lite]'",
            )
        )
