"""This working copy as an installed package of another environment, as its wheel would be; and programs run in it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.servers.installing import run
from tests.servers.process import clean_environment

__all__ = ["ROOT", "link", "run_linked", "runtime"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "python"


def runtime():
    """What headrace itself needs, as its wheel would ask for it."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "dependencies.py")], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def link(home):
    """Install this working copy into ``venv`` of a directory: packages by path, metadata as the wheel has it."""
    (site,) = (home / "venv").glob("lib/python*/site-packages")
    # In the environment itself, so that it goes when that is made anew.
    wanted, stamp = (ROOT / "pyproject.toml").read_text(), site / "headrace-linked"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (site / "headrace.pth").write_text(f"{PACKAGES}\n")
        if not stamp.exists() or stamp.read_text() != wanted:
            maturin = Path(sys.executable).with_name("maturin")
            run([str(maturin), "pep517", "write-dist-info", "--metadata-directory", str(site)], dict(os.environ))
            stamp.write_text(wanted)


def run_linked(home, program, folder, *arguments, values=None, seconds, environ=None):
    """Run a program to its end, in ``folder``, with the interpreter of ``venv`` of a directory and this headrace in it.

    Its arguments are ``arguments``, and after them ``values`` as a JSON document where there are any; ``environ`` is in
    its environment, and it has so many ``seconds``. Returns the finished process, with its output as text.

    Raises:
        RuntimeError: With what it wrote, if it fails.
    """
    link(home)
    programs = home / "venv" / "bin"
    done = subprocess.run(
        [str(programs / "python"), str(program), *arguments, *([json.dumps(values)] if values else [])],
        cwd=folder,
        env={
            **clean_environment(),
            "HOME": str(folder),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(folder / "state"),
            **(environ or {}),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stdout[-6000:]}{done.stderr[-12000:]}")
    return done
