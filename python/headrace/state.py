"""Where a load keeps its rejects and its report: one private directory per load."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from headrace.errors import ConfigError, explain

__all__ = ["open_state_dir", "write_private"]


def open_state_dir(wanted: Path | None, collection: str) -> Path:
    """Create the directory, readable by its owner only, and return it.

    Without ``wanted`` it is a new one under ``$XDG_STATE_HOME/headrace`` (by default ``~/.local/state/headrace``).

    :raises ConfigError: if it cannot be created or written to.
    """
    if wanted is None:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        stamp = time.strftime("%Y%m%dT%H%M%S")
        wanted = base / "headrace" / f"{collection}-{stamp}-{secrets.token_hex(3)}"
    remedy = "give a writable directory with --state-dir"
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        found = error.strerror or str(error)
        raise ConfigError(explain("state directory", f"{wanted} to be a directory", found, remedy)) from error
    if not os.access(wanted, os.W_OK | os.X_OK):
        raise ConfigError(explain("state directory", f"{wanted} to be writable", "no permission", remedy))
    return wanted


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` with ``text`` in one step, readable by its owner only."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
