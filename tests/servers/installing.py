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


def install(name, *requirements, beside=(), finish=None, interpreter=sys.executable):
    """The directory of the environment ``name`` with ``requirements``; its interpreter is ``venv/bin/python`` in it.

    The first call installs from the package index by name; later ones, in this or any other process, find it done.
    Another list of requirements makes the environment anew. ``beside`` are installed after them, under their versions
    as constraints, which are then in ``constraints.txt`` of the directory: what does not go with them fails. ``finish``
    is called with the directory after an installation, to do what is to be done once. ``interpreter`` is whose
    environment it becomes.
    """
    directory = CACHE / name
    directory.mkdir(parents=True, exist_ok=True)
    stamp, wanted = directory / "stamp", "\n".join([*requirements, *(f"beside: {it}" for it in beside)])
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            shutil.rmtree(directory / "venv", ignore_errors=True)
            _make(directory, requirements, beside, interpreter)
            if finish is not None:
                finish(directory)
            stamp.write_text(wanted)
    return directory


def _make(directory, requirements, beside, interpreter):
    # The project's own pins are not meant for a server's environment.
    environ = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
    environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    venv, constraints = directory / "venv", directory / "constraints.txt"
    # A distribution's interpreter may come without pip; ours installs into any environment.
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python")]
    bare = [] if interpreter == sys.executable else ["--without-pip"]
    run([str(interpreter), "-m", "venv", *bare, str(venv)], environ)
    run([*pip, "install", "--quiet", *requirements], environ)
    if beside:
        constraints.write_text(run([*pip, "freeze"], environ))
        run([*pip, "install", "--quiet", "--constraint", str(constraints), *beside], environ)


def run(command, environ):
    """Run a command to its end; what it wrote on standard output.

    Raises:
        RuntimeError: With what it wrote on standard error, if it fails.
    """
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with status {done.returncode}:\n{done.stderr}")
    return done.stdout
