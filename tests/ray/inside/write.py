"""Run by Ray's own interpreter (see test_datasink.py): writes rows into a collection and says what came of it.

Its argument is a JSON document: ``uri``, ``rows``, ``kill`` (whether a worker is killed in the middle), ``shown``
(whether to say what the dashboard shows), ``options`` of the sink, ``answer`` (the file for the outcome).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.request
from pathlib import Path

import numpy as np
import ray
from ray.data.block import BlockAccessor

import headrace
from headrace.ray import MilvusDatasink

WORKERS = 4
DIM = 8
#: The dashboard is on this machine, whatever proxy there is.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: Made by the process that is killed; absolute, because workers may be anywhere.
KILLED = Path(os.environ["HOME"]) / "killed"


def rows(batch):
    """Rows that their key decides: a text, and a vector that is a tensor column of Ray's."""
    ids = batch["id"]
    vectors = np.stack([np.cos(ids * (column + 1)) for column in range(DIM)], axis=1).astype(np.float32) + 2
    return {"id": ids, "text": np.array([f"row {number}" for number in ids]), "vector": vectors}


class DyingOnce(MilvusDatasink):
    """The first process that writes is killed once some of its rows are stored, and others are not sent yet."""

    def write(self, blocks, ctx):
        return super().write(self._halves(blocks), ctx)

    def _halves(self, blocks):
        for block in blocks:
            table = BlockAccessor.for_block(block).to_arrow()
            half = table.num_rows // 2
            yield table.slice(0, half)
            if half and first_of_all():
                wait_until_stored(self._endpoint.uri, table.column("id")[0].as_py())
                os.kill(os.getpid(), signal.SIGKILL)
            yield table.slice(half)


def first_of_all():
    try:
        KILLED.open("x").write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


def wait_until_stored(uri, key):
    with headrace.MilvusClient(uri) as client:
        client.load_collection("rows")
        while not client.query("rows", filter=f"id == {key}", output_fields=["id"], consistency_level="Strong"):
            pass


def everything_shown(dashboard_url):
    """What the state API and the dashboard's pages know of jobs, tasks, actors, workers and datasets."""
    from ray.util import state

    job = ray.get_runtime_context().get_job_id()
    # Without an address it looks for the only Ray of this machine, and others may be at work on it.
    asking = {"address": f"http://{dashboard_url}", "detail": True}
    found = {"tasks": state.list_tasks(**asking, limit=10_000)}
    for name in ("actors", "jobs", "objects", "placement_groups", "runtime_envs", "workers"):
        found[name] = getattr(state, f"list_{name}")(**asking)
    # Ray makes a token of its own for its dashboard.
    may_look = {"Authorization": f"Bearer {(Path.home() / '.ray' / 'auth_token').read_text().strip()}"}
    pages = [f"api/data/datasets/{job}", "api/jobs/", "logical/actors", "nodes?view=summary", "api/v0/tasks/timeline"]
    for page in pages:
        asked = urllib.request.Request(f"http://{dashboard_url}/{page}", headers=may_look)
        with OPENER.open(asked, timeout=60) as answer:
            found[page] = answer.read().decode()
    return {name: str(value) for name, value in found.items()}


def main(given):
    context = ray.init("local", num_cpus=WORKERS, include_dashboard=given["shown"], log_to_driver=True)
    dataset = ray.data.range(given["rows"], override_num_blocks=2 * WORKERS).map_batches(rows)
    kind = DyingOnce if given["kill"] else MilvusDatasink
    sink = kind(collection="rows", uri=given["uri"], **given["options"])
    answer = {"name": sink.get_name(), "repr": repr(sink)}
    try:
        dataset.write_datasink(sink)
        answer["report"] = sink.report.to_dict()
    except Exception as error:  # noqa: BLE001 - the test looks at it
        answer["error"] = [type(error).__name__, str(error)]
        cause = error if isinstance(error, headrace.LoadError) else error.__cause__
        if isinstance(cause, headrace.LoadError):
            answer["report"] = cause.report.to_dict()
    if given["shown"]:
        answer["shown"] = everything_shown(context.dashboard_url)
    answer["killed"] = KILLED.exists()
    Path(given["answer"]).write_text(json.dumps(answer))


main(json.loads(sys.argv[1]))
