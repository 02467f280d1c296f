"""One run: a seed, a load, its fault, and the proof of what is stored afterwards."""

from __future__ import annotations

import functools
import random
import re
import tempfile
import time
from pathlib import Path

import headrace
from tests.chaos.case import Case
from tests.chaos.faults import FAULTS, Trial
from tests.chaos.loaders import LOADERS
from tests.chaos.proof import prove
from tests.servers.proxy import Proxy

__all__ = ["run"]

ROWS = 8_000
#: On a line of 50 kB/s.
FEW = 3_000


def run(server, seed, *, loader="headrace"):
    """The line of the log of :func:`_carry_out`, or one with an ``error``."""
    began = time.monotonic()
    try:
        line = _carry_out(server, seed, loader)
    except Exception as error:  # noqa: BLE001 - a run that fails is a finding, and the others go on
        line = {"seed": seed, "loader": loader, "ok": False, "error": repr(error)}
    return line | {"seconds": round(time.monotonic() - began, 1)}


def _carry_out(server, seed, loader):
    """Carry out what ``seed`` (the fault's name, a dash and a number) describes; returns its line of the log.

    The fields of a line: ``missing``, ``doubled`` and ``wrong`` rows; ``strikes`` with the writes that were unanswered
    at each, and how many of them ``counted``; ``restarts``, how often a load that had ended by itself without all rows
    was begun again; ``ok``, whether every row is there once and the loader knows it.
    """
    fault, _, _ = seed.rpartition("-")
    rng = random.Random(seed)
    collection = re.sub(r"\W", "_", f"{loader}_{seed}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory, Proxy(server.address) as network:
        rows = FEW if fault == "bad-line" else ROWS
        case = Case(rng, Path(directory), rows, plain=LOADERS[loader].plain)
        if case.earlier is not None:
            headrace.load(
                case.earlier,
                collection=collection,
                uri=server.uri,
                create=True,
                state_dir=case.earlier.parent / "earlier",
            )
        start = functools.partial(LOADERS[loader].start, network.uri, collection, case)
        trial = Trial(server, network, rng, start=start, size=case.size)
        loading = FAULTS[fault](trial)
        proof = prove(server, collection, case.expected)
        line = {
            "seed": seed,
            "loader": loader,
            "keys": case.kind,
            "options": " ".join(case.options),
            "filled": case.earlier is not None,
            "strikes": trial.strikes,
            "counted": trial.counted,
            "exit_status": trial.status,
            "restarts": trial.restarts,
            "rows": len(case.expected),
            "missing": proof.missing,
            "doubled": proof.doubled,
            "wrong": proof.wrong,
            "late": sum(held.delivered for held in network.held),
            **_told(loading, trial.status),
            "ok": proof.holds and trial.status == 0,
        }
        _drop(server, collection)
    return line


def _told(loading, status):
    """What the loader itself says of it."""
    report = loading.report
    if report is None or "rows_read" not in report:
        return {"said": loading.said} if status else {}
    names = ("mode", "rows_read", "rows_stored", "rows_superseded", "rows_unknown", "rows_unsent", "rows_resumed")
    return {name: report[name] for name in (*names, "retries", "notes")}


def _drop(server, collection):
    client = headrace.MilvusClient(server.uri)
    client.drop_collection(collection)
    client.close()
