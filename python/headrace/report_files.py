"""Reports that earlier loads left: found by file, state directory or collection, and read again."""

from __future__ import annotations

import json
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from headrace.errors import ConfigError, explain
from headrace.report import LoadReport
from headrace.state import state_home

__all__ = ["page_of", "read_report", "write_page"]

#: What every report has; the others came with later versions.
_NEEDED = [item.name for item in fields(LoadReport) if item.default is MISSING and item.default_factory is MISSING]


def read_report(name: str) -> dict[str, Any]:
    """The report that ``name`` means, as plain values with ``exit_status``.

    Args:
        name: A file with the report's JSON, ``"-"`` for standard input, a state directory, the name of a directory
            under :func:`headrace.state.state_home`, or a collection, of which the latest report is read.

    Raises:
        ConfigError: If there is no such report, or what is there is none.
    """
    where = "standard input" if name == "-" else str(_find(name))
    try:
        text = sys.stdin.read() if name == "-" else Path(where).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:
        reason = explain(where, "a load's report as JSON", str(error), "give what headrace load printed")
        raise ConfigError(reason) from error
    missing = [key for key in (*_NEEDED, "exit_status") if not isinstance(found, dict) or key not in found]
    if missing:
        said = found.get("message") if isinstance(found, dict) else None
        what = f"a load that sent nothing: {said}" if said else f"a document without {', '.join(missing[:3])}"
        raise ConfigError(explain(where, "a load's report", what, "give what headrace load printed"))
    return dict(found)


def page_of(name: str) -> Path:
    """Where the page of a report goes that nobody says a place for: beside its file, else into this directory.

    ``-``, standard output, for a report that comes from standard input.
    """
    path = Path(name)
    if name == "-":
        return path
    return path.with_suffix(".html") if path.is_file() else Path(f"{path.resolve().name}.html")


def write_page(path: Path, page: str, *, over: str | None = None) -> None:
    """Write a page.

    Args:
        path: Where to.
        page: The page.
        over: What a file that is there must have in it to be replaced; None to replace any.

    Raises:
        ConfigError: If it cannot be written, or another file is there.
    """
    try:
        if over is not None and path.exists() and over not in path.read_text(encoding="utf-8", errors="replace"):
            found, remedy = "a file that is no such page", "name the page with --html"
            raise ConfigError(explain(str(path), "no file, or an earlier page", found, remedy))
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        found = error.strerror or str(error)
        raise ConfigError(explain(str(path), "a file that can be written", found, "name another file")) from error


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_dir():
        return path / "report.json"
    if path.exists():
        return path
    reports = sorted(state_home().glob("*/report.json"), key=lambda report: report.stat().st_mtime, reverse=True)
    for report in reports:
        if report.parent.name == name or _collection(report) == name:
            return report
    remedy = "give the report's file, or the name of a collection that was loaded by this user"
    raise ConfigError(explain(name, "a load's report", f"no such file, and none in {state_home()}", remedy))


def _collection(report: Path) -> object:
    try:
        found = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found.get("collection") if isinstance(found, dict) else None
