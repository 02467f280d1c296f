"""A real local Ray writes Datasets into collections."""

from __future__ import annotations

import json
import re
from pathlib import Path

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


def write(folder, uri, rows, *, kill=False, secret=None, **options):
    """What became of a Dataset, and everything that was written to the streams and logs meanwhile."""
    answer = folder / "answer.json"
    given = {"uri": uri, "rows": rows, "kill": kill, "shown": secret is not None, "options": options}
    said = run_ray(PROGRAM, folder, secret=secret, answer=str(answer), **given)
    return json.loads(answer.read_text()), said


def test_a_worker_that_is_killed_in_the_middle_leaves_every_row_once(tmp_path):
    with Milvus235() as server:
        found, _ = write(tmp_path, server.uri, 100_000, kill=True, create=True, batch_bytes=1 << 16)
        assert found["killed"]
        report = found["report"]
        assert (report["rows_read"], report["rows_stored"], report["exit_status"]) == (100_000, 100_000, 0)
        assert report["guarantee"] == "effectively-once"
        assert len(report["parts"]) == 8
        with headrace.MilvusClient(server.uri) as client:
            # count(*) shows doubles, which a query would hide.
            assert client.query("rows", output_fields=["count(*)"], consistency_level="Strong") == [
                {"count(*)": 100_000}
            ]
            for start in range(0, 100_000, 10_000):
                assert stored(client, start, start + 10_000) == expected(start, start + 10_000)


def stored(client, start, stop):
    """``(text, vector)`` by key of the rows with these keys."""
    fields, strong = ["id", "text", "vector"], {"consistency_level": "Strong"}
    rows = client.query("rows", filter=f"{start} <= id < {stop}", output_fields=fields, **strong)
    return {row["id"]: (row["text"], tuple(row["vector"])) for row in rows}


def expected(start, stop):
    ids = np.arange(start, stop)
    vectors = np.stack([np.cos(ids * (column + 1)) for column in range(8)], axis=1).astype(np.float32) + 2
    return {int(key): (f"row {key}", tuple(vector.tolist())) for key, vector in zip(ids, vectors, strict=True)}


def test_rows_that_are_refused_are_in_the_account_that_is_raised(fake, tmp_path):
    fake.always("Upsert", refuse_rows(lambda row: row["id"] in (3, 999)))
    found, _ = write(tmp_path, fake.uri, 1000, create=True)
    assert found["error"][0] == "LoadError", found
    assert "finished, 2 rows rejected: 998 of 1,000 rows in rows" in found["error"][1]
    assert (found["report"]["rows_rejected"], found["report"]["exit_status"]) == (2, 3)
    assert len(found["report"]["rejects_files"]) == 2


def test_the_token_is_in_no_log_and_on_no_page_of_the_dashboard(fake, tmp_path):
    fake.always("Upsert", refuse_rows(lambda row: row["id"] == 3))
    found, said = write(tmp_path, fake.uri, 1000, create=True, secret=TOKEN)
    assert (found["name"], found["repr"]) == ("Milvus", f"MilvusDatasink('rows', uri='{fake.uri}')")
    assert "Write" in found["shown"]["tasks"], "the tasks that wrote are shown"
    assert all(found["shown"].values())
    (session,) = re.findall(r"Full logs are in (\S+)/logs", said)
    texts = {"said": said, **found["shown"], **texts_in(tmp_path), **texts_in(Path(session))}
    assert any(name.endswith("ray-data.log") for name in texts)
    authorization = fake.calls_of("Upsert")[0].metadata["authorization"]
    assert [name for name, text in texts.items() if TOKEN in text or authorization in text] == []


def texts_in(folder):
    """Everything that was written into a folder, by path."""
    return {str(path): path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()}


def test_ray_is_not_imported_with_headrace(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import sys, headrace; headrace.load; sys.exit('ray' in sys.modules)")
    run_ray(program, tmp_path)


def test_the_example_stores_the_sample(fake, tmp_path):
    sample = ROOT / "examples" / "wordnet-2k.parquet"
    said = run_ray(ROOT / "examples" / "ray_load.py", tmp_path, str(sample), fake.uri)
    assert "done: 2000 of 2000 rows stored" in said
    assert fake.collections["wordnet"].count() == 2000
    assert fake.collections["wordnet"].loaded
