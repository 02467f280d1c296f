"""Packages of the distribution, unpacked into a directory of their own: no root is needed, and nothing is installed.

What a library needs may be gigabytes on the package index and a hundred megabytes in a distribution.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.servers.installing import run

__all__ = ["INTERPRETER", "library_path", "unpack"]

#: The interpreter that the distribution's modules are compiled for.
INTERPRETER = Path("/usr/bin/python3")
_MODULES = "usr/lib/python3/dist-packages"


def unpack(package, home):
    """Unpack a package and what it needs beyond the installed packages into ``root`` of a directory.

    Its modules are then importable in ``venv`` of the directory, after those that are installed there.
    """
    root, archives = home / "root", home / "archives"
    for directory in (root, home / "lists" / "partial", archives / "partial"):
        directory.mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State::Lists": home / "lists",
        "Dir::Cache": home,
        "Dir::Cache::Archives": archives,
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "",
    }
    apt = ["apt-get", "-qq", *(f"--option={name}={value}" for name, value in options.items())]
    environ = dict(os.environ)
    run([*apt, "update"], environ)
    run([*apt, "--yes", "--no-install-recommends", "--download-only", "install", package], environ)
    for archive in sorted(archives.glob("*.deb")):
        run(["dpkg-deb", "--extract", str(archive), str(root)], environ)
        archive.unlink()
    (site,) = (home / "venv").glob("lib/python*/site-packages")
    (site / "debian.pth").write_text(f"{root / _MODULES}\n/{_MODULES}\n")


def library_path(home):
    """``LD_LIBRARY_PATH`` for what :func:`unpack` unpacked."""
    folders = {path.parent for path in (home / "root").rglob("*.so*") if _MODULES not in str(path)}
    return os.pathsep.join(sorted(map(str, folders)))
