"""Environments for servers, apart from the project's own: each is made once and marked by a stamp file."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["CACHE", "install", "run"]

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "servers"


def install(name, *requirements, finish=None):
    """The directory of the environment ``name`` with ``requirements``; its interpreter is ``venv/bin/python`` in it.

    The first call installs from the package index by name; later ones, in this or any other process, find it done.
    Another list of requirements makes the environment anew. ``finish`` is called with the directory after an
    installation, to do what is to be done once.
    """
    directory = CACHE / name
    directory.mkdir(parents=True, exist_ok=True)
    stamp, wanted = directory / "stamp", "\n".join(requirements)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            shutil.rmtree(directory / "venv", ignore_errors=True)
            _make(directory / "venv", requirements)
            if finish is not None:
                finish(directory)
            stamp.write_text(wanted)
    return directory


def _make(venv, requirements):
    # The project's own pins are not meant for a server's environment.
    environ = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
    environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    for command in (
        [sys.executable, "-m", "venv", str(venv)],
        [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements],
    ):
        run(command, environ)


def run(command, environ):
    """Run a command to its end.

    Raises:
        RuntimeError: With what it wrote on standard error, if it fails.
    """
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with status {done.returncode}:\n{done.stderr}")
