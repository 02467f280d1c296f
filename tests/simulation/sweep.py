"""The best fixed setting of a model, by trying them all."""

from __future__ import annotations

from tests.simulation.loads import MIB, ROOM, run

__all__ = ["GRID", "sweep"]

#: Requests in flight and request sizes for which there is memory.
GRID = [
    (in_flight, int(size * MIB))
    for in_flight in (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
    for size in (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 6, 12)
    if in_flight * size * MIB <= ROOM
]


def sweep(model, *, since=5.0, seconds=30.0):
    """Bytes per second of each fixed setting without noise, best first."""
    found = [(run(model.quiet(), seconds=seconds, fixed=setting).throughput(since), setting) for setting in GRID]
    return sorted(found, reverse=True)
