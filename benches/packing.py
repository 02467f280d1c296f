"""Packing against memcpy and against pymilvus, in one run: ``python -m benches.packing``.

Every turn packs one of several sources and, next to it, copies a source of the same size into a fresh ``bytes``, so
that both meet the same machine. Ratios are medians over the turns' own ratios. Answers are checked by parsing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from benches.columns import Case, all_cases
from benches.measure import SOURCES, copies_of, environment, in_turn, keep, require_release_build, timed
from headrace._proto import milvus_pb2
from headrace.columns import to_batch
from headrace.packing import make_packer

TURNS = 160
PEER_TURNS = 6


@dataclass
class Figures:
    """What one case took."""

    case: Case
    size: int
    seconds: list[float]
    ratios: list[float]
    row_seconds: list[float] = field(default_factory=list)
    column_seconds: list[float] = field(default_factory=list)


def run(case: Case, turns: int) -> Figures:
    packer = make_packer(case.schema, collection_name="bench", columns=list(case.sources[0]))
    batches = [to_batch(source, case.schema) for source in case.sources]
    size = 0
    for batch, source in zip(batches, case.sources, strict=True):
        packed = packer.pack_insert(batch)
        if not case.check(milvus_pb2.InsertRequest.FromString(packed), source):
            raise SystemExit(f"{case.name}: the packed request does not hold the source's values")
        size = len(packed)
    del packed
    copies = copies_of(size)
    seconds, copied = in_turn([lambda at: packer.pack_insert(batches[at]), lambda at: bytes(copies[at])], turns)
    figures = Figures(case, size, seconds, [theirs / ours for ours, theirs in zip(seconds, copied, strict=True)])
    for at in range(min(PEER_TURNS, turns)):
        if case.rows is not None:
            figures.row_seconds.append(timed(pymilvus_rows(case, at % SOURCES)))
        if case.columns is not None:
            figures.column_seconds.append(timed(pymilvus_columns(case, at % SOURCES)))
    return figures


def ratios_of(figures: list[Figures]) -> dict[str, list[float]]:
    """What may not fall."""
    ratios = {}
    for each in figures:
        ratios[f"{each.case.name}: of memcpy"] = each.ratios
        for kind, peer in (("rows", each.row_seconds), ("columns", each.column_seconds)):
            if peer:
                seconds = median(each.seconds)
                ratios[f"{each.case.name}: times pymilvus, {kind}"] = [theirs / seconds for theirs in peer]
    return ratios


def pymilvus_rows(case: Case, at: int) -> Callable[[], bytes]:
    """What ``MilvusClient.insert`` does with rows before the network. Making the rows is not counted."""
    from pymilvus.client.prepare import Prepare

    rows = case.rows(case.sources[at])
    return lambda: Prepare.row_insert_param("bench", rows, "", fields_of(case)).SerializeToString()


def pymilvus_columns(case: Case, at: int) -> Callable[[], bytes]:
    """What ``Collection.insert`` does with columns (a ``DataFrame`` becomes such lists first, which is not counted)."""
    from pymilvus.client.prepare import Prepare

    columns = zip(fields_of(case), case.columns(case.sources[at]), strict=True)
    entities = [{"name": f["name"], "type": f["type"], "values": values} for f, values in columns]
    return lambda: Prepare.batch_insert_param("bench", entities, "", fields_of(case)).SerializeToString()


def fields_of(case: Case) -> list[dict]:
    from pymilvus import DataType

    return [
        {
            "name": f.name,
            "type": DataType(int(f.dtype)),
            "params": {"dim": f.dim} if f.dim else {},
            "is_primary": f.is_primary,
        }
        for f in case.schema
    ]


def table(figures: list[Figures]) -> str:
    lines = [
        "| request | MB | GB/s | of memcpy (lowest, highest tenth) | times pymilvus, rows | columns | target |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in figures:
        seconds, ratios = median(each.seconds), sorted(each.ratios)
        low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
        peers = [f"{median(peer) / seconds:.0f}" if peer else "" for peer in (each.row_seconds, each.column_seconds)]
        lines.append(
            f"| {each.case.name} | {each.size / 1e6:.1f} | {each.size / seconds / 1e9:.2f} | {median(ratios):.2f} "
            f"({low:.2f}, {high:.2f}) | {peers[0]} | {peers[1]} | {each.case.target} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run every case, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--only", default="", help="cases whose name has this in it; nothing is kept then")
    arguments = parser.parse_args()
    require_release_build()
    figures = []
    for make in all_cases(np.random.default_rng(1)):
        figures.extend(run(case, arguments.turns) for case in make() if arguments.only in case.name)
    if arguments.only:
        print(table(figures))
        return
    how = (
        f"{SOURCES} rotating sources, {arguments.turns} turns, each with a memcpy of the same size into a fresh "
        f"`bytes`; pymilvus {PEER_TURNS} times. CPU time of the thread."
    )
    keep("packing", "Packing", f"{environment()} {how}\n\n{table(figures)}", ratios_of(figures))


if __name__ == "__main__":
    main()
