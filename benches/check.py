"""Whether headrace has become slower: ratios of short runs of the benches against those that are kept.

    python -m benches.check [BENCH ...]

Times are not compared: they are the machine's. A ratio that is more than :data:`MOST` below the kept one is measured
twice again, in pairs of their own, and has fallen if the median of the three runs is. What was found is kept in
``benches/results/check.md``; the exit status is 1 where something fell.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benches.measure import RESULTS, environment, keep

__all__ = ["MOST", "Compared", "compared"]

#: By how much a ratio may fall.
MOST = 0.15
REPEATS = 2
#: A short form of each bench: the same figures in fewer turns.
QUICK: dict[str, tuple[str, ...]] = {
    "packing": ("--turns", "40"),
    "sizes": ("--turns", "10"),
    "mixed": (),
    "threads": (),
    "ordering": ("--turns", "100"),
    "journal": ("--quadruples", "2"),
    "blocking": ("--pairs", "1"),
    "startup": ("--turns", "7"),
    "client": ("--turns", "3"),
    "growth": ("--pairs", "3"),
    "memory": ("--gigabytes", "0.5"),
    "ingest": ("--pairs", "3"),
    "files": ("--pairs", "3"),
}

#: The median of each figure's ratios; the larger the better.
Medians = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Compared:
    """A kept ratio and what it is now: the median of the runs, or None where no run has it any more."""

    figure: str
    kept: float
    now: float | None

    @property
    def fell(self) -> bool:
        """Whether it is more than :data:`MOST` below the kept one, or gone."""
        return self.now is None or self.now < (1 - MOST) * self.kept


def compared(kept: Medians, runs: Sequence[Medians]) -> list[Compared]:
    """Each kept ratio beside the median of those of the runs."""
    found = {figure: [run[figure] for run in runs if figure in run] for figure in kept}
    return [Compared(figure, kept[figure], median(now) if now else None) for figure, now in found.items()]


def checked(bench: str) -> list[Compared]:
    """A bench's ratios now, repeated where one is below the kept one."""
    kept = medians(RESULTS / f"{bench}.json")
    runs = [run(bench)]
    if any(one.fell for one in compared(kept, runs)):
        runs += [run(bench) for _ in range(REPEATS)]
    return compared(kept, runs)


def run(bench: str) -> Medians:
    """The ratios of a short run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"benches.{bench}", *QUICK[bench]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"BENCH_RESULTS": folder})
        return medians(Path(folder) / f"{bench}.json")


def medians(path: Path) -> Medians:
    """The medians that :func:`benches.measure.keep` wrote."""
    figures = json.loads(path.read_text(encoding="utf-8"))
    return {figure: numbers["median"] for figure, numbers in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benches", nargs="*", metavar="BENCH", help=f"by default all: {', '.join(QUICK)}")
    chosen = parser.parse_args().benches or list(QUICK)
    unknown = [bench for bench in chosen if bench not in QUICK or not (RESULTS / f"{bench}.json").is_file()]
    if unknown:
        raise SystemExit(f"nothing is kept of {', '.join(unknown)}: run python -m benches.NAME first")
    lines = ["| bench | figure | kept | now | now by kept | |", "|---|---|---|---|---|---|"]
    fallen = 0
    for bench in chosen:
        for one in checked(bench):
            now = ("-", "-") if one.now is None else (f"{one.now:.2f}", f"{one.now / one.kept:.2f}")
            lines.append(f"| {bench} | {one.figure} | {one.kept:.2f} | {' | '.join(now)} | {'fell' * one.fell} |")
            sys.stderr.write(lines[-1] + "\n")
            fallen += one.fell
    how = f"{fallen} ratios fell by more than {MOST:.0%} in the median of {REPEATS + 1} short runs."
    keep("check", "Ratios now and as they are kept", f"{environment()} {how}\n\n" + "\n".join(lines))
    sys.exit(fallen > 0)


if __name__ == "__main__":
    main()
