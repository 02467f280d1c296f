"""This working copy as an installed package of another environment, as its wheel would be."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from tests.servers.installing import run

__all__ = ["ROOT", "link", "runtime"]

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
