"""Prints the runtime dependencies that pyproject.toml declares, one requirement a line.

Usage: python scripts/dependencies.py [--extra NAME]... [--oldest]

``--oldest`` turns every ``name>=version`` into ``name==version``: what the wheel is tested against.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
#: ``name>=version``, then nothing or an upper bound.
_LOWER_BOUND = re.compile(r"(?P<name>[A-Za-z0-9._-]+(\[[a-z,]+\])?)>=(?P<version>[0-9][0-9.]*)(,.*)?")


def oldest(requirement: str) -> str:
    """The requirement pinned to its lower bound.

    Raises:
        ValueError: If it has none: every runtime dependency must say what it was proven with.
    """
    match = _LOWER_BOUND.fullmatch(requirement.replace(" ", ""))
    if match is None:
        raise ValueError(f"pyproject.toml: expected name>=version, found {requirement!r}; give a lower bound")
    return f"{match['name']}=={match['version']}"


def requirements(extras: list[str]) -> list[str]:
    """The declared requirements, those of ``extras`` after the common ones."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    found: list[str] = list(project["dependencies"])
    for extra in extras:
        found += project["optional-dependencies"][extra]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the runtime dependencies that pyproject.toml declares.")
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--oldest", action="store_true")
    arguments = parser.parse_args()
    for requirement in requirements(arguments.extra):
        sys.stdout.write((oldest(requirement) if arguments.oldest else requirement) + "\n")


if __name__ == "__main__":
    main()
