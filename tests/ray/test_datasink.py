"""A real local Ray writes Datasets into collections."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import headrace
from tests.fake.behaviours import refuse_rows
from tests.servers.linking import ROOT
from tests.servers.milvus235 import Milvus235
from tests.servers.ray import run_ray

pytestmark = pytest.mark.long

PROGRAM = ROOT / "tests" / "ray" / "inside" / "write.py"
TOKEN = "root:Milvus-secret"


def write(folder, uri, rows, *, kill=False, **options):
    """What became of a Dataset, and everything that was written to the streams and logs meanwhile."""
    answer = folder / "answer.json"
    said = run_ray(PROGRAM, folder, uri=uri, rows=rows, kill=kill, options=options, answer=str(answer))
    return json.loads(answer.read_text()), said


def test_a_worker_that_is_killed_in_the_middle_leaves_every_row_once(tmp_path):
    with Milvus235() as server:
        given = {"create": True, "max_rows_per_second": 8000.0, "batch_bytes": 1 << 16}
        found, _ = write(tmp_path, server.uri, 100_000, kill=True, **given)
        assert len(found["killed"]) == 1, found
        report = found["report"]
        assert (report["rows_read"], report["rows_stored"], report["exit_status"]) == (100_000, 100_000, 0)
        assert report["guarantee"] == "effectively-once"
        assert len(report["parts"]) == 8
        ids = np.arange(100_000)
        vectors = np.stack([np.cos(ids * (column + 1)) for column in range(8)], axis=1).astype(np.float32) + 2
        rows = {"id": ids, "text": [f"row {number}" for number in ids], "vector": vectors}
        verified = headrace.finish(rows, collection="rows", uri=server.uri, verify="full", flush=False)
        # Counts by ranges of keys show doubles, which a query would hide.
        assert (verified.rows, verified.verify["status"], verified.verify["checked"]) == (100_000, "ok", 100_000)


def test_rows_that_are_refused_are_in_the_account_that_is_raised(fake, tmp_path):
    fake.always("Upsert", refuse_rows(lambda row: row["id"] in (3, 999)))
    found, said = write(tmp_path, fake.uri, 1000, create=True, token=TOKEN)
    assert found["error"][0] == "LoadError", found
    assert "finished, 2 rows rejected: 998 of 1,000 rows in rows" in found["error"][1]
    assert (found["report"]["rows_rejected"], found["report"]["exit_status"]) == (2, 3)
    assert len(found["report"]["rejects_files"]) == 2
    assert (found["name"], found["repr"]) == ("Milvus", f"MilvusDatasink('rows', uri='{fake.uri}')")
    (session,) = re.findall(r"Full logs are in (\S+)/logs", said)
    kept = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*.json"))
    assert TOKEN not in said + kept + logs(session)
    assert fake.calls_of("Upsert")[0].metadata["authorization"], "it was used all the same"


def logs(session):
    """Everything that Ray logged."""
    from pathlib import Path

    return "".join(path.read_text(errors="replace") for path in Path(session).rglob("*") if path.is_file())


def test_ray_is_not_imported_with_headrace(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import sys, headrace; headrace.load; sys.exit('ray' in sys.modules)")
    run_ray(program, tmp_path)
