"""The child process that runs Milvus Lite; started as a script by :mod:`headrace.embedded`, never imported.

Usage: ``python -P _embedded_child.py DATA_DIR REPORT_FD PARENT_PID LOCK_SECONDS``. One JSON line on REPORT_FD says
``{"port": n}`` or ``{"error": kind, "reason": text}``; what Milvus Lite prints goes to standard output and error.
It serves until its standard input ends (the parent lets go of it, or died) or the parent's process is gone.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import sys
import threading
import time
from typing import Any

#: Seconds for calls in flight and for closing the database, after which the process ends regardless.
_GRACE_SECONDS = 2.0
_CLOSE_SECONDS = 10.0


def _report(descriptor: int, **fields: object) -> None:
    # A parent that died has closed the other end; the watch in _wait_for_parent ends this process.
    with contextlib.suppress(OSError):
        os.write(descriptor, json.dumps(fields).encode() + b"\n")
        os.close(descriptor)


def _wait_for_parent(parent: int) -> None:
    """Return when standard input ends or the parent is gone, without polling.

    A copy of the pipe in a process that the parent forked would keep it open after the parent's death, so the
    parent itself is watched as well where the system can (Linux 5.3). Not PR_SET_PDEATHSIG: that signal comes when
    the *thread* that started this process ends.
    """
    poll = select.poll()
    poll.register(0, select.POLLIN)
    try:
        poll.register(os.pidfd_open(parent), select.POLLIN)
    except (AttributeError, OSError):
        if os.getppid() != parent:
            return
    if os.getppid() == parent:
        poll.poll()


def _open_database(data_dir: str, lock_seconds: float) -> tuple[Any, Any, int]:
    # pymilvus loads a .env found above its own files into the environment when it is imported: that would be the
    # .env of the project whose virtual environment it is installed in.
    dotenv: Any = importlib.import_module("dotenv")
    dotenv.load_dotenv = lambda *_args, **_kwargs: False

    start_server = importlib.import_module("milvus_lite.adapter.grpc.server").start_server_in_thread
    locked_error = importlib.import_module("milvus_lite.exceptions").DataDirLockedError

    deadline = time.monotonic() + lock_seconds
    while True:
        try:
            # Port 0: the system picks a free one and gRPC binds it in the same step. A port picked beforehand
            # could be bound by two gRPC servers at once (SO_REUSEPORT).
            server, database, port = start_server(data_dir=data_dir, host="127.0.0.1", port=0)
        except locked_error:
            # The engine of a process that has just ended may still be closing.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return server, database, port


def main() -> int:
    """Serve until the parent lets go; the exit status says why it ended early."""
    data_dir, descriptor, parent, lock_seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    try:
        server, database, port = _open_database(data_dir, lock_seconds)
    except Exception as error:  # noqa: BLE001 - process edge: whatever went wrong is the parent's to tell
        _report(descriptor, error=type(error).__name__, reason=str(error))
        return 1
    _report(descriptor, port=port)
    _wait_for_parent(parent)
    guard = threading.Timer(_CLOSE_SECONDS, os._exit, (1,))
    guard.daemon = True
    guard.start()
    server.stop(grace=_GRACE_SECONDS).wait()
    database.close()
    return 0


if __name__ == "__main__":
    # Not sys.exit: nothing of the engine's threads or handlers may hold the process, or its lock, after this.
    status = main()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
