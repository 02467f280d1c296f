"""A real local Ray writes Datasets into collections."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import headrace
from tests.fake.behaviours import refuse_rows
from tests.fake_milvus import FakeMilvus
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


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """What became of 1,000 rows of which the server refuses two, and every text that was written or shown meanwhile."""
    folder = tmp_path_factory.mktemp("refused")
    with FakeMilvus() as fake:
        fake.always("Upsert", refuse_rows(lambda row: row["id"] in (3, 999)))
        found, said = write(folder, fake.uri, 1000, create=True, secret=TOKEN)
        (session,) = re.findall(r"Full logs are in (\S+)/logs", said)
        texts = {"said": said, **found.pop("shown"), **texts_in(folder), **texts_in(Path(session))}
        authorization = fake.calls_of("Upsert")[0].metadata["authorization"]
        yield SimpleNamespace(found=found, texts=texts, secrets=(TOKEN, authorization), uri=fake.uri)


def test_rows_that_are_refused_are_in_the_account_that_is_raised(refused):
    assert refused.found["error"][0] == "LoadError", refused.found
    assert "finished, 2 rows rejected: 998 of 1,000 rows in rows" in refused.found["error"][1]
    report = refused.found["report"]
    assert (report["rows_rejected"], report["exit_status"], len(report["rejects_files"])) == (2, 3, 2)


def test_the_token_is_in_no_log_and_on_no_page_of_the_dashboard(refused):
    found = refused.found
    assert (found["name"], found["repr"]) == ("Milvus", f"MilvusDatasink('rows', uri='{refused.uri}')")
    assert "Write" in refused.texts["tasks"], "the tasks that wrote are shown"
    assert any(name.endswith("ray-data.log") for name in refused.texts)
    assert [name for name, text in refused.texts.items() if any(secret in text for secret in refused.secrets)] == []


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
