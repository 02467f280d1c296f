"""Run by Ray's own interpreter (see test_datasink.py): writes rows into a collection and says what came of it.

Its argument is a JSON document: ``uri``, ``rows``, ``kill`` (whether a worker is killed in the middle), ``options`` of
the sink, ``answer`` (the file for the outcome).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import ray

import headrace
from headrace.ray import MilvusDatasink

WORKERS = 4
DIM = 8


def rows(batch):
    """Rows that their key decides: a text, and a vector that is a tensor column of Ray's."""
    ids = batch["id"]
    vectors = np.stack([np.cos(ids * (column + 1)) for column in range(DIM)], axis=1).astype(np.float32) + 2
    return {"id": ids, "text": np.array([f"row {number}" for number in ids]), "vector": vectors}


class Watched(MilvusDatasink):
    """Notes which process writes, once, as long as it does."""

    def write(self, blocks, ctx):
        note = Path(f"writing-{os.getpid()}")
        note.touch()
        try:
            return super().write(blocks, ctx)
        finally:
            note.unlink(missing_ok=True)


def kill_one(uri, killed):
    """Kill a process that writes, once the first rows are there."""
    client = headrace.MilvusClient(uri)
    while not killed:
        writing = sorted(Path.cwd().glob("writing-*"))
        state = client.has_collection("rows") and json.loads(json.dumps(stored(client)))
        if len(writing) >= 2 and state:
            killed.append(int(writing[0].name.partition("-")[2]))
            os.kill(killed[0], signal.SIGKILL)
        time.sleep(0.02)
    client.close()


def stored(client):
    try:
        client.load_collection("rows")
        return client.query("rows", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"]
    except headrace.HeadraceError:
        return 0


def main(given):
    os.chdir(Path(given["answer"]).parent)
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=True)
    dataset = ray.data.range(given["rows"], override_num_blocks=2 * WORKERS).map_batches(rows)
    sink = Watched(collection="rows", uri=given["uri"], **given["options"])
    killed, answer = [], {"name": sink.get_name(), "repr": repr(sink)}
    if given["kill"]:
        threading.Thread(target=kill_one, args=(given["uri"], killed), daemon=True).start()
    try:
        dataset.write_datasink(sink)
        answer["report"] = sink.report.to_dict()
    except Exception as error:  # noqa: BLE001 - the test looks at it
        answer["error"] = [type(error).__name__, str(error)]
        cause = error if isinstance(error, headrace.LoadError) else error.__cause__
        if isinstance(cause, headrace.LoadError):
            answer["report"] = cause.report.to_dict()
    answer["killed"] = killed
    Path(given["answer"]).write_text(json.dumps(answer))


main(json.loads(sys.argv[1]))
