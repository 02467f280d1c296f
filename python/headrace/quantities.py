"""Numbers as people read them."""

from __future__ import annotations

__all__ = ["count", "duration", "number_of", "size"]

_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(number: float) -> str:
    """``1234567`` as ``1,234,567``."""
    return f"{number:,.0f}"


def number_of(number: int, noun: str) -> str:
    """``1 row``, ``1,234 rows``: the number and what it counts, whose plural ends in s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(number: float) -> str:
    """Bytes in decimal units: ``4194304`` as ``4.2 MB``."""
    for unit in _UNITS[:-1]:
        if abs(number) < 999.5:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.0f} {_UNITS[-1]}"


def duration(seconds: float) -> str:
    """``0.42 s``, ``12.3 s``, ``2 min 05 s``, ``3 h 02 min``, ``8 d 03 h``."""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes // 60 % 24:02d} h"
