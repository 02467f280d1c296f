"""The scenarios, a module for each kind of call."""

from __future__ import annotations

import importlib
import pkgutil

from tests.integration.client.harness import SCENARIOS

__all__ = ["SCENARIOS"]

for _module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
