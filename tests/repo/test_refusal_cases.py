"""Every reason of the core has a case that produces it from Python, in tests/refusals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.refusals.cells import CELLS
from tests.refusals.columns import COLUMNS

ERRORS = Path(__file__).parents[2] / "rust" / "error.rs"
CASES = {"CellReason": {case.reason for case in CELLS}, "ColumnReason": {reason for reason, *_ in COLUMNS}}


def variants(enum: str) -> set[str]:
    """The variants of an enum of ``rust/error.rs``."""
    body = ERRORS.read_text(encoding="utf-8").partition(f"pub enum {enum} {{")[2].partition("\n}\n")[0]
    return set(re.findall(r"^    ([A-Z]\w+)", body, re.MULTILINE))


@pytest.mark.parametrize("enum", CASES)
def test_every_reason_is_produced_from_python(enum):
    assert variants(enum) == CASES[enum]
    assert len(CASES[enum]) > 5
