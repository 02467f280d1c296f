"""What Airflow's configuration decides, and the names that a task's state has."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from airflow.configuration import conf

from headrace.state import state_home

__all__ = ["default_deferrable", "most_mapped", "task_state_dir"]


def default_deferrable() -> bool:
    """``operators.default_deferrable``."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def most_mapped() -> int:
    """``core.max_map_length``: to how many values a task can be mapped."""
    return int(conf.getint("core", "max_map_length", fallback=1024))


def task_state_dir(base: str | None, context: Any) -> Path:
    """The directory that every try of this task instance shares, and no other task instance has.

    Args:
        base: The directory that it is in; None for ``$XDG_STATE_HOME/headrace/airflow``.
        context: The task's context.
    """
    instance = context["ti"]
    key = [instance.dag_id, instance.task_id, instance.run_id, instance.map_index]
    name = ".".join(
        [instance.dag_id, instance.task_id, *([str(instance.map_index)] if instance.map_index >= 0 else [])]
    )
    readable = re.sub(r"[^\w.-]+", "_", name)[-80:]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    home = state_home() / "airflow" if base is None else Path(base)
    return home / f"{readable}-{digest}"
